"""What can be asked about the past. Plain functions over the ORM, as jobs_admin.queries; nothing here changes anything.

Metrics that the apps keep (kind; label):
    jobs.enqueued, jobs.completed, jobs.failed, jobs.retried, jobs.cancelled   (count; type)
    jobs.wait_ms (from due to leased), jobs.run_ms (what a worker said)        (histogram; type)
    jobs.due, jobs.oldest_due_s                                                (gauge; type)
    workers.alive                                                              (gauge; version)
    cache.hits, cache.misses, cache.writes, cache.expired                      (count)
    cache.keys, cache.memory_bytes (the engine's), cache.replica_lag_bytes, cache.replica_silent_s   (gauge)
    cache.engine_runs                                                          (gauge; the server's run)

A labelled metric has the project's whole under label None. Ranges are aware datetimes, the end excluded; both ends are
rounded outwards to whole steps. Figures are two to five seconds behind (`tally`, `store`), gauges up to ten.
Every function takes the right that its metric names, and raises NotAllowed, InvalidInput for a range that is empty or
longer than 400 days, django.db.Error.
"""

import operator
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce

from django.db.models import F, OuterRef, Subquery, Sum
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce

from aerodash import instants
from aerodash.auth import Actor
from aerodash.errors import InvalidInput
from aerodash.ids import ProjectId
from aerodash.models import RollupBucket, RollupSeries
from aerodash.rollups import steps
from aerodash.rollups.cells import Cell, unpack
from aerodash.rollups.metrics import OTHER, TOTAL, Keep, Kind, Metric, find

NEWEST_S = 30
"""How old the newest sample of a gauge may be to tell how it is now."""

BEHIND_S = 3
"""About how long it takes until what happens is in the figures."""


@dataclass(frozen=True, slots=True)
class Rollup:
    """A metric over time. at: where each step begins, in seconds since the epoch. values: by label, one for each step.

    Counts: how many within the step, 0 where nothing happened. Gauges, quantiles: None where nothing was measured.
    step_s: how long a step is. as_of_s: up to when the figures are whole; the last step may go on beyond it.
    """

    at: list[int]
    values: dict[str, list[float | None]]
    step_s: int
    as_of_s: int

    def per_minute(self, label: str = TOTAL) -> list[float | None]:
        """Counts as a rate. Of a step that is not over, the part that is whole counts: the line does not dip at its end.

        None for steps that lie wholly in the future.
        """
        rates: list[float | None] = []
        for at, value in zip(self.at, self.values[label], strict=True):
            seconds = min(self.step_s, max(self.as_of_s - at, min(self.step_s, steps.FINEST_S)))
            rates.append(None if value is None or at > self.as_of_s + BEHIND_S else value * 60 / seconds)
        return rates


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Times of a range, in milliseconds. values: by q, each within 3.2 % of an observed time; empty if count is 0."""

    count: int
    mean: float | None
    values: dict[float, float]


@dataclass(frozen=True, slots=True)
class Newest:
    """A gauge as it was measured last."""

    at: datetime
    value: float


def series(
    project: ProjectId,
    actor: Actor,
    metric: str,
    *,
    label: str | None = None,
    start_at: datetime,
    end_at: datetime,
    step_s: int | None = None,
) -> Rollup:
    """One line of a chart: counts or a gauge of one label, or of the project as a whole (None), under that label ("").

    Of a histogram: how many times were counted (quantile_series has the times). step_s: at least so long; else the finest steps that
    reach back to start_at and are no more than 1100: 10 s for the last 3 h, 2 min for a day, 12 h for 400 days.
    A gauge's longer steps hold what one looks for: the worst of jobs.due, jobs.oldest_due_s, workers.alive, else the mean.
    """
    asked = _asked(actor, metric, start_at, end_at, step_s)
    label = label or TOTAL
    return asked.rollup({label: _values(project, asked, label)})


def by_label(
    project: ProjectId,
    actor: Actor,
    metric: str,
    *,
    start_at: datetime,
    end_at: datetime,
    step_s: int | None = None,
    most: int = 6,
) -> Rollup:
    """Counts of the labels that had the most of them, the most first, and of all others together as "(other)".

    most: 1..20. Labels without any are left out, and "(other)" where nothing is left for it.
    """
    asked = _asked(actor, metric, start_at, end_at, step_s)
    top = [label for label, _ in totals(project, actor, metric, start_at=start_at, end_at=end_at, most=most)]
    values = {label: _values(project, asked, label) for label in top if label != OTHER}
    whole = _values(project, asked, TOTAL)
    rest: list[float | None] = [
        (all_of_it or 0) - sum(line[at] or 0 for line in values.values())
        for at, all_of_it in enumerate(whole)
    ]
    if any(rest):
        values[OTHER] = rest
    return asked.rollup(values)


def totals(
    project: ProjectId,
    actor: Actor,
    metric: str,
    *,
    start_at: datetime,
    end_at: datetime,
    most: int = 20,
) -> list[tuple[str, int]]:
    """The labels with the highest counts in a range, the highest first; at most `most` (1..1000) of them."""
    asked = _asked(actor, metric, start_at, end_at, None)
    counted: list[Combinable] = []
    for tile in asked.tiles():
        # A range of the primary key for each series: of a join PostgreSQL would read all that is kept.
        of_one = _buckets(tile).filter(series_id=OuterRef("pk")).order_by().values("series_id")
        counted.append(Coalesce(Subquery(of_one.annotate(number=Sum("count")).values("number")), 0))
    series = RollupSeries.objects.filter(project_id=project, metric=metric).exclude(label=TOTAL)
    top = series.annotate(number=reduce(operator.add, counted)).order_by("-number", "pk")[:most]
    return [(label, int(number)) for label, number in top.values_list("label", "number") if number]


def total(
    project: ProjectId,
    actor: Actor,
    metric: str,
    *,
    label: str | None = None,
    start_at: datetime,
    end_at: datetime,
) -> int:
    """How many there were in a range, of one label or of all."""
    asked = _asked(actor, metric, start_at, end_at, None)
    one = _series(project, metric, label or TOTAL)
    if one is None:
        return 0
    counted = (
        _buckets(tile).filter(series_id=one).aggregate(Sum("count"))["count__sum"] for tile in asked.tiles()
    )
    return sum(count or 0 for count in counted)


def quantiles(
    project: ProjectId,
    actor: Actor,
    metric: str,
    *,
    label: str | None = None,
    start_at: datetime,
    end_at: datetime,
    qs: Sequence[float] = (0.5, 0.95, 0.99),
) -> Quantiles:
    """The times of a range below which these parts (0..1) of all lie, of one label or of all: merged, never averaged."""
    asked = _asked(actor, metric, start_at, end_at, None)
    one = _series(project, metric, label or TOTAL)
    merged = Cell()
    for tile in asked.tiles() if one is not None else ():
        for cell in _cells(_buckets(tile).filter(series_id=one)).values():
            merged.add(cell)
    if not merged.count:
        return Quantiles(0, None, {})
    values = dict(zip(qs, merged.quantiles(qs), strict=True))
    return Quantiles(merged.count, merged.total / merged.count, values)


def quantile_series(
    project: ProjectId,
    actor: Actor,
    metric: str,
    *,
    label: str | None = None,
    start_at: datetime,
    end_at: datetime,
    step_s: int | None = None,
    qs: Sequence[float] = (0.5, 0.95, 0.99),
) -> Rollup:
    """The same in steps: a line for each q, under "p50", "p95", "p99", "p99.9". None where there were no times."""
    asked = _asked(actor, metric, start_at, end_at, step_s)
    names = [f"p{100 * q:g}" for q in qs]
    found = [cell.quantiles(qs) if cell.count else None for cell in _read(project, asked, label or TOTAL)]
    lines: dict[str, list[float | None]] = {
        name: [None if values is None else values[at] for values in found] for at, name in enumerate(names)
    }
    return asked.rollup(lines)


def newest(project: ProjectId, actor: Actor, metric: str, *, label: str | None = None) -> Newest | None:
    """A gauge as it is now: its mean over the newest 10 s that have a sample. None if nothing was measured for 30 s."""
    actor.require(find(metric).scope)
    since = int(time.time()) - NEWEST_S
    buckets = RollupBucket.objects.filter(step_s=steps.FINEST_S)
    whole = _series(project, metric, TOTAL)
    found = buckets.filter(series_id=whole, at_s__gte=since).order_by("-at_s").first()
    if whole is None or found is None:
        return None
    at = instants.of_ms(found.at_s * 1000)
    if label:
        # A label that the newest sample did not name is 0.
        found = buckets.filter(series_id=_series(project, metric, label), at_s=found.at_s).first()
    return Newest(at, found.total / found.count if found is not None else 0.0)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question whose right and range are checked."""

    metric: Metric
    start_s: int
    end_s: int
    now_s: int
    choice: steps.Choice

    def tiles(self) -> list[steps.Tile]:
        return steps.tiles(self.start_s, self.end_s, self.now_s)

    def rollup(self, values: dict[str, list[float | None]]) -> Rollup:
        return Rollup(self.choice.starts(), values, self.choice.shown_s, self.now_s - BEHIND_S)


def _asked(actor: Actor, metric: str, start_at: datetime, end_at: datetime, step_s: int | None) -> _Asked:
    known = find(metric)
    actor.require(known.scope)
    start_s, end_s = check_range(start_at, end_at)
    now_s = int(time.time())
    return _Asked(known, start_s, end_s, now_s, steps.choose(start_s, end_s, now_s, step_s or 0))


def check_range(start_at: datetime, end_at: datetime) -> tuple[int, int]:
    """Both ends in whole seconds since the epoch. Raises InvalidInput for an empty or a too long range."""
    start_s, end_s = instants.ms_of(start_at) // 1000, -(-instants.ms_of(end_at) // 1000)
    if start_s >= end_s:
        raise InvalidInput("The range ends before it begins.", reason="out_of_range", field="from")
    if end_s - start_s > steps.LONGEST_S:
        raise InvalidInput("The range is longer than 400 days.", reason="out_of_range", field="from")
    return start_s, end_s


def _series(project: ProjectId, metric: str, label: str) -> int | None:
    found = RollupSeries.objects.filter(project_id=project, metric=metric, label=label)
    return found.values_list("pk", flat=True).first()


def _buckets(tile: steps.Tile):
    return RollupBucket.objects.filter(step_s=tile.step_s, at_s__gte=tile.start_s, at_s__lt=tile.end_s)


def _cells(buckets) -> dict[int, Cell]:
    """Buckets of one series and step by their instant."""
    rows = buckets.values_list("at_s", "count", "total", "least", "most", "times")
    return {row[0]: Cell(*row[1:5], unpack(row[5])) for row in rows}


def _read(project: ProjectId, asked: _Asked, label: str) -> list[Cell]:
    """A series' buckets put together into the steps that are shown."""
    choice = asked.choice
    shown = [Cell() for _ in range(choice.start_s, choice.end_s, choice.shown_s)]
    one = _series(project, asked.metric.name, label)
    if one is not None:
        for at_s, cell in _cells(_buckets(choice.tile()).filter(series_id=one)).items():
            shown[(at_s - choice.start_s) // choice.shown_s].add(cell)
    return shown


def _values(project: ProjectId, asked: _Asked, label: str) -> list[float | None]:
    if asked.metric.kind is not Kind.GAUGE:
        return _counts(project, asked, label)
    cells = _read(project, asked, label)
    if label == TOTAL:
        return [_kept(asked.metric.keep, cell, cell.count) for cell in cells]
    samples = _counts(project, asked, TOTAL)
    return [
        _kept(asked.metric.keep, cell, int(number or 0)) for cell, number in zip(cells, samples, strict=True)
    ]


def _counts(project: ProjectId, asked: _Asked, label: str) -> list[float | None]:
    choice = asked.choice
    shown: list[float | None] = [0] * len(choice.starts())
    if (one := _series(project, asked.metric.name, label)) is not None:
        buckets = _buckets(choice.tile()).filter(series_id=one)
        step = (F("at_s") - choice.start_s) / choice.shown_s  # of whole numbers, so whole
        for at, count in buckets.annotate(step=step).values_list("step").annotate(Sum("count")):
            shown[at] = count
    return shown


def _kept(keep: Keep, cell: Cell, samples: int) -> float | None:
    """What stands for so many samples. A label that one of them did not name was 0 then."""
    if not samples:
        return None
    if keep is Keep.MEAN:
        return cell.total / samples
    if keep is Keep.LEAST:
        return cell.least if cell.least is not None and cell.count >= samples else 0.0
    return cell.most or 0.0
