"""The console's socket: who may open it, what it pushes, and how a page knows that it is up to date."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from asgiref.sync import sync_to_async
from django.test import Client
from redis.exceptions import ConnectionError as RedisConnectionError

from aerodash import engines
from aerodash.auth import Role
from aerodash.models import Member, Project
from aerodash.realtime import consumer
from aerodash.realtime.pages import LiveView
from aerodash.realtime.publish import degraded, publish
from tests.pages.jobs_cast import enqueue, lease, settle
from tests.pages.people import member_client, new_user, signed_in
from tests.pages.sockets import WAIT_S, Socket

NONCE = "test-nonce-1234"


@pytest.fixture(autouse=True)
def _without_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page hears of changes only, however slowly the test goes on."""
    monkeypatch.setattr(consumer, "BEAT_S", 3600.0)


async def push(opened: Socket, containing: str) -> dict:
    """The next frame with this in its content."""
    async with asyncio.timeout(WAIT_S):
        while True:
            got = await opened.frame()
            if containing in got.get("content", ""):
                return got


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not is_so():  # noqa: ASYNC110 - what is waited for is a state of the server's own, not an event
            await asyncio.sleep(0.01)


async def calm() -> None:
    """Wait until all that happened so far has been published: a page that opens now hears of what follows alone."""
    streams = engines.get("feed")._streams
    await until(lambda: all(stream.task is None for stream in list(streams.values())))


def page_of(job_id: str) -> consumer.ConsoleConsumer:
    """The server's side of the open page of this job."""
    (found,) = [one for one in consumer._open if one._params.get("job") == job_id]
    return found


def looks_of(opened: consumer.ConsoleConsumer) -> list[str]:
    """What the page makes of each change from now on, as it is made: "" where it has nothing to send."""
    looks: list[str] = []
    page = opened._page

    def render(view: LiveView) -> str:
        looks.append(page.render(view))
        return looks[-1]

    opened._page = replace(page, render=render)
    return looks


@asynccontextmanager
async def page(client: Client, query: str, *, shown: tuple[str, ...] = ()):
    """A page that has said hello and has been brought up to date."""
    opened = Socket(client, query)
    await calm()
    assert await opened.connect() is None
    try:
        await opened.say({"nonce": NONCE, "shown": shown, "sent_at": 5, "refresh": True})
        assert (await opened.frame())["echo"] == 5
        await push(opened, "#tabs" if "page=jobs" in query else "#job-head")
        yield opened
    finally:
        await opened.disconnect()


async def test_change_is_pushed_soon_after_its_commit(owner_page: Client, project: Project) -> None:
    job_id = await sync_to_async(enqueue)(project)
    async with page(owner_page, f"project={project.slug}&page=jobs", shown=(job_id,)) as opened:
        await sync_to_async(lease)(project)
        got = await push(opened, "ad-st-processing")

    assert got["state"] == "live"
    assert consumer.INTERVAL_S < 0.3, "within 300 ms, where nothing else keeps the machine busy"
    assert 0 <= got["at"] - got["changed_at"] < 30_000
    assert f'data-row="{job_id}"' in got["content"]
    assert "is-fresh" in got["content"]
    assert f'hx-nonce="{NONCE}"' in got["content"]
    assert 'Processing<span class="ad-n">1</span>' in got["content"]


async def test_new_job_waits_behind_the_bar(owner_page: Client, project: Project) -> None:
    shown = await sync_to_async(enqueue)(project)
    async with page(owner_page, f"project={project.slug}&page=jobs", shown=(shown,)) as opened:
        added = await sync_to_async(enqueue)(project)
        got = await push(opened, "1 newer job: show")

    assert f'data-row="{shown}"' in got["content"]
    assert added not in got["content"]


async def test_frames_are_numbered_without_a_gap(owner_page: Client, project: Project) -> None:
    job_id = await sync_to_async(enqueue)(project)
    opened = Socket(owner_page, f"project={project.slug}&page=jobs")
    await calm()
    await opened.connect()
    await opened.say({"nonce": NONCE, "shown": [job_id], "refresh": True})
    first = await push(opened, "ad-st-pending")
    await sync_to_async(lease)(project)
    second = await push(opened, "ad-st-processing")
    await opened.disconnect()

    assert (first["seq"], second["seq"]) == (1, 2)


async def test_burst_of_changes_is_a_few_pushes(owner_page: Client, project: Project) -> None:
    ids = [await sync_to_async(enqueue)(project) for _ in range(8)]
    async with page(owner_page, f"project={project.slug}&page=jobs", shown=tuple(ids)) as opened:
        for _ in range(4):
            for job_id in ids:
                publish(project.pk, "jobs", [job_id])
        job = await sync_to_async(lease)(project)
        await sync_to_async(settle)(project, job, "completed")
        pushes, done = 0, False
        while not done:
            got = await push(opened, "#tabs")
            pushes += 1
            done = 'Completed<span class="ad-n">1</span>' in got["content"]

    assert pushes < 16


async def test_job_page_hears_of_its_own_job_only(owner_page: Client, project: Project) -> None:
    mine = await sync_to_async(enqueue)(project, "mine")
    await sync_to_async(enqueue)(project, "other")
    async with page(owner_page, f"project={project.slug}&page=job&job={mine}&form=pretty") as opened:
        looks = looks_of(page_of(mine))
        await sync_to_async(lease)(project, "other")
        await until(lambda: bool(looks))
        assert set(looks) == {""}
        await sync_to_async(lease)(project, "mine")
        got = await push(opened, "#job-head")

    assert "ad-st-processing" in got["content"]


async def test_paused_page_is_told_how_much_waits_and_gets_it_on_resume(
    owner_page: Client, project: Project
) -> None:
    job_id = await sync_to_async(enqueue)(project)
    async with page(owner_page, f"project={project.slug}&page=jobs", shown=(job_id,)) as opened:
        await opened.say({"paused": True})
        await sync_to_async(lease)(project)
        told = await opened.frame()
        await opened.say({"paused": False, "refresh": True})
        got = await push(opened, "ad-st-processing")

    assert told["waiting"] == 1
    assert "content" not in told
    assert got["seq"] == told["seq"] + 1


async def test_gap_in_the_feed_makes_the_page_look_at_everything(
    owner_page: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = await sync_to_async(enqueue)(project, "mine")
    async with page(owner_page, f"project={project.slug}&page=job&job={mine}&form=pretty") as opened:
        open_page = page_of(mine)
        looks = looks_of(open_page)
        fact = {"project": project.pk, "topic": "jobs", "source": "x", "at": 1.0, "ids": ["other"]}
        await open_page.change({**fact, "seq": 1})
        await until(lambda: bool(looks))
        assert looks == [""]
        await open_page.change({**fact, "seq": 3})
        await push(opened, "#job-head")


async def test_stranger_and_signed_out_are_refused(stranger_page: Client, project: Project) -> None:
    for client in (stranger_page, Client()):
        assert await Socket(client, f"project={project.slug}&page=jobs").connect() == consumer.NOT_ALLOWED


async def test_unknown_page_is_refused(owner_page: Client, project: Project) -> None:
    assert await Socket(owner_page, f"project={project.slug}&page=nothing").connect() == consumer.NOT_ALLOWED


async def test_other_sites_cannot_open_it(owner_page: Client, project: Project) -> None:
    opened = Socket(owner_page, f"project={project.slug}&page=jobs", origin="https://evil.example")

    assert await opened.connect() is not None


async def test_member_who_was_removed_gets_no_more(project: Project) -> None:
    user = await sync_to_async(new_user)("leaver")
    await Member.objects.acreate(project=project, user=user, role=Role.VIEWER)
    client = await sync_to_async(signed_in)(user)
    job_id = await sync_to_async(enqueue)(project)
    async with page(client, f"project={project.slug}&page=jobs", shown=(job_id,)) as opened:
        await Member.objects.filter(user=user).adelete()
        await sync_to_async(lease)(project)
        closed = await opened.receive_output(WAIT_S)

    assert (closed["type"], closed["code"]) == ("websocket.close", consumer.NOT_ALLOWED)


@pytest.mark.parametrize("ending", ["signs out", "is barred", "changes the password"])
async def test_person_whose_session_ended_gets_no_more(project: Project, ending: str) -> None:
    def end() -> None:
        user = Member.objects.get(project=project).user
        if ending == "signs out":
            client.post("/sign-out")
        elif ending == "is barred":
            user.is_active = False
            user.save()
        else:
            user.set_password("another long password")
            user.save()

    client = await sync_to_async(member_client)(project, Role.OWNER)
    async with page(client, f"project={project.slug}&page=jobs") as opened:
        await sync_to_async(end)()
        await sync_to_async(enqueue)(project)
        async with asyncio.timeout(WAIT_S):
            while (message := await opened.receive_output(WAIT_S))["type"] != "websocket.close":
                assert "send-email" not in message["text"]
        assert message["code"] == consumer.NOT_ALLOWED


@pytest.mark.parametrize(
    ("origin", "host", "answer"),
    [
        ("http://localhost:8787", "localhost:8787", None),
        ("http://localhost:8787", "127.0.0.1:8787", 1000),
        ("https://evil.example", "localhost:8787", 1000),
        ("", "localhost:8787", 1000),
    ],
)
async def test_the_page_s_own_host_opens_it_and_no_other(
    owner_page: Client, project: Project, origin: str, host: str, answer: int | None
) -> None:
    opened = Socket(owner_page, f"project={project.slug}&page=jobs", origin=origin, host=host)
    assert await opened.connect() == answer
    if answer is None:
        await opened.disconnect()


async def test_viewer_gets_disabled_controls_pushed(project: Project) -> None:
    client = await sync_to_async(member_client)(project, Role.VIEWER)
    job_id = await sync_to_async(enqueue)(project)
    async with page(client, f"project={project.slug}&page=jobs", shown=(job_id,)) as opened:
        await sync_to_async(lease)(project)
        got = await push(opened, "ad-st-processing")

    assert "formaction" not in got["content"]
    assert 'aria-disabled="true"' in got["content"]


@pytest.mark.parametrize("text", ["not json", "[]", '{"long": "' + "é" * 40_000 + '"}'])
async def test_broken_frame_closes_the_socket(owner_page: Client, project: Project, text: str) -> None:
    opened = Socket(owner_page, f"project={project.slug}&page=jobs")
    await opened.connect()
    await opened.say(text)

    closed = await opened.receive_output(WAIT_S)

    assert closed["code"] == consumer.BAD_FRAME


async def test_nonce_cannot_smuggle_markup(owner_page: Client, project: Project) -> None:
    await sync_to_async(enqueue)(project)
    opened = Socket(owner_page, f"project={project.slug}&page=jobs")
    await opened.connect()
    await opened.say({"nonce": '"><script>', "refresh": True, "sent_at": 1})
    await opened.frame()  # the echo: what was said has been heard
    (open_page,) = [one for one in consumer._open if one._access.project == project]
    assert open_page._nonce == "", "and without a nonce nothing is rendered"
    await opened.say({"nonce": NONCE, "refresh": True})
    first = await push(opened, "#tabs")
    await opened.disconnect()

    assert first["seq"] == 2
    assert f'hx-nonce="{NONCE}"' in first["content"]


async def test_server_that_ends_says_so(owner_page: Client, project: Project) -> None:
    async with page(owner_page, f"project={project.slug}&page=jobs") as opened:
        await consumer.say_restarting()
        said = await opened.frame()
        closed = await opened.receive_output(WAIT_S)

    assert said["state"] == "restarting"
    assert closed["code"] == consumer.RESTART


async def test_facts_published_with_no_page_open_harm_nobody(owner_page: Client, project: Project) -> None:
    publish(project.pk, "jobs", ["a"])

    job_id = await sync_to_async(enqueue)(project)
    async with page(owner_page, f"project={project.slug}&page=jobs", shown=(job_id,)) as opened:
        await sync_to_async(lease)(project)
        got = await push(opened, "ad-st-processing")
    assert got["state"] == "live"
    assert not degraded()


async def test_lost_channel_layer_costs_no_write_and_the_page_catches_up(
    owner_page: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(group: str, fact: dict) -> None:
        raise RedisConnectionError("away")

    job_id = await sync_to_async(enqueue)(project)
    async with page(owner_page, f"project={project.slug}&page=jobs", shown=(job_id,)) as opened:
        with monkeypatch.context() as broken:
            broken.setattr(engines.get("feed"), "_send", lost)
            await sync_to_async(lease)(project)  # publishes, and does not raise
            await until(degraded)
        got = await push(opened, "ad-st-processing")

    await until(lambda: not degraded())
    assert f'data-row="{job_id}"' in got["content"]
