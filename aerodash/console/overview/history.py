"""The charts of the Overview, the types that fail, and what was changed: all from the timeline and the audit log.

Plain ORM functions, each with the right that it names.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypedDict
from urllib.parse import urlencode

from django.db import connection

from aerodash.auth import Actor
from aerodash.console import charts
from aerodash.console.charts import Chart, Series, Tone, Window
from aerodash.console.overview.lines import counts
from aerodash.ids import ProjectId
from aerodash.rollups import markers, queries
from aerodash.rollups.markers import Marker
from aerodash.rollups.queries import Rollup
from jobs_admin import queries as jobs

POINTS = 180
"""About so many moments a chart has: as many as a phone can show, and few bytes to push."""
WAITS_FINE_S = 12 * 3600
"""Above it, waits are shown by the hour: a histogram for each minute of a day takes longer to read than all the rest."""
TYPES = 8
SPARKS = 14
CHANGES = 8
CHANGED_WITHIN = timedelta(days=1)
CHART_MARKERS = 12
FAILED = ("jobs.failed", "jobs.retried")
ENDED = ("jobs.completed", *FAILED)


@dataclass(frozen=True, slots=True)
class FailingType:
    """A type with failures in the time shown. rate: what part of its runs failed. bars: failures over that time, each a
    bar of an SVG of 100 by 22: x, y, height. error: of the newest job that failed for good, "" if none did."""

    type: str
    failed: int
    retried: int
    runs: int
    bars: tuple[tuple[float, float, float], ...]
    error: str
    url: str

    @property
    def rate(self) -> float:
        return 100 * (self.failed + self.retried) / self.runs if self.runs else 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """A line of "what changed"."""

    at: datetime
    icon: str
    label: str
    by: str
    url: str


@dataclass(frozen=True, slots=True)
class JobsPast:
    """outcomes, waits: charts. failing: those with most failures first."""

    outcomes: Chart
    waits: Chart
    failing: tuple[FailingType, ...]


@dataclass(frozen=True, slots=True)
class CachePast:
    operations: Chart
    hit_ratio: Chart


class _Asked(TypedDict):
    start_at: datetime
    end_at: datetime
    step_s: int


_ICONS = {
    "flag": "flag",
    "type": "adjustments",
    "schedule": "calendar-clock",
    "workers": "versions",
    "jobs": "stack-2",
    "batch": "stack-2",
    "cache": "database",
    "key": "shield-lock",
}


def of_jobs(project: ProjectId, actor: Actor, window: Window, home: str) -> JobsPast:
    """Needs queue:read. home: the project's address, "/p/shop"."""
    shown = _shown(project, actor, window, home)
    asked: _Asked = {"start_at": window.start_at, "end_at": window.end_at, "step_s": _step_s(window)}
    ended = counts(project, actor, ENDED, **asked)
    asked["step_s"] = asked["step_s"] if window.seconds <= WAITS_FINE_S else max(asked["step_s"], 3600)
    waits = queries.quantile_series(project, actor, "jobs.wait_ms", **asked, qs=(0.5, 0.95))
    lines: tuple[tuple[str, str, Tone], ...] = (
        ("completed", "jobs.completed", "good"),
        ("retrying", "jobs.retried", "warn"),
        ("failed", "jobs.failed", "bad"),
    )
    return JobsPast(
        Chart(
            "jobs", "Jobs per minute", "", ended["jobs.completed"].at,
            [Series(label, ended[metric].per_minute(), tone) for label, metric, tone in lines],
            shown, "?",
        ),
        Chart(
            "waits", "Wait until started", "ms", waits.at,
            (Series("p95", waits.values["p95"], "accent"), Series("p50", waits.values["p50"], "idle")),
            shown, "?", small=True, empty="No job was started in this time.",
        ),
        _failing(project, actor, window, home),
    )  # fmt: skip


def of_cache(project: ProjectId, actor: Actor, window: Window, home: str) -> CachePast:
    """Needs cache:read."""
    found = counts(
        project, actor, ("cache.hits", "cache.misses", "cache.writes"),
        start_at=window.start_at, end_at=window.end_at, step_s=_step_s(window),
    )  # fmt: skip
    hits, misses, writes = found.values()
    reads = [_sum(pair) for pair in zip(hits.per_minute(), misses.per_minute(), strict=True)]
    (hit,), (missed,) = hits.values.values(), misses.values.values()
    ratios = [
        100 * (one or 0) / total if (total := (one or 0) + (other or 0)) else None
        for one, other in zip(hit, missed, strict=True)
    ]
    return CachePast(
        Chart(
            "cache", "Cache operations per second", "", hits.at,
            (
                Series("reads", [_a_second(rate) for rate in reads], "accent"),
                Series("writes", [_a_second(rate) for rate in writes.per_minute()], "run"),
            ),
            _shown(project, actor, window, home), "?", url=f"{home}/cache", small=True,
        ),
        Chart(
            "hits", "Hit ratio", "%", hits.at, (Series("hits of reads", ratios, "good"),),
            (), "?", small=True, empty="Nothing was read in this time.",
        ),
    )  # fmt: skip


def changes(project: ProjectId, actor: Actor, window: Window, home: str) -> tuple[Change, ...]:
    """What was changed within the time shown, at least a day, that this person may see; the newest first."""
    start_at = min(window.start_at, window.end_at - CHANGED_WITHIN)
    found = markers.markers(project, actor, start_at=start_at, end_at=window.end_at, most=CHANGES)
    return tuple(
        Change(one.at, _ICONS.get(one.kind, "history"), one.label, one.by, _url(one, home))
        for one in reversed(found)
    )


def _failing(project: ProjectId, actor: Actor, window: Window, home: str) -> tuple[FailingType, ...]:
    start_at, end_at, step_s = window.start_at, window.end_at, int(window.seconds / SPARKS)
    found = counts(project, actor, FAILED, labels=None, start_at=start_at, end_at=end_at, step_s=step_s)
    failed, retried = (_totals(found[metric]) for metric in FAILED)
    failures = {type: failed.get(type, 0) + retried.get(type, 0) for type in {*failed, *retried}}
    worst = sorted(filter(failures.get, failures), key=lambda type: (-failures[type], type))[:TYPES]
    if not worst:
        return ()
    ended = counts(
        project, actor, ("jobs.completed",), labels=worst, start_at=start_at, end_at=end_at, step_s=step_s
    )
    completed = _totals(ended["jobs.completed"])
    errors = _last_errors(project, actor, [type for type in worst if failed.get(type)])
    return tuple(
        FailingType(
            type=type,
            failed=failed.get(type, 0),
            retried=retried.get(type, 0),
            runs=failures[type] + completed[type],
            bars=_bars([found[metric].values[type] for metric in FAILED if type in found[metric].values]),
            error=errors.get(type, ""),
            url=f"{home}/jobs?{urlencode({'status': 'failed' if failed.get(type) else 'retrying', 'type': type})}",
        )
        for type in worst
    )


def _totals(found: Rollup) -> dict[str, int]:
    return {type: sum(int(count or 0) for count in line) for type, line in found.values.items()}


def _bars(lines: Sequence[Sequence[float | None]]) -> tuple[tuple[float, float, float], ...]:
    sums = [_sum(pair) or 0 for pair in zip(*lines, strict=True)]
    highest = max(sums) or 1
    wide = 100 / len(sums)
    heights = [max(round(20 * count / highest, 1), 1.0) for count in sums]
    return tuple((round(place * wide, 1), 22 - height, height) for place, height in enumerate(heights))


def _last_errors(project: ProjectId, actor: Actor, types: Sequence[str]) -> dict[str, str]:
    """By type, of the newest job that failed for good. Index: job_by_type, its end for each type."""
    if not types:
        return {}
    newest = "SELECT * FROM (SELECT id FROM jobs_admin_job WHERE project_id = %s AND type = %s AND status = 'failed' ORDER BY id DESC LIMIT 1) AS newest_{}"
    sql = " UNION ALL ".join(newest.format(number) for number in range(len(types)))
    with connection.cursor() as cursor:
        cursor.execute(sql, [value for type in types for value in (project, type)])
        ids = [str(uuid.UUID(str(id))) for (id,) in cursor.fetchall()]
    return {row.type: row.error for row in jobs.rows(project, actor, ids=ids)}


def _shown(project: ProjectId, actor: Actor, window: Window, home: str) -> tuple[charts.Marker, ...]:
    found = markers.markers(
        project, actor, start_at=window.start_at, end_at=window.end_at, most=CHART_MARKERS
    )
    return tuple(charts.Marker(one.at.timestamp(), one.label, _url(one, home)) for one in found)


def _url(one: Marker, home: str) -> str:
    """Where a change is told: by the log in full, or by what first showed itself then."""
    if one.audit_id is not None:
        return f"{home}/audit/{one.audit_id}"
    return f"{home}/workers?{urlencode({'q': one.target})}" if one.kind == "workers" else f"{home}/engine"


def _step_s(window: Window) -> int:
    return max(int(window.seconds / POINTS), 10)


def _a_second(a_minute: float | None) -> float | None:
    return None if a_minute is None else a_minute / 60


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
