"""A chaos run in Markdown, for docs/chaos."""

import math
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.chaos.checker import RULES
from tests.chaos.history import History
from tests.chaos.snapshot import Snapshot

SHOWN_PER_RULE = 20


@dataclass(frozen=True)
class Outcome:
    """What one run was and came to."""

    database: str
    seed: str
    load_s: float
    drain_s: float
    parts: dict[str, int]
    history: History
    stored: Snapshot
    violations: dict[str, list[str]]

    @property
    def violated(self) -> int:
        return sum(len(found) for found in self.violations.values())


@dataclass(frozen=True)
class Outage:
    """The longest time in which a client that tried got no answer. at: when it began, seconds since the epoch."""

    at: float = 0.0
    lasted_s: float = 0.0
    by: str = ""


def longest_outage(history: History) -> Outage:
    longest = Outage()
    since: dict[str, float] = {}
    for op in sorted(history.ops, key=lambda op: op.until):
        if not op.by.startswith("client"):
            continue
        began = since.setdefault(op.by, op.at)
        if op.until < math.inf and op.until - began > longest.lasted_s:
            longest = Outage(began, op.until - began, op.by)
        if op.phase == "ok":
            del since[op.by]
    return longest


def outage_words(history: History) -> str:
    """How long the longest outage lasted, what its client was told, and what was being done to the parts."""
    longest = longest_outage(history)
    ends = longest.at + longest.lasted_s
    told = Counter(
        str(op.got.get("reason") or op.got.get("code") or op.phase)
        for op in history.ops
        if op.by == longest.by and op.at >= longest.at and op.until <= ends and op.phase != "ok"
    )
    hit = [
        f"{fault.kind} {fault.part} at {fault.at - longest.at:+.1f} s"
        for fault in sorted(history.faults, key=lambda fault: fault.at)
        if longest.at - 5 <= fault.at <= ends
    ]
    said = ", ".join(f"{word} ×{number}" for word, number in told.most_common(5))
    return f"{longest.lasted_s:.1f} s ({said}; {', '.join(hit)})" if said else f"{longest.lasted_s:.1f} s"


def markdown(outcome: Outcome) -> str:
    history, stored = outcome.history, outcome.stored
    verbs = sorted({op.verb for op in history.ops})
    phases = Counter((op.verb, op.phase) for op in history.ops)
    faults = Counter((fault.part.rpartition("-")[0], fault.kind) for fault in history.faults)
    parts = sorted({part for part, _ in faults})
    answers = Counter(
        answer for op in history.of("settle") for answer in op.got.get("outcomes", ["(no answer)"])
    )
    outcomes = Counter(attempt["outcome"] for attempts in stored.attempts.values() for attempt in attempts)
    statuses = Counter(job["status"] for job in stored.jobs.values())
    lines = [
        f"# Chaos on {outcome.database}, seed {outcome.seed}",
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC · {outcome.load_s / 60:.1f} minutes of load, then "
        f"{outcome.drain_s:.0f} s until all work was done · "
        + ", ".join(f"{number} {kind}" for kind, number in outcome.parts.items()),
        "",
        f"**{outcome.violated} violations** in {len(history.ops):,} operations, {len(history.faults)} faults and "
        f"{len(stored.jobs):,} jobs with {sum(map(len, stored.attempts.values())):,} runs. "
        f"Longest time without an answer: {outage_words(history)}.",
        "",
        "| operation | done | refused | no answer |",
        "|---|--:|--:|--:|",
        *(
            f"| {verb} | {phases[verb, 'ok']:,} | {phases[verb, 'fail']:,} | {phases[verb, 'unknown']:,} |"
            for verb in verbs
        ),
        "",
        "| part | killed (-9) | stopped (SIGSTOP) | restarted |",
        "|---|--:|--:|--:|",
        *(f"| {p} | {faults[p, 'kill']} | {faults[p, 'stop']} | {faults[p, 'term']} |" for p in parts),
        "",
        "Settles by answer: " + _counted(answers),
        "",
        "Runs by outcome: " + _counted(outcomes),
        "",
        "Jobs by status: " + _counted(statuses),
        "",
        f"Handler calls seen: {len(history.handled):,}, of which "
        f"{sum(handled.ended is None for handled in history.handled):,} never returned.",
        "",
        "| rule | violations |",
        "|---|--:|",
        *(
            f"| {name} | {len(outcome.violations.get(name, ()))} |"
            for name in (rule.__name__.replace("_", " ") for rule in RULES)
        ),
        "",
    ]
    for rule, found in outcome.violations.items():
        lines += [f"## {rule}", "", *(f"- {each}" for each in found[:SHOWN_PER_RULE])]
        lines += [f"- … and {len(found) - SHOWN_PER_RULE} more"] if len(found) > SHOWN_PER_RULE else []
        lines += [""]
    return "\n".join(lines)


def _counted(numbers: Counter[str]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in numbers.most_common()) or "none"
