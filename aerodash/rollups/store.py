"""The rows of the timeline. Only the keeper writes buckets; plain functions for the ORM, each of them one or more
transactions that are right wherever they are cut off.

A delta is added to the buckets of every resolution in the transaction that deletes it, so there is no later folding that
could be done twice or not at all. Whoever writes buckets holds one lock meanwhile: they are read, added to and written.
All raise django.db.Error.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import batched

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from aerodash.ids import ProjectId
from aerodash.models import Project, RollupBucket, RollupDelta, RollupSeries
from aerodash.rollups.cells import Cell, pack, unpack
from aerodash.rollups.metrics import LABEL_CHARS, LABELS_MOST, OTHER, TOTAL
from aerodash.rollups.steps import RESOLUTIONS, floor
from aerodash.rollups.tally import Delta, Key, cells_of

DELTAS_AT_ONCE = 50
CELLS_AT_ONCE = 400
"""In one transaction, about: others wait for the lock that it holds."""
SERIES_AT_ONCE = 5
_LOCK = 0x726F6C6C757073  # "rollups"; PostgreSQL's advisory locks are numbers
_IDS_AT_ONCE = 500

_UPSERT = """
INSERT INTO aerodash_rollupbucket (series_id, step_s, at_s, count, total, least, most, times)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (series_id, step_s, at_s) DO UPDATE
SET count = excluded.count, total = excluded.total, least = excluded.least, most = excluded.most, times = excluded.times
"""

type SeriesKey = tuple[ProjectId, str, str]
"""Project, metric, label."""

log = logging.getLogger("aerodash.rollups")


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured at one instant. gauges: by project, metric and label, the whole under TOTAL.

    counters: what counters elsewhere say, by project and metric. turns: what `turns` said before they were read.
    """

    at_s: int
    gauges: dict[SeriesKey, float] = field(default_factory=dict)
    counters: dict[tuple[ProjectId, str], int] = field(default_factory=dict)
    turns: Mapping[tuple[ProjectId, str], int] = field(default_factory=dict)


def send(deltas: Sequence[Delta]) -> None:
    """Add these rows, all or none. All that other processes than the keeper ever write here."""
    RollupDelta.objects.bulk_create(RollupDelta(project_id=project, figures=text) for project, text in deltas)


def ingest(now_s: int | None = None) -> bool:
    """Add the oldest deltas to the buckets, and delete them. Returns whether there may be more."""
    if not RollupDelta.objects.exists():
        return False
    with _alone():
        taken: list[int] = []
        cells: dict[Key, Cell] = {}
        for delta in RollupDelta.objects.order_by("pk")[:DELTAS_AT_ONCE]:
            taken.append(delta.pk)
            for key, cell in _cells_of(delta):
                project, metric, label, at_s = key
                cells.setdefault(key, Cell()).add(cell)
                if label != TOTAL:
                    cells.setdefault((project, metric, TOTAL, at_s), Cell()).add(cell)
            if len(cells) >= CELLS_AT_ONCE:
                break
        _add(cells, _now_s() if now_s is None else now_s)
        RollupDelta.objects.filter(pk__in=taken).delete()
    return len(taken) == DELTAS_AT_ONCE or len(cells) >= CELLS_AT_ONCE


def turns(metrics: Iterable[str]) -> dict[tuple[ProjectId, str], int]:
    """How often the counters of these metrics were read; to be asked before they are read again. See Sample."""
    rows = RollupSeries.objects.filter(metric__in=list(metrics), label=TOTAL)
    return {
        (project, metric): turn for project, metric, turn in rows.values_list("project_id", "metric", "turn")
    }


def add_sample(sample: Sample, now_s: int | None = None) -> None:
    """Add what was measured. What a counter says is added as far as it has grown since it was read last.

    A counter that another keeper has read since `turns` is left out: that one's figures are newer.
    """
    now_s = _now_s() if now_s is None else now_s
    for gauges in batched(sample.gauges.items(), CELLS_AT_ONCE):
        cells: dict[Key, Cell] = {}
        for (project, metric, label), value in gauges:
            cells.setdefault((project, metric, label, sample.at_s), Cell()).observe(value)
        with _alone():
            _add(cells, now_s)
    for counters in batched(sample.counters.items(), CELLS_AT_ONCE):
        with _alone():
            _add(_growth(dict(counters), sample), now_s)


def prune(after: int, now_s: int | None = None) -> int | None:
    """Delete what is older than it is kept of the next few series, and series that have nothing left or no project.

    after: the number of the series before them, 0 at the start. Returns that of the last; None when there are no more.
    """
    now_s = _now_s() if now_s is None else now_s
    some = RollupSeries.objects.filter(pk__gt=after).order_by("pk")
    ids = list(some.values_list("pk", flat=True)[:SERIES_AT_ONCE])
    if not ids:
        return None
    with _alone():
        buckets = RollupBucket.objects.filter(series_id__in=ids)
        for kept in RESOLUTIONS:
            buckets.filter(step_s=kept.step_s, at_s__lt=now_s - kept.kept_s - kept.step_s).delete()
        series = RollupSeries.objects.filter(pk__in=ids)
        series.exclude(Exists(Project.objects.filter(pk=OuterRef("project_id")))).delete()
        # One that follows a counter remembers what that said last, also while it says nothing new.
        series.filter(counter=None).exclude(
            Exists(RollupBucket.objects.filter(series_id=OuterRef("pk")))
        ).delete()
    return ids[-1]


def grown(before: int, now: int) -> int:
    """By how much a counter has grown. One that went down began again at 0, and all it says is new.

    Unless it still says more than half of what it said: then its store came back as it was a while ago, and all of that
    was counted already.
    """
    if now >= before:
        return now - before
    return now if 2 * now <= before else 0


def _growth(counters: dict[tuple[ProjectId, str], int], sample: Sample) -> dict[Key, Cell]:
    """Note what these counters say now; how much they have grown."""
    projects, metrics = {project for project, _ in counters}, {metric for _, metric in counters}
    rows = RollupSeries.objects.filter(project_id__in=projects, metric__in=metrics, label=TOTAL)
    known = {(row.project_id, row.metric): row for row in rows}
    cells: dict[Key, Cell] = {}
    changed: list[RollupSeries] = []
    new: list[RollupSeries] = []
    for key, value in counters.items():
        row = known.get(key)
        if row is None:
            project, metric = key
            new.append(
                RollupSeries(
                    project_id=project,
                    metric=metric,
                    label=TOTAL,
                    first_at_s=sample.at_s,
                    counter=value,
                    turn=1,
                )
            )
            continue
        if row.turn != sample.turns.get(key, 0) or row.counter == value:
            continue
        if row.counter is not None and (growth := grown(row.counter, value)):
            cells[(*key, TOTAL, sample.at_s)] = Cell(growth)
        row.counter, row.turn = value, row.turn + 1
        changed.append(row)
    RollupSeries.objects.bulk_create(new)
    RollupSeries.objects.bulk_update(changed, ["counter", "turn"])
    return cells


def _cells_of(delta: RollupDelta) -> list[tuple[Key, Cell]]:
    try:
        return cells_of(delta.project_id, delta.figures)
    except ValueError:
        log.exception("figures of project %s cannot be read and are lost", delta.project_id)
        return []


def _add(cells: Mapping[Key, Cell], now_s: int) -> None:
    """Add to the buckets of every resolution that still keeps such old ones."""
    ids, cells = _of_series(cells)
    for resolution in RESOLUTIONS:
        added: dict[tuple[int, int], Cell] = {}
        for (*series, at_s), cell in cells.items():
            if resolution.knows(at_s, now_s):
                place = (floor(at_s, resolution.step_s), ids[tuple(series)])
                added.setdefault(place, Cell()).add(cell)
        for place, cell in _stored(resolution.step_s, added).items():
            added[place].add(cell)
        _write(resolution.step_s, added)


def _stored(step_s: int, wanted: Iterable[tuple[int, int]]) -> dict[tuple[int, int], Cell]:
    """What these buckets hold so far, by instant and series."""
    series_at: dict[int, list[int]] = {}
    for at_s, series in wanted:
        series_at.setdefault(at_s, []).append(series)
    found: dict[tuple[int, int], Cell] = {}
    for at_s, series in series_at.items():
        for ids in batched(series, _IDS_AT_ONCE):
            rows = RollupBucket.objects.filter(step_s=step_s, at_s=at_s, series_id__in=ids)
            for row in rows.values_list("series_id", "count", "total", "least", "most", "times"):
                found[at_s, row[0]] = Cell(*row[1:5], unpack(row[5]))
    return found


def _write(step_s: int, cells: Mapping[tuple[int, int], Cell]) -> None:
    rows = [
        (series, step_s, at_s, cell.count, cell.total, cell.least, cell.most, pack(cell.times))
        for (at_s, series), cell in sorted(cells.items(), key=lambda one: one[0])
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(_UPSERT, rows)


def _of_series(cells: Mapping[Key, Cell]) -> tuple[dict[SeriesKey, int], dict[Key, Cell]]:
    """The numbers of these cells' series, made where they are new, and the cells with the labels that they are kept under.

    Those of projects that are gone are left out.
    """
    wanted: dict[SeriesKey, int] = {}
    for project, metric, label, at_s in cells:
        key = (project, metric, label[:LABEL_CHARS])
        wanted[key] = min(at_s, wanted.get(key, at_s))
    projects = set(
        Project.objects.filter(pk__in={project for project, _, _ in wanted}).values_list("pk", flat=True)
    )
    wanted = {key: at_s for key, at_s in wanted.items() if key[0] in projects}
    ids = _ids(wanted)
    instead = _too_many([key for key in wanted if key not in ids])
    new: dict[SeriesKey, int] = {}
    for key, at_s in wanted.items():
        kept = instead.get(key, key)
        new[kept] = min(at_s, new.get(kept, at_s))
    ids |= _ids(key for key in set(instead.values()))
    made = [
        RollupSeries(project_id=project, metric=metric, label=label, first_at_s=at_s)
        for (project, metric, label), at_s in new.items()
        if (project, metric, label) not in ids
    ]
    for row in RollupSeries.objects.bulk_create(made):
        ids[row.project_id, row.metric, row.label] = row.pk
    kept_cells: dict[Key, Cell] = {}
    for (project, metric, label, at_s), cell in cells.items():
        if project in projects:
            key = (project, metric, label[:LABEL_CHARS])
            kept_cells.setdefault((*instead.get(key, key), at_s), Cell()).add(cell)
    return ids, kept_cells


def _ids(wanted: Iterable[SeriesKey]) -> dict[SeriesKey, int]:
    """Those that there are."""
    of_projects: dict[ProjectId, list[SeriesKey]] = {}
    for key in wanted:
        of_projects.setdefault(key[0], []).append(key)
    found: dict[SeriesKey, int] = {}
    for project, keys in of_projects.items():
        for some in batched(keys, _IDS_AT_ONCE):
            rows = RollupSeries.objects.filter(
                project_id=project,
                metric__in={metric for _, metric, _ in some},
                label__in={label for _, _, label in some},
            )
            for pk, metric, label in rows.values_list("pk", "metric", "label"):
                found[project, metric, label] = pk
    return found


def _too_many(new: Iterable[SeriesKey]) -> dict[SeriesKey, SeriesKey]:
    """Of series that there are not yet, those whose label is over the bound of its family, with what takes them in."""
    of_families: dict[tuple[ProjectId, str], list[SeriesKey]] = {}
    for key in new:
        project, metric, label = key
        if label not in (TOTAL, OTHER):
            of_families.setdefault((project, metric.partition(".")[0]), []).append(key)
    instead: dict[SeriesKey, SeriesKey] = {}
    for (project, family), keys in of_families.items():
        rows = RollupSeries.objects.filter(project_id=project, metric__startswith=f"{family}.")
        labels = set(rows.values_list("label", flat=True).distinct()) - {TOTAL, OTHER}
        for key in keys:
            _, metric, label = key
            if label not in labels and len(labels) >= LABELS_MOST:
                instead[key] = (project, metric, OTHER)
            else:
                labels.add(label)
    return instead


@contextmanager
def _alone() -> Iterator[None]:
    """A transaction within which nobody else changes buckets: two keepers may overlap when one is cut off."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        yield  # SQLite's transactions write one at a time from their beginning


def _now_s() -> int:
    return int(time.time())
