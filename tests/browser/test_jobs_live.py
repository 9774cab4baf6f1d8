"""Journeys on the Jobs pages: a job's life pushed to an open page, and a failed one retried by hand."""

import asyncio
import re
import threading
from collections.abc import Iterator

import pytest
from aerodash_sdk.worker import Worker
from playwright.async_api import expect

pytestmark = pytest.mark.browser


class Shop:
    """A real worker of the SDK in a thread that runs `send-email`; the test says when it starts and how jobs end."""

    def __init__(self, url: str, api_key: str) -> None:
        self.may_end = threading.Event()
        self.is_broken = False
        self._worker = Worker(url=url, api_key=api_key, concurrency=1, wait_s=2, grace_s=1)
        self._thread = threading.Thread(target=self._worker.run)

        @self._worker.job("send-email")
        def send_email(job):
            self.may_end.wait(60)
            if self.is_broken:
                raise ConnectionError("421 4.7.0 too many connections from this host")
            return {"sent": True}

    def open(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self.may_end.set()
        self._worker.stop()
        if self._thread.ident:
            self._thread.join(60)
            assert not self._thread.is_alive()


@pytest.fixture
def shop(live_server_url, api_key) -> Iterator[Shop]:
    shop = Shop(live_server_url, api_key)
    yield shop
    shop.close()


async def test_a_job_goes_from_pending_to_completed_on_an_open_page(seat, enqueue, shop) -> None:
    job = await asyncio.to_thread(enqueue, "send-email", {"to": "jane@example.com"})
    await seat.open("jobs")
    await seat.live()
    await seat.page.evaluate("window.stays = true")
    row = seat.page.locator(f"#row-{job}")
    await expect(row).to_contain_text("pending")

    shop.open()
    await expect(row).to_contain_text("processing")
    await expect(seat.page.locator("#tabs a", has_text="Processing")).to_contain_text("1")
    shop.may_end.set()
    await expect(row).to_contain_text("completed")
    await expect(seat.page.locator("#tabs a", has_text="Completed")).to_contain_text("1")
    assert await seat.page.evaluate("window.stays"), "the page was loaded again"
    await expect(seat.page.locator("#live")).to_contain_text("as of")


async def test_a_new_job_waits_behind_a_link_and_never_pushes_rows(seat, enqueue) -> None:
    first = await asyncio.to_thread(enqueue, "send-email")
    await seat.open("jobs")
    await seat.live()
    second = await asyncio.to_thread(enqueue, "send-email")
    await expect(seat.page.locator("#newer")).to_contain_text("1 newer job")
    await expect(seat.page.locator("#rows tr")).to_have_count(1)
    await seat.page.locator("#newer a").click()
    await expect(seat.page.locator(f"#row-{second}")).to_be_visible()
    await expect(seat.page.locator(f"#row-{first}")).to_be_visible()


async def test_a_failed_job_is_retried_from_the_page_and_completes(seat, enqueue, shop) -> None:
    shop.is_broken = True
    shop.may_end.set()
    job = await asyncio.to_thread(lambda: enqueue("send-email", {"to": "a@b.example"}, max_retries=0))
    shop.open()
    await seat.open("jobs?status=failed")
    row = seat.page.locator(f"#row-{job}")
    await expect(row).to_contain_text("421 4.7.0 too many connections")
    await seat.live()

    shop.is_broken = False
    await row.get_by_role("button", name="Retry job").click()
    await expect(row).to_have_class(
        re.compile("is-gone")
    )  # it no longer matches "failed": struck through until the next show
    await row.get_by_role("link", name="send-email").click()
    await expect(seat.page.locator("main")).to_contain_text("completed")
    await expect(seat.page.locator("main")).to_contain_text(
        "421 4.7.0 too many connections"
    )  # the history stays


async def test_a_running_job_is_cancelled_and_seen_by_its_worker(seat, enqueue, shop) -> None:
    job = await asyncio.to_thread(enqueue, "send-email")
    shop.open()
    await seat.open(f"jobs/{job}")
    await seat.live()
    await expect(seat.page.locator("main")).to_contain_text("processing")
    await seat.page.get_by_role("button", name="Cancel").first.click()
    await expect(seat.page.locator("main")).to_contain_text("cancelling")
    shop.may_end.set()
    await expect(seat.page.locator("main h1 + *, main .ad-head").first).to_contain_text("cancelled")


async def test_a_change_reaches_the_page_without_being_asked_for(seat, enqueue) -> None:
    await asyncio.to_thread(enqueue, "import-row")
    await seat.open("jobs")
    await seat.live()
    asked: list[str] = []
    seat.page.on("request", lambda request: asked.append(request.url))
    await asyncio.to_thread(enqueue, "import-row")
    await expect(seat.page.locator("#newer")).to_contain_text("1 newer job")
    assert asked == []


async def test_the_list_fits_a_phone_and_can_be_used_there_by_everybody(phone, enqueue) -> None:
    for _ in range(3):
        await asyncio.to_thread(enqueue, "send-email-with-quite-a-long-name-of-its-type")
    await phone.open("jobs?status=pending&range=24h")
    await phone.live()
    await phone.check_width()
    await phone.check_accessibility()
    await phone.page.get_by_label("All", exact=True).check()
    await expect(phone.page.locator("#chosen")).to_contain_text("3 selected")
    await phone.check_width()
    await phone.check_accessibility()
    await phone.page.get_by_role("button", name="Cancel…").click()
    await expect(phone.page.get_by_role("heading", level=1)).to_have_text("Cancel 3 jobs?")
    await phone.check_width()
    await phone.check_accessibility()
