"""The pages of schedules: the list, one schedule, the form with its next runs, and what can be done to one."""

import json
import re
import time
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from asgiref.sync import sync_to_async
from django.test import Client

from aerodash import engines
from aerodash.ids import ProjectId
from aerodash.models import AuditEntry, KeeperLease, Project
from jobs_admin import cron, schedule_figures, schedules
from jobs_admin.engine.contract import NewJob, Unique
from jobs_admin.engine.rules import RetryPolicy
from jobs_admin.models import Job, Schedule
from jobs_admin.schedules import ScheduleRow
from tests.pages.jobs_cast import HTMX, INES, lease, pause, settle
from tests.pages.test_live import push
from tests.pages.watching import watching

JOB = NewJob("report", '{"id":9007199254740993}', 23)
FORM = {
    "name": "nightly", "type": "report", "payload": '{"a": 1.10}', "how": "cron", "cron": "0 3 * * *",
    "timezone": "Europe/Berlin", "missed": "skip", "priority": "2", "retries": "1", "tags": "eu, night", "unique": "n",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _keeper():
    """As if a keeper were at work."""
    KeeperLease.objects.update_or_create(
        name="keeper", defaults={"holder": "x", "expires_at": datetime.now(UTC) + timedelta(hours=1)}
    )
    yield
    KeeperLease.objects.filter(name="keeper").delete()


def make(project: Project, name: str = "nightly", job: NewJob = JOB, **said: object) -> None:
    said = said or {"cron_line": "0 3 * * *", "timezone": "Europe/Berlin"}
    engines.run(schedules.set_schedule(ProjectId(project.pk), INES, name=name, job=job, **said))


def row(project: Project, name: str = "nightly") -> ScheduleRow | None:
    return schedules.get(ProjectId(project.pk), INES, name=name)


def make_due(project: Project, name: str = "nightly") -> None:
    Schedule.objects.filter(project=project, name=name).update(next_at_ms=time.time_ns() // 1_000_000)


def fire(project: Project, name: str = "nightly") -> str:
    """Let its slot come; the job that was enqueued."""
    make_due(project, name)
    engines.run(schedules.fire())
    return str(row(project, name).last_job_id)


def url(project: Project, rest: str = "") -> str:
    return f"/p/{project.slug}/schedules{rest}"


def text(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def line(page: str, name: str) -> str:
    """The row of a schedule, as it reads."""
    return text(page.split(f'id="row-{name}"')[1].split("</tr>")[0])


def verbs(project: Project) -> list[str]:
    return list(AuditEntry.objects.filter(project=project).order_by("id").values_list("verb", flat=True))


def test_list_says_when_each_runs_and_how_its_last_job_ended(owner_page: Client, project: Project) -> None:
    make(project)
    make(project, "often", every_s=900)
    job_id = fire(project, "often")
    settle(project, lease(project, "report"), "failed", error_message="boom", final=True)

    page = owner_page.get(url(project))

    assert page.status_code == 200
    assert "At 03:00 every day 0 3 * * * Europe/Berlin" in line(page.text, "nightly")
    assert "not yet" in line(page.text, "nightly")
    assert "Every 15 min" in line(page.text, "often")
    assert "failed" in line(page.text, "often")
    assert f"/jobs/{job_id}" in page.text
    assert "data-until" in page.text


def test_list_without_schedules_says_what_they_are(
    owner_page: Client, viewer_page: Client, project: Project
) -> None:
    assert "No schedules yet" in owner_page.get(url(project)).text
    assert url(project, "/+/new") in owner_page.get(url(project)).text
    assert "You may look, not change" in viewer_page.get(url(project)).text


def test_tabs_count_and_filter(owner_page: Client, project: Project) -> None:
    make(project, "a")
    make(project, "b", paused=True, every_s=60)
    make(project, "c", job=NewJob("mail", "1", 1), every_s=60)
    Schedule.objects.filter(project=project, name="c").update(fault="The unique key changes hands too fast.")

    assert shown(owner_page.get(url(project))) == ["a", "b", "c"]
    assert shown(owner_page.get(url(project, "?show=paused"))) == ["b"]
    faulty = owner_page.get(url(project, "?show=faulty"))
    assert shown(faulty) == ["c"]
    assert "cannot fire" in line(faulty.text, "c")
    assert "The unique key changes hands too fast." in line(faulty.text, "c")
    assert shown(owner_page.get(url(project, "?type=mail"))) == ["c"]
    assert "No schedule matches these filters" in owner_page.get(url(project, "?type=none")).text
    assert owner_page.get(url(project, "?show=odd")).status_code == 400


def shown(response) -> list[str]:
    return re.findall(r'data-row="([^"]*)"', response.text)


def test_pages_go_by_name_both_ways(project: Project) -> None:
    for name in "abcde":
        make(project, name, every_s=60)

    def page(**cursor: str) -> tuple[list[str], str | None, str | None]:
        found = schedule_figures.page(ProjectId(project.pk), INES, limit=2, **cursor)
        return [one.name for one in found.lines], found.before, found.after

    assert page() == (["a", "b"], None, "b")
    assert page(after="b") == (["c", "d"], "c", "d")
    assert page(after="d") == (["e"], "e", None)
    assert page(before="e") == (["c", "d"], "c", "d")
    assert page(before="c") == (["a", "b"], None, "b")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1, "Every second"), (60, "Every minute"), (5400, "Every 90 min"), (86_400, "Every day"), (172_800, "Every 2 d"), (1.5, "Every 1.5 s")],
)  # fmt: skip
def test_intervals_read_as_people_say_them(seconds: float, said: str) -> None:
    assert schedule_figures.words("", seconds) == said


def test_without_a_keeper_the_pages_say_that_nothing_fires(owner_page: Client, project: Project) -> None:
    make(project)
    KeeperLease.objects.filter(name="keeper").update(expires_at=datetime.now(UTC) - timedelta(minutes=3))

    assert "No schedule fires now: no keeper is at work , and none has been since 3 min" in text(
        owner_page.get(url(project)).text
    )
    assert "It does not fire now: no keeper is at work" in owner_page.get(url(project, "/nightly")).text


def test_page_of_a_schedule_shows_its_next_runs_and_the_last(owner_page: Client, project: Project) -> None:
    make(project)
    job_id = fire(project)

    page = owner_page.get(url(project, "/nightly")).text

    following = next_runs(page)
    line = cron.following(cron.Timing("0 3 * * *", "Europe/Berlin"), time.time_ns() // 1_000_000)
    assert len(following) == 5
    first = f"{datetime.fromtimestamp(next(line) / 1000, UTC):%a, %Y-%m-%d %H:%M:%S} UTC"
    assert following[0].startswith(first)
    assert re.fullmatch(r"[A-Z][a-z]{2} 03:00 CES?T", following[0].removeprefix(first).strip())
    assert "At 03:00 every day" in page
    assert "9007199254740993" in page
    assert f'href="/p/{project.slug}/jobs/{job_id}"' in page
    assert "made up for by one job" in page


def next_runs(html: str) -> list[str]:
    found = re.search(r'<ol class="ad-next-list".*?</ol>', html, re.DOTALL)
    return [text(item) for item in re.findall(r"<li>(.*?)</li>", found[0], re.DOTALL)] if found else []


def test_page_of_a_schedule_whose_type_is_paused_says_that_nothing_runs(
    owner_page: Client, project: Project
) -> None:
    make(project)
    pause(project, "report", "disk <full>")

    said = text(owner_page.get(url(project, "/nightly")).text)

    assert "It enqueues, but nothing runs: its type report was paused by Ines" in said
    assert "“disk <full>”" in said


def test_page_of_a_schedule_that_cannot_fire_says_why(owner_page: Client, project: Project) -> None:
    make(project)
    Schedule.objects.filter(project=project).update(fault="There are 10,000 types <already>.")

    page = owner_page.get(url(project, "/nightly")).text

    assert "Its last run could not be enqueued.</b> There are 10,000 types &lt;already&gt;." in page


def test_last_run_whose_job_is_gone_still_says_when(owner_page: Client, project: Project) -> None:
    make(project)
    Job.objects.filter(pk=fire(project)).delete()

    assert "its job is kept no more" in owner_page.get(url(project)).text
    assert "not kept any more" in owner_page.get(url(project, "/nightly")).text


def test_unknown_schedule_and_stranger_get_a_404(
    owner_page: Client, stranger_page: Client, project: Project
) -> None:
    make(project)

    assert owner_page.get(url(project, "/none")).status_code == 404
    assert stranger_page.get(url(project, "/nightly")).status_code == 404
    for verb in ("run", "resume"):
        assert owner_page.post(url(project, f"/none/{verb}"), follow=True).status_code in (200, 404)
    for verb in ("edit", "pause", "delete"):
        assert owner_page.get(url(project, f"/none/{verb}")).status_code == 404


def test_viewer_may_look_and_not_change(viewer_page: Client, project: Project) -> None:
    make(project)

    page = viewer_page.get(url(project, "/nightly")).text

    assert "You may look, not change" in page
    assert "formaction" not in page
    for verb in ("run", "resume", "pause", "delete", "edit"):
        assert viewer_page.post(url(project, f"/nightly/{verb}")).status_code == 403
    assert viewer_page.get(url(project, "/+/new")).status_code == 403
    assert row(project).paused_at is None


def test_a_schedule_is_made_with_all_that_the_form_says(owner_page: Client, project: Project) -> None:
    assert "The next five runs show here." in owner_page.get(url(project, "/+/new?type=mail")).text
    answer = owner_page.post(url(project, "/+/new"), FORM, follow=True)

    assert "Made the schedule nightly." in answer.text
    made = row(project)
    job = made.job
    assert (made.cron, made.timezone, made.missed, made.paused_at) == (
        "0 3 * * *",
        "Europe/Berlin",
        "skip",
        None,
    )
    assert (job.type, job.payload, job.priority, job.max_retries) == ("report", '{"a": 1.10}', 2, 1)
    assert (job.tags, job.unique) == (("eu", "night"), Unique("n"))
    assert verbs(project) == ["schedule.set"]


def test_a_schedule_by_an_interval_can_begin_paused(owner_page: Client, project: Project) -> None:
    owner_page.post(
        url(project, "/+/new"), {**FORM, "how": "every", "every": "1.5", "unit": "hours", "paused": "1"}
    )

    made = row(project)
    assert (made.cron, made.every_s) == ("", 5400)
    assert made.paused_at is not None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cron": "0 3 * *"}, "cron must have five fields"),
        ({"cron": ""}, "When it runs is missing"),
        ({"timezone": "Mars/Base"}, "is not a time zone"),
        ({"payload": '{"a": oops}'}, "at line 1, column 7."),
        ({"type": "a b"}, "type must be"),
        ({"name": "a b"}, "name must be"),
        ({"retries": "x"}, "is not a whole number"),
        ({"priority": "12"}, "priority must be"),
        ({"how": "every", "every": "often"}, "is not a number"),
        ({"how": "every", "every": "0"}, "everySeconds must be"),
        ({"tags": "x" * 65}, "tags is longer than 64"),
        ({"missed": "some"}, "missed must be one of"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_typed_is_lost(
    owner_page: Client, project: Project, change: dict[str, str], said: str
) -> None:
    sent = {**FORM, **change}
    answer = owner_page.post(url(project, "/+/new"), sent)

    assert answer.status_code == 422
    assert said in unescape(answer.text)
    assert "Nothing was saved." in answer.text
    for name in ("name", "cron", "timezone", "tags", "unique", "retries"):
        assert f'name="{name}" value="{sent[name]}"' in unescape(answer.text), name
    assert f"\n{sent['payload']}</textarea>" in unescape(answer.text)
    assert not Schedule.objects.filter(project=project).exists()


def test_a_name_that_is_taken_leads_to_the_one_that_has_it(owner_page: Client, project: Project) -> None:
    make(project)
    answer = owner_page.post(url(project, "/+/new"), {**FORM, "cron": "5 5 * * *"})

    assert answer.status_code == 409
    assert f'href="{url(project, "/nightly/edit")}"' in answer.text
    assert row(project).cron == "0 3 * * *"


def test_next_runs_are_shown_without_a_script_and_with_one(owner_page: Client, project: Project) -> None:
    whole = owner_page.post(url(project, "/+/new"), {**FORM, "preview": "1"})
    part = owner_page.get(url(project, "/+/preview"), FORM, headers=HTMX).text
    wrong = owner_page.get(url(project, "/+/preview"), {**FORM, "cron": "61 * * * *"}, headers=HTMX).text
    every = owner_page.get(url(project, "/+/preview"), {"how": "every", "every": "2", "unit": "days"}).text

    assert whole.status_code == 200
    assert not Schedule.objects.filter(project=project).exists()
    assert len(next_runs(whole.text)) == len(next_runs(part)) == len(next_runs(every)) == 5
    assert "<html" not in part
    assert "<b>At 03:00 every day</b>" in part
    assert "(Europe/Berlin)" in part
    assert "is not a valid minute field" in wrong
    assert "<b>Every 2 d</b>" in every


def test_edit_changes_what_the_form_has_and_keeps_what_it_has_not(
    owner_page: Client, project: Project
) -> None:
    job = NewJob(
        "report", '{"id":9007199254740993}', 23, retry=RetryPolicy("fixed", 1000), timeout_ms=60_000,
        partition_key="p", unique=Unique("n", period_ms=5000, replace=True),
    )  # fmt: skip
    make(project, job=job, every_s=90 * 60, missed="all", paused=True)
    form = owner_page.get(url(project, "/nightly/edit")).text
    sent = {**FORM, "version": version(form), "how": "every", "every": "2", "unit": "days"}
    answer = owner_page.post(url(project, "/nightly/edit"), sent, follow=True)

    assert 'name="every" value="90"' in form
    assert '<option value="all" selected>' in form
    assert "&quot;id&quot;: 9007199254740993" in form
    assert "Saved the schedule nightly." in answer.text
    saved = row(project)
    assert (saved.every_s, saved.missed, saved.job.tags) == (172_800, "skip", ("eu", "night"))
    assert (saved.job.retry, saved.job.timeout_ms, saved.job.partition_key) == (job.retry, 60_000, "p")
    assert saved.job.unique == job.unique
    assert saved.paused_at is not None, "a pause stays"
    [before, after] = [
        AuditEntry.objects.filter(project=project).last().details[side] for side in ("before", "after")
    ]
    assert (json.loads(before)["everySeconds"], json.loads(after)["everySeconds"]) == (5400, 172_800)


def version(page: str) -> str:
    return re.search(r'name="version" value="(\d+)"', page)[1]


def test_edit_over_somebody_elses_change_asks_again(owner_page: Client, project: Project) -> None:
    make(project)
    opened = version(owner_page.get(url(project, "/nightly/edit")).text)
    make(project, cron_line="7 7 * * *")
    sent = {**FORM, "cron": "5 5 * * *", "version": opened}
    answer = owner_page.post(url(project, "/nightly/edit"), sent)

    assert answer.status_code == 409
    assert "Ines changed this schedule" in text(answer.text)
    assert 'name="cron" value="5 5 * * *"' in answer.text
    assert row(project).cron == "7 7 * * *"
    owner_page.post(url(project, "/nightly/edit"), {**sent, "version": version(answer.text)})
    assert row(project).cron == "5 5 * * *"


def test_a_change_between_the_look_and_the_save_is_not_lost(project: Project) -> None:
    make(project)
    seen = row(project)
    make(project, cron_line="7 7 * * *")
    done = engines.run(
        schedules.change(ProjectId(project.pk), INES, was=seen, job=JOB, cron_line="5 5 * * *")
    )

    assert done is False
    assert row(project).cron == "7 7 * * *"


def test_pause_asks_first_and_resume_does_not(owner_page: Client, project: Project) -> None:
    make(project)
    asked = owner_page.get(url(project, "/nightly/pause")).text
    assert row(project).paused_at is None
    owner_page.post(url(project, "/nightly/pause"), {"reason": "SMTP <down>"})
    paused = owner_page.get(url(project, "/nightly")).text
    twice = owner_page.post(url(project, "/nightly/pause"), {"reason": "again"}, follow=True).text
    answer = owner_page.post(url(project, "/nightly/resume"), follow=True).text

    assert "Pause nightly?" in asked
    assert "ad-st-paused" in paused
    assert "nightly was paused already." in twice
    assert "goes on from its next slot" in answer
    assert row(project).next_at is not None
    assert verbs(project) == ["schedule.set", "schedule.pause", "schedule.resume"]
    reasons = AuditEntry.objects.filter(project=project, verb="schedule.pause")
    assert [entry.details["reason"] for entry in reasons] == ["SMTP <down>"]
    too_long = owner_page.post(url(project, "/nightly/pause"), {"reason": "x" * 257})
    assert too_long.status_code == 422
    assert row(project).paused_at is None


def test_pause_keeps_what_the_schedule_says(project: Project) -> None:
    job = NewJob(
        "report", "1", 1, retry=RetryPolicy("fixed", 1000), unique=Unique("n", replace=True), tags=("eu",)
    )
    make(project, job=job, every_s=3600, missed="all", timezone="Asia/Tokyo")
    before = row(project)
    for paused in (True, False):
        assert engines.run(schedules.set_paused(ProjectId(project.pk), INES, name="nightly", paused=paused))
    after = row(project)

    assert (after.job, after.every_s, after.missed, after.timezone) == (job, 3600, "all", "Asia/Tokyo")
    assert after.next_at == before.next_at
    assert engines.run(schedules.set_paused(ProjectId(project.pk), INES, name="none", paused=True)) is None


def test_run_now_leads_to_its_job_also_while_it_is_paused(owner_page: Client, project: Project) -> None:
    make(project, paused=True, every_s=60)
    answer = owner_page.post(url(project, "/nightly/run"))

    [job] = Job.objects.filter(project=project)
    assert answer.url == f"/p/{project.slug}/jobs/{job.pk}"
    assert job.type == "report"
    assert verbs(project) == ["schedule.set", "schedule.run"]
    gone = owner_page.post(url(project, "/none/run"), follow=True)
    assert "There is no schedule" in gone.text


def test_run_now_of_one_with_a_unique_key_that_is_held_says_so(owner_page: Client, project: Project) -> None:
    make(project, job=NewJob("report", "1", 1, unique=Unique("n")), every_s=60)
    owner_page.post(url(project, "/nightly/run"))
    answer = owner_page.post(url(project, "/nightly/run"), follow=True)

    assert "has its unique key already" in answer.text
    assert Job.objects.filter(project=project).count() == 1


def test_delete_asks_first_and_in_production_for_the_name(owner_page: Client, project: Project) -> None:
    make(project)
    asked = owner_page.get(url(project, "/nightly/delete")).text
    assert 'name="typed"' not in asked
    Project.objects.filter(pk=project.pk).update(environment=Project.Environment.PRODUCTION)
    asked = owner_page.get(url(project, "/nightly/delete")).text
    sent = {"version": version(asked), "typed": "nightl"}
    wrong = owner_page.post(url(project, "/nightly/delete"), sent)

    assert wrong.status_code == 422
    assert "the name typed is another one" in wrong.text
    make(project, cron_line="7 7 * * *")
    moved = owner_page.post(url(project, "/nightly/delete"), {**sent, "typed": "nightly"})
    assert "the schedule changed while you read" in moved.text
    assert row(project) is not None
    again = {"version": version(moved.text), "typed": "nightly"}
    answer = owner_page.post(url(project, "/nightly/delete"), again, follow=True)
    assert "Deleted the schedule nightly." in answer.text
    assert row(project) is None
    assert verbs(project)[-1] == "schedule.delete"


async def test_what_a_schedule_does_is_pushed_to_the_open_pages(owner_page: Client, project: Project) -> None:
    await sync_to_async(make)(project)
    async with (
        watching(owner_page, project, "schedules", first="#list") as listed,
        watching(owner_page, project, "schedule", first="#schedule-head", name="nightly") as opened,
    ):
        await sync_to_async(make)(project, paused=True, every_s=60)
        assert "Every minute" in (await push(listed, "ad-st-paused"))["content"]
        assert "Every minute" in (await push(opened, "ad-st-paused"))["content"]
        await schedules.delete(ProjectId(project.pk), INES, name="nightly")
        assert "This schedule was deleted." in (await push(opened, "deleted"))["content"]
