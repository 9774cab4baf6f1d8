"""Batches: made, sealed, and over once their last member has ended."""

from collections.abc import Sequence

import uuid_utils

from aerodash.ids import JobId, ProjectId
from jobs_admin.engine import stored_jobs
from jobs_admin.engine.batches import (
    BatchIds,
    BatchRef,
    Members,
    MembersAfter,
    NewBatch,
    UnfinishedAfter,
)
from jobs_admin.engine.contract import Finished
from jobs_admin.engine.steps.calls import EnqueueCall
from jobs_admin.engine.steps.enqueue import enqueue
from jobs_admin.engine.steps.history import shown, stored
from jobs_admin.engine.transactions import Transaction

FIRST = "0" * 32
"""Before every id."""


def create(tx: Transaction, now: int, calls: Sequence[NewBatch]) -> list[None]:
    rows = [
        {
            "id": stored(new.id),
            "project": new.project,
            "name": new.name,
            "now": now,
            "by": new.who.label,
            "on_complete": "" if new.on_complete is None else stored_jobs.dump_with(new.who, new.on_complete),
        }
        for new in calls
    ]
    tx.many("batch_create", rows)
    return [None] * len(calls)


def seal(tx: Transaction, now: int, calls: Sequence[BatchRef]) -> list[bool]:
    """Waits for the transactions that add members; who comes later is refused. See batch_open."""
    return [
        tx.row("batch_seal", batch=stored(call.batch), project=call.project, now=now) is not None
        for call in calls
    ]


def finish(tx: Transaction, now: int, calls: Sequence[BatchIds]) -> list[list[Finished]]:
    """End the batches that are over, and enqueue what follows them, in the same transaction and once for each.

    Runs after the commit of the members' own transactions, so that of two that each end one of the last members at
    the same time, at least the later sees both.
    """
    # What this transaction has done to members so far counts.
    tx.flush()
    wanted = sorted({stored(batch) for call in calls for batch in call})
    # Mostly others are still at work: that is found out without a lock.
    over = _those(tx, "batch_over", wanted)
    # From the lock on no member comes back by a retry, which takes it too; what came back before is seen by the next
    # statement, because it begins later.
    locked = _those(tx, "batch_lock", over)
    rows = [{"batch": batch, "now": now} for batch in locked]
    finished: dict[str, Finished] = {}
    for batch, row in zip(locked, tx.each("batch_finish", rows), strict=True):
        if row is not None:
            project, on_complete, job_id = row
            then = _follow(tx, now, project, batch, on_complete) if on_complete and job_id is None else None
            finished[batch] = Finished(project, shown(batch), then)
    return [
        [done for batch in dict.fromkeys(map(stored, call)) if (done := finished.get(batch))]
        for call in calls
    ]


def unfinished(tx: Transaction, now: int, calls: Sequence[UnfinishedAfter]) -> list[list[tuple[str, bool]]]:
    return [
        [
            (shown(id), bool(is_over))
            for id, is_over in tx.rows(
                "batches_unfinished", after=stored(call.after) or FIRST, limit=call.limit
            )
        ]
        for call in calls
    ]


def members(tx: Transaction, now: int, calls: Sequence[MembersAfter]) -> list[Members]:
    return [_members(tx, call) for call in calls]


def _members(tx: Transaction, call: MembersAfter) -> Members:
    batch, until = stored(call.batch), stored(call.until)
    if not until:
        newest = tx.row("batch_newest", batch=batch)
        if newest is None:
            return Members((), "")
        until = stored(str(newest[0]))
    found = tx.rows(
        "batch_members", batch=batch, after=stored(call.after) or FIRST, until=until, limit=call.limit
    )
    return Members(tuple(JobId(shown(id)) for (id,) in found), shown(until))


def _those(tx: Transaction, statement: str, batches: Sequence[str]) -> list[str]:
    """The batches for which a statement answers a row."""
    found = tx.each(statement, [{"batch": batch} for batch in batches])
    return [batch for batch, row in zip(batches, found, strict=True) if row is not None]


def _follow(tx: Transaction, now: int, project: ProjectId, batch: str, on_complete: str) -> JobId:
    """Enqueue what the batch's creator wanted; the id of that job, or of the one that has its unique key."""
    who, job = stored_jobs.load_with(on_complete)
    [[added]] = enqueue(tx, now, [EnqueueCall(project, who, [str(uuid_utils.uuid7())], [job])])
    tx.many("batch_followed", [{"batch": batch, "job": stored(added.job_id)}])
    return added.job_id
