"""Journeys through bulk work on the cache: rows are chosen and get another expiry; a prefix goes out as a file, is
deleted, and comes back from it."""

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

KEYS = 130


@pytest.fixture
def some(project):
    entries = [(f"s:{n:05}", b'{"a":%d}' % n, None, b'{"m":1}') for n in range(KEYS)]
    engines.run(services.set_many(ProjectId(project.pk), system_actor(), entries=entries))


async def _choose(seat) -> None:
    """Tick three rows, and look at what the bar offers."""
    page = seat.page
    await seat.open("cache?prefix=s%3A")
    await seat.live()
    bar = page.get_by_role("region", name="Selection")
    await expect(bar).to_be_hidden()
    first = page.locator("#rows tr").first
    before = await first.bounding_box()
    await page.get_by_label("Select s:00000").check()
    await expect(bar).to_be_visible()
    assert (await first.bounding_box())["y"] == before["y"], "nothing moves under the pointer"
    await page.get_by_label("Select s:00002").check()
    await page.get_by_label("Select s:00003").check()
    await expect(bar).to_contain_text("3 selected")
    await expect(page.locator("#live")).to_contain_text("paused while 3 rows are selected")
    await seat.check_accessibility()
    await seat.check_width()


async def test_chosen_rows_get_another_expiry(seat, some) -> None:
    page = seat.page
    await _choose(seat)
    await page.get_by_role("region", name="Selection").get_by_role("button", name="Expiry…").click()
    await expect(page.get_by_role("heading", name="Change when 3 chosen keys expire")).to_be_visible()
    await seat.check_accessibility()
    await page.get_by_role("radio", name="Never Entries stay").check()
    await expect(page.get_by_label("How long")).to_be_hidden()
    await page.get_by_role("radio", name="Set to Every entry").check()
    await page.get_by_label("How long").fill("2")
    await page.get_by_label("Spread over").fill("10")
    await page.get_by_role("button", name="Preview the change…").click()
    await expect(page.get_by_text("They expire 2 h to 2 h 10 min after you confirm")).to_be_visible()
    await seat.check_accessibility()
    await page.get_by_role("button", name="Change 3 expiries").click()
    await expect(page.locator("#messages")).to_contain_text("Changed when 3 chosen keys expire.")
    await expect(page.locator("#rows tr").nth(0)).to_contain_text("02:0")
    await expect(page.locator("#rows tr").nth(1)).to_contain_text("never")


async def test_a_prefix_goes_out_is_deleted_and_comes_back(seat, some, tmp_path) -> None:
    page = seat.page
    await seat.open("cache?prefix=s%3A")
    await page.get_by_role("link", name="Delete…").click()
    await page.get_by_role("link", name="export them first").click()
    await seat.check_accessibility()
    async with page.expect_download() as downloading:
        await page.get_by_role("button", name="Download JSON Lines").click()
    file = tmp_path / (await downloading.value).suggested_filename
    await (await downloading.value).save_as(file)
    assert file.read_text().splitlines()[-1] == f'{{"complete":true,"keys":{KEYS}}}'
    await seat.open("cache/delete?prefix=s%3A")
    await page.get_by_label("to confirm").fill(str(KEYS))
    await page.get_by_role("button", name=f"Delete {KEYS} keys").click()
    await expect(page.locator("#messages")).to_contain_text(f"Deleted {KEYS} keys")
    await seat.open("cache/import")
    await seat.check_accessibility()
    await page.get_by_label("File of JSON Lines").set_input_files(file)
    await page.get_by_role("button", name="Upload and look through").click()
    await expect(page.get_by_role("heading", name="In the file")).to_be_visible()
    await seat.check_accessibility()
    await seat.check_width()
    await page.get_by_label("to confirm").fill(str(KEYS))
    await page.get_by_role("button", name=f"Import {KEYS} keys").click()
    await seat.live()
    keeper = asyncio.wrap_future(engines.submit(_keep()))
    try:
        await expect(page.locator("#progress")).to_contain_text(f"{KEYS} keys imported")
    finally:
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper
    await seat.check_accessibility()
    await seat.open("cache?prefix=s%3A")
    await expect(page.locator("#entries")).to_contain_text(f"{KEYS} keys")


async def test_the_pages_fit_a_phone(phone, some) -> None:
    page = phone.page
    await _choose(phone)
    await page.get_by_role("region", name="Selection").get_by_role("button", name="Delete…").click()
    await expect(page.get_by_role("heading", name="Delete 3 chosen keys?")).to_be_visible()
    for path in (
        "cache/ttl?prefix=s%3A",
        "cache/ttl?prefix=s%3A&change=cap&ttl=9&unit=d",
        "cache/export",
        "cache/import",
    ):
        await phone.check_accessibility()
        await phone.check_width()
        await phone.open(path)
    await phone.check_accessibility()
    await phone.check_width()


async def _keep() -> None:
    runner = Runner()
    while True:
        await runner.run()
        await asyncio.sleep(0.05)
