"""What an open Jobs page feels while the queue works, in a real Chromium: `python -m bench.live`.

    python -m bench.live [--database sqlite|postgres] [--seconds 30] [--rate 2000] [--tabs 100] [--rounds 5] [--quick]

Starts `aerodash up` on fresh data and measures, each printed with its median, 99th percentile and worst:

- from the commit of a lease (its answer) to the changed row in the page, with nothing else going on;
- under --rate job transitions a second (leases and settles; as many jobs are enqueued as are settled), by a process of
  its own that speaks HTTP in batches like a worker of the SDK: how long a key or a click waits until the page hears of
  it, how long frames take, how far the page's counts are behind the database's, and after how long both are equal once
  the load ends; the same with --tabs more tabs open, and what the server spends on it;
- from kill -9 of the keeper to the moment when the next one holds the lease: restarted by `aerodash up` after it ran for
  more than a minute (one that ends again and again is started again more slowly), and where other keepers wait.

Needs Playwright's package and a Chromium (CHROMIUM names it). Nothing else should run meanwhile.
"""

import argparse
import base64
import json
import os
import random
import re
import selectors
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

from bench import installation, load
from bench.installation import ROOT, Installation

GIVE_UP_S = 60
STEADY_S = 62
BATCHES_A_SECOND = 20
KEYS_A_SECOND = 8
STATUSES = ("pending", "processing", "completed", "failed", "cancelled")

# Everything that happens to the page, by the one clock that this process has too.
WATCH = """() => {
  const at = () => performance.timeOrigin + performance.now();
  const seen = window.seen = {delays: [], frames: [], rows: {}, counts: [], swaps: [], tasks: []};
  for (const name of ["keydown", "pointerdown", "pointermove"]) {
    addEventListener(name, event => seen.delays.push(performance.now() - event.timeStamp), {capture: true, passive: true});
  }
  let last = performance.now();
  requestAnimationFrame(function next(now) { seen.frames.push(now - last); last = now; requestAnimationFrame(next); });
  new PerformanceObserver(list => list.getEntries().forEach(one => seen.tasks.push(one.duration))).observe({type: "longtask"});
  const read = () => [...document.querySelectorAll("#tabs a")].map(tab => Number(tab.querySelector(".ad-n").textContent.replaceAll(",", "")));
  const count = () => seen.counts.push([at(), read()]);
  count();
  new MutationObserver(count).observe(document.getElementById("tabs"), {subtree: true, childList: true, characterData: true});
  new MutationObserver(() => {
    for (const row of document.querySelectorAll("#rows tr")) {
      if (row.querySelector(".ad-st-processing")) seen.rows[row.dataset.row] ??= at();
    }
  }).observe(document.getElementById("list"), {subtree: true, childList: true, attributes: true});
  let began = 0;
  const footer = document.getElementById("live");
  footer.addEventListener("htmx:ws:before:message:incoming", () => { began = performance.now(); });
  footer.addEventListener("htmx:ws:after:message:incoming", event => {
    if (event.detail.message.data.includes('"content"')) seen.swaps.push([performance.now() - began, event.detail.message.data.length]);
  });
}"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--seconds", type=float, default=30, help="of each load")
    parser.add_argument("--rate", type=float, default=2000, help="job transitions a second")
    parser.add_argument("--tabs", type=int, default=100, help="more tabs in the second load; 0 leaves it out")
    parser.add_argument("--rounds", type=int, default=5, help="keepers to kill, each way")
    parser.add_argument("--quick", action="store_true", help="short, to see that it runs")
    parser.add_argument("--load", nargs=4, metavar=("PORT", "KEY", "RATE", "SECONDS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.load:
        put_load(int(args.load[0]), args.load[1], float(args.load[2]), float(args.load[3]))
        return
    if args.quick:
        args.seconds, args.rounds, args.tabs = 6.0, min(args.rounds, 1), min(args.tabs, 20)
    with tempfile.TemporaryDirectory(prefix="aerodash-bench-live-") as name, ExitStack() as stack:
        folder, url = Path(name), ""
        for title, value in installation.machine(folder).items():
            print(f"{title}: {value}")
        if args.database == "postgres":
            server = stack.enter_context(installation.postgres(folder / "postgres"))
            url = installation.new_database(server, "live")
        at = stack.enter_context(installation.up(folder / "data", database_url=url))
        ask = stack.enter_context(_asking(at))
        browser = stack.enter_context(_browser())
        page, cookie = _signed_in(browser, at)
        quiet(page, at, 60 if not args.quick else 15)
        under_load(page, at, ask, args.rate, args.seconds)
        if args.tabs:
            with open_tabs(page, at, cookie, args.tabs):
                print(f"\nWith {args.tabs} more tabs open")
                under_load(page, at, ask, args.rate, args.seconds)
        takeovers(at, ask, args.rounds)


# ── what is measured


def quiet(page: Page, at: Installation, samples: int) -> None:
    """From the answer of a lease to the row that says so."""
    caller = load.Connection(at.port)
    print("\nNothing else going on")
    found: list[float] = []
    while len(found) < samples:
        watched = [
            _ask(caller, at, "enqueue", {"type": "watched", "payload": {}})["jobId"] for _ in range(10)
        ]
        page.goto(f"http://127.0.0.1:{at.port}/p/main/jobs?type=watched")
        page.locator('#live[data-state="live"]').wait_for()
        page.evaluate(WATCH)
        for _ in watched:
            time.sleep(random.uniform(0.4, 0.9))  # people do not come in step with the feed
            leased = _ask(caller, at, "lease", {"worker": {"id": "bench"}, "types": ["watched"], "limit": 1})[
                "jobs"
            ]
            answered_at = time.time() * 1000
            (job,) = leased
            page.wait_for_function("id => window.seen.rows[id]", arg=job["id"])
            found.append(page.evaluate("id => window.seen.rows[id]", job["id"]) - answered_at)
            _ask(caller, at, "settle", {"results": [_settled(job)]})
    caller.close()
    _say("commit to changed row", found, "ms")


def under_load(
    page: Page, at: Installation, ask: Callable[[str], list[Any]], rate: float, seconds: float
) -> None:
    """Keys and clicks every moment on a page whose rows and counts change all the time."""
    caller = load.Connection(at.port)
    for _ in range(20):
        _ask(caller, at, "enqueue", {"type": "loaded", "payload": {}})
    page.goto(f"http://127.0.0.1:{at.port}/p/main/jobs")
    page.locator('#live[data-state="live"]').wait_for()
    page.evaluate(WATCH)
    truth: list[tuple[float, int]] = []
    ends = threading.Event()

    def sample() -> None:
        with _asking(at) as own:
            while not ends.is_set():
                count = own(_COUNTED.format(status="completed"))[0][0]
                truth.append((time.time() * 1000, int(count)))
                time.sleep(0.02)

    sampler = threading.Thread(target=sample)
    spent, began = _spent_s(at), time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "bench.live", "--load", str(at.port), at.key, str(rate), str(seconds)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    ) as loader:
        sampler.start()
        number = 0
        while loader.poll() is None:
            number += 1
            page.keyboard.press("jk"[number // 12 % 2])
            page.mouse.move(300 + number * 37 % 800, 200 + number * 53 % 500)
            time.sleep(1 / KEYS_A_SECOND)
        took = time.monotonic() - began
        spent = _spent_s(at) - spent
        said = json.loads(loader.stdout.read())  # type: ignore[union-attr]
    ended_at = time.time() * 1000
    ends.set()
    sampler.join()
    numbers = [int(ask(_COUNTED.format(status=status))[0][0]) for status in STATUSES]
    final = [sum(numbers), *numbers]
    page.wait_for_function(
        "wanted => JSON.stringify(window.seen.counts.at(-1)[1]) === JSON.stringify(wanted)",
        arg=final,
        timeout=GIVE_UP_S * 1000,
    )
    seen = page.evaluate("window.seen")
    equal_at = next(at_ms for at_ms, counts in seen["counts"] if counts == final)
    print(f"{said['transitions'] / said['seconds']:,.0f} transitions a second for {said['seconds']:.0f} s, "
          f"{said['slow']} batches late; server: {100 * spent / took:.0f} % of a core")  # fmt: skip
    _say("input delay", seen["delays"], "ms")
    _say("time between frames", seen["frames"], "ms")
    _say("long tasks", seen["tasks"], "ms")
    _say("swap of a push", [took for took, _ in seen["swaps"]], "ms")
    _say("size of a push", [size / 1024 for _, size in seen["swaps"]], "KiB")
    _say("counts behind the database", _behind(truth, seen["counts"]), "ms")
    print(
        f"  all counts equal {max(equal_at - ended_at, 0):.0f} ms after the load ended; {len(seen['swaps'])} pushes"
    )
    caller.close()


def _behind(truth: list[tuple[float, int]], shown: list[tuple[float, list[int]]]) -> list[float]:
    """For each moment, how long it took until the page showed at least as many completed jobs as there were."""
    found, index = [], 0
    for at_ms, count in truth:
        while index < len(shown) and (shown[index][1][3] < count or shown[index][0] < at_ms):
            if shown[index][1][3] >= count:
                break
            index += 1
        if index == len(shown):
            break
        found.append(max(shown[index][0] - at_ms, 0))
    return found


def takeovers(at: Installation, ask: Callable[[str], list[Any]], rounds: int) -> None:
    """From kill -9 of the keeper that holds the lease to the next that holds it."""
    print("\nkill -9 of the keeper, until the next one holds the lease")
    found = []
    for number in range(rounds):
        if number:
            time.sleep(STEADY_S)
        found.append(_killed(ask))
    _say("restarted by aerodash up", found, "s")
    found, others = [], list[subprocess.Popen[bytes]]()
    try:
        for _ in range(rounds):
            others = [other for other in others if other.poll() is None]
            while len(others) < 2:
                others.append(_keeper(at))
            found.append(_killed(ask))
            time.sleep(1)
    finally:
        for other in others:
            installation.end(other)
    _say("others wait for it", found, "s")


def _keeper(at: Installation) -> subprocess.Popen[bytes]:
    """One more keeper, once it has asked for the lease."""
    environment = {**os.environ, "AERODASH_DATA": str(at.folder), "AERODASH_PORT": str(at.port)}
    if at.database_url:
        environment["DATABASE_URL"] = at.database_url
    with open(at.folder / "keepers.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "aerodash", "keeper"], cwd=ROOT, env=environment, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + GIVE_UP_S
    while not any(link.startswith("socket:") for link in _open_files(process.pid)):
        if time.monotonic() > deadline:
            raise SystemExit("another keeper did not come up")
        time.sleep(0.1)
    time.sleep(3)  # its engines are open; the lease is the next that it asks for
    return process


def _open_files(pid: int) -> list[str]:
    found = []
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):  # it was closed meanwhile
            found.append(os.readlink(link))
    return found


def _killed(ask: Callable[[str], list[Any]]) -> float:
    deadline = time.monotonic() + GIVE_UP_S
    while True:
        holder, fence = ask("SELECT holder, fence FROM aerodash_keeperlease WHERE name = 'keeper'")[0]
        pid = int(holder.split(":")[-2])
        if Path(f"/proc/{pid}").exists():
            break
        if time.monotonic() > deadline:
            raise SystemExit("no keeper holds the lease")
        time.sleep(0.05)
    time.sleep(random.uniform(0.5, 1.5))  # somewhere between two renewals
    os.kill(pid, signal.SIGKILL)
    killed_at = time.monotonic()
    while ask("SELECT fence FROM aerodash_keeperlease WHERE name = 'keeper'")[0][0] == fence:
        if time.monotonic() - killed_at > GIVE_UP_S:
            raise SystemExit("nobody took the keeper's lease over")
        time.sleep(0.01)
    return time.monotonic() - killed_at


# ── the load, in a process of its own


def put_load(port: int, key: str, rate: float, seconds: float) -> None:
    """Enqueue, lease and settle in batches, in even steps; says on stdout what it did."""
    caller, headers = load.Connection(port), {"X-Aerostack-Key": key}
    size = round(rate / 2 / BATCHES_A_SECOND)
    jobs = load.request(
        port, "/v1/queue/enqueueMany", {"jobs": [{"type": "loaded", "payload": {"n": 1}}] * size}, headers
    )
    lease = load.request(
        port, "/v1/queue/lease", {"worker": {"id": "load", "hostname": "bench", "pid": os.getpid()}, "types": ["loaded"], "limit": size}, headers,
    )  # fmt: skip
    began, transitions, slow = time.monotonic(), 0, 0
    for step in range(int(seconds * BATCHES_A_SECOND)):
        due = began + step / BATCHES_A_SECOND
        slow += time.monotonic() > due + 0.5
        time.sleep(max(due - time.monotonic(), 0))
        _answer(caller.ask(jobs))
        leased = _answer(caller.ask(lease))["jobs"]
        results = {"results": [_settled(job) for job in leased]}
        _answer(caller.ask(load.request(port, "/v1/queue/settle", results, headers)))
        transitions += 2 * len(leased)
    caller.close()
    print(json.dumps({"transitions": transitions, "seconds": time.monotonic() - began, "slow": slow}))


# ── more tabs, without a browser


@contextmanager
def open_tabs(page: Page, at: Installation, cookie: str, number: int) -> Iterator[None]:
    """Sockets of the same person on the same page, which say what a page says and take what is pushed."""
    page.goto(f"http://127.0.0.1:{at.port}/p/main/jobs")
    shown = page.evaluate("[...document.querySelectorAll('#main [data-row]')].map(row => row.dataset.row)")
    ends = threading.Event()
    sockets = [_tab(at, cookie, shown) for _ in range(number)]

    def take() -> None:
        with selectors.DefaultSelector() as selector:
            for one in sockets:
                selector.register(one, selectors.EVENT_READ)
            while not ends.is_set():
                for key, _ in selector.select(0.2):
                    key.fileobj.recv(1 << 20)  # type: ignore[union-attr]

    reader = threading.Thread(target=take)
    reader.start()
    try:
        yield
    finally:
        ends.set()
        reader.join()
        for one in sockets:
            one.close()


def _tab(at: Installation, cookie: str, shown: list[str]) -> socket.socket:
    one = socket.create_connection(("127.0.0.1", at.port), timeout=30)
    host = f"127.0.0.1:{at.port}"
    lines = [
        "GET /ws/console?project=main&page=jobs HTTP/1.1",
        f"Host: {host}",
        f"Origin: http://{host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        f"Cookie: {cookie}",
    ]
    one.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    if b" 101 " not in one.recv(4096):
        raise SystemExit("the server does not open a tab's socket")
    text = json.dumps({"nonce": "bench-nonce-1", "shown": shown, "refresh": 1}).encode()
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(text))
    one.sendall(b"\x81\xfe" + len(text).to_bytes(2) + mask + masked)
    return one


# ── the rest

_COUNTED = """SELECT coalesce(sum(count), 0) FROM jobs_admin_jobcounter AS counter
JOIN aerodash_project AS project ON project.id = counter.project_id WHERE project.slug = 'main' AND status = '{status}'"""


@contextmanager
def _asking(at: Installation) -> Iterator[Callable[[str], list[Any]]]:
    """A function that asks the installation's database, on a connection of its own."""
    if at.database_url:
        import psycopg

        with psycopg.connect(at.database_url, autocommit=True) as server:
            yield lambda sql: server.execute(sql.encode()).fetchall()
        return
    connection = sqlite3.connect(f"file:{at.folder}/aerodash.sqlite3?mode=ro", uri=True, timeout=30)
    try:
        yield lambda sql: connection.execute(sql).fetchall()
    finally:
        connection.close()


@contextmanager
def _browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def _signed_in(browser: Browser, at: Installation) -> tuple[Page, str]:
    """A page of the installation's owner, and the cookies by which the server knows them."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{at.port}{urlsplit(at.sign_in_url).path}")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile("/p/"))
    return page, "; ".join(f"{one['name']}={one['value']}" for one in context.cookies())


def _ask(caller: load.Connection, at: Installation, verb: str, body: object) -> dict[str, Any]:
    return _answer(caller.ask(load.request(at.port, f"/v1/queue/{verb}", body, at.headers)))


def _answer(answer: tuple[int, bytes]) -> dict[str, Any]:
    status, body = answer
    if status not in (200, 201):
        raise SystemExit(f"answered {status}: {body.decode()}")
    return json.loads(body)


def _settled(job: dict[str, Any]) -> dict[str, str]:
    return {"jobId": job["id"], "leaseToken": job["leaseToken"], "outcome": "completed"}


def _spent_s(at: Installation) -> float:
    """Processor time of all processes of the installation so far."""
    wanted, ticks = f"AERODASH_DATA={at.folder}".encode(), 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        except OSError:  # it ended meanwhile, or is somebody else's
            continue
    return ticks / os.sysconf("SC_CLK_TCK")


def _say(what: str, values: list[float], unit: str) -> None:
    if not values:
        print(f"  {what}: none")
        return
    values = sorted(values)
    p50, p99 = values[len(values) // 2], values[min(int(len(values) * 0.99), len(values) - 1)]
    digits = 2 if unit == "s" else 1
    print(
        f"  {what}: p50 {p50:.{digits}f}, p99 {p99:.{digits}f}, worst {values[-1]:.{digits}f} {unit} ({len(values)})"
    )


if __name__ == "__main__":
    main()
