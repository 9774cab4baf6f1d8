"""The Overview: what needs a person comes first, in sentences with a way to the cause; then signs, charts and changes."""

import asyncio
import json
import re
import shlex
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from html import unescape

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from aerodash import audit, engines
from aerodash.auth import ROLE_SCOPES, Actor, Role, Scope
from aerodash.console.overview import cache, lines, looks, queue
from aerodash.console.overview.house import HouseNow
from aerodash.console.overview.issues import Known
from aerodash.console.overview.issues import issues as found
from aerodash.console.overview.looks import see
from aerodash.console.overview.tiles import tiles as signs
from aerodash.console.views import overview
from aerodash.errors import EngineDown
from aerodash.ids import ProjectId
from aerodash.models import KeeperLease, Project
from aerodash.realtime import pages
from aerodash.rollups import queries
from cache_admin.health import NodeReplica
from jobs_admin.engine.contract import NewJob
from jobs_admin.models import Schedule
from tests.api.client import ApiClient
from tests.pages.cache_cast import cache_away, put
from tests.pages.jobs_cast import HTMX, add, configure, enqueue, lease, pause, settle
from tests.pages.overview_cast import due_since, happened, kept_house, url, worker
from tests.pages.people import new_user, signed_in
from tests.pages.sockets import WAIT_S, Socket

SIGNS = ["Failed /min", "Completed /min", "Oldest due job", "Due now", "Workers alive"]
CACHE_SIGNS = ["Cache ops /s", "Cache keys", "Replica behind"]


@pytest.fixture(autouse=True)
def _keeper() -> Iterator[None]:
    with kept_house():
        yield


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no fault."""
    monkeypatch.setattr(looks, "PATIENCE_S", WAIT_S)


def text(html: str) -> str:
    """What people read."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", html))).strip()


def issues(page: str) -> list[tuple[str, str, str, str]]:
    """Tone, sentence, button and where it leads, in the page's order."""
    found = re.findall(
        r'<li class="is-(\w+)" id="issue-[^"]*">(.*?)<div class="ad-acts"><a [^>]*href="([^"]*)">(.*?)</a>',
        page,
        re.S,
    )
    return [(tone, text(said), text(action), unescape(href)) for tone, said, href, action in found]


def tiles(page: str) -> dict[str, tuple[str, str, str, str]]:
    """Tone, value, note and address by label, in the page's order."""
    found = re.findall(
        r'<a class="ad-tile(?: is-(\w+))?" href="([^"]*)"><span class="ad-k">(.*?)</span>'
        r'<span class="ad-v">(.*?)</span><span class="ad-n"[^>]*>(.*?)</span>',
        page,
        re.S,
    )
    return {
        text(label): (tone, text(value), text(note), unescape(href))
        for tone, href, label, value, note in found
    }


def busy(project: Project) -> None:
    """A project in which something was done and nothing is wrong."""
    put(project, "a:1", b"1")
    enqueue(project, "quiet-type", delay_s=3600)
    worker(project, "mailer-1")


def test_it_works(owner_page: Client, project: Project) -> None:
    busy(project)

    page = owner_page.get(url(project))

    assert page.status_code == 200
    assert "nothing needs a person" in page.text
    assert "All quiet. No job is due, no type fails more than by habit, 1 worker is alive" in text(page.text)
    assert issues(page.text) == []
    signs = tiles(page.text)
    assert list(signs) == SIGNS + CACHE_SIGNS
    assert signs["Due now"][1:3] == ("0", "of 1 pending")
    assert signs["Workers alive"][:2] == ("", "1")
    assert signs["Cache keys"][1] == "1"
    assert [one for one in signs.values() if one[0]] == [], "tinted only where a rule is breached"
    assert 'aria-current="page"' in page.text
    for chart in ("jobs", "waits", "cache", "hits"):
        assert f'id="chart-{chart}"' in page.text


def test_htmx_gets_the_parts_that_change(owner_page: Client, project: Project) -> None:
    busy(project)

    part = owner_page.get(url(project), headers=HTMX).text

    assert "<html" not in part
    for target in ("#said", "#issues", "#body"):
        assert f'<hx-partial hx-target="{target}"' in part


def test_type_out_of_its_habit_comes_first_with_its_figures(owner_page: Client, project: Project) -> None:
    busy(project)
    failed = enqueue(project, "send-email", max_retries=0)
    settle(project, lease(project), "failed", error_type="SMTPServerBusy", error_message="421 too many")
    for step in range(4, 30):
        happened(
            project,
            {("jobs.completed", "send-email"): 1000, ("jobs.failed", "send-email"): 3},
            ago_s=300 * step,
        )
    happened(project, {("jobs.completed", "send-email"): 600, ("jobs.failed", "send-email"): 400})
    pause(project, "quiet-type")

    page = owner_page.get(url(project)).text

    (tone, said, action, href), paused = issues(page)
    assert (tone, paused[0]) == ("bad", "warn")
    assert re.match(
        r"send-email fails 40\.\d % of its runs since \d\d:\d\d; its baseline is 0\.3 %\. ", said
    ), said
    assert re.search(r"4\d\d jobs failed for good in the last hour", said), said
    assert action == "See the failed jobs"
    assert href == f"/p/{project.slug}/jobs?status=failed&type=send-email"
    assert tiles(page)["Failed /min"][0] == "bad"
    row = page.split('aria-labelledby="h-failing"')[1].split("</table>")[0]
    assert "send-email" in row
    assert "SMTPServerBusy: 421 too many" in row
    assert failed not in row
    assert "2 things need a person" in page


def test_retries_alone_lead_to_the_retries(owner_page: Client, project: Project) -> None:
    busy(project)
    happened(project, {("jobs.retried", "send-email"): 30, ("jobs.completed", "send-email"): 10})

    ((tone, said, action, href),) = issues(owner_page.get(url(project)).text)

    assert tone == "bad"
    assert said == "send-email fails 75.0 % of its runs. 30 runs failed, and will be tried again."
    assert action == "See the retries"
    assert href == f"/p/{project.slug}/jobs?status=retrying&type=send-email"


def test_rates_stand_beside_their_baselines(owner_page: Client, project: Project) -> None:
    busy(project)
    for hour in range(1, 5):
        happened(
            project,
            {("jobs.enqueued", "a"): 1200, ("jobs.completed", "a"): 1200, ("jobs.failed", "a"): 6},
            ago_s=3600 * hour + 60,
        )
    happened(project, {("jobs.completed", "a"): 7}, ago_s=30)

    signs = tiles(owner_page.get(url(project)).text)

    assert signs["Completed /min"][1:3] == ("7", "baseline 20")
    assert signs["Failed /min"][1:3] == ("0", "baseline 0.1")


def test_due_jobs_without_a_worker(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project)
    due_since(job_id, 372)

    page = owner_page.get(url(project)).text

    ((tone, said, action, href),) = issues(page)
    assert tone == "bad"
    assert said.startswith("No worker is alive, and 1 job is due, the oldest for 06:1")
    assert said.endswith("No worker has ever asked for a job here.")
    assert (action, href) == ("See the workers", f"/p/{project.slug}/workers")
    signs = tiles(page)
    assert signs["Workers alive"][0] == "bad"
    assert signs["Oldest due job"][0] == "warn"
    assert signs["Oldest due job"][3] == f"/p/{project.slug}/jobs/{job_id}"


def test_job_that_has_just_become_due_is_no_fault(owner_page: Client, project: Project) -> None:
    enqueue(project)

    assert issues(owner_page.get(url(project)).text) == []


def test_oldest_job_of_a_full_type_names_its_limit(owner_page: Client, project: Project) -> None:
    worker(project, "mailer-1")
    configure(project, "send-email", concurrency=1)
    enqueue(project)
    lease(project)
    waits = enqueue(project)
    due_since(waits, 130)

    ((tone, said, action, href),) = issues(owner_page.get(url(project)).text)

    assert tone == "warn"
    assert re.match(r"send-email: the oldest due job has waited 02:1\d \(limit 2 min\)\. ", said), said
    assert said.endswith("Its only permitted run is busy, and 1 job waits.")
    assert (action, href) == ("See why it waits", f"/p/{project.slug}/jobs/{waits}")


def test_busy_type_may_wait_for_two_minutes_and_one_that_nobody_runs_for_half_a_one(
    owner_page: Client, project: Project
) -> None:
    worker(project, "mailer-1")
    enqueue(project, "busy")
    lease(project, "busy")
    due_since(enqueue(project, "busy"), 60)
    due_since(enqueue(project, "nobody", max_retries=0), 60)

    ((tone, said, _, _),) = issues(owner_page.get(url(project)).text)

    assert tone == "warn"
    assert re.match(r"nobody: the oldest due job has waited 01:0\d, and none of its type runs\. ", said), said
    assert "does one of them take it?" in said


def test_lost_worker_and_why(owner_page: Client, project: Project) -> None:
    busy(project)
    worker(project, "mailer-3", heard_s=130, lost_s=124, reason="killed by signal 9\nmore")
    worker(project, "mailer-4", heard_s=3000, lost_s=2900)

    page = owner_page.get(url(project)).text

    ((tone, said, action, href),) = issues(page)
    assert tone == "warn"
    assert re.match(r"mailer-3:7 was lost 2 min 0\d s ago: killed by signal 9\.$", said), said
    assert (action, href) == ("See the worker", f"/p/{project.slug}/workers/mailer-3")
    assert tiles(page)["Workers alive"] == (
        "warn",
        "1 of 2",
        "1 lost in 15 min",
        f"/p/{project.slug}/workers",
    )


def test_many_lost_workers_share_a_sentence(owner_page: Client, project: Project) -> None:
    busy(project)
    for number in range(5):
        worker(project, f"w{number}", heard_s=60, lost_s=10 * number + 5)

    ((_, said, _, _),) = issues(owner_page.get(url(project)).text)

    assert re.match(r"5 workers were lost in the last 15 min; the last one, w0:7, \d+ s ago\.$", said), said


def test_paused_type_is_said_only_while_jobs_wait_for_it(owner_page: Client, project: Project) -> None:
    busy(project)
    for number in range(5):
        pause(project, f"type-{number}", "provider <down>")
    assert issues(owner_page.get(url(project)).text) == []

    for number in range(5):
        enqueue(project, f"type-{number}", delay_s=60 * number)
    page = owner_page.get(url(project)).text

    found = issues(page)
    assert [one[0] for one in found] == ["warn"] * 4
    assert re.match(
        r"type-0 was paused by Ines \d+ s ago: “provider <down>”\. 1 pending job waits for it\.$", found[0][1]
    )
    assert found[3][1] == "2 more types are paused with 2 jobs waiting: type-3, type-4."
    assert tiles(page)["Oldest due job"][1] == "none", "a paused type's jobs wait on purpose"


def test_schedule_at_fault(owner_page: Client, project: Project) -> None:
    busy(project)
    now_ms = int(time.time() * 1000)
    for name, fault in (("nightly", "the project has 10,000 types."), ("hourly", "")):
        Schedule.objects.create(
            project=project, name=name, type="report", job="{}", every_ms=60_000, fault=fault,
            created_at_ms=now_ms, updated_at_ms=now_ms,
        )  # fmt: skip

    ((tone, said, action, href),) = issues(owner_page.get(url(project)).text)

    assert tone == "warn"
    assert said == "Schedule nightly enqueues no report: the project has 10,000 types."
    assert (action, href) == ("See the schedule", f"/p/{project.slug}/schedules/nightly")


def test_engine_near_its_limit_and_replica_behind(project_id: ProjectId, actor: Actor) -> None:
    """On what a real engine says, but for the figures that a test machine never has."""
    now = engines.run(cache.now(project_id, actor))
    (node,) = now.health.nodes

    def known(**figures: object) -> Known:
        nodes = (replace(node, **figures),)
        health = replace(now.health, vitals=replace(now.health.vitals, nodes=nodes))
        in_house = HouseNow(has_keeper=True, lapsed_at=None, feed_is_down=False)
        return Known(house=in_house, queue=None, outcomes=None, cache=replace(now, health=health))

    def seen(of: Known) -> tuple[list[str], dict[str, str]]:
        at = timezone.now()
        return [one.tone for one in found(of, "/p/shop", at)], {
            one.label: one.tone for one in signs(of, "/p/shop", at)
        }

    memory = replace(node.memory, used_bytes=95, limit_bytes=100)
    late = NodeReplica("10.0.0.2:6379", is_online=True, lag_bytes=64 * 1024 * 1024, silent_s=1)
    unsafe = replace(node.persistence, aof=True, aof_failed=True)

    assert seen(known()) == ([], {"Cache ops /s": "", "Cache keys": "", "Replica behind": ""})
    assert seen(known(memory=memory)) == (
        ["bad"],
        {"Cache ops /s": "", "Cache keys": "bad", "Replica behind": ""},
    )
    assert seen(known(replicas=(late,))) == (
        ["warn"],
        {"Cache ops /s": "", "Cache keys": "", "Replica behind": "warn"},
    )
    assert seen(known(persistence=unsafe))[0] == ["bad"]
    (issue,) = found(known(memory=memory), "/p/shop", timezone.now())
    assert issue.parts[1].text.startswith(" Memory is at 95 % of its limit")
    assert issue.url == "/p/shop/engine"


def test_queue_is_shown_while_the_cache_engine_is_away(owner_page: Client, project: Project) -> None:
    busy(project)
    with cache_away():
        page = owner_page.get(url(project))

    assert page.status_code == 200
    ((tone, said, action, href),) = issues(page.text)
    assert (tone, action, href) == ("bad", "See the engine", f"/p/{project.slug}/engine")
    assert said.startswith("The cache cannot be read: ")
    signs = tiles(page.text)
    assert signs["Due now"][1] == "0"
    assert signs["Cache ops /s"][:3] == ("bad", "–", "engine away")


def test_cache_is_shown_while_the_database_is_slow(
    owner_page: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy(project)
    answer = threading.Event()

    async def impatient[T](key: tuple[str, object], look: looks.Look[T], **how: object) -> T:
        return await see(key, look, **how, patience_s=0.05 if key[0] == "queue" else None)

    monkeypatch.setattr(overview, "see", impatient)
    monkeypatch.setattr(queue, "now", lambda *_: answer.wait(WAIT_S))
    try:
        page = owner_page.get(url(project))
    finally:
        answer.set()

    assert page.status_code == 200
    assert ("bad", "The queue cannot be read: The database did not answer within 0.05 s.") in [
        one[:2] for one in issues(page.text)
    ]
    signs = tiles(page.text)
    assert signs["Due now"][:3] == ("", "–", "not known now")
    assert signs["Cache keys"][1] == "1"


def test_past_that_cannot_be_read_says_so_in_its_place(
    owner_page: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aerodash.console.overview import history

    def refuse(*_: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table")

    busy(project)
    monkeypatch.setattr(history, "of_jobs", refuse)

    page = owner_page.get(url(project)).text

    assert '<section class="ad-panel" aria-label="Jobs per minute">' in page
    assert "The database does not answer." in page
    assert 'id="chart-cache"' in page


def test_nobody_keeps_house(owner_page: Client, project: Project) -> None:
    busy(project)
    KeeperLease.objects.update(expires_at=timezone.now() - timezone.timedelta(minutes=4))

    page = owner_page.get(url(project)).text

    ((tone, said, action, href),) = issues(page)
    assert tone == "bad"
    assert said.startswith("Nobody keeps house since 4 min 0")
    assert (action, href) == ("See what waits", f"/p/{project.slug}/operations?show=open")
    assert tiles(page)["Failed /min"][1:3] == ("–", "not counted now"), "nobody adds to the timeline"


def test_interrupted_feed(owner_page: Client, project: Project) -> None:
    busy(project)
    with engines.replaced("feed", None):
        ((tone, said, action, href),) = issues(owner_page.get(url(project)).text)

    assert tone == "warn"
    assert said.startswith("Live updates are interrupted")
    assert (action, href) == ("Check the parts", "/readyz")


def test_worst_comes_first_and_more_than_six_are_folded(owner_page: Client, project: Project) -> None:
    for number in range(4):
        pause(project, f"type-{number}")
        enqueue(project, f"type-{number}")
    for number in range(3):
        worker(project, f"w{number}", heard_s=60, lost_s=30)
    due_since(enqueue(project), 60)
    KeeperLease.objects.update(expires_at=timezone.now() - timezone.timedelta(minutes=4))

    page = owner_page.get(url(project)).text

    assert [one[0] for one in issues(page)] == ["bad"] * 2 + ["warn"] * 7
    folded = page.split('<details class="ad-fold ad-more"')[1]
    assert "<summary>3 more</summary>" in folded
    assert len(issues(folded)) == 3


def test_viewer_sees_the_same(viewer_page: Client, owner_page: Client, project: Project) -> None:
    busy(project)
    due_since(enqueue(project, "nobody"), 60)

    page = viewer_page.get(url(project))

    assert page.status_code == 200
    assert [one[2:] for one in issues(page.text)] == [
        one[2:] for one in issues(owner_page.get(url(project)).text)
    ]


def test_who_is_no_member_finds_nothing(stranger_page: Client, project: Project) -> None:
    assert stranger_page.get(url(project)).status_code == 404
    assert Client().get(url(project))["Location"].startswith("/sign-in?next=")
    assert signed_in(new_user()).get(url(project)).status_code == 404


def without(monkeypatch: pytest.MonkeyPatch, *scopes: Scope) -> None:
    monkeypatch.setitem(ROLE_SCOPES, Role.VIEWER, ROLE_SCOPES[Role.VIEWER] - set(scopes))


def test_member_sees_only_the_half_she_may(
    viewer_page: Client,
    project: Project,
    project_id: ProjectId,
    actor: Actor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    busy(project)
    pause(project, "quiet-type")
    engines.run(audit.record(project_id, actor, verb="cache.flush", target="secret-key"))

    without(monkeypatch, Scope.CACHE_READ)
    page = viewer_page.get(url(project)).text
    assert list(tiles(page)) == SIGNS
    assert "chart-cache" not in page
    assert "may not look at the cache" in page
    assert "secret-key" not in page
    assert "page=overview&" in unescape(page) or 'page=overview"' in page

    monkeypatch.undo()
    without(monkeypatch, Scope.QUEUE_READ)
    page = viewer_page.get(url(project)).text
    assert list(tiles(page)) == CACHE_SIGNS
    assert "quiet-type" not in page
    assert "may not look at the queue" in page
    assert "page=overview-cache" in page

    without(monkeypatch, Scope.CACHE_READ)
    assert viewer_page.get(url(project)).status_code == 403


def test_first_steps_are_commands_that_work(owner_page: Client, project: Project, api: ApiClient) -> None:
    page = owner_page.get(url(project)).text

    assert "the first steps" in page
    assert f"key create --project {project.slug}" in page
    assert "ad-tiles" not in page
    calls = [unescape(one) for one in re.findall(r"<pre [^>]*>(curl .*?)</pre>", page, re.S)]
    assert len(calls) == 3
    for call in calls:
        words = shlex.split(call.replace("\\\n", ""))
        path = words[1].split("/v1", 1)[1]
        reply = engines.run(api.post(f"/v1{path}", json.loads(words[words.index("-d") + 1])))
        assert reply.status in (200, 201), reply.body
    assert len(reply.json["jobs"]) == 1
    assert "ad-tiles" in owner_page.get(url(project)).text


def test_empty_project_that_something_is_wrong_with_says_so_above_the_steps(
    owner_page: Client, project: Project
) -> None:
    with engines.replaced("feed", None):
        page = owner_page.get(url(project)).text

    assert len(issues(page)) == 1
    assert page.index("Live updates are interrupted") < page.index("the first steps")


def test_time_shown_is_in_the_url(owner_page: Client, project: Project) -> None:
    busy(project)
    now = int(time.time())

    day = owner_page.get(url(project, "?range=24h")).text
    zoomed = owner_page.get(url(project, f"?from={now - 7200}&to={now - 3600}")).text

    assert "range=24h" in day.split('hx-ws:connect="')[1].split('"')[0]
    assert '<a href="?range=24h" aria-current="true">' in day
    assert f"from={now - 7200}" in zoomed.split('hx-ws:connect="')[1].split('"')[0]
    assert owner_page.get(url(project, "?range=2h")).status_code == 400
    assert owner_page.get(url(project, f"?from={now}&to={now - 60}")).status_code == 400


def test_changes_are_named_newest_first_and_marked_in_the_chart(
    owner_page: Client, project: Project, project_id: ProjectId, actor: Actor
) -> None:
    busy(project)
    pause(project, "quiet-type")
    engines.run(audit.record(project_id, actor, verb="cache.flush", target="user:"))

    page = owner_page.get(url(project)).text

    changed = text(page.split('id="h-changes"')[1].split("</section>")[0])
    assert changed.index("user:") < changed.index("quiet-type")
    assert "· Ines" in changed
    assert 'class="ad-marks"' in page


def test_every_link_leads_somewhere(owner_page: Client, project: Project) -> None:
    busy(project)
    pause(project, "quiet-type")
    due_since(enqueue(project, "nobody"), 200)
    worker(project, "lost", heard_s=60, lost_s=30)
    happened(project, {("jobs.retried", "send-email"): 30, ("jobs.failed", "other"): 30})

    page = owner_page.get(url(project)).text
    main = page.split("<main")[1].split("</main>")[0]
    links = {unescape(one) for one in re.findall(r'href="([^"#]*)"', main)}

    assert len(links) > 15
    for link in sorted(links):
        if link == "/readyz":
            continue
        answer = owner_page.get(link if link.startswith("/") else url(project, link))
        assert answer.status_code == 200, link


def test_other_projects_do_not_show(owner_page: Client, project: Project) -> None:
    busy(project)
    other = Project.objects.create(slug=f"{project.slug}-overview", name="Other")
    due_since(enqueue(other), 600)
    worker(other, "gone", heard_s=60, lost_s=30)
    happened(other, {("jobs.failed", "x"): 100})

    page = owner_page.get(url(project)).text

    assert issues(page) == []
    assert tiles(page)["Due now"][1:3] == ("0", "of 1 pending")


@pytest.mark.parametrize("counted_max", [100, 3, 1, 0])
def test_due_jobs_are_counted_from_the_smaller_end(
    project: Project, project_id: ProjectId, actor: Actor, monkeypatch: pytest.MonkeyPatch, counted_max: int
) -> None:
    for priority in (1, 5):
        for _ in range(2):
            add(project, NewJob("a", "1", 1, priority=priority))
    add(project, NewJob("b", "1", 1, delay_ms=3_600_000))
    monkeypatch.setattr(queue, "COUNTED_MAX", counted_max)

    due = queue.now(project_id, actor).due

    assert (due.number, due.is_exact) == ((4, True) if counted_max else (0, False))


def test_looks_at_the_queue_go_by_the_lanes(project: Project, project_id: ProjectId, actor: Actor) -> None:
    due_since(enqueue(project, "a"), 60)
    enqueue(project, "b", delay_s=60)
    with CaptureQueriesContext(connection) as captured:
        queue.now(project_id, actor)

    statements = [one["sql"] for one in captured.captured_queries]
    about_jobs = [sql for sql in statements if "jobs_admin_job " in sql]
    assert len(about_jobs) == 3, (
        "how many are due, what is first in each lane, and the job of the one that is late"
    )
    assert len(statements) < 15
    for sql in about_jobs:
        assert "job_lease_order" in plan(sql), sql


@pytest.mark.parametrize(("hours", "step_s"), [(1, 10), (3, 60), (24, 3600)])
def test_many_lines_at_once_are_what_they_are_one_by_one(
    project: Project, project_id: ProjectId, actor: Actor, hours: int, step_s: int
) -> None:
    for ago_s in (30, 600, 5000, 40_000):
        happened(
            project,
            {("jobs.failed", "a"): 3, ("jobs.failed", "b"): 5, ("jobs.completed", "a"): ago_s},
            ago_s=ago_s,
        )
    end_at = timezone.now()
    asked = {"start_at": end_at - timezone.timedelta(hours=hours), "end_at": end_at, "step_s": step_s}
    metrics = ("jobs.failed", "jobs.completed")

    with CaptureQueriesContext(connection) as captured:
        whole = lines.counts(project_id, actor, metrics, **asked)
        each = lines.counts(project_id, actor, metrics, labels=None, **asked)
        named = lines.counts(project_id, actor, metrics, labels=["a", "c"], **asked)

    assert len(captured) == 3
    assert "aerodash_rollupbucket" in plan(captured.captured_queries[0]["sql"])
    for metric in metrics:
        assert whole[metric].values == queries.series(project_id, actor, metric, **asked).values
        assert whole[metric].at == queries.series(project_id, actor, metric, **asked).at
        for label, line in each[metric].values.items():
            assert line == queries.series(project_id, actor, metric, label=label, **asked).values[label]
    assert set(each["jobs.failed"].values) == {"a", "b"}
    assert named["jobs.failed"].values["a"] == each["jobs.failed"].values["a"]
    assert not any(named["jobs.failed"].values["c"])


def plan(sql: str) -> str:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET enable_seqscan = off")
            cursor.execute(f"EXPLAIN {sql}")
        else:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        steps = "\n".join(str(row[-1]) for row in cursor.fetchall())
        if connection.vendor == "postgresql":
            cursor.execute("SET enable_seqscan = on")
    assert not re.search(r"SCAN (jobs_admin_job|bucket|aerodash_rollupbucket)", steps), steps
    return steps


async def pushed(opened: Socket, containing: str) -> str:
    """The next push with this in it."""
    async with asyncio.timeout(WAIT_S):
        while True:
            got = await opened.frame()
            if containing in got.get("content", ""):
                return str(got["content"])


async def test_open_pages_are_told_together_and_cost_one_look(
    owner_page: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = pages.find("overview")
    assert known is not None
    assert known.every_s == 2.0
    monkeypatch.setitem(pages._pages, "overview", replace(known, every_s=0.0))
    await sync_to_async(busy)(project)
    opened = [Socket(owner_page, f"project={project.slug}&page=overview") for _ in range(10)]
    try:
        for one in opened:
            assert await one.connect() is None
            await one.say({"nonce": "test-nonce-1234", "shown": [], "refresh": 1})
        whole = [await pushed(one, "#issues") for one in opened]
        looked = 0
        look = queue.now

        def spy(project_id: ProjectId, actor: Actor) -> queue.QueueNow:
            nonlocal looked
            looked += 1
            return look(project_id, actor)

        monkeypatch.setattr(queue, "now", spy)
        await sync_to_async(enqueue)(project, "nobody", delay_s=60)
        told = [await pushed(one, "of 2 pending") for one in opened]
    finally:
        for one in opened:
            await one.disconnect()

    assert all('hx-target="#body"' in content for content in whole), "the first look is at everything"
    assert all('hx-target="#tiles"' in content for content in told)
    assert not any("data-figures" in content for content in told), "charts come now and then"
    assert looked < 5


async def test_a_hundred_who_want_to_see_share_a_look() -> None:
    looked = 0

    async def look() -> int:
        nonlocal looked
        looked += 1
        await asyncio.sleep(0)
        return looked

    since = time.monotonic()
    found = await asyncio.gather(*(see("test-share", look, since=since, what="It") for _ in range(100)))

    assert (set(found), looked) == ({1}, 1)
    assert await see("test-share", look, since=since, what="It") == 1
    assert await see("test-share", look, since=time.monotonic(), what="It") == 2, (
        "what was seen before is too old"
    )


async def test_store_that_hangs_gathers_no_questions() -> None:
    looked = 0
    hang = await asyncio.wrap_future(engines.submit(_event()))

    async def look() -> int:
        nonlocal looked
        looked += 1
        await hang.wait()
        return looked

    for _ in range(3):
        with pytest.raises(EngineDown, match=r"^It did not answer within"):
            await see("test-hang", look, since=time.monotonic(), what="It", patience_s=0.01)
    assert looked <= 1

    await asyncio.wrap_future(engines.submit(_set(hang)))
    assert await see("test-hang", look, since=time.monotonic(), what="It") > 1


async def _event() -> asyncio.Event:
    return asyncio.Event()


async def _set(event: asyncio.Event) -> None:
    event.set()
