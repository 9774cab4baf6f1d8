"""The live feed in a browser: what is lost on the way is noticed, said, and made good; and nothing moves under the hand."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator

import pytest
from playwright.async_api import Page, WebSocketRoute, expect

from tests.fixtures import database_url
from tests.pages.jobs_cast import lease, settle
from tests.ports import free_port

pytestmark = pytest.mark.browser

WATCH = """() => {
  const footer = document.getElementById("live");
  window.states = [footer.dataset.state];
  new MutationObserver(() => window.states.push(footer.dataset.state))
    .observe(footer, {attributes: true, attributeFilter: ["data-state"]});
}"""


class Wire:
    """What is between a page and its server: carries frames, drops some, goes dead, cuts."""

    def __init__(self) -> None:
        self.drops: Callable[[dict], bool] = lambda frame: False
        self.is_dead = False
        self.refuses = False
        self.opened: list[WebSocketRoute] = []

    async def into(self, page: Page) -> None:
        await page.route_web_socket(re.compile("/ws/console"), self._open)

    async def cut(self) -> None:
        await self.opened[-1].close(code=1011)

    async def _open(self, route: WebSocketRoute) -> None:
        if self.refuses:
            await route.close(code=1013)
            return
        self.opened.append(route)
        number = len(self.opened)
        server = route.connect_to_server()

        def down(text: str | bytes) -> None:
            if not (self.is_dead and number == len(self.opened)) and not self.drops(json.loads(text)):
                route.send(text)

        def up(text: str | bytes) -> None:
            if not (self.is_dead and number == len(self.opened)):
                server.send(text)

        server.on_message(down)
        route.on_message(up)


def states(seat) -> Awaitable[list[str]]:
    return seat.page.evaluate("window.states")


def in_thread[**P, T](call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
    return asyncio.to_thread(call, *args, **kwargs)


async def test_a_lost_socket_is_said_and_the_page_asks_for_itself_until_it_is_back(seat, enqueue) -> None:
    wire = Wire()
    await wire.into(seat.page)
    first = await in_thread(enqueue, "send-email")
    await seat.open("jobs")
    await seat.live()

    wire.refuses = True
    await wire.cut()
    footer, newer = seat.page.locator("#live"), seat.page.locator("#newer")
    await expect(footer).to_contain_text("live connection lost")
    await in_thread(enqueue, "send-email")
    await expect(newer).to_contain_text("1 newer job")
    await expect(footer).to_contain_text("live connection lost")

    wire.refuses = False
    await seat.live()
    await in_thread(enqueue, "send-email")
    await expect(newer).to_contain_text("2 newer jobs")
    await expect(seat.page.locator(f"#row-{first}")).to_be_visible()


async def test_a_page_that_was_left_and_kept_by_the_browser_connects_again(seat, enqueue) -> None:
    await in_thread(enqueue, "send-email")
    await seat.open("jobs")
    await seat.live()
    await seat.page.evaluate(WATCH)

    # What hx-ws does when a page is left; it never opens such a connection again.
    await seat.page.evaluate("document.getElementById('live')._htmx.ws.connection.socket.close(1000)")
    await seat.page.wait_for_function(
        "() => window.states.includes('lost') && window.states.at(-1) === 'live'"
    )
    await in_thread(enqueue, "send-email")
    await expect(seat.page.locator("#newer")).to_contain_text("1 newer job")


async def test_a_missed_frame_is_noticed_by_its_number_and_made_good(seat, enqueue, project) -> None:
    wire = Wire()
    await wire.into(seat.page)
    job = await in_thread(enqueue, "send-email")
    await seat.open("jobs")
    await seat.live()
    await seat.page.evaluate(WATCH)
    dropped: list[dict] = []

    def drop(frame: dict) -> bool:
        if dropped or "ad-st-processing" not in frame.get("content", ""):
            return False
        dropped.append(frame)
        return True

    wire.drops = drop
    await in_thread(lease, project)
    # The next frame only says that nothing is new; its number tells that something was.
    await expect(seat.page.locator(f"#row-{job}")).to_contain_text("processing")
    await seat.live()
    assert dropped
    assert "behind" in await states(seat)


async def test_a_machine_that_slept_catches_up_although_its_socket_is_dead(seat, enqueue) -> None:
    wire = Wire()
    await wire.into(seat.page)
    await seat.page.clock.install()
    await in_thread(enqueue, "send-email")
    await seat.open("jobs")
    await seat.live()
    await seat.page.evaluate(WATCH)

    wire.is_dead = True
    await in_thread(enqueue, "send-email")
    await seat.page.clock.fast_forward("01:00:00")
    await expect(seat.page.locator("#newer")).to_contain_text("1 newer job")
    wire.is_dead = False
    await seat.live()
    await in_thread(enqueue, "send-email")
    await expect(seat.page.locator("#newer")).to_contain_text("2 newer jobs")
    said = await states(seat)
    assert "behind" in said[: said.index("lost")], said


async def test_a_hidden_tab_waits_and_says_how_much_in_its_title(seat, enqueue) -> None:
    await in_thread(enqueue, "send-email")
    await seat.open("jobs")
    await seat.live()
    hide = """hidden => {
      Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
      document.dispatchEvent(new Event("visibilitychange"));
    }"""

    await seat.page.evaluate(hide, True)
    await expect(seat.page.locator("#live")).to_contain_text("paused while this tab is hidden")
    for _ in range(2):
        await in_thread(enqueue, "send-email")
    await expect(seat.page.locator("#live")).to_contain_text("2 changes wait")
    assert (await seat.page.title()).startswith("(2) Jobs")
    await expect(seat.page.locator("#newer")).to_be_empty()

    await seat.page.evaluate(hide, False)
    await expect(seat.page.locator("#newer")).to_contain_text("2 newer jobs")
    await seat.live()
    assert (await seat.page.title()).startswith("Jobs")


async def test_two_tabs_show_the_same_after_a_change_in_one(seat, enqueue) -> None:
    job = await in_thread(enqueue, "send-email")
    await seat.open("jobs")
    await seat.live()
    other = await seat.page.context.new_page()
    await other.goto(f"{seat.url}/p/{seat.slug}/jobs?status=pending")
    await other.locator('#live[data-state="live"]').wait_for()

    await other.locator(f"#row-{job}").get_by_role("button", name="Cancel job").click()
    for page in (seat.page, other):
        await expect(page.locator(f"#row-{job}")).to_contain_text("cancelled")
        await expect(page.locator("#tabs a", has_text="Cancelled")).to_contain_text("1")
        await expect(page.locator("#tabs a", has_text="Pending")).to_contain_text("0")
    await other.close()


@pytest.fixture
def server(_database) -> Iterator[Callable[[], subprocess.Popen]]:
    """serve(): a server of the test's own, on a port that stays the same; the one before must have ended."""
    port = free_port()
    running: list[subprocess.Popen] = []

    def serve() -> subprocess.Popen:
        environment = {**os.environ, "AERODASH_PORT": str(port), "DATABASE_URL": database_url()}
        command = [sys.executable, "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1"]
        running.append(
            subprocess.Popen([*command, "--port", str(port), "aerodash.asgi:application"], env=environment)
        )
        _wait_until_it_answers(f"http://127.0.0.1:{port}/healthz", running[-1])
        return running[-1]

    serve.url = f"http://127.0.0.1:{port}"
    yield serve
    for process in running:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def _wait_until_it_answers(url: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("The server does not answer.")


async def test_a_server_that_restarts_says_so_and_the_page_goes_on_with_the_next(
    seat, enqueue, server
) -> None:
    await in_thread(enqueue, "send-email")
    first = await in_thread(server)
    await seat.page.goto(f"{server.url}/p/{seat.slug}/jobs")
    await seat.live()
    await seat.page.evaluate(WATCH)

    for child in _children(first.pid):  # as `aerodash web` tells them, a moment before it ends them
        os.kill(child, signal.SIGUSR1)
    await expect(seat.page.locator("#live")).to_contain_text("server restarting")
    first.terminate()
    await in_thread(first.wait, 60)
    await in_thread(enqueue, "send-email")
    await in_thread(server)
    await seat.live()
    await expect(seat.page.locator("#newer")).to_contain_text("1 newer job")
    assert (await states(seat))[:2] == ["live", "restarting"]
    # What a browser says itself while nobody listens.
    away = re.compile(r"ERR_|WebSocket|htmx:(ws:)?error")
    seat.complaints[:] = [one for one in seat.complaints if not away.search(one)]


def _children(pid: int) -> list[int]:
    said = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=True
    )
    return [int(line) for line in said.stdout.split()]


PLACES = """() => [...document.querySelectorAll("#rows tr, #tabs a, #chosen, #list thead")].map(node => {
  const box = node.getBoundingClientRect();
  return [node.getAttribute("id") || node.textContent.replace(/[\\d,]+/g, "").trim().slice(0, 12), `${box.top} ${box.left} ${box.height}`];
})"""


@pytest.mark.parametrize("width", [1440, 360])
async def test_nothing_moves_when_pushes_arrive(seat, enqueue, project, width: int) -> None:
    await seat.page.set_viewport_size({"width": width, "height": 800})
    # The three on top are the most urgent: what grows is above what is looked at.
    jobs = [
        await in_thread(enqueue, "send-email", max_retries=0, priority=0 if number > 8 else 5)
        for number in range(12)
    ]
    await seat.open("jobs")
    await seat.live()
    row = seat.page.locator(f"#row-{jobs[5]}")
    await row.scroll_into_view_if_needed()
    await row.locator("a").hover()
    before = dict(await seat.page.evaluate(PLACES))

    for _ in range(3):
        leased = await in_thread(lease, project)
        await in_thread(settle, project, leased, "failed", error_type="Busy", error_message="421 too many")
    for _ in range(11):
        await in_thread(enqueue, "send-email")
    await expect(seat.page.locator("#tabs a", has_text="Failed")).to_contain_text("3")
    await expect(seat.page.locator("#newer")).to_contain_text("11 newer jobs")

    after = dict(await seat.page.evaluate(PLACES))
    name = f"row-{jobs[5]}"
    assert after[name] == before[name]
    if width == 1440:
        # Cards on a phone grow by a line for an error; what is looked at stays there all the same.
        moved = {name: after[name] for name in before.keys() & after if after[name] != before[name]}
        assert not moved, moved


async def test_a_button_never_changes_what_it_does_under_the_pointer(seat, enqueue, project) -> None:
    job = await in_thread(enqueue, "send-email", max_retries=0)
    await seat.open("jobs")
    await seat.live()
    button = seat.page.locator(f"#row-{job} .btn")
    await button.hover()
    await expect(seat.page.locator("#live")).to_contain_text("paused while you point at a button")
    leased = await in_thread(lease, project)
    await in_thread(settle, project, leased, "failed", error_type="Busy")
    await expect(seat.page.locator("#live")).to_contain_text("1 change waits")
    await expect(button).to_have_text("Cancel")

    await seat.page.mouse.move(5, 400)
    await expect(button).to_have_text("Retry")
    await button.click()  # whoever has pressed it waits for what comes of it
    await expect(seat.page.locator(f"#row-{job}")).to_contain_text("pending")


async def test_updates_wait_while_rows_are_selected_and_show_now_keeps_the_selection(
    seat, enqueue, project
) -> None:
    for _ in range(3):
        await in_thread(enqueue, "send-email", max_retries=0)
    leased = await in_thread(lease, project)
    await seat.open("jobs")
    await seat.live()
    await seat.page.get_by_label("Select all rows of this page").check()
    await expect(seat.page.locator("#chosen")).to_contain_text("3 selected")
    await expect(seat.page.locator("#live")).to_contain_text("paused while 3 rows are selected")

    await in_thread(settle, project, leased, "failed", error_type="Busy", error_message="421 too many")
    await expect(seat.page.locator("#live")).to_contain_text("1 change waits")
    row = seat.page.locator(f"#row-{leased.id}")
    await expect(row).to_contain_text("processing")
    await seat.page.locator("#live [data-resume]:visible").click()
    await expect(row).to_contain_text("failed")
    await expect(seat.page.locator("#chosen")).to_contain_text("3 selected")

    await seat.page.get_by_role("button", name="Retry…").click()
    await expect(seat.page.get_by_role("heading", level=1)).to_have_text("Retry 1 job?")
    await expect(seat.page.locator(".ad-chosen")).to_contain_text("has not ended yet")
    await seat.check_accessibility()
    await seat.page.get_by_role("button", name="Retry 1 job").click()
    await expect(seat.page.locator("#messages")).to_contain_text("1 job is pending again")
    await expect(seat.page.locator("#tabs a", has_text="Pending")).to_contain_text("3")


async def test_rows_are_chosen_with_the_keyboard(seat, enqueue) -> None:
    for _ in range(3):
        await in_thread(enqueue, "send-email")
    await seat.open("jobs")
    await seat.live()
    for key in ("j", "x", "j", "j", "x"):
        await seat.page.keyboard.press(key)
    await expect(seat.page.locator("#chosen")).to_contain_text("2 selected")
    await seat.check_accessibility()
    await seat.page.get_by_role("button", name="none").click()
    await expect(seat.page.locator("#chosen")).to_contain_text("Newest first")
    await seat.live()
