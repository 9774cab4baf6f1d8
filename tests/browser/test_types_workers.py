"""Journeys through types and workers: a type is paused, limited and resumed, a worker takes jobs and dies; axe finds nothing."""

import pytest
from playwright.async_api import expect

from aerodash import engines
from aerodash.auth import system_actor
from aerodash.ids import ProjectId
from jobs_admin import services
from jobs_admin.engine.contract import Lost, WorkerInfo

pytestmark = pytest.mark.browser


@pytest.fixture
def waiting(enqueue) -> None:
    """A job of each of two types waits."""
    enqueue("send-email")
    enqueue("generate-report")


@pytest.fixture
def held(project, enqueue) -> str:
    """A job that the worker w1 runs."""
    job_id = enqueue("send-email")
    lease = services.lease(
        ProjectId(project.pk), system_actor(), types=None, limit=1, lease_s=600, wait_s=10,
        worker=WorkerInfo("w1", "mailer", 4410, "2026.11.24"),
    )  # fmt: skip
    assert [job.id for job in engines.run(lease)] == [job_id]
    return job_id


async def _pause_limit_resume(seat) -> None:
    page = seat.page
    await seat.open("types")
    await seat.live()
    await seat.check_accessibility()
    await seat.check_width()
    await page.get_by_role("link", name="Pause send-email…").click()
    await expect(page.get_by_role("heading", name="Pause send-email?")).to_be_visible()
    await seat.check_accessibility()
    await seat.check_width()
    await page.get_by_label("Reason").fill("the provider is away")
    await page.get_by_role("button", name="Pause send-email").click()
    await expect(page.locator("#type-says")).to_contain_text("“the provider is away”. 1 pending job waits")
    await seat.live()
    await seat.check_accessibility()
    await seat.check_width()

    await page.get_by_role("link", name="Change").click()
    await page.get_by_label("Time limit of a run").fill("soon")
    await page.get_by_label("Retries after the first run").fill("5")
    await page.get_by_role("button", name="Save settings").click()
    await expect(page.get_by_text("Write a length of time such as 90 s")).to_be_visible()
    await expect(page.get_by_label("Retries after the first run")).to_have_value("5")
    await seat.check_accessibility()
    await seat.check_width()
    await page.get_by_label("Time limit of a run").fill("90 s")
    await page.get_by_role("button", name="Save settings").click()
    await expect(page.locator("#type-facts")).to_contain_text("90 s")

    await seat.live()
    await page.get_by_role("button", name="Resume").click()
    await expect(page.locator("#type-says")).not_to_contain_text("Paused by")
    await expect(page.get_by_role("link", name="Pause…")).to_be_visible()


async def test_a_type_is_paused_limited_and_resumed(seat, waiting) -> None:
    await _pause_limit_resume(seat)


async def test_the_same_on_a_phone_at_night(phone, waiting) -> None:
    await _pause_limit_resume(phone)


async def _take_and_die(seat, job_id: str, project) -> None:
    page = seat.page
    await seat.open("workers")
    await seat.live()
    await expect(page.locator("#rows")).to_contain_text("send-email")
    await seat.check_accessibility()
    await seat.check_width()
    await page.locator("#rows a").first.click()
    await seat.live()
    await expect(page.locator("#worker-now")).to_contain_text(job_id[-8:])
    await seat.check_accessibility()
    await seat.check_width()
    lost = Lost("w1", "out of memory")
    assert await services.worker_lost(ProjectId(project.pk), system_actor(), lost=lost) == 1
    await expect(page.locator("#worker-says")).to_contain_text("out of memory. The job that it lost waits")
    await seat.check_accessibility()
    await seat.open("workers")
    await expect(page.locator("#losses")).to_contain_text("out of memory")
    await seat.check_accessibility()
    await seat.check_width()


async def test_a_worker_dies_before_ones_eyes(seat, held, project) -> None:
    await _take_and_die(seat, held, project)


async def test_a_worker_dies_on_a_phone(phone, held, project) -> None:
    await _take_and_die(phone, held, project)
