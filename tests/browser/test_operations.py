"""A journey through long work: a large prefix is deleted, the page watches the keeper do it, axe finds nothing."""

import asyncio
import contextlib

import pytest
from playwright.async_api import expect

from aerodash import engines
from aerodash.auth import system_actor
from aerodash.ids import ProjectId
from aerodash.operations.keeper import Runner
from cache_admin import services

pytestmark = pytest.mark.browser

KEYS = 7000


@pytest.fixture
def many(project):
    for start in range(0, KEYS, 1000):
        entries = [(f"s:{n:05}", b'{"a":1}', None, None) for n in range(start, start + 1000)]
        engines.run(services.set_many(ProjectId(project.pk), system_actor(), entries=entries))


async def _delete(seat) -> None:
    await seat.open("cache?prefix=s%3A")
    await seat.page.get_by_role("link", name="Delete…").click()
    await expect(seat.page.get_by_role("heading", name="Delete 7,000 keys under s:?")).to_be_visible()
    await seat.check_accessibility()
    await seat.check_width()
    await seat.page.get_by_label("to confirm").fill("7000")
    await seat.page.get_by_role("button", name="Delete 7,000 keys").click()
    await expect(seat.page.get_by_role("heading", name="Deleting the keys under s:")).to_be_visible()
    await seat.live()
    await seat.check_accessibility()
    await seat.check_width()


async def test_a_large_prefix_is_deleted_before_ones_eyes(seat, many) -> None:
    await _delete(seat)
    keeper = asyncio.wrap_future(engines.submit(_keep()))
    try:
        await expect(seat.page.locator("#operation")).to_contain_text("7,000 keys deleted")
        await expect(seat.page.get_by_role("heading", name="Deleted the keys under s:")).to_be_visible()
    finally:
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper
    await seat.check_accessibility()
    await seat.open("operations")
    await expect(seat.page.locator("#rows tr")).to_contain_text("done")
    await seat.check_accessibility()


async def test_a_large_prefix_is_not_deleted_after_all(phone, many) -> None:
    await _delete(phone)
    await phone.page.get_by_role("button", name="Stop; keep what is done").click()
    await expect(phone.page.locator("#op-head")).to_contain_text("stopped")
    await phone.open("operations")
    await phone.check_accessibility()
    await phone.check_width()


async def _keep() -> None:
    runner = Runner()
    while True:
        await runner.run()
        await asyncio.sleep(0.05)
