"""Jobs into workers' hands, and workers that say they still have them."""

import secrets
from collections.abc import Iterator, Sequence
from itertools import accumulate

from aerodash import limits
from aerodash.ids import JobId, ProjectId
from jobs_admin.engine import rules
from jobs_admin.engine.contract import Beat, Leased, LeasedJob, LeaseRef, WorkerInfo
from jobs_admin.engine.grouping import Transaction
from jobs_admin.engine.sqlite_steps.rows import shown, stored

WORKER_NOTED_EVERY_MS = 5_000
LEASE_BYTES = 32 * 1024 * 1024
"""Of payload in one lease: an answer is held in memory, several times over."""


def lease(
    tx: Transaction,
    now: int,
    project: ProjectId,
    worker: WorkerInfo,
    types: Sequence[str] | None,
    limit: int,
    lease_ms: int,
) -> Leased:
    """Choose the most urgent due jobs over all lanes (a type and a priority), then take them in one statement.

    Fewer than limit may come though more are due: no more than LEASE_BYTES of payload.
    """
    due: list[tuple[int, int]] = []
    next_due_at_ms: int | None = None
    for type, priority, first_due_at_ms in _lanes(tx, project, types):
        if first_due_at_ms > now:
            next_due_at_ms = min(first_due_at_ms, next_due_at_ms or first_due_at_ms)
            continue
        lane = tx.rows("lane_due", project=project, type=type, priority=priority, now=now, limit=limit)
        due += [(rules.urgency(priority, due_at_ms), rowid) for rowid, due_at_ms in lane]
    if not due:
        return Leased((), next_due_at_ms)
    due.sort()
    chosen = _first_fitting(tx, [rowid for _, rowid in due[:limit]])
    rows = tx.rows(
        "lease",
        now=now,
        token=secrets.token_hex(16),
        expires=now + lease_ms,
        worker_id=worker.id,
        worker_name=worker.name,
        chosen=str(chosen),
    )
    jobs = [LeasedJob(JobId(shown(row[0])), *row[1:]) for row in rows]
    jobs.sort(key=lambda job: (rules.urgency(job.priority, job.due_at_ms), job.id))
    for job in jobs:
        tx.move(project, job.type, "pending", "processing")
    note_worker(tx, now, project, worker)
    return Leased(tuple(jobs), next_due_at_ms)


def _first_fitting(tx: Transaction, rowids: list[int]) -> list[int]:
    """As many of them, from the first, as have LEASE_BYTES of payload together; always one."""
    if len(rowids) * limits.PAYLOAD_BYTES <= LEASE_BYTES:
        return rowids
    sizes = dict(tx.rows("payload_sizes", chosen=str(rowids)))
    totals = accumulate(sizes[rowid] for rowid in rowids)
    fitting = sum(1 for total in totals if total <= LEASE_BYTES)
    return rowids[: max(fitting, 1)]


def _lanes(
    tx: Transaction, project: ProjectId, types: Sequence[str] | None
) -> Iterator[tuple[str, int, int]]:
    """Type, priority and first due time of every lane that has pending jobs and may be leased from."""
    paused = {name for (name,) in tx.rows("paused", project=project)}
    for type in _types(tx, project) if types is None else set(types):
        priority = -1
        while type not in paused and (
            lane := tx.row("lane_next", project=project, type=type, priority=priority)
        ):
            priority, first_due_at_ms = lane
            yield type, priority, first_due_at_ms


def _types(tx: Transaction, project: ProjectId) -> Iterator[str]:
    type = ""
    while found := tx.row("type_next", project=project, type=type):
        (type,) = found
        yield type


def heartbeat(
    tx: Transaction,
    now: int,
    project: ProjectId,
    worker: WorkerInfo,
    leases: Sequence[LeaseRef],
    lease_ms: int,
) -> list[Beat]:
    note_worker(tx, now, project, worker)
    return [_beat(tx, now, project, lease, lease_ms) for lease in leases]


def _beat(tx: Transaction, now: int, project: ProjectId, lease: LeaseRef, lease_ms: int) -> Beat:
    id = stored(lease.job_id)
    row = tx.row("heartbeat", id=id, project=project, token=lease.lease_token, expires=now + lease_ms)
    if row is None:
        return "lease_lost"
    return "extended" if row[0] is None else "cancel_requested"


def note_worker(tx: Transaction, now: int, project: ProjectId, worker: WorkerInfo) -> None:
    tx.change(
        "worker",
        project=project,
        id=worker.id,
        hostname=worker.hostname,
        pid=worker.pid,
        version=worker.version,
        now=now,
        not_since=now - WORKER_NOTED_EVERY_MS,
    )
