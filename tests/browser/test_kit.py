"""The parts of the console in a browser: no violation in any state, charts that live, toasts that let the focus go."""

import dataclasses
import re
from types import SimpleNamespace

import pytest
from django.template.loader import render_to_string
from django.test import Client
from playwright.async_api import expect

from aerodash.console.views import styleguide

pytestmark = pytest.mark.browser

AT = "[data-chart-at]"


@pytest.fixture
def guide(monkeypatch):
    """The style guide as it answers in debug mode, by its theme; its files are those of the server as it runs."""
    monkeypatch.setattr(styleguide, "settings", SimpleNamespace(DEBUG=True))
    return {theme: Client().get("/styleguide", {"theme": theme}) for theme in ("light", "dark")}


@pytest.fixture
def later() -> str:
    """The first chart of the guide, as a push brings it a minute later."""
    from datetime import UTC, datetime

    chart = styleguide._busy(datetime.now(UTC))
    series = [dataclasses.replace(one, values=[*one.values[1:], 4321]) for one in chart.series]
    moved = dataclasses.replace(chart, at=[*chart.at[1:], chart.at[-1] + 60], series=series)
    return render_to_string("components/chart.html", {"chart": moved})


async def open_guide(seat, guide, theme: str = "light") -> None:
    async def answer(route) -> None:
        said = guide[theme]
        headers = {name: said[name] for name in ("Content-Type", "Content-Security-Policy")}
        await route.fulfill(status=200, headers=headers, body=said.content)

    await seat.page.route("**/styleguide?**", answer)
    await seat.page.goto(f"{seat.url}/styleguide?theme={theme}")
    await expect(seat.page.locator("#chart-busy canvas")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_every_state_is_accessible_on_a_desk(seat, guide, theme) -> None:
    await open_guide(seat, guide, theme)
    await seat.check_accessibility()
    await seat.check_width()


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_every_state_is_accessible_on_a_phone(phone, guide, theme) -> None:
    await open_guide(phone, guide, theme)
    await phone.page.get_by_text("Figures as a table").first.click()
    await phone.check_accessibility()
    await phone.check_width()


async def test_crosshair_is_shared_and_a_push_moves_the_lines_under_it(seat, guide, later) -> None:
    await open_guide(seat, guide)
    page, chart, other = seat.page, seat.page.locator("#chart-busy"), seat.page.locator("#chart-memory")
    await chart.locator(".u-over").hover()
    await expect(chart.locator(AT)).to_contain_text("at ")
    at = await chart.locator(AT).text_content()
    await expect(other.locator(AT)).to_have_text(at)
    under = await chart.locator(".ad-legend b").first.text_content()
    await page.evaluate("document.querySelector('#chart-busy canvas').dataset.old = ''")

    async def answer(route) -> None:
        await route.fulfill(content_type="text/html", body=later)

    await page.route("**/push", answer)
    await page.evaluate("htmx.ajax('GET', '/push', {target: '#chart-busy', swap: 'outerMorph'})")
    await expect(chart.locator("[data-now='4,321']").first).to_be_attached()
    await expect(chart.locator("canvas[data-old]")).to_be_visible()
    await expect(chart.locator(AT)).to_contain_text("at ")
    assert await chart.locator(".ad-legend b").first.text_content() != under, (
        "the same place is a minute later"
    )
    await page.get_by_role("heading", name="Style guide").hover()
    await expect(chart.locator(".ad-legend b").first).to_have_text("4,321")
    await expect(other.locator(AT)).to_have_text("")


async def test_chart_that_is_swapped_is_drawn_again(seat, guide, later) -> None:
    await open_guide(seat, guide)

    async def answer(route) -> None:
        await route.fulfill(content_type="text/html", body=later)

    await seat.page.route("**/push", answer)
    await seat.page.evaluate("document.querySelector('#chart-busy canvas').dataset.old = ''")
    await seat.page.evaluate("htmx.ajax('GET', '/push', {target: '#chart-busy', swap: 'outerHTML'})")
    await expect(seat.page.locator("#chart-busy canvas:not([data-old])")).to_be_visible()
    await expect(seat.page.locator("#chart-busy canvas")).to_have_count(1)


async def test_drag_over_a_chart_opens_what_was_marked(seat, guide) -> None:
    await open_guide(seat, guide)
    plot = seat.page.locator("#chart-busy .u-over")
    await plot.scroll_into_view_if_needed()
    box = await plot.bounding_box()
    await seat.page.mouse.move(box["x"] + 100, box["y"] + 50)
    await seat.page.mouse.down()
    await seat.page.mouse.move(box["x"] + 300, box["y"] + 60, steps=4)
    await seat.page.mouse.up()
    await seat.page.wait_for_url(re.compile(r"/styleguide\?from=\d+&to=\d+$"))


async def test_chart_follows_the_theme(seat, guide) -> None:
    await open_guide(seat, guide)
    picture = "document.querySelector('#chart-busy canvas').toDataURL()"
    before = await seat.page.evaluate(picture)
    await seat.page.evaluate("document.documentElement.dataset.bsTheme = 'dark'")
    await seat.page.wait_for_function(f"before => {picture} !== before", arg=before)


async def test_chart_is_drawn_without_a_script_too(browser, seat, guide) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()

    async def answer(route) -> None:
        await route.fulfill(status=200, content_type="text/html", body=guide["light"].content)

    await page.route("**/styleguide?**", answer)
    await page.goto(f"{seat.url}/styleguide?theme=light")
    await expect(page.locator("#chart-busy .ad-plot-still svg")).to_be_visible()
    await page.locator("#chart-busy summary").click()
    await expect(page.locator("#chart-busy td").first).to_be_visible()
    await expect(page.locator(".ad-copy").first).to_be_hidden()
    await context.close()


async def test_dismissed_toast_hands_the_focus_on(seat, guide) -> None:
    await open_guide(seat, guide)
    toasts = seat.page.locator("[data-toast]")
    count = await toasts.count()
    await toasts.first.get_by_role("button", name="Dismiss").click()
    await expect(toasts).to_have_count(count - 1)
    await expect(toasts.first.get_by_role("button", name="Dismiss")).to_be_focused()
    for _ in range(count - 1):
        await seat.page.keyboard.press("Escape")
    await expect(toasts).to_have_count(0)
    await expect(seat.page.locator("#main")).to_be_focused()


async def test_project_is_found_among_many(seat, guide) -> None:
    await open_guide(seat, guide)
    switcher = seat.page.locator(".ad-switch")
    await switcher.locator("summary").click()
    await seat.page.get_by_label("Find a project").fill("tenant-7")
    await expect(switcher.locator("li:visible")).to_have_count(1)
    await seat.check_accessibility()
    await seat.page.keyboard.press("Escape")
    await expect(switcher.locator("summary")).to_be_focused()
    await expect(switcher.locator("ul")).to_be_hidden()
