"""What the Types pages show: the types of a project, those that need a person first; how each stands, and how it did lately.

How they stand is read as it is now; how they did comes from the timeline (aerodash.rollups) and is kept for FRESH_S,
because the timeline itself is a few seconds behind. Plain functions over the ORM; all need the queue:read right.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import batched

from django.db import connection
from django.db.models import Sum

from aerodash import instants
from aerodash.auth import Actor, Scope
from aerodash.ids import ProjectId
from aerodash.models import RollupBucket, RollupSeries
from aerodash.realtime.shared import once
from aerodash.rollups import steps
from aerodash.rollups.cells import add_times, quantiles, unpack
from jobs_admin.engine.rules import rate_of
from jobs_admin.models import JobCounter, JobType, RateBucket, Schedule
from jobs_admin.records import Counts, TypeRow, type_row

LATE_S = 120
"""A due job that has waited for longer than this needs a person's look."""

FAILING_PERCENT = 10
FAILING_RUNS = 5
"""A type fails if so many of its runs of the last hour did, and so many of a hundred."""

TROUBLES = ("failing", "stuck", "late", "paused")
"""Why a type needs a person, worst first. stuck: its due jobs are late, none runs, and none ended in the last minutes."""

MINUTES = 60
RATE_MINUTES = 5
STEP_S = 60
FRESH_S = 10.0

DUE_COUNTED = 10_000
"""So many due jobs of a type and a priority are counted one by one, and so many that are not due yet."""

_NAMES_AT_ONCE = 500
_ENDS = ("jobs.completed", "jobs.failed", "jobs.retried")
_WRONG = ("jobs.failed", "jobs.retried")
_TIMES = ("jobs.wait_ms", "jobs.run_ms")


@dataclass(frozen=True, slots=True)
class Place:
    """A type and its place in the list. key: what the list is ordered by, and a cursor. trouble: of TROUBLES, or ""."""

    key: str
    name: str
    trouble: str


@dataclass(frozen=True, slots=True)
class Due:
    """What could start now. number: None where there are more than DUE_COUNTED. oldest_at: when the first became due."""

    number: int | None = 0
    oldest_at: datetime | None = None

    @property
    def waits_s(self) -> float:
        return 0.0 if self.oldest_at is None else max((datetime.now(UTC) - self.oldest_at).total_seconds(), 0)


@dataclass(frozen=True, slots=True)
class Times:
    """In seconds; within 3.2 % of an observed time."""

    p50_s: float
    p95_s: float


@dataclass(slots=True)
class Hour:
    """How the runs of the last 60 minutes ended. minutes: how many ended, of each minute, the oldest first."""

    completed: int = 0
    failed: int = 0
    retried: int = 0
    minutes: list[int] = field(default_factory=lambda: [0] * MINUTES)
    wait: Times | None = None
    run: Times | None = None

    @property
    def runs(self) -> int:
        return self.completed + self.failed + self.retried

    @property
    def wrong(self) -> int:
        """Runs that failed, for good or to be tried again."""
        return self.failed + self.retried

    @property
    def wrong_percent(self) -> float | None:
        return 100 * self.wrong / self.runs if self.runs else None

    @property
    def per_minute(self) -> float:
        """Runs that ended, as the mean of the last minutes that are over."""
        return sum(self.minutes[-RATE_MINUTES - 1 : -1]) / RATE_MINUTES

    @property
    def is_failing(self) -> bool:
        return _is_failing(self.wrong, self.runs)

    @property
    def is_moving(self) -> bool:
        """Whether runs ended in the last minutes: a type that may start few is between two runs most of the time."""
        return any(self.minutes[-RATE_MINUTES - 1 :])


@dataclass(frozen=True, slots=True)
class TypeNow:
    """One type as it stands. hour: None if the timeline does not tell it apart, or nothing of it was ever counted."""

    row: TypeRow
    due: Due
    hour: Hour | None

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def is_late(self) -> bool:
        return self.row.paused is None and self.due.waits_s > LATE_S

    @property
    def trouble(self) -> str:
        """The worst of what is wrong with it, of TROUBLES; "" for nothing."""
        if self.row.paused is not None:
            return "paused"
        return _trouble(
            is_failing=self.hour is not None and self.hour.is_failing,
            is_late=self.is_late,
            runs=self.is_taken,
        )

    @property
    def is_taken(self) -> bool:
        """Whether somebody runs its jobs."""
        return self.row.counts.processing > 0 or (self.hour is not None and self.hour.is_moving)


def roster(project: ProjectId, actor: Actor, *, since: float) -> list[Place]:
    """All types that have jobs or settings: those that need a person first, each kind of trouble by name.

    since: time.monotonic(); what another thread read after it will do.
    """
    actor.require(Scope.QUEUE_READ)
    return once(("types-roster", project), since, lambda: _roster(project))


def look(project: ProjectId, actor: Actor, *, names: Sequence[str], since: float) -> list[TypeNow]:
    """These types (at most some hundred) as they stand, in the order given. since: as in roster."""
    actor.require(Scope.QUEUE_READ)
    wanted = tuple(names)
    return once(("types-look", project, wanted), since, lambda: _look(project, wanted))


def is_spent(project: ProjectId, actor: Actor, *, type: TypeRow) -> bool:
    """Whether all starts that the type's rate allows by now are used up."""
    actor.require(Scope.QUEUE_READ)
    say = type.settings
    rate = rate_of(say.rate, say.rate_per_ms, say.rate_burst)
    kept = RateBucket.objects.filter(project_id=project, type=type.name, partition_key="").first()
    if rate is None or kept is None:
        return False
    return rate.ms_to_one(rate.tokens(kept.tokens, kept.at_ms, instants.now_ms())) > 0


def schedules_of(project: ProjectId, actor: Actor, *, type: str, limit: int = 20) -> list[Schedule]:
    """The schedules that enqueue jobs of a type, what comes first on top; paused ones last."""
    actor.require(Scope.QUEUE_READ)
    found = Schedule.objects.filter(project_id=project, type=type).defer("job")[:limit]
    return sorted(found, key=lambda one: (one.next_at_ms is None, one.next_at_ms or 0, one.name))


def _roster(project: ProjectId) -> list[Place]:
    names = set(_values(JobCounter.objects.filter(project_id=project).order_by().distinct(), "type"))
    settings = JobType.objects.filter(project_id=project)
    names.update(_values(settings, "name"))
    paused = set(_values(settings.filter(paused_at_ms__isnull=False), "name"))
    late = _late(project, instants.now_ms()) - paused
    running = _running(project, late)
    fresh = time.monotonic() - FRESH_S
    if late - running:
        running |= once(("types-moving", project), fresh, lambda: _moving(project))
    failing = once(("types-failing", project), fresh, lambda: _failing(project))
    places = []
    for name in names:
        trouble = "paused" if name in paused else _trouble(
            is_failing=name in failing, is_late=name in late, runs=name in running
        )  # fmt: skip
        places.append(Place(key_of(name, trouble), name, trouble))
    return sorted(places, key=lambda place: place.key)


def key_of(name: str, trouble: str) -> str:
    """Where a type stands in the list."""
    return f"{TROUBLES.index(trouble) if trouble else len(TROUBLES)}{name}"


def _trouble(*, is_failing: bool, is_late: bool, runs: bool) -> str:
    if is_failing:
        return "failing"
    if is_late:
        return "late" if runs else "stuck"
    return ""


def _is_failing(wrong: int, runs: int) -> bool:
    return wrong >= FAILING_RUNS and 100 * wrong >= FAILING_PERCENT * runs


def _values(rows: object, field: str) -> Iterable[str]:
    return rows.values_list(field, flat=True)  # type: ignore[attr-defined]


# The first job of each lane is one step into the index of what waits.
_FIRST_DUE = """
SELECT lane.type FROM jobs_admin_joblane AS lane
WHERE lane.project_id = %s AND (
    SELECT job.due_at_ms FROM jobs_admin_job AS job {hint}
    WHERE job.project_id = lane.project_id AND job.type = lane.type AND job.priority = lane.priority
        AND job.status = 'pending'
    ORDER BY job.due_at_ms LIMIT 1
) < %s
"""

# Both counts end after so many steps, however much waits: what is due is counted directly, or as what is not.
_DUE = """
SELECT
    lane.type,
    (SELECT count(*) FROM (SELECT 1 FROM jobs_admin_job AS job {hint} WHERE {lane} AND job.due_at_ms <= %s LIMIT {most}) AS due),
    (SELECT count(*) FROM (SELECT 1 FROM jobs_admin_job AS job {hint} WHERE {lane} AND job.due_at_ms > %s LIMIT {most}) AS later),
    (SELECT job.due_at_ms FROM jobs_admin_job AS job {hint} WHERE {lane} ORDER BY job.due_at_ms LIMIT 1)
FROM jobs_admin_joblane AS lane
WHERE lane.project_id = %s AND lane.type IN ({names})
"""
_LANE = (
    "job.project_id = lane.project_id AND job.type = lane.type AND job.priority = lane.priority "
    "AND job.status = 'pending'"
)


def _hint() -> str:
    """Left alone, SQLite takes job_by_type and looks every row up for its due time."""
    return "INDEXED BY job_lease_order" if connection.vendor == "sqlite" else ""


def _late(project: ProjectId, now_ms: int) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(_FIRST_DUE.format(hint=_hint()), [project, now_ms - LATE_S * 1000])
        return {name for (name,) in cursor.fetchall()}


def _running(project: ProjectId, names: set[str]) -> set[str]:
    """Those of these types of which a job runs."""
    if not names:
        return set()
    counted = JobCounter.objects.filter(project_id=project, status="processing")
    if len(names) <= _NAMES_AT_ONCE:
        counted = counted.filter(type__in=names)
    sums = counted.order_by().values_list("type").annotate(Sum("count"))
    return {name for name, count in sums if count > 0} & names


def _moving(project: ProjectId) -> set[str]:
    """Types of which runs ended in the last minutes."""
    since_s = _first_minute() + (MINUTES - RATE_MINUTES - 1) * STEP_S
    return {name for name, count in _sums(project, _ENDS, STEP_S, since_s) if count}


def _failing(project: ProjectId) -> set[str]:
    """Types that fail. The hours' buckets, of which there are few, tell which types are to be looked at by the minute."""
    hour_s = steps.floor(int(time.time()), 3600) - 3600
    suspects = _at_least(FAILING_RUNS, _sums(project, _WRONG, 3600, hour_s))
    wrong = _at_least(FAILING_RUNS, _sums(project, _WRONG, STEP_S, _first_minute(), of=list(suspects)))
    completed = dict(_sums(project, ("jobs.completed",), STEP_S, _first_minute(), of=list(wrong)))
    return {name for name, count in wrong.items() if _is_failing(count, count + completed.get(name, 0))}


def _at_least(number: int, sums: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The labels that come to so many."""
    together: dict[str, int] = {}
    for name, count in sums:
        together[name] = together.get(name, 0) + count
    return {name: count for name, count in together.items() if count >= number}


def _sums(
    project: ProjectId, metrics: Sequence[str], step_s: int, since_s: int, of: Sequence[str] | None = None
) -> list[tuple[str, int]]:
    """How many there were of each label, or of these, since then. A thousand types of a project are told apart."""
    if of is not None and not of:
        return []
    series = RollupSeries.objects.filter(project_id=project, metric__in=metrics).exclude(label="")
    if of is not None and len(of) <= _NAMES_AT_ONCE:
        series = series.filter(label__in=of)
    labels = dict(series.values_list("pk", "label"))
    if of is not None:
        wanted = set(of)
        labels = {pk: label for pk, label in labels.items() if label in wanted}
    sums: list[tuple[str, int]] = []
    for some in batched(labels, _NAMES_AT_ONCE, strict=False):
        found = RollupBucket.objects.filter(series_id__in=some, step_s=step_s, at_s__gte=since_s)
        sums += [(labels[pk], count) for pk, count in found.values_list("series_id").annotate(Sum("count"))]
    return sums


def _first_minute() -> int:
    now_s = int(time.time())
    return now_s - now_s % STEP_S - (MINUTES - 1) * STEP_S


def _look(project: ProjectId, names: tuple[str, ...]) -> list[TypeNow]:
    if not names:
        return []
    counted: dict[str, dict[str, int]] = {}
    counters = JobCounter.objects.filter(project_id=project, type__in=names)
    for name, status, count in counters.values_list("type", "status").annotate(Sum("count")):
        counted.setdefault(name, {})[status] = count
    said = {row.name: row for row in JobType.objects.filter(project_id=project, name__in=names)}
    due = _due(project, names, {name: by_status.get("pending", 0) for name, by_status in counted.items()})
    fresh = time.monotonic() - FRESH_S
    hours = once(("types-hours", project, names), fresh, lambda: _hours(project, names))
    return [
        TypeNow(
            type_row(name, Counts(**counted.get(name, {})), said.get(name)),
            due.get(name, Due()),
            hours.get(name),
        )
        for name in names
    ]


def _due(project: ProjectId, names: Sequence[str], pending: dict[str, int]) -> dict[str, Due]:
    now_ms = instants.now_ms()
    sql = _DUE.format(hint=_hint(), lane=_LANE, most=DUE_COUNTED + 1, names=", ".join(["%s"] * len(names)))
    with connection.cursor() as cursor:
        cursor.execute(sql, [now_ms, now_ms, project, *names])
        lanes = cursor.fetchall()
    number: dict[str, int] = {}
    later: dict[str, int] = {}
    is_cut: dict[str, bool] = {}
    is_later_cut: dict[str, bool] = {}
    first: dict[str, int] = {}
    for name, due, not_due, first_ms in lanes:
        number[name] = number.get(name, 0) + due
        later[name] = later.get(name, 0) + not_due
        is_cut[name] = is_cut.get(name, False) or due > DUE_COUNTED
        is_later_cut[name] = is_later_cut.get(name, False) or not_due > DUE_COUNTED
        if first_ms is not None and first_ms <= now_ms:
            first[name] = min(first.get(name, first_ms), first_ms)
    found = {}
    for name in number:
        exact: int | None = number[name]
        if is_cut[name]:
            exact = None if is_later_cut[name] else max(pending.get(name, 0) - later[name], 0)
        oldest = first.get(name)
        found[name] = Due(exact, None if oldest is None else instants.of_ms(oldest))
    return found


# Read past the ORM: of a page of busy types these are ten thousand rows. Of times, the hour that goes on is one bucket.
_COUNTS = """
SELECT series_id, at_s, count FROM aerodash_rollupbucket
WHERE step_s = 60 AND at_s >= %s AND series_id IN ({series})
"""
_HISTOGRAMS = """
SELECT series_id, times FROM aerodash_rollupbucket
WHERE step_s = 60 AND at_s >= %s AND at_s < %s AND series_id IN ({series})
UNION ALL
SELECT series_id, times FROM aerodash_rollupbucket
WHERE step_s = 3600 AND at_s >= %s AND series_id IN ({series})
"""


def _hours(project: ProjectId, names: Sequence[str]) -> dict[str, Hour]:
    """The last hour of the types that the timeline tells apart."""
    series = RollupSeries.objects.filter(project_id=project, metric__in=(*_ENDS, *_TIMES), label__in=names)
    of_series = {pk: (metric, label) for pk, metric, label in series.values_list("pk", "metric", "label")}
    if not of_series:
        return {}
    hours = {label: Hour() for _, label in of_series.values()}
    counts = [pk for pk, (metric, _) in of_series.items() if metric in _ENDS]
    times = [pk for pk, (metric, _) in of_series.items() if metric in _TIMES]
    first_s = _first_minute()
    for pk, at_s, count in _rows(_COUNTS, counts, first_s):
        metric, label = of_series[pk]
        hour, minute = hours[label], (at_s - first_s) // STEP_S
        ended = metric.removeprefix("jobs.")
        setattr(hour, ended, getattr(hour, ended) + count)
        if minute < MINUTES:
            hour.minutes[minute] += count
    hour_s = steps.floor(int(time.time()), 3600)
    merged: dict[int, dict[int, int]] = {}
    for pk, packed in _rows(_HISTOGRAMS, times, first_s, hour_s, twice=hour_s):
        add_times(merged.setdefault(pk, {}), unpack(packed))
    for pk, histogram in merged.items():
        metric, label = of_series[pk]
        p50_ms, p95_ms = quantiles(histogram, (0.5, 0.95))
        taken = Times(p50_ms / 1000, p95_ms / 1000)
        setattr(hours[label], "wait" if metric == "jobs.wait_ms" else "run", taken)
    return hours


def _rows(sql: str, series: Sequence[int], *values: int, twice: int | None = None) -> list[tuple]:
    """The buckets of these series. twice: the value of a statement's second part, which names the series again."""
    if not series:
        return []
    parts = [*values, *series] if twice is None else [*values, *series, twice, *series]
    with connection.cursor() as cursor:
        cursor.execute(sql.format(series=", ".join(["%s"] * len(series))), parts)
        return cursor.fetchall()
