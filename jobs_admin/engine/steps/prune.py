"""What is forgotten: jobs that ended long ago, idempotency keys that are too old, rate buckets that are full.

A batch goes on counting its members that were pruned: its counters are its history. A job that holds its unique key
for a time stays until that time is over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aerodash.ids import JobId, ProjectId
from jobs_admin.engine import rules
from jobs_admin.engine.contract import Swept
from jobs_admin.engine.steps.history import shown, stored
from jobs_admin.engine.transactions import Transaction, Values

ROWS = 2_000
"""Rows deleted in one transaction, about: nobody else writes meanwhile."""

FIRST = "0" * 32
type Place = tuple[ProjectId, str, str]
"""A project, a type and a status: where ended jobs stand in the order of their ids."""

_OF_A_JOB = ("prune_attempt", "prune_event", "prune_log", "prune_progress", "prune_tag")


def prune(tx: Transaction, now: int, calls: Sequence[tuple[Mapping[str, int], int]]) -> list[Swept]:
    return [_prune(tx, now, retention, limit) for retention, limit in calls]


def _prune(tx: Transaction, now: int, retention: Mapping[str, int], limit: int) -> Swept:
    """One stretch of a walk over all ended jobs, from where the last one stopped; `more` until the walk is through."""
    is_more = len(tx.rows("prune_idempotency", not_since=now - rules.IDEMPOTENCY_MS, limit=limit)) == limit
    is_more |= _forget_full_buckets(tx, now, limit)
    changed: dict[ProjectId, list[JobId]] = {}
    budget = _Budget(limit, ROWS)
    begin = tx.memory.pruned_to
    stopped: tuple[Place, str] | None = None
    for *place, keeps_s in sorted(tx.rows("prune_types"), key=lambda row: row[:3]):
        project, type, status = place
        kept_ms = retention.get(status) if keeps_s is None else keeps_s * 1000
        if kept_ms is None or (begin is not None and (project, type, status) < begin[0]):
            continue
        if budget.jobs <= 0:
            stopped = ((project, type, status), FIRST)
            break
        after = begin[1] if begin is not None and (project, type, status) == begin[0] else FIRST
        left = budget.jobs
        last, ended = _prune_some(tx, now, (project, type, status), now - kept_ms, after, budget)
        if ended:
            changed.setdefault(project, []).extend(ended)
        if budget.is_used_up:
            stopped = ((project, type, status), last)
            break
        if budget.jobs == left:
            # To look where there is nothing is work as well, and there may be thousands of types.
            budget.jobs -= 1
    tx.on_commit(lambda: setattr(tx.memory, "pruned_to", stopped))
    return Swept(changed, more=is_more or stopped is not None)


@dataclass(slots=True)
class _Budget:
    """What one transaction may look at and delete."""

    jobs: int
    rows: int
    is_used_up: bool = False


def _prune_some(
    tx: Transaction, now: int, place: Place, cutoff: int, after: str, budget: _Budget
) -> tuple[str, list[JobId]]:
    """The next jobs of a type and status: the last that was looked at, and those that are gone."""
    project, type, status = place
    found = tx.rows(
        "prune_next",
        project=project,
        type=type,
        status=status,
        after=after,
        before=f"{max(cutoff, 0):012x}{FIRST[12:]}",
        cutoff=cutoff,
        now=now,
        limit=budget.jobs,
    )
    over: list[str] = []
    last = after
    for id, is_over, rows in found:
        if is_over and over and rows + len(_OF_A_JOB) > budget.rows:
            budget.is_used_up = True
            break
        last = stored(shown(id))
        budget.jobs -= 1
        if is_over:
            budget.rows -= rows + len(_OF_A_JOB)
            over.append(last)
    budget.is_used_up |= budget.jobs <= 0
    values: list[Values] = [
        {"id": id, "project": project, "status": status, "cutoff": cutoff, "now": now} for id in over
    ]
    gone = [id for id, row in zip(over, tx.each("prune", values), strict=True) if row is not None]
    for statement in _OF_A_JOB:
        tx.many(statement, [{"id": id} for id in gone])
    tx.move(project, type, status, None, len(gone))
    return last, [JobId(shown(id)) for id in gone]


def _forget_full_buckets(tx: Transaction, now: int, limit: int) -> bool:
    """Of the buckets after those that were looked at last, forget the full ones; whether there are others."""
    project, type, key = tx.memory.emptied_to
    found = tx.rows("buckets_after", project=project, type=type, partition_key=key, limit=limit)
    full: list[Values] = []
    for project, type, key, tokens, at, *said in found:
        rate = rules.rate_of(*(said[3:] if key else said[:3]))
        if rate is None or rate.tokens(tokens, at, now) >= rate.burst:
            full.append({"project": project, "type": type, "partition_key": key, "at": at, "tokens": tokens})
    tx.many("prune_bucket", full)
    is_more = len(found) == limit
    reached = (project, type, key) if is_more else (0, "", "")
    tx.on_commit(lambda: setattr(tx.memory, "emptied_to", reached))
    return is_more
