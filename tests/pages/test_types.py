"""The Types pages: what needs a person first, one type's page, pausing it, and changing what it says."""

import time
from html import unescape

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from aerodash import engines
from aerodash.ids import ProjectId
from aerodash.models import AuditEntry, Project, RollupBucket, RollupSeries
from aerodash.rollups.cells import Cell, pack
from jobs_admin import schedules, services, type_figures, waiting
from jobs_admin.models import Job
from jobs_admin.views.type_settings import length_text, settings_from
from jobs_admin.views.types import rate_words, spark
from tests.pages.jobs_cast import HTMX, INES, configure, enqueue, lease, pause, settle
from tests.pages.sockets import Socket


def url(project: Project, rest: str = "") -> str:
    return f"/p/{project.slug}/types{rest}"


def rows(text: str) -> list[str]:
    return [part.split('"')[0] for part in text.split('data-row="')[1:]]


def row(text: str, name: str) -> str:
    return text.split(f'data-row="{name}"')[1].split("</tr>")[0]


def link(text: str, rel: str) -> str:
    """Where the pager leads."""
    return unescape(text.split(f'" rel="{rel}"')[0].split('href="')[-1])


def late(project: Project, type: str, seconds: int = 300) -> None:
    """All pending jobs of a type became due so long ago."""
    jobs = Job.objects.filter(project=project, type=type, status="pending")
    jobs.update(due_at_ms=time.time_ns() // 1_000_000 - seconds * 1000)


def past(project: Project, type: str, *, minutes_ago: int = 1, **counts: int) -> None:
    """So many runs of a type ended then, as the keeper would have noted it: completed, failed, retried."""
    at_s = int(time.time()) // 60 * 60 - minutes_ago * 60
    for ended, count in counts.items():
        series, _ = RollupSeries.objects.get_or_create(
            project=project, metric=f"jobs.{ended}", label=type, defaults={"first_at_s": at_s}
        )
        for step_s in (60, 3600):
            RollupBucket.objects.create(
                series=series, step_s=step_s, at_s=at_s // step_s * step_s, count=count, total=0
            )


def took(project: Project, type: str, metric: str, *times_ms: int) -> None:
    """Times of a minute ago, in the buckets of each length, as the keeper writes them."""
    cell = Cell()
    for ms in times_ms:
        cell.time(ms)
    ago_s = int(time.time()) - 60
    series = RollupSeries.objects.create(project=project, metric=metric, label=type, first_at_s=ago_s)
    for step_s in (60, 3600):
        RollupBucket.objects.create(
            series=series, step_s=step_s, at_s=ago_s // step_s * step_s, count=cell.count, total=cell.total,
            least=cell.least, most=cell.most, times=pack(cell.times),
        )  # fmt: skip


def form(project: Project, client: Client, type: str, **changed: str) -> dict[str, str]:
    """The settings form as a browser would send it, with some fields typed over."""
    page = client.get(url(project, f"/{type}/settings")).text
    return {"seen": page.split('name="seen" value="')[1].split('"')[0], **changed}


def test_it_works(owner_page: Client, project: Project) -> None:
    enqueue(project, "send-email")
    enqueue(project, "send-email", delay_s=3600)
    enqueue(project, "generate-report")
    lease(project, "generate-report")
    configure(project, "generate-report", concurrency=4)

    page = owner_page.get(url(project))

    assert page.status_code == 200
    assert rows(page.text) == ["generate-report", "send-email"]
    assert "1 due" in row(page.text, "send-email")
    assert "of 4" in row(page.text, "generate-report")
    assert "4 at once" in row(page.text, "generate-report")
    assert "2, none needs a person" in page.text
    assert f'href="{url(project, "/send-email/pause")}"' in page.text


def test_new_project_says_that_types_come_with_jobs(owner_page: Client, project: Project) -> None:
    assert "No job types yet" in owner_page.get(url(project)).text


def test_types_that_need_a_person_come_first(owner_page: Client, project: Project) -> None:
    for name in ("a-fine", "b-late", "c-paused", "d-failing", "e-stuck"):
        enqueue(project, name)
    enqueue(project, "b-late")
    lease(project, "b-late")
    late(project, "b-late")
    late(project, "e-stuck")
    pause(project, "c-paused", "the provider is away")
    past(project, "d-failing", completed=10, failed=3, retried=4)

    page = owner_page.get(url(project)).text

    assert rows(page) == ["d-failing", "e-stuck", "b-late", "c-paused", "a-fine"]
    assert "4 of 5 need a person" in page
    assert "41.2 %" in row(page, "d-failing")
    assert "7 of 17" in row(page, "d-failing")
    assert "not picked up" in row(page, "e-stuck")
    assert "clock-exclamation" in row(page, "b-late")
    assert "the provider is away" in row(page, "c-paused")
    assert "Resume" in row(page, "c-paused")
    for state, name in (
        ("failing", "d-failing"),
        ("stuck", "e-stuck"),
        ("late", "b-late"),
        ("paused", "c-paused"),
    ):
        assert rows(owner_page.get(url(project, f"?state={state}")).text) == [name]


def test_a_few_failures_are_no_trouble(owner_page: Client, project: Project) -> None:
    enqueue(project, "few")
    enqueue(project, "rare")
    past(project, "few", completed=1, failed=4)
    past(project, "rare", completed=100, failed=9)

    assert "none needs a person" in owner_page.get(url(project)).text


def test_paused_type_that_waits_is_not_late(owner_page: Client, project: Project) -> None:
    enqueue(project)
    late(project, "send-email")
    pause(project, "send-email")

    assert rows(owner_page.get(url(project, "?state=stuck")).text) == []


def test_last_hour_is_rate_and_times(owner_page: Client, project: Project) -> None:
    enqueue(project)
    past(project, "send-email", minutes_ago=2, completed=50)
    past(project, "send-email", minutes_ago=70, failed=50)
    took(project, "send-email", "jobs.wait_ms", *[20] * 90, *[2000] * 10)
    took(project, "send-email", "jobs.run_ms", *[1000] * 100)

    text = row(owner_page.get(url(project)).text, "send-email")

    assert ">10<" in text, "50 in the last five minutes"
    assert "0.02 s" in text
    assert "2.0 s" in text
    assert "1.0 s" in text
    assert "50 runs ended in the last hour" in text
    assert "0 %" in text


def test_what_is_not_known_is_a_dash(owner_page: Client, project: Project) -> None:
    enqueue(project)

    assert row(owner_page.get(url(project)).text, "send-email").count("–") == 4


def test_filter_by_a_part_of_the_name(owner_page: Client, project: Project) -> None:
    for name in ("send-email", "send-sms", "report"):
        enqueue(project, name)

    assert rows(owner_page.get(url(project, "?q=SEND")).text) == ["send-email", "send-sms"]
    assert "No type like “&lt;x”" in owner_page.get(url(project, "?q=%3Cx")).text
    for query in ("state=sleeping", "q=%00", f"q={'x' * 2000}"):
        for headers in ({}, HTMX):
            assert owner_page.get(url(project, f"?{query}"), headers=headers).status_code == 400


def test_pages_walk_all_types_and_back(owner_page: Client, project: Project, monkeypatch) -> None:
    monkeypatch.setattr("jobs_admin.views.types.PAGE", 2)
    for number in range(5):
        enqueue(project, f"type-{number}")

    first = owner_page.get(url(project)).text
    second = owner_page.get(url(project, link(first, "next"))).text
    third = owner_page.get(url(project, link(second, "next"))).text
    back = owner_page.get(url(project, link(third, "prev"))).text

    assert [rows(first), rows(second), rows(third), rows(back)] == [
        ["type-0", "type-1"], ["type-2", "type-3"], ["type-4"], ["type-2", "type-3"]
    ]  # fmt: skip
    assert "2 of 5" in first
    assert 'rel="next"' not in third


def test_fragment_keeps_rows_in_place_and_tells_of_new_trouble(owner_page: Client, project: Project) -> None:
    for name in ("a", "b", "c"):
        enqueue(project, name)
    late(project, "c")

    part = owner_page.get(url(project, "?shown=b,a"), headers=HTMX).text

    assert "<html" not in part
    assert rows(part) == ["b", "a"]
    assert "1 other type now needs a person: show" in part
    assert rows(owner_page.get(url(project, "?state=stuck&shown=a"), headers=HTMX).text) == ["a"]
    assert "is-gone" in owner_page.get(url(project, "?state=stuck&shown=a"), headers=HTMX).text
    assert rows(owner_page.get(url(project, "?shown=a%00,b"), headers=HTMX).text) == ["b"]


def test_due_jobs_are_counted_from_either_end(project: Project, monkeypatch) -> None:
    monkeypatch.setattr(type_figures, "DUE_COUNTED", 2)
    for _ in range(4):
        enqueue(project, "all-due")
        enqueue(project, "both")
        enqueue(project, "both", delay_s=3600)
    enqueue(project, "all-due", delay_s=3600)

    found = type_figures.look(ProjectId(project.pk), INES, names=["all-due", "both"], since=time.monotonic())

    assert [one.due.number for one in found] == [4, None]


def test_a_type_says_how_it_stands(owner_page: Client, project: Project) -> None:
    enqueue(project, max_retries=0)
    settle(project, lease(project), "failed", error_type="Busy", error_message="421 <too many>")
    enqueue(project)
    late(project, "send-email")
    past(project, "send-email", completed=4, failed=6)

    page = owner_page.get(url(project, "/send-email")).text

    assert "60.0 % of its runs failed in the last hour: 6 of 10. 6 jobs failed for good." in page
    assert "Its oldest due job has waited" in page
    assert "more come than its workers take" in page
    assert "Busy: 421 &lt;too many&gt;" in page
    assert f'href="/p/{project.slug}/jobs?type=send-email&amp;status=failed"' in page
    assert 'id="chart-ends"' in page
    assert "exponential, from 4 s to 1 h" in page


def test_a_quiet_type_and_one_nobody_has_enqueued(owner_page: Client, project: Project) -> None:
    enqueue(project)
    settle(project, lease(project), "completed")

    assert "Nothing waits and nothing runs" in owner_page.get(url(project, "/send-email")).text
    assert "No job of this type was ever enqueued" in owner_page.get(url(project, "/other")).text
    assert owner_page.get(url(project, "/no%20type")).status_code == 404


def test_late_because_all_that_may_run_are_busy(owner_page: Client, project: Project) -> None:
    configure(project, "send-email", concurrency=1)
    enqueue(project)
    lease(project)
    enqueue(project)
    late(project, "send-email")

    assert "all 1 that may run at once are busy" in owner_page.get(url(project, "/send-email")).text


def test_late_because_its_rate_is_used_up(owner_page: Client, project: Project) -> None:
    configure(project, "send-email", rate=1, rate_per_ms=3_600_000)
    enqueue(project)
    lease(project)
    enqueue(project)
    late(project, "send-email")

    assert "it may start 1 an hour, and these are used up" in owner_page.get(url(project, "/send-email")).text


def test_late_type_whose_runs_ended_a_moment_ago_is_taken(owner_page: Client, project: Project) -> None:
    enqueue(project)
    late(project, "send-email")
    past(project, "send-email", minutes_ago=1, completed=3)

    assert rows(owner_page.get(url(project, "?state=late")).text) == ["send-email"]
    assert "more come than its workers take" in owner_page.get(url(project, "/send-email")).text


def test_a_failing_type_that_nobody_takes_says_how_many_workers_live(
    owner_page: Client, project: Project
) -> None:
    enqueue(project, "other")
    lease(project, "other")
    enqueue(project)
    late(project, "send-email")
    past(project, "send-email", minutes_ago=30, failed=10)

    page = owner_page.get(url(project, "/send-email")).text

    assert "100.0 % of its runs failed" in page
    assert "none runs, though 1 worker is alive: does it take send-email?" in page


def test_schedules_of_a_type_are_listed(owner_page: Client, project: Project, project_id: ProjectId) -> None:
    said = services.new_job("send-email", b"1")
    engines.run(
        schedules.set_schedule(
            project_id, INES, name="nightly", job=said, cron_line="0 3 * * *", missed="one"
        )
    )

    page = owner_page.get(url(project, "/send-email")).text
    asked = owner_page.get(url(project, "/send-email/pause")).text

    assert "nightly" in page
    assert "0 3 * * *" in page
    assert "1 schedule goes on enqueueing it: nightly." in asked


def test_pause_is_asked_with_what_it_holds_up(owner_page: Client, project: Project) -> None:
    enqueue(project)
    enqueue(project, delay_s=60)

    asked = owner_page.get(url(project, "/send-email/pause"))
    done = owner_page.post(url(project, "/send-email/pause"), {"reason": "too many <421>"}, follow=True)

    assert "Pause send-email?" in asked.text
    assert ">2<small>1 due now" in asked.text
    assert 'name="typed"' not in asked.text
    assert done.redirect_chain == [(url(project, "/send-email"), 302)]
    assert "Paused by owner" in done.text
    assert "“too many &lt;421&gt;”. 2 pending jobs wait until it is resumed." in done.text
    again = owner_page.get(url(project, "/send-email/pause"), follow=True)
    assert "is paused already" in again.text


def test_pause_in_production_needs_the_name_typed(
    owner_page: Client, project: Project, project_id: ProjectId
) -> None:
    Project.objects.filter(pk=project.pk).update(environment="production")
    enqueue(project)

    refused = owner_page.post(url(project, "/send-email/pause"), {"reason": "why", "typed": "send-sms"})

    assert refused.status_code == 422
    assert "Nothing was paused: the name typed is another one." in refused.text
    assert 'value="why"' in refused.text
    assert waiting.of_type(project_id, INES, type="send-email").paused is None
    owner_page.post(url(project, "/send-email/pause"), {"typed": " send-email "})
    assert waiting.of_type(project_id, INES, type="send-email").paused is not None


def test_reason_that_is_too_long_is_refused_and_kept(owner_page: Client, project: Project) -> None:
    refused = owner_page.post(url(project, "/send-email/pause"), {"reason": "x" * 300})

    assert refused.status_code == 422
    assert "Nothing was paused." in refused.text
    assert "x" * 300 in refused.text


def test_resume_acts_at_once(owner_page: Client, project: Project, project_id: ProjectId) -> None:
    enqueue(project)
    pause(project, "send-email")

    said = owner_page.post(url(project, "/send-email/resume"), headers=HTMX)

    assert "send-email is resumed" in said.text
    assert waiting.of_type(project_id, INES, type="send-email").paused is None
    back = owner_page.post(url(project, "/send-email/resume"), {"next": url(project)})
    assert back["Location"] == url(project)
    assert owner_page.get(url(project, "/send-email/resume")).status_code == 405


def test_settings_are_saved_and_audited(owner_page: Client, project: Project, project_id: ProjectId) -> None:
    configure(project, "send-email", concurrency=2)
    sent = form(
        project, owner_page, "send-email", concurrency="4", rate="60", per="1 min", timeout="90 s", retries="5",
        kind="list", delays="10 s, 1 min,1h", kept_failed="30 d", secrets="/card/number\n/token", key_concurrency="1",
    )  # fmt: skip

    done = owner_page.post(url(project, "/send-email/settings"), sent, follow=True)
    said = waiting.of_type(project_id, INES, type="send-email").settings

    assert "how much at once: at once 2 → 4" in done.text
    assert (said.concurrency, said.rate, said.rate_per_ms, said.timeout_ms) == (4, 60, 60_000, 90_000)
    assert (said.max_retries, said.retention_failed_s, said.partition_concurrency) == (5, 2_592_000, 1)
    assert said.retry is not None
    assert said.retry.delays_ms == (10_000, 60_000, 3_600_000)
    assert said.secret_paths == ("/card/number", "/token")
    line = AuditEntry.objects.filter(project=project, verb="type.configure").latest("id")
    assert '"concurrency": 2' in line.details["before"]
    assert '"concurrency": 4' in line.details["after"]
    shown = owner_page.get(url(project, "/send-email/settings")).text
    for text in (
        'value="90 s"',
        'value="10 s, 1 min, 1 h"',
        'value="1 min"',
        'value="30 d"',
        "/card/number\n/token",
    ):
        assert text in shown


def test_what_is_saved_unchanged_stays_the_same(
    owner_page: Client, project: Project, project_id: ProjectId
) -> None:
    configure(project, "send-email", rate=5, rate_per_ms=90_500, lease_ms=45_000, retention_completed_s=5400)
    page = owner_page.get(url(project, "/send-email/settings")).text
    sent = {
        part.split('"')[0]: part.split('value="')[1].split('"')[0]
        for part in page.split('name="')[1:]
        if 'value="' in part.split(">")[0]
    }
    before = waiting.of_type(project_id, INES, type="send-email").settings

    done = owner_page.post(url(project, "/send-email/settings"), sent, follow=True)

    assert "were so already" in done.text
    assert waiting.of_type(project_id, INES, type="send-email").settings == before


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("concurrency", "0", "This must lie between 1 and 1,000,000."),
        ("concurrency", "two", "Write a whole number from 1 to 1,000,000."),
        ("concurrency", "²", "Write a whole number from 1 to 1,000,000."),
        ("timeout", "8 d", "This must lie between 1 s and 7 d."),
        ("timeout", "soon", "Write a length of time such as 90 s, 15 min, 12 h or 7 d."),
        ("lease", "0.5 s", "This must lie between 1 s and 1 h."),
        ("kept_failed", "1.5 s", "This must be whole seconds."),
        ("burst", "4", "Say how many may start, or leave the fields beside it empty."),
        ("base", "4 s", "This belongs to exponential and fixed: choose that kind, or leave it empty."),
        ("kind", "sometimes", "Choose one of the kinds."),
        ("secrets", "card", "“card” is no JSON Pointer such as /card/number"),
    ],
)
def test_wrong_setting_is_refused_beside_its_field_with_nothing_lost(
    owner_page: Client, project: Project, project_id: ProjectId, field: str, text: str, said: str
) -> None:
    sent = form(project, owner_page, "send-email", **{"retries": "7", field: text})

    refused = owner_page.post(url(project, "/send-email/settings"), sent)

    assert refused.status_code == 422
    assert said in refused.text
    assert text in refused.text or field == "kind", "a choice has no other"
    assert 'value="7"' in refused.text
    assert "Nothing was saved: 1 field needs another look." in refused.text
    assert waiting.of_type(project_id, INES, type="send-email").settings.max_retries is None


def test_settings_that_somebody_changed_meanwhile_are_not_overwritten_unseen(
    owner_page: Client, project: Project, project_id: ProjectId
) -> None:
    sent = form(project, owner_page, "send-email", concurrency="4")
    configure(project, "send-email", max_retries=9)

    refused = owner_page.post(url(project, "/send-email/settings"), sent)

    assert refused.status_code == 422
    assert "Somebody else changed these settings" in refused.text
    assert "retries: retries after the first run 9" in refused.text
    assert waiting.of_type(project_id, INES, type="send-email").settings.concurrency is None
    sent["seen"] = refused.text.split('name="seen" value="')[1].split('"')[0]
    assert owner_page.post(url(project, "/send-email/settings"), sent).status_code == 302
    assert waiting.of_type(project_id, INES, type="send-email").settings.concurrency == 4


def test_viewer_looks_and_is_refused_by_the_server(viewer_page: Client, project: Project, project_id) -> None:
    enqueue(project)

    page = viewer_page.get(url(project)).text
    one = viewer_page.get(url(project, "/send-email")).text

    assert "You may look, not change" in page
    assert 'aria-disabled="true" aria-describedby="why">Pause…' in page
    assert "/pause" not in page + one
    assert viewer_page.get(url(project, "/send-email/pause")).status_code == 403
    assert viewer_page.post(url(project, "/send-email/pause"), {}).status_code == 403
    assert viewer_page.post(url(project, "/send-email/resume")).status_code == 403
    assert viewer_page.post(url(project, "/send-email/settings"), {}).status_code == 403
    assert waiting.of_type(project_id, INES, type="send-email").paused is None


def test_stranger_gets_a_404(stranger_page: Client, project: Project) -> None:
    for rest in ("", "/send-email", "/send-email/pause", "/send-email/settings"):
        assert stranger_page.get(url(project, rest)).status_code == 404


def test_types_of_other_projects_do_not_show(owner_page: Client, project: Project) -> None:
    other = Project.objects.create(slug=f"{project.slug}-types", name="Other")
    enqueue(other, "theirs")
    past(other, "theirs", failed=10)

    assert rows(owner_page.get(url(project)).text) == []
    assert "–" in row(owner_page.get(url(project, "?shown=theirs"), headers=HTMX).text, "theirs")


def test_pages_say_503_when_the_engine_is_down(owner_page: Client, project: Project) -> None:
    enqueue(project)
    with engines.replaced("jobs", None):
        refused = owner_page.post(url(project, "/send-email/pause"), {})

    assert refused.status_code == 503
    assert 'aria-label="Console"' in refused.text


def test_number_of_queries_does_not_grow_with_the_types(owner_page: Client, project: Project) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            type_figures.roster(ProjectId(project.pk), INES, since=time.monotonic())
            names = [f"type-{number}" for number in range(20)]
            type_figures.look(ProjectId(project.pk), INES, names=names, since=time.monotonic())
        return len(captured)

    enqueue(project, "type-0")
    few = queries()
    for number in range(1, 20):
        enqueue(project, f"type-{number}")

    assert queries() <= few
    assert few <= 12


async def test_pause_is_pushed_to_open_pages(owner_page: Client, project: Project) -> None:
    await sync_to_async(enqueue)(project)
    for query in (f"project={project.slug}&page=types", f"project={project.slug}&page=type&type=send-email"):
        opened = Socket(owner_page, query)
        assert await opened.connect() is None
        await opened.say({"nonce": "test-nonce-1234", "shown": ["send-email"], "refresh": 1})
        is_paused = "page=type&" in query
        if not is_paused:
            await sync_to_async(pause)(project, "send-email", "wait")
        content = ""
        while "Resume" not in content or "formaction" not in content:
            content = (await opened.frame()).get("content", "")
        await opened.disconnect()

        assert 'hx-nonce="test-nonce-1234"' in content


def test_words() -> None:
    assert [length_text(s) for s in (0, 90, 3600, 86_400, 0.5, 5400)] == [
        "0 s",
        "90 s",
        "1 h",
        "1 d",
        "0.5 s",
        "90 min",
    ]
    assert rate_words(60, 60_000) == "60 a minute"
    assert rate_words(5, 90_500) == "5 in 90.5 s"
    assert spark([0] * 60) == ""
    assert spark([9, 1, 1, 0, 0, 9]) == "0,1 96,21", "only minutes that are over, two at a time"
    wanted, errors = settings_from({"kind": "fixed"})
    assert wanted is None
    assert errors == {"base": "Say how long the fixed wait is."}
