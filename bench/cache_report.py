"""What bench.cache found, as a page for people and as JSON."""

import dataclasses
import json
import statistics
from dataclasses import dataclass
from pathlib import Path

from bench import report
from bench.cache_load import CONNECTIONS
from bench.cache_space import NOTED_MS, PER_SECOND, SLOW_MS
from bench.cache_speed import MANY, VERBS
from bench.tables import head, number, row, spread

NINJA_GOAL = 15
WEBDIS_GOAL = 0.30
HALF_GOAL = 3
MANY_GOAL = 100_000
LISTING_GOAL_MS = 10
REMOVAL_GOAL = 2

CONTENDERS = {
    "aerodash": "AeroDash, express lane",
    "ninja": "bare django-ninja, schema in and out",
    "ninja_raw": "bare django-ninja, no schema",
    "webdis": "webdis, one thread",
}


@dataclass
class Found(report.Found):
    """memory: what bench.cache_memory printed."""

    memory: str = ""


def write(found: Found, folder: Path) -> str:
    """Write cache.md and cache.json into the folder; returns the page."""
    page = "\n".join(_page(found)) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cache.md").write_text(page)
    (folder / "cache.json").write_text(json.dumps(dataclasses.asdict(found), indent=1) + "\n")
    return page


def _page(found: Found) -> list[str]:
    lines = ["# The cache over HTTP", ""]
    lines += [
        f"`{found.command.strip()}`, {found.date}. Servers, stores and load generator share the machine: "
        + "; ".join(f"{name} {value}" for name, value in found.machine.items())
        + ".",
        "",
    ]
    if "aerodash" in found.figures:
        lines += _full(found) + _ratios(found) + _half(found)
    if "space" in found.figures:
        lines += _space(found)
    if found.memory:
        lines += _memory(found)
    return lines


def _full(found: Found) -> list[str]:
    lines = ["## One web process, 32 connections", ""]
    lines += [
        f"{found.rounds} round(s) in turn, median (lowest to highest). {CONNECTIONS} connections of wrk (one thread), each sending its next "
        "request when it was answered, for a thousand keys in turn with values of 200 bytes. Cores: of the machine, what the "
        "measured process and wrk used meanwhile; AeroDash and webdis are served by one Python process, and one thread, each.",
        "",
    ]
    lines += head(
        ["", "", "requests/s", "p50 ms", "p99 ms", "its cores", "wrk's cores", "µs of its cores a request"]
    )
    for name, title in CONTENDERS.items():
        for verb in (*VERBS, "getMany"):
            figures = found.figures[name]
            if f"{verb}_rate" in figures:
                what = f"{verb} of {MANY} keys" if verb == "getMany" else verb
                columns = ("rate", "p50", "p99", "cores", "load_cores", "us")
                lines.append(row([title, what, *(spread(figures[f"{verb}_{column}"]) for column in columns)]))
    return [*lines, ""]


def _ratios(found: Found) -> list[str]:
    """Round by round, so that a slow minute of the machine disturbs both sides of a ratio."""
    lines = ["AeroDash's rate divided by the other's, round by round:", ""]
    lines += head(["", *VERBS, "goal"])
    goals = {
        "ninja": f"≥ {NINJA_GOAL}×",
        "ninja_raw": "–",
        "webdis": f"≥ {WEBDIS_GOAL:.2f}×",
    }
    for name, goal in goals.items():
        cells = []
        for verb in VERBS:
            ours, theirs = (found.figures[one][f"{verb}_rate"] for one in ("aerodash", name))
            cells.append(f"{spread([a / b for a, b in zip(ours, theirs, strict=True)])}×")
        lines.append(row([CONTENDERS[name], *cells, goal]))
    keys_per_second = [rate * MANY for rate in found.figures["aerodash"]["getMany_rate"]]
    lines += ["", f"getMany: {spread(keys_per_second)} keys/s; goal {_at_least(keys_per_second, MANY_GOAL)}."]
    return [*lines, ""]


def _half(found: Found) -> list[str]:
    figures = found.figures["aerodash"]
    lines = [
        "At half of that rate, whatever the answers do (a latency counts from when its request was due):",
        "",
    ]
    lines += head(["", "requests/s", "gaps", "p50 ms", "p99 ms", "p99 / p50", f"goal ≤ {HALF_GOAL}"])
    for verb in VERBS:
        for name, gaps in (("half", "even"), ("half_random", "random")):
            ratio = figures[f"{verb}_{name}_ratio"]
            lines.append(
                row([
                    verb, spread(figures[f"{verb}_half_rate"]), gaps, spread(figures[f"{verb}_{name}_p50"]),
                    spread(figures[f"{verb}_{name}_p99"]), spread(ratio),
                    _at_most(ratio, HALF_GOAL) if name == "half" else "–",
                ])
            )  # fmt: skip
    return [*lines, ""]


def _space(found: Found) -> list[str]:
    figures = {name: values for name, values in found.figures["space"].items()}
    keys = figures["keys"][0]
    lines = [f"## {keys:,.0f} keys in one project", ""]
    lines += [
        f"A hundred folders; keys of 11 bytes, values of 100, every twentieth expires, every twentieth has metadata. Filled at "
        f"{spread(figures['filled_per_second'])} keys a second by the engine's own verb for many writes, from two processes. Everything else "
        f"while {PER_SECOND:,} reads and writes a second go on, which take {_pair(figures, 'meanwhile')}.",
        "",
    ]
    lines += head(["", "p50 ms", "p99 ms", f"goal: p99 ≤ {LISTING_GOAL_MS} ms"])
    titles = {
        "tree": "tree level of 100 folders with counts, from the engine",
        "count": "exact count of a prefix, four in turn, from the engine",
        "list_first": "/cache/list, first page of 100",
        "list_middle": "/cache/list, a page in the middle",
        "list_deepest": "/cache/list, last page",
        "keys_first": "/cache/keys, first page of 100",
        "keys_middle": "/cache/keys, a page in the middle",
        "keys_deepest": "/cache/keys, last page",
        "page": "the console's page: level, counts and 50 entries in HTML",
        "page_folder": "the same of one folder",
    }
    for name, title in titles.items():
        goal = "–" if name.startswith("page") else _at_most(figures[f"{name}_p99"], LISTING_GOAL_MS)
        lines.append(row([title, spread(figures[f"{name}_p50"]), spread(figures[f"{name}_p99"]), goal]))
    lines += [
        "",
        f"Beside one who asks for the console's page time and again, reads and writes take {_pair(figures, 'beside_page')}.",
    ]
    slow = int(figures["slow_commands"][0])
    lines += [
        "",
        f"Removing {figures['removed'][0]:,.0f} of them by their prefix took {figures['removal_s'][0]:.1f} s "
        f"({number(figures['removed_per_second'][0])} keys a second). Reads and writes took {_pair(figures, 'removal')} meanwhile and "
        f"{_pair(figures, 'idle')} without: {spread(figures['removal_ratio'])} times at p99; goal {_at_most(figures['removal_ratio'], REMOVAL_GOAL)}.",
        "",
        f"Commands that held the store for {SLOW_MS} ms or more (SLOWLOG), removal included: {slow}; goal 0: {'reached' if slow == 0 else 'MISSED'}. "
        f"The slowest took {_slowest(figures['slowest_ms'][0])}, while filling {_slowest(figures['slowest_of_filling_ms'][0])}.",
        "",
        f"In the store's memory a key takes {number(figures['bytes_a_key'][0])} bytes in all.",
    ]
    return [*lines, ""]


def _memory(found: Found) -> list[str]:
    return [
        "## Memory per key",
        "",
        "`python -m bench.cache_memory`:",
        "",
        "```",
        found.memory.strip(),
        "```",
        "",
    ]


def _pair(figures: dict[str, list[float]], name: str) -> str:
    return f"p50 {spread(figures[f'{name}_p50'])} ms, p99 {spread(figures[f'{name}_p99'])} ms"


def _slowest(ms: float) -> str:
    return f"{ms:.1f} ms" if ms else f"less than {NOTED_MS} ms"


def _at_most(values: list[float], goal: float) -> str:
    return f"≤ {number(goal)}: {'reached' if statistics.median(values) <= goal else 'MISSED'}"


def _at_least(values: list[float], goal: float) -> str:
    return f"≥ {number(goal)}: {'reached' if statistics.median(values) >= goal else 'MISSED'}"
