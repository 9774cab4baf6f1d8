"""A real Chromium for the journeys, a person who is signed in, and axe.

Pictures of a page at the moment a test failed are kept under tests/browser/failures/.
"""

import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

AXE = next((Path(__file__).parent / "vendor").glob("axe-core-*/axe.min.js"))
FAILURES = Path(__file__).parent / "failures"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


PATIENCE_MS = 60_000
"""How long tests wait for what must come: for ever, as far as a busy machine goes."""

expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All on one event loop: they share a browser, which takes longer to start than most of them take."""
    for item in items:
        if Path(__file__).parent in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


def chromium_path() -> str | None:
    """The system's Chromium, or None for the one that Playwright installed."""
    named = os.environ.get("CHROMIUM")
    return named or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        yield browser
        await browser.close()


@dataclass
class Seat:
    """One person's browser: a page, the server's address, and everything the page complained about."""

    page: Page
    url: str
    slug: str
    complaints: list[str] = field(default_factory=list)

    async def open(self, path: str) -> None:
        """Open a page of the project: "jobs", "cache?prefix=a:" …"""
        await self.page.goto(f"{self.url}/p/{self.slug}/{path}")

    async def live(self) -> None:
        """Wait until the page's socket is open."""
        await self.page.locator('#live[data-state="live"]').wait_for()

    async def check_accessibility(self) -> None:
        """No axe violation of WCAG 2.2 A or AA on what the page shows now."""
        if not await self.page.evaluate("typeof axe !== 'undefined'"):
            # Through the debugger, which no Content-Security-Policy of the page stops.
            await self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = await self.page.evaluate(
            "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})"
            ".then(r => r.violations.map(v => ({id: v.id, help: v.help, nodes: v.nodes.map(n => n.html).slice(0, 3)})))"
        )
        assert not found, json.dumps(found, indent=1)

    async def check_width(self) -> None:
        """Nothing sticks out to the right."""
        wide = await self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0, f"the page is {wide} px wider than the window"


@pytest.fixture
def owner(project):
    """A person who owns `project`."""
    from aerodash.models import Member, User

    user = User.objects.create_user(f"owner-{project.slug}")
    Member.objects.create(project=project, user=user, role="owner")
    return user


@pytest.fixture
def sign_in_link(owner, live_server_url) -> str:
    from aerodash.console import links

    return f"{live_server_url}/sign-in/{links.mint(owner)}"


@pytest_asyncio.fixture(loop_scope="session")
async def seat(browser, sign_in_link, live_server_url, project, request) -> AsyncIterator[Seat]:
    """The owner, signed in by link, in a light 1440 px window. Fails if a page logged an error or broke the policy."""
    context = await browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    context.set_default_timeout(PATIENCE_MS)
    async for seat in _seated(context, sign_in_link, live_server_url, project.slug, request.node.name):
        yield seat


@pytest_asyncio.fixture(loop_scope="session")
async def phone(browser, sign_in_link, live_server_url, project, request) -> AsyncIterator[Seat]:
    """The same in a dark 360 px window."""
    context = await browser.new_context(
        viewport={"width": 360, "height": 780}, color_scheme="dark", has_touch=True
    )
    context.set_default_timeout(PATIENCE_MS)
    async for seat in _seated(context, sign_in_link, live_server_url, project.slug, request.node.name):
        yield seat


# What a browser logs although all is well: leaving a page while its socket opens, a page that is a 404 by design, and a
# form that comes back with what is wrong in it.
_EXPECTED = ("WebSocket is closed before the connection is established", "status of 404", "status of 422")


def _is_complaint(message: ConsoleMessage) -> bool:
    return message.type in {"error", "warning"} and not any(text in message.text for text in _EXPECTED)


async def _seated(context: BrowserContext, link: str, url: str, slug: str, name: str) -> AsyncIterator[Seat]:
    page = await context.new_page()
    seat = Seat(page, url, slug)
    page.on("console", lambda m: seat.complaints.append(m.text) if _is_complaint(m) else None)
    page.on(
        "response",
        lambda r: seat.complaints.append(r.url) if r.status == 404 and "/static/" in r.url else None,
    )
    page.on("pageerror", lambda e: seat.complaints.append(str(e)))
    await page.goto(link)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(f"{url}/p/**")
    try:
        yield seat
    except BaseException:
        FAILURES.mkdir(exist_ok=True)
        await page.screenshot(path=FAILURES / f"{name}.png")
        raise
    finally:
        await context.close()
    assert not seat.complaints, seat.complaints


@pytest.fixture
def enqueue(project) -> Callable[..., str]:
    """Enqueue a job in `project` and return its id."""
    from aerodash import engines
    from aerodash.auth import system_actor
    from aerodash.ids import ProjectId
    from jobs_admin import services

    def enqueue(type_: str, payload: object = None, **options) -> str:
        text = json.dumps(payload or {}).encode()
        done = engines.run(
            services.enqueue(
                ProjectId(project.pk), system_actor(), job=services.new_job(type_, text, **options)
            )
        )
        return done.job_id

    return enqueue
