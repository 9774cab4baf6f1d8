"""Journeys by hand: a job is enqueued from a form, watched, run now and retried; a schedule is made; a batch goes on."""

import time

import pytest
from asgiref.sync import sync_to_async
from playwright.async_api import expect

from aerodash import engines
from aerodash.auth import system_actor
from aerodash.ids import ProjectId
from jobs_admin import batches
from jobs_admin.engine.contract import LogLine, NewJob
from jobs_admin.models import Job
from tests.pages.jobs_cast import add, heartbeat, lease, report, settle

pytestmark = pytest.mark.browser

TRACEBACK = """Traceback (most recent call last):
  File "/srv/app/jobs/email.py", line 31, in send_email
    mailer.send(message)
  File "/usr/lib/python3.13/smtplib.py", line 255, in __init__
    self.connect(host, port)
  File "/usr/lib/python3.13/socket.py", line 720, in readinto
    return self._sock.recv_into(b)
smtplib.SMTPServerBusy: 421 too many connections"""


async def _check(seat) -> None:
    await seat.check_accessibility()
    await seat.check_width()


async def _watch(seat, project, enqueue) -> None:
    await sync_to_async(enqueue)("send-email", {"to": "jane@example.com", "count": 3, "vip": True})
    await seat.open("jobs/new?type=send-email")
    await _check(seat)
    await seat.page.get_by_label("to", exact=True).fill("omar@example.com")
    await seat.page.get_by_label("count", exact=True).fill("9007199254740993")
    await seat.page.get_by_role("button", name="JSON", exact=True).click()
    await expect(seat.page.get_by_label("Payload, as JSON")).to_have_value(
        '{\n  "to": "omar@example.com",\n  "count": 9007199254740993,\n  "vip": true\n}'
    )
    await _check(seat)
    await seat.page.get_by_role("button", name="Form", exact=True).click()
    await expect(seat.page.get_by_label("to", exact=True)).to_have_value("omar@example.com")
    await seat.page.get_by_label("In", exact=True).check()
    await seat.page.get_by_label("Delay").fill("60")
    await seat.page.get_by_role("button", name="Enqueue", exact=True).last.click()
    await expect(seat.page.get_by_text("Why is this not running?")).to_be_visible()
    await seat.live()
    await _check(seat)
    await sync_to_async(Job.objects.filter(project=project, due_at_ms__lt=_soon()).update)(due_at_ms=_soon())

    await seat.page.get_by_role("button", name="Run now").click()
    await expect(seat.page.locator("#job-runs")).to_contain_text("Made due now")
    job = await sync_to_async(lease)(project)
    await expect(seat.page.locator("#job-head")).to_contain_text("processing")
    await sync_to_async(report)(
        project, job, percent=40, message="page 2 of 5", logs=(LogLine("warning", "slow"),)
    )
    await expect(seat.page.locator("#job-progress")).to_contain_text("page 2 of 5")
    await expect(seat.page.locator("#job-log")).to_contain_text("slow")
    await _check(seat)
    await seat.page.get_by_role("button", name="Cancel", exact=True).click()
    await expect(seat.page.locator("#job-why")).to_contain_text("Asked")
    await sync_to_async(heartbeat)(project, job)
    await expect(seat.page.locator("#job-why")).to_contain_text("knows that it is to stop")
    await sync_to_async(settle)(
        project, job, "failed", error_type="Busy", error_message="421", traceback=TRACEBACK
    )
    await expect(seat.page.locator("#job-head")).to_contain_text("cancelled")
    await _check(seat)

    await seat.page.get_by_role("link", name="Edit payload, retry…").click()
    await _check(seat)
    await seat.page.get_by_label("Payload, as JSON").fill('{"to": "li@example.com"')
    await seat.page.get_by_role("button", name="Retry with this payload").click()
    await expect(seat.page.get_by_role("alert")).to_contain_text("Nothing was changed.")
    await expect(seat.page.get_by_label("Payload, as JSON")).to_have_value('{"to": "li@example.com"')
    await seat.page.get_by_label("Payload, as JSON").fill('{"to": "li@example.com"}')
    await seat.page.get_by_role("button", name="Retry with this payload").click()
    await expect(seat.page.locator("#job-payload")).to_contain_text("li@example.com")
    job = await sync_to_async(lease)(project)
    await sync_to_async(settle)(
        project, job, "failed", final=True, error_type="Busy", error_message="421", traceback=TRACEBACK
    )
    await expect(seat.page.locator("#job-head")).to_contain_text("failed")
    await seat.page.reload()
    await seat.page.get_by_text("… 2 frames of smtplib, socket").first.click()
    await expect(seat.page.get_by_text("return self._sock.recv_into(b)").first).to_be_visible()
    await _check(seat)


def _soon() -> int:
    """Long after all that the journey enqueues at once: so the job that is run now is the only one that is due."""
    return time.time_ns() // 1_000_000 + 1_800_000


async def test_a_job_is_enqueued_watched_and_retried(seat, project, enqueue) -> None:
    await _watch(seat, project, enqueue)


async def test_a_job_is_enqueued_watched_and_retried_on_a_phone(phone, project, enqueue) -> None:
    await _watch(phone, project, enqueue)


async def _schedule(seat) -> None:
    await seat.open("schedules")
    await _check(seat)
    await seat.page.get_by_role("link", name="New schedule").first.click()
    await seat.page.get_by_label("Name", exact=True).fill("nightly")
    await seat.page.get_by_label("Minute, hour, day of month").fill("61 3 * * *")
    await expect(seat.page.locator("#preview")).to_contain_text("'61' is not a valid minute field")
    await _check(seat)
    await seat.page.get_by_label("Minute, hour, day of month").fill("30 3 * * *")
    await expect(seat.page.locator("#preview")).to_contain_text("At 03:30 every day")
    await expect(seat.page.locator("#preview li")).to_have_count(5)
    await seat.page.get_by_label("Time zone").fill("Europe/Berlin")
    await expect(seat.page.locator("#preview")).to_contain_text("Europe/Berlin")
    await seat.page.get_by_label("Type", exact=True).fill("report")
    await seat.page.get_by_role("button", name="Make the schedule").click()
    await expect(seat.page.get_by_role("heading", name="nightly")).to_be_visible()
    await seat.live()
    await _check(seat)
    await seat.page.get_by_role("link", name="Pause…").click()
    await seat.page.get_by_label("Reason").fill("the disk is full")
    await _check(seat)
    await seat.page.get_by_role("button", name="Pause the schedule").click()
    await expect(seat.page.locator("#schedule-head")).to_contain_text("paused")
    await _check(seat)
    await seat.open("schedules")
    await seat.live()
    await expect(seat.page.locator("#rows tr")).to_contain_text("paused")
    await _check(seat)
    await seat.page.get_by_role("button", name="Resume nightly").click()
    await expect(seat.page.locator("#rows tr")).to_contain_text("scheduled")
    await seat.page.get_by_role("button", name="Run now: nightly").click()
    await expect(seat.page.locator("#job-facts")).to_contain_text("nightly")
    await seat.open("schedules/nightly/edit")
    await _check(seat)
    await seat.open("schedules/nightly/delete")
    await _check(seat)
    await seat.page.get_by_role("button", name="Delete the schedule").click()
    await expect(seat.page.get_by_text("No schedules yet")).to_be_visible()


async def test_a_schedule_is_made_paused_run_and_deleted(seat) -> None:
    await _schedule(seat)


async def test_a_schedule_is_made_paused_run_and_deleted_on_a_phone(phone) -> None:
    await _schedule(phone)


@pytest.fixture
def batch(project) -> str:
    id = engines.run(batches.create(ProjectId(project.pk), system_actor(), name="spring letters"))
    for _ in range(4):
        add(project, NewJob("send-email", '{"n":1}', 7, batch=id, max_retries=0))
    return id


async def _batch(seat, project, batch) -> None:
    await seat.open("batches")
    await seat.live()
    await _check(seat)
    await sync_to_async(settle)(project, await sync_to_async(lease)(project), "completed")
    await expect(seat.page.locator("#rows tr")).to_contain_text("1 of 4")
    await seat.page.get_by_role("link", name="spring letters").click()
    await seat.live()
    await sync_to_async(settle)(
        project, await sync_to_async(lease)(project), "failed", error_message="421 busy"
    )
    await expect(seat.page.locator("#batch-progress")).to_contain_text("2 of 4 ended")
    await expect(seat.page.locator("#batch-failed")).to_contain_text("421 busy")
    await _check(seat)
    await seat.page.get_by_role("button", name="Seal").click()
    await expect(seat.page.locator("#batch-head")).to_contain_text("running")
    await seat.page.get_by_role("link", name="Cancel 2 jobs…").click()
    await _check(seat)
    await seat.page.get_by_role("button", name="Cancel 2 jobs").click()
    await expect(seat.page.locator("#batch-head")).to_contain_text("ended")
    await expect(seat.page.locator("#batch-progress")).to_contain_text("4 of 4 ended")
    await _check(seat)


async def test_a_batch_goes_on_before_ones_eyes(seat, project, batch) -> None:
    await _batch(seat, project, batch)


async def test_a_batch_goes_on_before_ones_eyes_on_a_phone(phone, project, batch) -> None:
    await _batch(phone, project, batch)
