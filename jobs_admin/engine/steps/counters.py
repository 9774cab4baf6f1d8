"""Counters that are looked after, and whether the database answers at all."""

from collections.abc import Sequence

from jobs_admin.engine.contract import Drift
from jobs_admin.engine.transactions import Transaction


def check(tx: Transaction, now: int, calls: Sequence[None]) -> list[None]:
    tx.rows("check")
    return [None] * len(calls)


def drift(tx: Transaction, now: int, calls: Sequence[None]) -> list[list[Drift]]:
    return [[Drift(*row) for row in tx.rows("drift")] for _ in calls]


def correct(tx: Transaction, now: int, calls: Sequence[Sequence[Drift]]) -> list[None]:
    """By the difference, not to the number: jobs may have moved since it was counted."""
    for drifts in calls:
        for found in drifts:
            tx.move(found.project, found.type, None, found.status, found.actual - found.counted)
    return [None] * len(calls)


def fold(tx: Transaction, now: int, calls: Sequence[None]) -> list[None]:
    """Where counters grow by rows, one row of each; elsewhere the statements find nothing to do."""
    tx.many("fold", [{}])
    tx.many("fold_batches", [{}])
    return [None] * len(calls)
