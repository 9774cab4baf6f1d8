"""Counters that are looked after, and whether the database answers at all."""

from collections.abc import Sequence

from jobs_admin.engine.contract import Drift
from jobs_admin.engine.steps.history import shown, stored
from jobs_admin.engine.transactions import Transaction


def check(tx: Transaction, now: int, calls: Sequence[None]) -> list[None]:
    tx.rows("check")
    return [None] * len(calls)


def drift(tx: Transaction, now: int, calls: Sequence[None]) -> list[list[Drift]]:
    return [_drift(tx) for _ in calls]


def _drift(tx: Transaction) -> list[Drift]:
    of_types = [Drift(*row) for row in tx.rows("drift")]
    return of_types + [
        Drift(project, "", status, counted, actual, shown(batch))
        for project, status, counted, actual, batch in tx.rows("drift_batches")
    ]


def correct(tx: Transaction, now: int, calls: Sequence[Sequence[Drift]]) -> list[None]:
    """By the difference, not to the number: jobs may have moved since it was counted."""
    for drifts in calls:
        for found in drifts:
            difference = found.actual - found.counted
            if found.batch is None:
                tx.move(found.project, found.type, None, found.status, difference)
            else:
                tx.move_batch(found.batch, None, found.status, difference)
                # A wrong number may be all that kept it from its end.
                tx.ended.add(stored(found.batch))
    return [None] * len(calls)


def fold(tx: Transaction, now: int, calls: Sequence[None]) -> list[None]:
    """Where counters grow by rows, one row of each; elsewhere the statements find nothing to do."""
    tx.many("fold", [{}])
    tx.many("fold_batches", [{}])
    return [None] * len(calls)
