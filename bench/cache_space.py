"""A project with ten million keys: what its listings, counts and tree take, and what everybody else feels of a removal.

All but the filling happens while 2000 reads and writes a second go on, in even steps, half of each.
"""

import asyncio
import http.cookiejar
import random
import sqlite3
import time
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import redis

from aerodash.ids import ProjectId
from bench import cache_load, fill_cache, load
from bench.cache_load import Sample, percentile
from bench.cache_speed import Figures
from bench.installation import Installation
from cache_admin.bounds import to_cursor
from cache_admin.engine.valkey import ValkeyCache

PER_SECOND = 2000
PAGE = 100
SLOW_MS = 20
NOTED_MS = 5
GIVE_UP_S = 900
REMOVED = "d0"  # ten of the hundred folders
PREFIXES = ("", REMOVED, "d42:", "d42:00")


@dataclass(frozen=True)
class Plan:
    """calls: of each listing, count and so on. idle_s: how long the load goes on alone, to compare with."""

    keys: int
    calls: int
    idle_s: float


def measure(at: Installation, plan: Plan, *, say: Callable[[str], None] = print) -> Figures:
    """Fill the first project of an empty installation, and measure it."""
    url, project = (at.folder / "valkey/url").read_text(), _project(at)
    store = redis.Redis.from_url(url)
    found: Figures = {"keys": plan.keys}
    before = _memory(store)
    _watch_slow(store)
    found["filled_per_second"] = fill_cache.fill(url, project, plan.keys, say=say)
    found["slowest_of_filling_ms"], _ = _slow(store)
    found["bytes_a_key"] = (_memory(store) - before) / plan.keys
    _wait_for_the_rewrite(store)

    mixed = _reads_and_writes(at, plan.keys)
    _watch_slow(store)
    with cache_load.steady(at.port, mixed, PER_SECOND) as samples:
        found |= asyncio.run(_engine(url, project, plan))
        found |= _listings(at, plan)
    found |= _percentiles("meanwhile", _took(samples))
    with cache_load.steady(at.port, mixed, PER_SECOND) as samples:
        found |= _console(at, plan.calls)
    found |= _percentiles("beside_page", _took(samples))
    found |= _removal(at, plan, mixed)
    found["slowest_ms"], found["slow_commands"] = _slow(store)
    store.close()
    return found


async def _engine(url: str, project: ProjectId, plan: Plan) -> Figures:
    """Tree level and counts as the console asks the engine for them, from a process of its own. No operation of the
    API gives either; the page that does is measured besides."""
    engine = ValkeyCache(url)
    await engine.open()
    try:
        level = await engine.tree(project, limit=200)
        if len(level.folders) != fill_cache.FOLDERS:
            raise SystemExit(f"the level has {len(level.folders)} folders")
        if level.total.number != plan.keys or {folder.count for folder in level.folders} != {
            plan.keys // 100
        }:
            raise SystemExit(f"{level.total.number} keys are there, in {level.folders}")
        calls = plan.calls
        found = await _timed("tree", (engine.tree(project, limit=200) for _ in range(calls)))
        found |= await _timed(
            "count", (engine.count(project, prefix) for prefix in islice(cycle(PREFIXES), calls))
        )
    finally:
        await engine.close()
    return found


async def _timed(name: str, each: Iterable[Awaitable[Any]]) -> Figures:
    took = []
    for call in each:
        began = time.perf_counter()
        await call
        took.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0.005)
    return _percentiles(name, took)


def _listings(at: Installation, plan: Plan) -> Figures:
    """The first page, one in the middle and the last, of 100 keys each, over the API."""
    found: Figures = {}
    ends = {
        "first": None,
        "middle": fill_cache.key(plan.keys // 2, plan.keys),
        "deepest": fill_cache.key(plan.keys - PAGE - 1, plan.keys),
    }
    for verb in ("list", "keys"):
        for name, after in ends.items():
            body: dict[str, Any] = {"limit": PAGE}
            if after is not None:
                body["cursor"] = to_cursor(after)
            request = load.request(at.port, f"/v1/cache/{verb}", body, at.headers)
            found |= _percentiles(f"{verb}_{name}", _asked(at.port, request, plan.calls))
    return found


def _console(at: Installation, calls: int) -> Figures:
    """The console's page: the tree's level, two counts and the first fifty entries, rendered, in one request."""
    cookies = _signed_in(at)
    found: Figures = {}
    for name, query in (("page", ""), ("page_folder", "?prefix=d42%3A")):
        request = (
            f"GET /p/main/cache{query} HTTP/1.1\r\nHost: 127.0.0.1:{at.port}\r\nCookie: {cookies}\r\n\r\n"
        ).encode()
        found |= _percentiles(name, _asked(at.port, request, max(20, calls // 5)))
    return found


def _removal(at: Installation, plan: Plan, mixed: Sequence[bytes]) -> Figures:
    """What reads and writes take while a tenth of the keys goes, beside what they take without."""
    with cache_load.steady(at.port, mixed, PER_SECOND) as idle:
        time.sleep(cache_load.WARM_UP_S + plan.idle_s)
    caller = load.Connection(at.port)
    caller.socket.settimeout(GIVE_UP_S)
    flush = load.request(at.port, "/v1/cache/flush", {"prefix": REMOVED}, at.headers)
    look = load.request(at.port, "/v1/cache/keys", {"prefix": REMOVED, "limit": 1}, at.headers)
    with cache_load.steady(at.port, mixed, PER_SECOND) as samples:
        time.sleep(cache_load.WARM_UP_S)
        began = time.perf_counter()
        _answered(caller.ask(flush))
        while b'"keys":[]' not in _answered(caller.ask(look)):  # should it answer before it is done
            if time.perf_counter() - began > GIVE_UP_S:
                raise SystemExit(f"the removal was not over after {GIVE_UP_S} s")
            time.sleep(0.05)
        ended = time.perf_counter()
    caller.close()
    warm = [sample for sample in idle if sample.due >= idle[0].due + cache_load.WARM_UP_S]
    meanwhile = [sample for sample in samples if began <= sample.due <= ended]
    found: Figures = {
        "removed": plan.keys / 10,
        "removal_s": ended - began,
        "removed_per_second": plan.keys / 10 / (ended - began),
    }
    found |= _percentiles("idle", _took(warm)) | _percentiles("removal", _took(meanwhile))
    found["removal_ratio"] = found["removal_p99"] / found["idle_p99"]
    return found


def _reads_and_writes(at: Installation, keys: int, number: int = 10_000) -> list[bytes]:
    """Reads and writes by turns, of keys that no removal touches."""
    rng = random.Random(1)
    requests = []
    for count in range(number):
        key = fill_cache.key(rng.randrange(keys // 10, keys), keys)
        body: dict[str, Any] = {"key": key}
        if count % 2:
            body["value"] = {"id": count, "name": "y" * 70}
        requests.append(load.request(at.port, f"/v1/cache/{'set' if count % 2 else 'get'}", body, at.headers))
    return requests


def _asked(port: int, request: bytes, times: int) -> list[float]:
    """Milliseconds of each of so many requests, one after the other."""
    caller = load.Connection(port)
    took = []
    for _ in range(times):
        began = time.perf_counter()
        answer = caller.ask(request)
        took.append((time.perf_counter() - began) * 1000)
        _answered(answer)
        time.sleep(0.005)
    caller.close()
    return took


def _answered(answer: tuple[int, bytes]) -> bytes:
    status, body = answer
    if status != 200:
        raise SystemExit(f"answered {status}: {body[:500].decode()}")
    return body


def _signed_in(at: Installation) -> str:
    """The cookies of the owner's session."""
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    browser.open(at.sign_in_url, timeout=30).close()
    token = next(cookie.value or "" for cookie in jar if "csrf" in cookie.name)
    form = urllib.parse.urlencode({"csrfmiddlewaretoken": token}).encode()
    browser.open(at.sign_in_url, form, timeout=30).close()
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)


def _project(at: Installation) -> ProjectId:
    connection = sqlite3.connect(f"file:{at.folder / 'aerodash.sqlite3'}?mode=ro", uri=True)
    try:
        ((number,),) = connection.execute("SELECT id FROM aerodash_project WHERE slug = 'main'").fetchall()
    finally:
        connection.close()
    return ProjectId(number)


def _memory(store: redis.Redis) -> int:
    return store.info("memory")["used_memory"]


def _watch_slow(store: redis.Redis) -> None:
    store.config_set("slowlog-log-slower-than", NOTED_MS * 1000)
    store.config_set("slowlog-max-len", 10_000)
    store.slowlog_reset()


def _slow(store: redis.Redis) -> tuple[float, int]:
    """Milliseconds of the slowest command since _watch_slow (0 when none took NOTED_MS), and how many took SLOW_MS."""
    took = [entry["duration"] / 1000 for entry in store.slowlog_get(10_000)]
    return max(took, default=0.0), sum(ms >= SLOW_MS for ms in took)


def _wait_for_the_rewrite(store: redis.Redis) -> None:
    """While the store rewrites its append-only file, a process of its own has half of this machine."""
    deadline = time.monotonic() + GIVE_UP_S
    while (state := store.info("persistence"))["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"]:
        if time.monotonic() > deadline:
            raise SystemExit(f"the append-only file was not rewritten within {GIVE_UP_S} s")
        time.sleep(0.2)


def _took(samples: Sequence[Sample]) -> list[float]:
    return [sample.took_ms for sample in samples]


def _percentiles(name: str, took: Sequence[float]) -> Figures:
    return {f"{name}_p50": percentile(took, 50), f"{name}_p99": percentile(took, 99)}
