"""Journeys of who looks after a project: a key and a person come and go, and the log tells; axe finds nothing."""

import pytest
from playwright.async_api import expect

pytestmark = pytest.mark.browser


async def _check(seat) -> None:
    await seat.check_accessibility()
    await seat.check_width()


async def test_a_key_is_made_and_revoked_and_the_log_says_so(seat) -> None:
    await seat.open("audit")
    await seat.live()
    await _check(seat)
    other = await seat.page.context.new_page()
    await other.goto(f"{seat.url}/p/{seat.slug}/settings/keys/new?preset=worker")
    await other.get_by_label("Name").fill("mailer")
    await other.get_by_role("button", name="Make the key").click()
    await expect(other.locator("code")).to_contain_text("ac_secret_")
    await other.close()

    await seat.page.get_by_role("link", name="newer change").click()
    await seat.page.get_by_role("link", name="created key").first.click()
    await expect(seat.page.get_by_role("heading", level=1)).to_contain_text("mailer")
    await _check(seat)

    await seat.open("settings")
    await _check(seat)
    await seat.page.get_by_role("link", name="Revoke mailer").click()
    await _check(seat)
    await seat.page.get_by_role("button", name="Revoke this key").click()
    await expect(seat.page.get_by_text("Revoked mailer.")).to_be_visible()
    await seat.page.get_by_role("link", name="New key").first.click()
    await _check(seat)


async def test_a_person_is_let_in_from_a_phone_and_comes_in(phone, browser) -> None:
    await phone.open("settings/members")
    await _check(phone)
    await phone.page.get_by_label("Name or e-mail address").fill(f"omar.{phone.slug}@example.com")
    await phone.page.get_by_label("operator").check()
    await phone.page.get_by_role("button", name="Add", exact=True).click()
    link = await phone.page.locator("code").inner_text()
    await _check(phone)

    context = await browser.new_context()
    try:
        page = await context.new_page()
        await page.goto(f"{phone.url}/sign-in/{link.rpartition('/')[2]}")
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url(f"**/p/{phone.slug}/**")
    finally:
        await context.close()

    await phone.open("settings/members")
    await phone.page.get_by_role("link", name="Remove omar").click()
    await _check(phone)
    await phone.page.get_by_role("button", name="Remove omar").click()
    await expect(phone.page.get_by_text("Removed omar")).to_be_visible()
