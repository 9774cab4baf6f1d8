"""Many lines of the timeline in one statement: the Overview shows some dozens, and each statement costs more than a line.

aerodash.rollups.queries has what is asked for one by one.
"""

import time
from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from aerodash.auth import Actor
from aerodash.ids import ProjectId
from aerodash.rollups import steps
from aerodash.rollups.metrics import OTHER, TOTAL, find
from aerodash.rollups.queries import BEHIND_S, Rollup, check_range

WHOLE = (TOTAL,)
"""For `labels`: what all labels are together."""


def counts(
    project: ProjectId,
    actor: Actor,
    metrics: Sequence[str],
    *,
    labels: Sequence[str] | None = WHOLE,
    start_at: datetime,
    end_at: datetime,
    step_s: int,
) -> dict[str, Rollup]:
    """Counts by metric, all of the same steps of at least step_s; labels: None for all but the whole and the others.

    A label without any counts has a line of zeros if it was named, and none if not. Raises NotAllowed, InvalidInput for
    an empty range or one longer than 400 days, django.db.Error.
    """
    for metric in metrics:
        actor.require(find(metric).scope)
    start_s, end_s = check_range(start_at, end_at)
    now_s = int(time.time())
    choice = steps.choose(start_s, end_s, now_s, step_s)
    at = choice.starts()
    values: dict[str, dict[str, list[float | None]]] = {
        metric: {label: [0] * len(at) for label in labels or ()} for metric in metrics
    }
    for metric, label, step, count in _read(project, metrics, labels, choice):
        line = values[metric].setdefault(label, [0] * len(at))
        line[step] = int(count)
    return {
        metric: Rollup(at, of_metric, choice.shown_s, now_s - BEHIND_S)
        for metric, of_metric in values.items()
    }


def _read(
    project: ProjectId, metrics: Sequence[str], labels: Sequence[str] | None, choice: steps.Choice
) -> list[tuple[str, str, int, int]]:
    """Metric, label, number of the step, count. Index: the buckets' primary key, a range for each series."""
    which = "series.label NOT IN (%s, %s)" if labels is None else f"series.label IN ({_places(labels)})"
    wanted = f"series.project_id = %s AND series.metric IN ({_places(metrics)}) AND {which}"
    of_series = (
        "bucket.series_id = series.id AND bucket.step_s = %s AND bucket.at_s >= %s AND bucket.at_s < %s"
    )
    step = "(bucket.at_s - %s) / %s"
    names = [project, *metrics, *((TOTAL, OTHER) if labels is None else labels)]
    times = [choice.kept_s, choice.start_s, choice.end_s]
    steps_of = [choice.start_s, choice.shown_s]
    if connection.vendor == "sqlite":
        # CROSS JOIN keeps the order, and so the range for each series.
        sql = f"""
            SELECT series.metric, series.label, {step} AS step, sum(bucket.count)
            FROM aerodash_rollupseries AS series CROSS JOIN aerodash_rollupbucket AS bucket
            WHERE {wanted} AND {of_series}
            GROUP BY series.id, step
        """
        values = [*steps_of, *names, *times]
    else:
        # Left alone, PostgreSQL would take a few dozen series for much of the table, and read all of it.
        sql = f"""
            SELECT series.metric, series.label, counted.step, counted.number
            FROM aerodash_rollupseries AS series CROSS JOIN LATERAL (
                SELECT {step} AS step, sum(bucket.count) AS number
                FROM aerodash_rollupbucket AS bucket WHERE {of_series} GROUP BY 1
            ) AS counted
            WHERE {wanted}
        """
        values = [*steps_of, *times, *names]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


def _places(values: Sequence[object]) -> str:
    return ", ".join(["%s"] * len(values))
