"""The page of one job: its status and why, its runs, payload and result, and its fragment."""

import re
import time
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from asgiref.sync import sync_to_async
from django.test import Client

from aerodash import engines, limits
from aerodash.auth import ALL_SCOPES, Actor, Door
from aerodash.ids import ProjectId
from aerodash.models import AuditEntry, KeeperLease, Project
from jobs_admin import batches, joblog, schedules, services, waiting
from jobs_admin.engine.contract import LogLine, NewJob, Unique
from jobs_admin.models import Attempt, Job, JobEvent, Worker
from jobs_admin.views import timeline
from jobs_admin.views import why as why_page
from jobs_admin.views.texts import traceback_of
from tests.pages.jobs_cast import (
    HTMX,
    INES,
    add,
    configure,
    enqueue,
    heartbeat,
    lease,
    lose_worker,
    pause,
    report,
    settle,
    url,
)
from tests.pages.test_live import page as live_page
from tests.pages.test_live import push

TRACEBACK = """Traceback (most recent call last):
  File "/srv/app/jobs/email.py", line 31, in send_email
    mailer.send(message)
  File "/usr/lib/python3.12/smtplib.py", line 255, in __init__
    self.connect(host, port)
SMTPServerBusy: 421 <too many>"""


def test_it_works(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project, payload=b'{"orderId":9007199254740993,"ratio":1.10,"to":"<jane>"}')
    settle(project, lease(project), "completed", result='{"sent":true}')

    page = owner_page.get(url(project, f"/{job_id}"))

    assert page.status_code == 200
    assert "ad-st-completed" in page.text
    assert "attempt 1 of 4" in page.text
    assert '<span class="ad-m">9007199254740993</span>' in page.text
    assert '<span class="ad-m">1.10</span>' in page.text
    assert '<span class="ad-s">&quot;&lt;jane&gt;&quot;</span>' in page.text
    assert '<span class="ad-k">&quot;sent&quot;</span>' in page.text
    assert "Run 1 completed" in page.text
    assert "mailer-1:11" in page.text
    assert "Enqueued" in page.text
    assert "key shop-api" in page.text
    assert f'formaction="{url(project, f"/{job_id}/retry")}"' in page.text


def test_time_on_another_day_carries_its_date(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project, delay_s=30 * 86400)

    page = owner_page.get(url(project, f"/{job_id}")).text

    assert f">{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d} " in page


def test_raw_payload_is_the_text_as_it_came(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project, payload=b'{ "b" : 1.0,"b":2 }')

    page = owner_page.get(url(project, f"/{job_id}?form=raw")).text

    assert ">{ &quot;b&quot; : 1.0,&quot;b&quot;:2 }</pre>" in page


def test_failed_run_shows_its_error_and_our_frames_bold(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project, max_retries=0)
    settle(
        project,
        lease(project),
        "failed",
        error_type="Busy",
        error_message="421 <too many>",
        traceback=TRACEBACK,
    )

    page = owner_page.get(url(project, f"/{job_id}")).text

    assert "Busy: 421 &lt;too many&gt;" in page
    assert '<span class="ad-app">    mailer.send(message)</span>' in page
    assert '<span class="ad-lib">    self.connect(host, port)</span>' in page
    assert '<span class="ad-e">SMTPServerBusy: 421 &lt;too many&gt;</span>' in page
    assert "It failed with Busy: its only attempt is used up. Retry gives it the whole budget again." in page


def test_why_a_job_that_was_delayed_does_not_run(owner_page: Client, project: Project) -> None:
    page = owner_page.get(url(project, f"/{enqueue(project, delay_s=3600)}")).text

    assert "Why is this not running?" in page
    assert "because it was enqueued with a delay" in page
    assert "data-until" in page


def test_why_a_job_that_is_due_does_not_run(owner_page: Client, project: Project) -> None:
    enqueue(project)
    lease(project)
    older, job_id = enqueue(project), enqueue(project)
    Job.objects.filter(pk=older).update(due_at_ms=now_ms() - 60_000)
    enqueue(project, priority=9)

    said = why(owner_page, project, job_id)

    assert said.endswith(
        "It is due and waits for a worker; 1 of its type runs now. 1 due job of its type comes first, older or more urgent."
    )


def test_urgent_jobs_come_first_and_old_ones_overtake_them(owner_page: Client, project: Project) -> None:
    urgent, job_id = enqueue(project, priority=0), enqueue(project)
    behind = why(owner_page, project, job_id)
    before = why(owner_page, project, urgent)
    Job.objects.filter(pk=job_id).update(due_at_ms=now_ms() - 3_600_000)

    assert "1 due job of its type comes first" in behind
    assert "comes first" not in before
    assert "comes first" not in why(owner_page, project, job_id)


def test_a_long_queue_ahead_is_counted_up_to_a_bound(
    owner_page: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "AHEAD_MAX", 2)
    monkeypatch.setattr(why_page, "AHEAD_MAX", 2)
    for _ in range(3):
        enqueue(project, priority=0)

    said = why(owner_page, project, enqueue(project))

    assert "2 or more due jobs of its type come first" in said


def test_why_a_job_that_failed_waits(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project, retry_base_s=3600)
    settle(project, lease(project), "failed", error_message="boom")

    page = owner_page.get(url(project, f"/{job_id}")).text

    assert "ad-st-retrying" in page
    assert "because run 1 failed" in page
    assert "Run 2 is due, attempt 2 of 4" in page
    assert 'class="ad-next"' in page


def test_cancel_shows_as_asked_until_the_worker_answers(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project)
    job = lease(project)

    owner_page.post(url(project, f"/{job_id}/cancel"))
    asked = owner_page.get(url(project, f"/{job_id}")).text
    settle(project, job, "completed", result="1")
    ended = owner_page.get(url(project, f"/{job_id}")).text

    assert "ad-st-cancelling" in asked
    assert "Asked to stop" in asked
    assert "ad-st-cancelled" in ended
    assert "Late result refused: completed" in ended


def test_fragment_for_htmx_is_the_one_that_the_socket_pushes(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project)

    part = owner_page.get(url(project, f"/{job_id}"), headers=HTMX).text

    assert "<html" not in part
    assert part.startswith('<hx-partial hx-target="#job-head" hx-swap="innerMorph">')
    assert "ad-st-pending" in part


def test_picture_stays_inside_its_box_for_a_job_with_many_runs(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project, max_retries=9, retry_base_s=0.01)
    for _ in range(10):
        settle(project, lease(project), "failed", error_message="boom")

    page = owner_page.get(url(project, f"/{job_id}")).text

    assert "2 older runs not drawn" in page
    xs = [float(part.split('"')[0]) for part in page.split("<rect")[1:] for part in part.split(' x="')[1:2]]
    assert len(xs) >= 8
    assert all(70 <= x <= 720 for x in xs)
    assert page.count("Run 10 failed") == 1
    assert page.count("Run 1 failed") == 1


def test_viewer_sees_disabled_controls_with_the_reason(viewer_page: Client, project: Project) -> None:
    job_id = enqueue(project)

    page = viewer_page.get(url(project, f"/{job_id}")).text

    assert "You may look, not change" in page
    assert "formaction" not in page
    assert viewer_page.post(url(project, f"/{job_id}/cancel")).status_code == 403


def test_stranger_and_unknown_job_get_a_404(
    owner_page: Client, stranger_page: Client, project: Project
) -> None:
    job_id = enqueue(project)

    assert stranger_page.get(url(project, f"/{job_id}")).status_code == 404
    assert owner_page.get(url(project, "/0190cdd8-0000-7000-8000-000000000000")).status_code == 404
    missing = owner_page.get(url(project, "/not-an-id"))
    assert missing.status_code == 404
    assert "There is nothing at this address" in missing.text


def test_retry_by_hand_is_on_the_timeline_with_who_did_it(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project)
    settle(project, lease(project), "completed", result="1")
    person = Actor(kind="user", id="7", label="Ines", scopes=ALL_SCOPES, door=Door.CONSOLE)
    engines.run(services.retry(ProjectId(project.pk), person, job_ids=[job_id]))

    page = owner_page.get(url(project, f"/{job_id}")).text

    assert "Retried by hand, was completed" in page
    assert "by Ines (console)" in page


def why(client: Client, project: Project, job_id: str) -> str:
    """The sentence above the page, as it reads."""
    return sentence(client.get(url(project, f"/{job_id}")).text)


def sentence(page: str) -> str:
    text = page.split('id="job-why">')[1].split("</div></div>")[0]
    return " ".join(unescape(re.sub(r"<[^>]*>", "", text)).split())


ENDS = {
    "completed": "Run 1 completed",
    "failed": "Run 1 failed",
    "released": "Run 1 given back unfinished",
    "lease_expired": "Run 1 lost: its lease expired",
    "timed_out": "Run 1 ended: over its time limit",
    "worker_lost": "Run 1 lost: its worker died",
    "cancelled": "Run 1 ended as cancelled",
}


@pytest.mark.parametrize("outcome", Attempt.Outcome.values)
def test_each_way_a_run_ends_has_its_words(owner_page: Client, project: Project, outcome: str) -> None:
    job_id = enqueue(project)
    settle(project, lease(project), "completed")
    Attempt.objects.filter(job_id=job_id).update(outcome=outcome)

    page = owner_page.get(url(project, f"/{job_id}")).text

    assert ENDS[outcome] in page


def test_worker_that_died_is_on_the_timeline_with_what_killed_it(
    owner_page: Client, project: Project
) -> None:
    job_id = enqueue(project)
    lease(project)
    lose_worker(project, "killed by signal 9")

    page = owner_page.get(url(project, f"/{job_id}")).text

    assert "Run 1 lost: its worker died" in page
    assert "WorkerLost: killed by signal 9" in page
    assert "and the last worker, mailer-1:11, died" in sentence(page)
    assert "ago: killed by signal 9." in sentence(page)


def test_what_may_hold_a_waiting_job_back_when_it_is_due(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project, delay_s=3600)
    without = why(owner_page, project, job_id)
    enqueue(project)
    lease(project)
    free = why(owner_page, project, job_id)
    configure(project, "send-email", concurrency=1)

    assert without.endswith("Then it needs a worker, and none has been at work in the last 2 minutes.")
    assert free.endswith("because it was enqueued with a delay.")
    assert why(owner_page, project, job_id).endswith(
        "Then send-email may have no more than 1 running at once, and now it has 1."
    )


def test_job_replaced_by_a_later_enqueue_says_so(owner_page: Client, project: Project) -> None:
    job_id = add(project, NewJob("send-email", "1", 1, unique=Unique("k", replace=True)))
    again = add(project, NewJob("send-email", "2", 1, unique=Unique("k", replace=True)))

    page = owner_page.get(url(project, f"/{job_id}")).text

    assert again == job_id
    assert "Replaced by a later enqueue with its unique key" in page
    assert "by key shop-api (api) · payload version 2" in page


def test_job_past_its_deadline_says_so_before_and_after_it_is_failed(
    owner_page: Client, project: Project
) -> None:
    job_id = add(project, NewJob("send-email", "1", 1, deadline_at_ms=now_ms() + 3_600_000))
    ahead = why(owner_page, project, job_id)
    Job.objects.filter(pk=job_id).update(deadline_at_ms=now_ms() - 1)
    passed = why(owner_page, project, job_id)
    engines.run(services.sweep())
    page = owner_page.get(url(project, f"/{job_id}")).text

    assert "If it has not begun by" in ahead
    assert "it fails as expired." in ahead
    assert "Its deadline has passed, so it will not run" in passed
    assert "Its deadline passed before it could begin." in sentence(page)
    assert "Its deadline passed</b>" in page


def test_failure_after_an_expiry_is_told_for_itself(owner_page: Client, project: Project) -> None:
    job = NewJob("send-email", "1", 1, max_retries=0, deadline_at_ms=now_ms() + 3_600_000)
    job_id = add(project, job)
    Job.objects.filter(pk=job_id).update(deadline_at_ms=now_ms() - 1)
    engines.run(services.sweep())
    Job.objects.filter(pk=job_id).update(deadline_at_ms=None)
    owner_page.post(url(project, f"/{job_id}/retry"))
    settle(project, lease(project), "failed")

    assert "its only attempt is used up" in why(owner_page, project, job_id)


def test_deadline_before_the_next_run_is_told(owner_page: Client, project: Project) -> None:
    job = NewJob("send-email", "1", 1, delay_ms=7_200_000, deadline_at_ms=now_ms() + 3_600_000)

    said = why(owner_page, project, add(project, job))

    assert "because it was enqueued with a delay. But its deadline is before that," in said
    assert said.endswith("it will fail without running.")


def test_poisoned_job_says_what_stopped_it(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project, retry_base_s=0)
    for _ in range(3):
        lease(project)
        lose_worker(project, "killed by signal 9")
    page = owner_page.get(url(project, f"/{job_id}")).text

    assert "Stopped after 3 crashes in a row" in page
    assert "It was stopped after 3 crashes in a row" in sentence(page)


def test_late_result_and_edited_payload_can_be_read(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project, payload=b'{"to":"<jane>"}')
    job = lease(project)
    settle(project, job, "failed", error_message="boom", final=True)
    settle(project, job, "completed", result='{"sent":"<yes>"}')
    engines.run(services.retry(ProjectId(project.pk), INES, job_ids=[job_id], payload=b"2"))
    page = owner_page.get(url(project, f"/{job_id}")).text

    assert "with an edited payload, version 2" in page
    assert "<summary>Payload before</summary>" in page
    assert "&lt;jane&gt;" in page
    assert "<summary>What it sent</summary>" in page
    assert "&lt;yes&gt;" in page


def test_long_text_of_the_timeline_shows_its_beginning(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project)
    job = lease(project)
    owner_page.post(url(project, f"/{job_id}/cancel"))
    settle(project, job, "completed", result='"' + "x" * 200_000 + '"')

    page = owner_page.get(url(project, f"/{job_id}")).text

    assert "<summary>What it sent, the beginning of 195.3 KiB</summary>" in page
    assert len(page) < 60_000


def test_every_kind_of_event_has_its_words(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project)
    say = '{"was": "failed", "payload_version": 1, "refused": "lease_lost", "outcome": "completed", "crashes": 3, "was_due_at_ms": 1750000000000}'
    for kind in JobEvent.Kind.values:
        JobEvent.objects.create(
            job_id=job_id, at_ms=now_ms(), kind=kind, run=0, actor_kind="user", actor_id="7",
            actor_label="Ines", door="console", details=say,
        )  # fmt: skip

    page = owner_page.get(url(project, f"/{job_id}")).text

    events = page.split('class="ad-events"')[1].split("</ol>")[0]
    assert events.count("<li>") == len(JobEvent.Kind.values) + 1
    assert "#info-circle" not in page


def test_progress_is_a_bar_with_its_figure_and_message(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project)
    before = owner_page.get(url(project, f"/{job_id}")).text
    job = lease(project)
    report(project, job, percent=42.5, message="page <3> of 7")
    page = owner_page.get(url(project, f"/{job_id}")).text
    report(project, job, message="almost")
    part = owner_page.get(url(project, f"/{job_id}"), headers=HTMX).text

    assert "<progress" not in before
    assert '<progress class="ad-wide" max="100" value="42.5" aria-labelledby="h-g">42.5 %</progress>' in page
    assert "page &lt;3&gt; of 7" in page
    assert "of run 1, said" in page
    assert '<hx-partial hx-target="#job-progress"' in part
    assert 'value="42.5"' in part
    assert "almost" in part


def test_log_shows_the_newest_lines_and_leads_to_the_older(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project)
    job = lease(project)
    for hundred in range(3):
        lines = [LogLine("info", f"line {hundred * 100 + n}.") for n in range(100)]
        report(project, job, logs=(*lines[:-1], LogLine("error", f"<bad> {hundred}")))

    page = owner_page.get(url(project, f"/{job_id}?form=raw")).text
    older = links(page, "Older lines")
    second = owner_page.get(url(project, f"/{job_id}") + older).text
    part = owner_page.get(url(project, f"/{job_id}") + older, headers=HTMX).text

    assert texts(page)[:2] == ["&lt;bad&gt; 2", "line 298."]
    assert texts(page)[-1] == "line 100."
    assert len(texts(page)) == 200
    assert 'class="is-error"' in page
    assert "300 lines, newest first" in page
    assert "not kept" not in page
    assert older.startswith("?form=raw&log=")
    assert texts(second)[0] == "&lt;bad&gt; 0"
    assert texts(second)[-1] == "line 0."
    assert "Older lines" not in second
    assert links(second, "Newest lines") == "?form=raw"
    assert "#job-log" not in part, "what is being read is not taken away"
    assert '<hx-partial hx-target="#job-log"' in owner_page.get(url(project, f"/{job_id}"), headers=HTMX).text


def test_log_says_how_many_lines_were_dropped(
    owner_page: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LOG_LINES", 2)
    job_id = enqueue(project)
    report(project, lease(project), logs=tuple(LogLine("info", f"line {n}.") for n in range(5)))

    page = owner_page.get(url(project, f"/{job_id}")).text

    assert texts(page) == ["line 1.", "line 0."]
    assert "the first 2 lines, newest first" in page
    assert "3 later lines not kept" in page


def test_log_of_several_runs_says_which_wrote_a_line(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project, retry_base_s=0)
    for text in ("alpha", "beta"):
        job = lease(project)
        report(project, job, logs=(LogLine("info", text), LogLine("debug", text)))
        settle(project, job, "failed")

    page = owner_page.get(url(project, f"/{job_id}")).text

    log = page.split('id="job-log"')[1]
    places = [log.index(part) for part in ("run 2<", "beta", "run 1<", "alpha")]
    assert places == sorted(places)
    assert log.count("ad-log-run") == 2


def test_log_of_another_project_is_empty(project: Project, actor: Actor) -> None:
    other = Project.objects.create(slug=f"{project.slug}-log", name="Other")
    job_id = enqueue(project)
    report(project, lease(project), logs=(LogLine("info", "ours"),))

    assert [line.message for line in joblog.tail(ProjectId(project.pk), actor, job_id=job_id).lines] == [
        "ours"
    ]
    assert joblog.tail(ProjectId(other.pk), actor, job_id=job_id) == joblog.Tail()
    assert joblog.tail(ProjectId(project.pk), actor, job_id="none") == joblog.Tail()


def test_log_cursor_that_is_none_is_refused(owner_page: Client, project: Project) -> None:
    assert owner_page.get(url(project, f"/{enqueue(project)}?log=yesterday")).status_code == 400


async def test_progress_and_log_lines_are_pushed_to_an_open_page(
    owner_page: Client, project: Project
) -> None:
    job_id = await sync_to_async(enqueue)(project)
    job = await sync_to_async(lease)(project)
    async with live_page(owner_page, f"project={project.slug}&page=job&job={job_id}") as opened:
        await sync_to_async(report)(project, job, percent=7, logs=(LogLine("warning", "slow"),))
        got = await push(opened, "7 %")

    assert "slow" in got["content"]
    assert 'class="is-warning"' in got["content"]


def test_facts_show_what_the_job_carries(owner_page: Client, project: Project) -> None:
    batch = engines.run(batches.create(ProjectId(project.pk), INES))
    job = NewJob(
        "send-email", "1", 1, timeout_ms=90_000, deadline_at_ms=now_ms() + 3_600_000, tags=("eu", "a&b c"),
        batch=batch, partition_key="customer-<9>", unique=Unique("welcome:9"),
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )  # fmt: skip

    page = owner_page.get(url(project, f"/{add(project, job)}")).text

    facts = page.split('id="job-facts"')[1].split("</dl>")[0]
    assert "<dt>Time limit</dt><dd>1 min 30 s a run</dd>" in facts
    assert "<dt>Deadline</dt>" in facts
    assert "customer-&lt;9&gt;</dd>" in facts
    assert "welcome:9</dd>" in facts
    assert f'<a href="/p/{project.slug}/batches/{batch}"' in facts
    assert ", 0 of 1 ended" in facts
    assert "4bf92f35…" in facts
    assert f'href="{url(project)}?tag=a%26b%20c">a&amp;b c</a>' in facts


def test_facts_leave_out_what_the_job_does_not_carry(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project)
    page = owner_page.get(url(project, f"/{job_id}")).text
    configure(project, "send-email", timeout_ms=60_000)
    limited = owner_page.get(url(project, f"/{job_id}")).text

    for word in ("Time limit", "Deadline", "Unique key", "Partition key", "Batch", "Trace", "Tags"):
        assert f"<dt>{word}</dt>" not in page
    assert "<dt>Time limit</dt><dd>1 min 00 s a run, as its type says</dd>" in limited


def test_why_a_job_of_a_paused_type_does_not_run(owner_page: Client, project: Project) -> None:
    due, later = enqueue(project), enqueue(project, delay_s=3600)
    pause(project, "send-email", "SMTP <down>")

    assert why(owner_page, project, due).startswith("Why is this not running? send-email was paused by Ines")
    assert "“SMTP <down>”. It is due, and starts once the type is resumed." in why(owner_page, project, due)
    assert "“SMTP <down>”. It would be due at" in why(owner_page, project, later)


def test_why_a_job_over_the_concurrency_of_its_type_does_not_run(
    owner_page: Client, project: Project
) -> None:
    enqueue(project)
    lease(project)
    job_id = enqueue(project)
    configure(project, "send-email", concurrency=2)
    free = why(owner_page, project, job_id)
    configure(project, "send-email", concurrency=1)

    said = why(owner_page, project, job_id)

    assert "1 of its type runs now" in free
    assert said.endswith("It is due, but 1 job of send-email runs, and no more than 1 may at once.")


def test_why_a_job_over_the_limit_of_its_partition_key_does_not_run(
    owner_page: Client, project: Project
) -> None:
    configure(project, "send-email", partition_concurrency=1)
    add(project, NewJob("send-email", "1", 1, partition_key="a"))
    lease(project)
    same = add(project, NewJob("send-email", "1", 1, partition_key="a"))
    other = add(project, NewJob("send-email", "1", 1, partition_key="b"))

    assert why(owner_page, project, same).endswith(
        "1 job of send-email with partition key “a” runs, and no more than 1 may at once."
    )
    assert "1 of its type runs now" in why(owner_page, project, other)


def test_why_a_job_over_the_rate_of_its_type_does_not_run(owner_page: Client, project: Project) -> None:
    configure(project, "send-email", rate=1, rate_per_ms=3_600_000)
    enqueue(project)
    settle(project, lease(project), "completed")

    said = why(owner_page, project, enqueue(project))

    assert "It is due, but send-email may start 1 per 1 h 00 min, and these are used up" in said
    assert "the next may start in 59:5" in said


def test_why_a_job_over_the_rate_of_its_partition_key_does_not_run(
    owner_page: Client, project: Project
) -> None:
    configure(project, "send-email", partition_rate=1, partition_rate_per_ms=3_600_000)
    add(project, NewJob("send-email", "1", 1, partition_key="a"))
    settle(project, lease(project), "completed")
    same = add(project, NewJob("send-email", "1", 1, partition_key="a"))
    other = add(project, NewJob("send-email", "1", 1, partition_key="b"))

    assert "but send-email with partition key “a” may start 1 per" in why(owner_page, project, same)
    assert "It is due and waits for a worker" in why(owner_page, project, other)


def test_why_a_job_without_workers_does_not_run(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project)
    never = why(owner_page, project, job_id)
    enqueue(project, "other")
    lease(project, "other")
    lately = why(owner_page, project, job_id)
    Worker.objects.filter(project=project).update(last_seen_at_ms=now_ms() - 720_000)
    silent = why(owner_page, project, job_id)

    assert never.endswith("None of its type runs now, and no worker has ever taken a job here.")
    assert lately.endswith("though 1 worker was at work in the last 2 minutes: does it take send-email?")
    assert silent.endswith(
        "and the last worker that was at work, mailer-1:11, was heard 12 min 00 s ago: is one alive that takes send-email?"
    )


TALL = """Traceback (most recent call last):
  File "/srv/app/jobs/email.py", line 31, in send_email
    mailer.send(message)
  File "/srv/.venv/lib/python3.13/site-packages/smtp_pool/pool.py", line 9, in send
    self.connect()
  File "/usr/lib/python3.13/smtplib.py", line 255, in __init__
    self.connect(host, port)
  File "<frozen importlib._bootstrap>", line 1, in _find
smtp.Busy: 421 <too many>"""


def test_frames_of_libraries_are_folded_and_ours_are_bold() -> None:
    first, folded, last = traceback_of(TALL)

    assert '<span class="ad-app">    mailer.send(message)</span>' in first.html
    assert (first.hidden, last.hidden) == (0, 0)
    assert (folded.hidden, folded.words) == (3, "smtp_pool, smtplib, importlib._bootstrap")
    assert '<span class="ad-e">smtp.Busy: 421 &lt;too many&gt;</span>' in last.html
    whole = "\n".join(re.sub("<[^>]*>", "", part.html) for part in (first, folded, last))
    assert unescape(whole) == TALL, "no line is lost"


def test_text_that_is_no_traceback_comes_back_as_it_is() -> None:
    for text in ("goroutine 1 [running]:\n\tmain.go:7", "boom", "  indented\nfirst"):
        assert "\n".join(re.sub("<[^>]*>", "", p.html) for p in traceback_of(text)) == text
    assert traceback_of("") == ()


def test_folded_frames_stand_in_the_page_behind_their_number(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project, max_retries=0)
    settle(project, lease(project), "failed", error_message="boom", traceback=TALL)

    page = owner_page.get(url(project, f"/{job_id}")).text

    assert "<summary>… 3 frames of smtp_pool, smtplib, importlib._bootstrap</summary>" in page
    assert '<details class="ad-fold" open><summary>Traceback</summary>' in page


def test_a_large_payload_is_shown_once_in_part_and_downloaded_whole(
    owner_page: Client, viewer_page: Client, stranger_page: Client, project: Project
) -> None:
    payload = b'{"body":"' + b"<x>" * 330_000 + b'"}'
    job_id = enqueue(project, payload=payload)

    page = owner_page.get(url(project, f"/{job_id}")).text
    whole = viewer_page.get(url(project, f"/{job_id}/payload.json"))

    assert len(page) < 300_000
    assert "The beginning of it." in page
    assert "Download all 966.8 KiB" in page
    assert whole.content == payload
    assert whole["Content-Type"] == "application/json"
    assert whole["Content-Disposition"] == 'attachment; filename="payload.json"'
    assert stranger_page.get(url(project, f"/{job_id}/payload.json")).status_code == 404
    assert owner_page.get(url(project, f"/{job_id}/result.json")).status_code == 404


def test_an_update_leaves_out_the_payload_that_the_page_has(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project, payload=b'{"n":"first"}')
    page = owner_page.get(url(project, f"/{job_id}"))
    version = re.search(r"version=(\d+)", unescape(page.text))[1]

    assert version == "1"
    assert "first" in owner_page.get(url(project, f"/{job_id}"), headers=HTMX).text


async def test_a_push_brings_the_payload_only_where_it_is_another(
    owner_page: Client, project: Project
) -> None:
    job_id = await sync_to_async(enqueue)(project, payload=b'{"n":"the payload"}')
    query = f"project={project.slug}&page=job&job={job_id}&version="
    async with live_page(owner_page, f"{query}1") as same, live_page(owner_page, f"{query}7") as other:
        await sync_to_async(lease)(project)
        assert "the payload" not in (await push(same, "processing"))["content"]
        assert "the payload" in (await push(other, "processing"))["content"]


def test_run_now_makes_a_waiting_job_due(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project, delay_s=3600)
    before = owner_page.get(url(project, f"/{job_id}")).text
    answer = owner_page.post(url(project, f"/{job_id}/run-now"), follow=True)

    assert f'formaction="{url(project, f"/{job_id}/run-now")}"' in before
    assert f"Job …{job_id[-8:]} is due now." in answer.text
    assert "Made due now" in answer.text
    assert "/run-now" not in answer.text
    assert lease(project).id == job_id
    [line] = AuditEntry.objects.filter(project=project)
    assert (line.verb, line.target, line.door) == ("job.run_now", job_id, "console")


@pytest.mark.parametrize(
    ("state", "said"),
    [("due", "This job is due already"), ("running", "does not wait any more"), ("gone", "no such job")],
)
def test_run_now_says_why_it_cannot(owner_page: Client, project: Project, state: str, said: str) -> None:
    job_id = "0190cdd8-0000-7000-8000-000000000000" if state == "gone" else enqueue(project)
    if state == "running":
        lease(project)

    answer = owner_page.post(url(project, f"/{job_id}/run-now"), {"next": url(project)}, follow=True)

    assert said in answer.text
    assert not AuditEntry.objects.filter(project=project).exists()


def test_a_viewer_may_neither_run_now_nor_retry(viewer_page: Client, project: Project) -> None:
    job_id = enqueue(project, delay_s=3600)

    assert viewer_page.post(url(project, f"/{job_id}/run-now")).status_code == 403
    assert viewer_page.get(url(project, f"/{job_id}/retry-edited")).status_code == 403
    assert viewer_page.post(url(project, f"/{job_id}/retry-edited"), {"payload": "1"}).status_code == 403


def test_retry_with_an_edited_payload_keeps_the_one_before(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project, payload=b'{"id":9007199254740993,"to":"<jane>"}', max_retries=0)
    settle(project, lease(project), "failed", error_message="boom")
    form = owner_page.get(url(project, f"/{job_id}/retry-edited")).text
    text = '{\r\n  "id": 9007199254740993,\r\n  "to": "omar"\r\n}'
    answer = owner_page.post(url(project, f"/{job_id}/retry-edited"), {"payload": text}, follow=True)

    assert "&quot;id&quot;: 9007199254740993," in form
    assert "is pending again with the edited payload" in answer.text
    assert Job.objects.get(pk=job_id).payload == text.replace("\r\n", "\n")
    assert "with an edited payload, version 2" in answer.text
    assert "&lt;jane&gt;" in answer.text
    assert [line.verb for line in AuditEntry.objects.filter(project=project)] == ["job.retry.edited"]


def test_wrong_json_is_refused_with_its_place_and_nothing_is_lost(
    owner_page: Client, project: Project
) -> None:
    job_id = enqueue(project, max_retries=0)
    settle(project, lease(project), "failed")
    answer = owner_page.post(
        url(project, f"/{job_id}/retry-edited"), {"payload": '{"a": 1,\r\n "b": <oops>}'}
    )

    assert answer.status_code == 422
    assert "at line 2, column 7." in unescape(answer.text)
    assert "&quot;b&quot;: &lt;oops&gt;}</textarea>" in answer.text
    assert Job.objects.get(pk=job_id).status == "failed"


def test_retry_of_a_job_that_runs_again_is_refused_with_what_was_typed(
    owner_page: Client, project: Project
) -> None:
    job_id = enqueue(project)
    answer = owner_page.post(url(project, f"/{job_id}/retry-edited"), {"payload": '{"mine":1}'})

    assert answer.status_code == 422
    assert "This job has not ended yet" in answer.text
    assert "{&quot;mine&quot;:1}</textarea>" in answer.text


def test_cancel_shows_who_asked_when_its_worker_saw_it_and_when_it_ended(
    owner_page: Client, project: Project
) -> None:
    job_id = enqueue(project)
    job = lease(project)
    owner_page.post(url(project, f"/{job_id}/cancel"))
    asked = steps(owner_page, project, job_id)
    heartbeat(project, job)
    page = owner_page.get(url(project, f"/{job_id}")).text
    seen = steps(owner_page, project, job_id)
    settle(project, job, "failed", error_message="stopped")
    ended = steps(owner_page, project, job_id)

    assert [done for done, _ in asked] == [True, False, False]
    assert [done for done, _ in seen] == [True, True, False]
    assert "by mailer-1:11" in seen[1][1]
    assert "mailer-1:11 knows that it is to stop. Whatever it answers, the job ends as cancelled" in sentence(
        page
    )
    assert "Its worker knows" in page
    assert [done for done, _ in ended] == [True, True, True]


def test_a_job_that_was_cancelled_before_it_began_has_no_steps(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project)
    owner_page.post(url(project, f"/{job_id}/cancel"))

    assert steps(owner_page, project, job_id) == []


def test_a_job_without_a_keeper_that_could_end_it_says_so(owner_page: Client, project: Project) -> None:
    job_id = add(project, NewJob("send-email", "1", 1, deadline_at_ms=now_ms() + 3_600_000))
    Job.objects.filter(pk=job_id).update(deadline_at_ms=now_ms() - 1)
    ran = enqueue(project, "other")
    lease(project, "other")
    Job.objects.filter(pk=ran).update(lease_expires_at_ms=now_ms() - 1000)
    KeeperLease.objects.filter(name="keeper").delete()
    never = why(owner_page, project, job_id)
    KeeperLease.objects.create(name="keeper", holder="x", expires_at=datetime.now(UTC) - timedelta(minutes=3))
    away = why(owner_page, project, ran)
    KeeperLease.objects.filter(name="keeper").update(expires_at=datetime.now(UTC) + timedelta(minutes=3))
    there = why(owner_page, project, ran)
    KeeperLease.objects.filter(name="keeper").delete()

    assert "Its deadline has passed, so it will not run. No keeper has ever run here" in never
    assert "No keeper has run since 3 min" in away
    assert "has not been heard for the whole of its lease" in there


def test_a_job_of_a_schedule_leads_to_it(owner_page: Client, project: Project) -> None:
    job = NewJob("report", "1", 1)
    engines.run(schedules.set_schedule(ProjectId(project.pk), INES, name="nightly:1", job=job, every_s=3600))
    added = engines.run(schedules.run(ProjectId(project.pk), INES, name="nightly:1"))

    page = owner_page.get(url(project, f"/{added.job_id}")).text

    assert f'<dt>Schedule</dt><dd><a href="/p/{project.slug}/schedules/nightly:1">nightly:1</a></dd>' in page


def test_a_job_as_a_call_can_be_copied(owner_page: Client, project: Project) -> None:
    job = NewJob("send-email", '{"to":"o\'neil"}', 15, priority=0, tags=("eu",), unique=Unique("k"))

    page = unescape(owner_page.get(url(project, f"/{add(project, job)}")).text)

    assert '"payload": {"to":"o\'"\'"\'neil"}, "priority": 0, "tags": ["eu"], "uniqueKey": "k"}' in page
    assert "client.queue.send(\n    'send-email'," in page
    assert """{'to': "o'neil"},""" in page
    assert "priority=0," in page


def test_a_job_of_a_hundred_runs_shows_them_page_by_page(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project)
    settle(project, lease(project), "failed", error_message="boom")
    [attempt] = Attempt.objects.filter(job_id=job_id)
    Attempt.objects.bulk_create(
        Attempt(**{**_columns(attempt), "run": run, "traceback": "x" * 10_000}) for run in range(2, 121)
    )
    Job.objects.filter(pk=job_id).update(run=120)

    newest = owner_page.get(url(project, f"/{job_id}")).text
    older = re.search(r'href="([^"]*)#job-runs">70 older runs', newest)[1]
    second = owner_page.get(url(project, f"/{job_id}") + unescape(older)).text
    last = owner_page.get(url(project, f"/{job_id}?runs=20")).text

    assert "Run 71 failed" in newest
    assert "Run 70 failed" not in newest
    assert newest.count("<summary>Traceback</summary>") == timeline.TRACEBACK_CHARS // 10_000
    assert "Traceback: show from this run on" in newest
    assert "Enqueued</b>" not in newest
    assert older == "?runs=70"
    assert "Run 70 failed" in second
    assert "Run 71 failed" not in second
    assert "Newest runs" in second
    assert "Enqueued</b>" in last
    assert owner_page.get(url(project, f"/{job_id}?runs=x")).status_code == 400


def _columns(attempt: Attempt) -> dict[str, object]:
    return {field.attname: getattr(attempt, field.attname) for field in Attempt._meta.concrete_fields}


def steps(client: Client, project: Project, job_id: str) -> list[tuple[bool, str]]:
    """The steps of a cancel: whether each is done, and how it reads."""
    page = client.get(url(project, f"/{job_id}")).text
    found = re.search(r'<ol class="ad-cancel".*?</ol>', page, re.DOTALL)
    items = re.findall(r"<li([^>]*)>(.*?)</li>", found[0], re.DOTALL) if found else []
    return [("is-done" in css, unescape(re.sub("<[^>]*>", "", text))) for css, text in items]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def texts(page: str) -> list[str]:
    """The lines of the log, as HTML."""
    return re.findall(r'<span class="ad-log-text">([^<]*)</span>', page)


def links(page: str, words: str) -> str:
    """Where the link of the log with these words leads: query only."""
    (found,) = re.findall(rf'href="([^"]*)#job-log">(?:(?!</a>).)*{words}', page)
    return unescape(found)
