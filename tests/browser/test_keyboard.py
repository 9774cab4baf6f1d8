"""The keyboard: one search, places within a second, rows, help, and all of it switched off."""

import pytest
from playwright.async_api import expect

from aerodash import engines
from aerodash.auth import system_actor
from aerodash.ids import ProjectId
from cache_admin import services

pytestmark = pytest.mark.browser


@pytest.fixture
def jobs(enqueue) -> list[str]:
    """Three jobs, the newest first, as the page lists them."""
    return [enqueue("send-email", delay_s=3600) for _ in range(3)][::-1]


@pytest.fixture
def entry(project) -> str:
    put = services.set_entry(ProjectId(project.pk), system_actor(), key="user:17", value=b"1")
    engines.run(put)
    return "user:17"


async def test_search_finds_what_is_typed_and_enter_opens_what_is_meant(seat, entry, jobs) -> None:
    page = seat.page
    await seat.open("jobs")
    await seat.live()
    await page.keyboard.press("/")
    field = page.get_by_role("searchbox", name="Job id, cache key, flag or type")
    await expect(field).to_be_focused()
    await page.keyboard.type("use")
    await expect(page.locator("#find [data-found]")).to_contain_text("user:17")
    await seat.check_accessibility()
    await page.keyboard.press("ArrowDown")
    await expect(page.locator("#find [data-found]")).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await expect(field).to_be_focused()
    await field.fill(jobs[1])
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/jobs/{jobs[1]}")


async def test_search_opens_from_a_field_and_esc_gives_the_focus_back(seat) -> None:
    await seat.open("flags")
    field = seat.page.locator("#main [data-search]")
    await field.focus()
    await seat.page.keyboard.press("Control+k")
    await expect(seat.page.locator("#find")).to_be_visible()
    await seat.page.keyboard.press("Escape")
    await expect(seat.page.locator("#find")).to_be_hidden()
    await expect(field).to_be_focused()
    await seat.page.keyboard.type("/?")
    await expect(field).to_have_value("/?")
    await seat.page.keyboard.press("Escape")
    await expect(field).not_to_be_focused()
    await seat.page.keyboard.press("f")
    await expect(field).to_be_focused()


async def test_g_and_a_letter_go_places(seat) -> None:
    await seat.open("jobs")
    await seat.live()
    for letter, place in (("f", "flags"), ("p", "operations"), ("j", "jobs"), ("c", "cache")):
        await seat.page.keyboard.press("g")
        await seat.page.keyboard.press(letter)
        await seat.page.wait_for_url(f"**/{place}")


async def test_rows_have_a_cursor_that_opens_and_selects(seat, jobs) -> None:
    page = seat.page
    await seat.open("jobs")
    await seat.live()
    cursor = page.locator("[data-cursor]")
    await page.keyboard.press("k")
    await page.keyboard.press("k")
    await page.keyboard.press("j")
    await expect(cursor).to_have_attribute("data-row", jobs[2])
    for _ in range(2):
        await page.keyboard.press("k")
    await expect(cursor).to_have_attribute("data-row", jobs[0])
    await seat.check_accessibility()
    await page.keyboard.press("x")
    await expect(cursor.locator("[data-select]")).to_be_checked()
    await page.keyboard.press("x")
    await expect(cursor.locator("[data-select]")).not_to_be_checked()
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/jobs/{jobs[0]}")


async def test_help_names_what_the_page_has(seat, jobs) -> None:
    page = seat.page
    await seat.open("jobs")
    await page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    await expect(keys.get_by_text("next, previous row")).to_be_visible()
    await expect(keys.get_by_text("select the row")).to_be_visible()
    await expect(keys.get_by_text("Flags", exact=True)).to_be_visible()
    await expect(keys.get_by_role("button", name="Close")).to_be_focused()
    await seat.check_accessibility()
    await page.keyboard.press("Escape")
    await expect(keys).to_be_hidden()
    await seat.open("operations")
    await page.keyboard.press("?")
    await expect(keys.get_by_text("this list")).to_be_visible()
    await expect(keys.get_by_text("next, previous row")).to_be_hidden()


async def test_single_keys_can_be_switched_off_and_stay_off(seat, jobs) -> None:
    page = seat.page
    await seat.open("jobs")
    await page.keyboard.press("?")
    await page.get_by_label("Switch keys").check()
    await page.keyboard.press("Escape")
    await seat.open("jobs")
    await seat.live()
    for key in ("j", "/", "?", "g", "f"):
        await page.keyboard.press(key)
    await expect(page.locator("[data-cursor]")).to_have_count(0)
    await expect(page.locator("dialog[open]")).to_have_count(0)
    assert page.url.endswith("/jobs")
    await page.keyboard.press("Control+k")
    await expect(page.locator("#find")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Keys").click()
    await page.get_by_label("Switch keys").uncheck()
    await page.keyboard.press("Escape")
    await page.keyboard.press("j")
    await expect(page.locator("[data-cursor]")).to_have_count(1)


async def test_t_changes_the_theme_and_the_server_keeps_it(seat) -> None:
    await seat.open("flags")
    async with seat.page.expect_response("**/theme"):
        await seat.page.keyboard.press("t")
    await expect(seat.page.locator("html")).to_have_attribute("data-bs-theme", "light")
    async with seat.page.expect_navigation():
        await seat.page.keyboard.press("r")
    await expect(seat.page.locator("html")).to_have_attribute("data-bs-theme", "light")


async def test_phone_reaches_everything_from_the_top(phone, entry) -> None:
    page = phone.page
    await phone.open("flags")
    await page.get_by_role("button", name="Open navigation").click()
    await expect(page.locator("#nav").get_by_role("link", name="Jobs")).to_be_visible()
    await phone.check_accessibility()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Open navigation")).to_be_focused()
    await page.get_by_role("link", name="Search").tap()
    await page.get_by_role("searchbox").fill("user:17")
    await expect(page.locator("#find [data-found]")).to_be_visible()
    await phone.check_accessibility()
    await phone.check_width()
    await page.locator("#find [data-found]").tap()
    await page.wait_for_url("**/cache/entry?key=user%3A17")
