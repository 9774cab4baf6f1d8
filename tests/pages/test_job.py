"""The page of one job: its status and why, its runs, payload and result, and its fragment."""

from datetime import UTC, datetime, timedelta

from django.test import Client

from aerodash import engines
from aerodash.auth import ALL_SCOPES, Actor, Door
from aerodash.ids import ProjectId
from aerodash.models import Project
from jobs_admin import services
from tests.pages.jobs_cast import HTMX, enqueue, lease, settle, url

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
    assert "its only attempt is used up" in page


def test_why_a_job_that_was_delayed_does_not_run(owner_page: Client, project: Project) -> None:
    page = owner_page.get(url(project, f"/{enqueue(project, delay_s=3600)}")).text

    assert "Why is this not running?" in page
    assert "because it was enqueued with a delay" in page
    assert "data-until" in page


def test_why_a_job_that_is_due_does_not_run(owner_page: Client, project: Project) -> None:
    enqueue(project)
    lease(project)
    enqueue(project)
    job_id = enqueue(project)

    page = owner_page.get(url(project, f"/{job_id}")).text

    assert "It is due and waits for a worker; 1 of its type runs now, 1 other waits." in page


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
