"""The console's socket: who may open it, what it pushes, and how a page knows that it is up to date."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

import pytest
import redis.asyncio
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db.backends.utils import CursorWrapper
from django.test import Client
from redis.exceptions import ConnectionError as RedisConnectionError

from aerodash import engines
from aerodash.auth import Role
from aerodash.errors import EngineDown
from aerodash.models import Member, Project
from aerodash.realtime import consumer, room
from aerodash.realtime.pages import LiveView
from aerodash.realtime.publish import degraded, publish
from cache_admin.bounds import to_cursor
from jobs_admin import queries
from tests.pages.cache_cast import put
from tests.pages.jobs_cast import enqueue, lease, settle
from tests.pages.people import member_client, new_user, signed_in
from tests.pages.sockets import WAIT_S, Socket

NONCE = "test-nonce-1234"


@pytest.fixture(autouse=True)
def _without_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page hears of changes only, however slowly the test goes on."""
    monkeypatch.setattr(room, "BEAT_S", 3600.0)


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
    (found,) = [one for one in consumer._open if one.tab.params.get("job") == job_id]
    return found


def looks_of(opened: consumer.ConsoleConsumer) -> list[str]:
    """What the page makes of each change from now on, as it is made: "" where it has nothing to send."""
    looks: list[str] = []
    page = opened.room._page

    def render(view: LiveView) -> str:
        looks.append(page.render(view))
        return looks[-1]

    opened.room._page = replace(page, render=render)
    return looks


@asynccontextmanager
async def page(client: Client, query: str, *, shown: tuple[str, ...] = ()):
    """A page that has said hello and has been brought up to date."""
    opened = Socket(client, query)
    await calm()
    assert await opened.connect() is None
    try:
        await opened.say({"nonce": NONCE, "shown": shown, "sent_at": 5, "refresh": 1})
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
    assert room.INTERVAL_S < 0.3, "within 300 ms, where nothing else keeps the machine busy"
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

    assert added not in got["content"]
    assert "data-row" not in got["content"], "rows that have not changed are not sent again"


async def test_frames_are_numbered_without_a_gap(owner_page: Client, project: Project) -> None:
    job_id = await sync_to_async(enqueue)(project)
    opened = Socket(owner_page, f"project={project.slug}&page=jobs")
    await calm()
    await opened.connect()
    await opened.say({"nonce": NONCE, "shown": [job_id], "refresh": 1})
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
        await opened.say({"paused": False, "refresh": 2})
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
        open_page.room.hear({**fact, "seq": 1})
        await until(lambda: bool(looks))
        assert looks == [""]
        open_page.room.hear({**fact, "seq": 3})
        await push(opened, "#job-head")


async def test_stranger_and_signed_out_are_refused(stranger_page: Client, project: Project) -> None:
    for client in (stranger_page, Client()):
        assert await Socket(client, f"project={project.slug}&page=jobs").connect() == room.NOT_ALLOWED


async def test_unknown_page_is_refused(owner_page: Client, project: Project) -> None:
    assert await Socket(owner_page, f"project={project.slug}&page=nothing").connect() == room.NOT_ALLOWED


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

    assert (closed["type"], closed["code"]) == ("websocket.close", room.NOT_ALLOWED)


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
        assert message["code"] == room.NOT_ALLOWED


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
    await opened.say({"nonce": '"><script>', "refresh": 1, "sent_at": 1})
    await opened.frame()  # the echo: what was said has been heard
    (open_page,) = [one for one in consumer._open if one.tab.seat.access.project == project]
    assert open_page.tab.nonce == "", "and without a nonce nothing is rendered"
    await opened.say({"nonce": NONCE, "refresh": 2})
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


@contextmanager
def statements() -> Iterator[list[str]]:
    """What all threads of this process ask the database meanwhile, but for the figures that are kept on the side."""
    asked: list[str] = []
    execute = CursorWrapper.execute

    def counted(self: CursorWrapper, sql: str, params: object = None) -> object:
        if "rollup" not in sql:
            asked.append(sql)
        return execute(self, sql, params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CursorWrapper, "execute", counted)
        yield asked


@asynccontextmanager
async def tabs(
    client: Client, queries: list[str], shown: list[tuple[str, ...]]
) -> AsyncIterator[list[Socket]]:
    """Open pages that have been brought up to date: each of these queries, showing these rows."""
    opened = [Socket(client, query) for query in queries]
    await calm()
    for tab in opened:
        assert await tab.connect() is None
    for tab, rows in zip(opened, shown, strict=True):
        await tab.say({"nonce": NONCE, "shown": rows, "refresh": 1})
    await asyncio.gather(*(push(tab, "<hx-partial") for tab in opened))
    yield opened
    await asyncio.gather(*(tab.disconnect() for tab in opened))


async def cost_of_a_lease(opened: list[Socket], project: Project, running: int) -> list[str]:
    """What the database is asked from the lease of a job until all pages show that so many run."""
    with statements() as asked:
        await sync_to_async(lease)(project)
        await asyncio.gather(*(push(tab, f'Processing<span class="ad-n">{running}</span>') for tab in opened))
    return asked


async def test_hundred_tabs_cost_the_database_no_more_than_one(owner_page: Client, project: Project) -> None:
    shown = tuple([await sync_to_async(enqueue)(project) for _ in range(3)][::-1])
    query = f"project={project.slug}&page=jobs"
    async with tabs(owner_page, [query], [shown]) as alone:
        one = await cost_of_a_lease(alone, project, 1)
    async with tabs(owner_page, [query] * 100, [shown] * 100) as hundred:
        many = await cost_of_a_lease(hundred, project, 2)

    assert one
    assert many == one


async def test_people_with_other_rows_and_filters_share_what_they_can(project: Project) -> None:
    ids = [await sync_to_async(enqueue)(project) for _ in range(12)][::-1]
    people = [await sync_to_async(member_client)(project, role) for role in (Role.OWNER, Role.VIEWER) * 3]
    query = f"project={project.slug}&page=jobs"
    async with tabs(people[0], [query], [tuple(ids)]) as alone:
        one = await cost_of_a_lease(alone, project, 1)
    opened = [
        Socket(person, f"{query}{filter}")
        for person in people
        for filter in ("", "&status=pending", "&type=send-email", "&status=processing")
    ]
    async with tabs(people[0], [], []):
        for tab in opened:
            assert await tab.connect() is None
        for number, tab in enumerate(opened):  # each began when other jobs were the newest
            await tab.say({"nonce": NONCE, "shown": ids[number % 10 :], "refresh": 1})
        await asyncio.gather(*(push(tab, "<hx-partial") for tab in opened))
        many = await cost_of_a_lease(opened, project, 2)
        await asyncio.gather(*(tab.disconnect() for tab in opened))

    # How many came, for each of four filters, and the figures for all types and for one (5 questions); the rest once.
    assert len(many) == len(one) + 3 + 5
    assert sum("aerodash_member" in sql for sql in many) == 1
    assert sum("django_session" in sql for sql in many) == 1


async def test_hundred_cache_tabs_cost_valkey_no_more_than_one(owner_page: Client, project: Project) -> None:
    """What is counted is what Valkey counts, but for what comes at its own times: the feed itself and the tallies."""
    valkey = redis.asyncio.from_url(settings.VALKEY_URL)

    async def reads() -> dict[str, int]:
        said = await valkey.info("commandstats")
        aside = ("publish", "subscribe", "unsubscribe", "info", "ping", "hello", "client|setinfo")
        calls = {name.removeprefix("cmdstat_"): one["calls"] for name, one in said.items()}
        return {name: number for name, number in calls.items() if name not in aside}

    async def cost_of_a_write(opened: list[Socket], value: bytes) -> dict[str, int]:
        before = await reads()
        await sync_to_async(put)(project, "s:a", value)
        await asyncio.gather(*(push(tab, value.decode()) for tab in opened))
        after = await reads()
        return {
            name: number - before.get(name, 0) for name, number in after.items() if number != before.get(name)
        }

    await sync_to_async(put)(project, "s:a", b"1")
    query, shown = f"project={project.slug}&page=cache&prefix=s:", (to_cursor("s:a"),)
    try:
        async with tabs(owner_page, [query], [shown]) as alone:
            one = await cost_of_a_write(alone, b"1111111")
        async with tabs(owner_page, [query] * 100, [shown] * 100) as hundred:
            many = await cost_of_a_write(hundred, b"2222222")
    finally:
        await valkey.aclose()
    assert one["zrange"] > 0
    assert sum(many.values()) <= sum(one.values()) + 20, (one, many)


async def test_change_that_nobody_told_of_is_seen_at_the_next_recheck(
    owner_page: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after the kill of a server between its commit and its fact."""
    monkeypatch.setattr(room, "BEAT_S", 0.05)
    monkeypatch.setattr(room, "RECHECK_S", 0.0)
    job_id = await sync_to_async(enqueue)(project)
    async with page(owner_page, f"project={project.slug}&page=jobs", shown=(job_id,)) as opened:
        with monkeypatch.context() as killed:
            killed.setattr(engines.get("feed"), "publish", lambda *fact: None)
            await sync_to_async(lease)(project)
        got = await push(opened, "ad-st-processing")

    assert "changed_at" not in got, "it says nothing of how fast changes come"


async def test_slow_tab_holds_up_nobody_and_gets_what_it_missed(owner_page: Client, project: Project) -> None:
    job_id = await sync_to_async(enqueue)(project)
    query, may_go_on = f"project={project.slug}&page=jobs", asyncio.Event()
    async with tabs(owner_page, [query] * 2, [(job_id,)] * 2) as (slow, other):
        stuck = next(iter(room._rooms[project.pk, "jobs"].tabs))
        send = stuck._send

        async def wait_and_send(frame: dict) -> None:
            await may_go_on.wait()
            await send(frame)

        stuck._send = wait_and_send
        job = await sync_to_async(lease)(project)
        await push(other, "ad-st-processing")
        await sync_to_async(settle)(project, job, "completed")
        await push(other, "ad-st-completed")
        assert stuck.wants
        may_go_on.set()
        await push(slow, "ad-st-processing")
        await push(slow, "ad-st-completed")


async def test_page_that_could_not_look_says_so_and_looks_again(
    owner_page: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*asked: object, **more: object) -> None:
        raise EngineDown("away")

    monkeypatch.setattr(room, "BEAT_S", 0.1)
    job_id = await sync_to_async(enqueue)(project)
    async with page(owner_page, f"project={project.slug}&page=jobs", shown=(job_id,)) as opened:
        with monkeypatch.context() as broken:
            broken.setattr(queries, "rows", down)
            await sync_to_async(lease)(project)
            async with asyncio.timeout(WAIT_S):
                while (await opened.frame())["state"] != "degraded":
                    pass
        got = await push(opened, "ad-st-processing")

    assert got["state"] == "live"


async def test_last_tab_leaves_nothing_behind(owner_page: Client, project: Project) -> None:
    query = f"project={project.slug}&page=jobs"
    async with tabs(owner_page, [query] * 2, [()] * 2):
        served = room._rooms[project.pk, "jobs"]
    assert not served.tabs
    assert all(task.done() for task in served._tasks)
    assert (project.pk, "jobs") not in room._rooms
