"""A journey through the Overview: first steps, a job that brings it to life, a fault that is said and leads to its cause."""

import re

import pytest
from asgiref.sync import sync_to_async
from playwright.async_api import expect

from tests.pages.jobs_cast import pause
from tests.pages.overview_cast import due_since, happened, kept_house, worker

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def _keeper(project):
    with kept_house():
        yield


@pytest.fixture
def troubled(project, enqueue):
    """A project in which a type fails, one is paused, and a worker was lost."""
    enqueue("sync-inventory", delay_s=3600)
    pause(project, "sync-inventory", "the warehouse moves")
    worker(project, "mailer-1", heard_s=-3600)
    worker(project, "mailer-3", heard_s=60, lost_s=50, reason="killed by signal 9")
    for step in range(4, 30):
        happened(
            project,
            {("jobs.completed", "send-email"): 1000, ("jobs.failed", "send-email"): 3},
            ago_s=300 * step,
        )
    happened(project, {("jobs.completed", "send-email"): 600, ("jobs.failed", "send-email"): 400})


async def test_an_empty_project_comes_to_life(seat, project, enqueue) -> None:
    await seat.open("overview")
    await expect(seat.page.get_by_role("heading", name="the first steps")).to_be_visible()
    await seat.live()
    await seat.check_accessibility()

    job_id = await sync_to_async(enqueue)("send-email", delay_s=3600)

    await expect(seat.page.locator("#tiles")).to_contain_text("of 1 pending")
    await expect(seat.page.locator("#issues")).to_contain_text("All quiet.")
    await seat.check_accessibility()

    await sync_to_async(due_since)(job_id, 600)
    await sync_to_async(enqueue)("another", delay_s=3600)
    issue = seat.page.locator("#issues li")
    await expect(issue).to_have_count(1)
    await expect(issue).to_contain_text("No worker is alive, and 1 job is due, the oldest for 10:")
    await expect(seat.page.locator("#said")).to_have_text("1 thing needs a person")
    await issue.get_by_role("link", name="See the workers").click()
    await expect(seat.page).to_have_url(re.compile(r"/workers$"))


async def test_brand_and_keys_lead_to_what_is_wrong(seat, troubled) -> None:
    await seat.open("jobs")
    await seat.page.keyboard.press("g")
    await seat.page.keyboard.press("o")
    await expect(seat.page).to_have_url(re.compile(r"/overview$"))
    await expect(seat.page.locator("#issues li").first).to_contain_text("send-email fails 4")
    await expect(seat.page.locator("#chart-jobs .uplot")).to_be_visible()
    await seat.live()
    await seat.check_accessibility()
    await seat.page.emulate_media(color_scheme="dark")
    await seat.check_accessibility()

    await seat.page.get_by_role("link", name="24 h").click()
    await expect(seat.page).to_have_url(re.compile(r"range=24h"))
    await seat.page.get_by_role("link", name="See the failed jobs").click()
    await expect(seat.page).to_have_url(re.compile(r"/jobs\?status=failed&type=send-email"))


async def test_answer_stands_above_the_fold_of_a_phone(phone, troubled) -> None:
    await phone.open("overview")
    await expect(phone.page.locator("#issues li").first.get_by_role("link")).to_be_in_viewport()
    await phone.live()
    await phone.check_width()
    await phone.check_accessibility()
    await phone.page.emulate_media(color_scheme="light")
    await phone.check_accessibility()
