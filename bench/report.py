"""What bench.jobs found, as a page for people and as JSON."""

import dataclasses
import json
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.measures import Figures
from bench.tables import head, number, row, spread


@dataclass(frozen=True)
class Measure:
    """goals: by database, of issue 4. ceiling: lower is better."""

    name: str
    title: str
    goals: dict[str, float] = field(default_factory=dict)
    ceiling: bool = False


def _both(goal: float) -> dict[str, float]:
    return {"sqlite": goal, "postgres": goal}


MEASURES = (
    Measure("enqueue_1", "enqueue, one caller, jobs/s", _both(1200)),
    Measure("enqueue_32", "enqueue, 32 callers, jobs/s", {"sqlite": 8000, "postgres": 5000}),
    Measure("enqueue_128", "enqueue, 128 callers, jobs/s"),
    Measure("bulk_1", "enqueueMany of 1000, one caller, jobs/s", _both(40_000)),
    Measure("bulk_2", "enqueueMany of 1000, two callers, jobs/s"),
    Measure("sdk_1", "Python SDK, one caller, jobs/s"),
    Measure("sdk_bulk", "Python SDK, send_many of 1000, jobs/s"),
    Measure(
        "drain", "drain by one worker process, sync handler, jobs/s", {"sqlite": 10_000, "postgres": 5000}
    ),
    Measure("drain_async", "drain by one worker process, async handler, jobs/s"),
    Measure("pickup_p50", "pickup, idle, p50 ms", _both(3), ceiling=True),
    Measure("pickup_p99", "pickup, idle, p99 ms", _both(8), ceiling=True),
    Measure("recovery_lease", "kill -9 in mid-job, lease of 5 s: s to the next run", _both(6), ceiling=True),
    Measure(
        "recovery_supervised", "kill -9 under `aerodash worker`: s to the next run", _both(1), ceiling=True
    ),
)
DATABASES = {"sqlite": "SQLite", "postgres": "PostgreSQL"}
FILLED_GOAL = 0.6
# Three of the peers' figures that ours are set against: more is better but for the last.
COMPARED = ("enqueue_1", "bulk_1", "drain", "pickup_p50")


@dataclass
class Found:
    """All figures of a run. figures: subject, measure, one value a round."""

    machine: dict[str, str]
    command: str
    rounds: int
    date: str = field(default_factory=lambda: time.strftime("%Y-%m-%d %H:%M %Z"))
    versions: dict[str, str] = field(default_factory=dict)
    figures: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    filled: dict[str, int] = field(default_factory=dict)
    snapshot: dict[str, Any] = field(default_factory=dict)

    def add(self, subject: str, figures: Figures) -> None:
        kept = self.figures.setdefault(subject, {})
        for name, value in figures.items():
            kept.setdefault(name, []).append(value)

    def median(self, subject: str, name: str) -> float | None:
        values = self.figures.get(subject, {}).get(name)
        return statistics.median(values) if values else None


def write(found: Found, folder: Path) -> str:
    """Write jobs.md and jobs.json into the folder; returns the page."""
    page = "\n".join(_page(found)) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "jobs.md").write_text(page)
    (folder / "jobs.json").write_text(json.dumps(dataclasses.asdict(found), indent=1) + "\n")
    return page


def _page(found: Found) -> list[str]:
    lines = ["# The job queue over HTTP", ""]
    lines += [
        f"`{found.command}`, {found.date}: {found.rounds} round(s) in turn, median (lowest to highest). Payloads of 200 bytes, no-op "
        "jobs; every answer after its fsync. Server, database, worker and load generator share the machine: "
        + "; ".join(f"{name} {value}" for name, value in found.machine.items())
        + ".",
        "",
    ]
    lines += _ours(found)
    if found.versions:
        lines += _peers(found)
    if found.filled:
        lines += _filled(found)
    if found.snapshot:
        lines += _snapshot(found)
    return lines


def _ours(found: Found) -> list[str]:
    measured = [name for name in DATABASES if name in found.figures]
    lines = ["## AeroDash", ""]
    lines += head(["", *(title for name in measured for title in (DATABASES[name], "goal"))])
    for measure in MEASURES:
        cells = []
        for database in measured:
            cells += [_spread(found, database, measure.name), _goal(found, database, measure)]
        if any(cell != "–" for cell in cells):
            lines.append(row([measure.title, *cells]))
    return [*lines, ""]


def _goal(found: Found, database: str, measure: Measure) -> str:
    goal, value = measure.goals.get(database), found.median(database, measure.name)
    if goal is None:
        return "–"
    sign = "≤" if measure.ceiling else "≥"
    if value is None:
        return f"{sign} {number(goal)}"
    reached = value <= goal if measure.ceiling else value >= goal
    return f"{sign} {number(goal)}: {'reached' if reached else 'MISSED'} ({value / goal:.2f}×)"


def _peers(found: Found) -> list[str]:
    lines = ["## Peers, in the same run", ""]
    lines += [
        "Their own clients and one worker process each. Redis is the Valkey that AeroDash ships, fsync every second; in the column "
        "after it with an fsync a write, as PostgreSQL has and as ours. On Redis a drain ends with the last handler's start, on "
        "PostgreSQL and with us when all is acknowledged.",
        "",
    ]
    lines += head(
        ["", "one by one /s", "with fsync /s", "bulk /s", "drain /s", "pickup p50 ms", "pickup p99 ms"]
    )
    names = ("enqueue_1", "enqueue_1_fsync", "bulk_1", "drain", "pickup_p50", "pickup_p99")
    for database, title in DATABASES.items():
        if database in found.figures:
            cells = [_spread(found, database, name) for name in names]
            cells[1] = cells[0]
            lines.append(row([f"**AeroDash on {title}**", *cells]))
    for peer, version in found.versions.items():
        lines.append(row([f"{peer} {version}", *(_spread(found, peer, name) for name in names)]))
    lines += [
        "",
        "AeroDash's figure divided by the peer's (pickup: the peer's by AeroDash's, so that more is better):",
        "",
    ]
    measured = [name for name in DATABASES if name in found.figures]
    lines += head(
        [
            "",
            *(
                f"{DATABASES[db]}: {word}"
                for db in measured
                for word in ("one by one", "bulk", "drain", "pickup p50")
            ),
        ]
    )
    for peer in found.versions:
        cells = []
        for database in measured:
            for name in COMPARED:
                ours, theirs = found.median(database, name), found.median(peer, name)
                if not ours or not theirs:
                    cells.append("–")
                else:
                    cells.append(f"{theirs / ours if name == 'pickup_p50' else ours / theirs:.2f}×")
        lines.append(row([peer, *cells]))
    return [*lines, ""]


def _filled(found: Found) -> list[str]:
    lines = ["## With a past", ""]
    lines += [
        f"{found.filled['finished']:,} finished jobs with their attempts and {found.filled['waiting']:,} waiting ones of another "
        f"type. Goal: at least {FILLED_GOAL}× of an empty database (pickup: the empty one's time by this one's).",
        "",
    ]
    measured = [name for name in DATABASES if f"{name}, filled" in found.figures]
    lines += head(["", *(title for name in measured for title in (DATABASES[name], "of empty"))])
    for measure in MEASURES:
        cells = []
        for database in measured:
            full, empty = (
                found.median(f"{database}, filled", measure.name),
                found.median(database, measure.name),
            )
            cells.append(_spread(found, f"{database}, filled", measure.name))
            if not full or not empty:
                cells.append("–")
                continue
            ratio = empty / full if measure.ceiling else full / empty
            cells.append(f"{ratio:.2f}×" + ("" if ratio >= FILLED_GOAL else " MISSED"))
        if any(cell != "–" for cell in cells):
            lines.append(row([measure.title, *cells]))
    return [*lines, ""]


def _snapshot(found: Found) -> list[str]:
    seen = found.snapshot
    reached = "reached" if seen["ratio"] >= 0.5 else "MISSED"
    series = ", ".join(f"{seconds} s {number(rate)}" for seconds, rate in seen["series"])
    return [
        "## PostgreSQL with a snapshot held open",
        "",
        f"For {seen['minutes']:g} minutes, at 1000 jobs a second enqueued and run besides ({seen['load_enqueued']:,} enqueued, "
        f"{seen['load_run']:,} run). Capacity is what one caller leases and settles of a burst of 10,000: before "
        f"{number(seen['before'])} jobs/s, at the end {number(seen['at_the_end'])} ({seen['ratio']:.2f}×; goal at least 0.5×: {reached}), after "
        f"{number(seen['after'])}.",
        "",
        f"By seconds since the snapshot began: {series}.",
        "",
    ]


def _spread(found: Found, subject: str, name: str) -> str:
    return spread(found.figures.get(subject, {}).get(name))
