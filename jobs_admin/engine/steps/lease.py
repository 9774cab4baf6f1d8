"""Jobs into workers' hands, and workers that say they still have them."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aerodash import limits
from aerodash.ids import JobId, ProjectId
from jobs_admin.engine import rules
from jobs_admin.engine.contract import Beat, Leased, LeasedJob, WorkerInfo
from jobs_admin.engine.steps.calls import BeatCall, LeaseCall
from jobs_admin.engine.steps.candidates import Candidate, Found, find
from jobs_admin.engine.steps.history import cancel_seen, shown, stored
from jobs_admin.engine.transactions import Row, Transaction, Values, rounds

WORKER_NOTED_EVERY_MS = 5_000
WORKERS_REMEMBERED = 10_000
LEASE_BYTES = 32 * 1024 * 1024
"""Of payload in one lease: an answer is held in memory, several times over."""


@dataclass(slots=True)
class _Share:
    """What one of several callers who look for the same gets."""

    call: LeaseCall
    jobs: list[Candidate]


def lease(tx: Transaction, now: int, calls: Sequence[LeaseCall]) -> list[Leased]:
    """Hand out the most urgent due jobs. Who looks for the same types at the same time is served from one look.

    Fewer than a caller's limit may come though more are due: no more than LEASE_BYTES of payload.
    """
    answers: dict[int, Leased] = {}
    alike: dict[tuple[ProjectId, tuple[str, ...] | None], list[LeaseCall]] = {}
    for call in calls:
        # Who has gone gets nothing.
        if call.is_connected():
            alike.setdefault((call.project, call.types), []).append(call)
        else:
            answers[id(call)] = Leased(())
    # Also those that find nothing: an idle worker is alive.
    note_workers(tx, now, [(call.project, call.worker) for group in alike.values() for call in group])
    for (project, types), group in alike.items():
        found = find(tx, now, project, types, sum(call.limit for call in group))
        started: set[Any] = set()
        for share in _shares(tx, group, found):
            jobs = _take(tx, now, share, started) if share.jobs else ()
            answers[id(share.call)] = Leased(jobs, found.next_due_at_ms)
        _spend(tx, now, project, found.jobs, started)
    return [answers[id(call)] for call in calls]


def _shares(tx: Transaction, group: Sequence[LeaseCall], found: Found) -> list[_Share]:
    """First come, first served; the payloads of a share fit into one answer."""
    shares: list[_Share] = []
    begin = 0
    for call in group:
        jobs = found.jobs[begin : begin + call.limit]
        if len(jobs) * limits.PAYLOAD_BYTES > LEASE_BYTES:
            sizes = tx.each("payload_bytes", [{"ref": job.ref} for job in jobs])
            jobs = jobs[: rules.first_fitting([row[0] if row else 0 for row in sizes], LEASE_BYTES)]
        begin += len(jobs)
        shares.append(_Share(call, jobs))
    return shares


def _take(tx: Transaction, now: int, share: _Share, started: set[Any]) -> tuple[LeasedJob, ...]:
    """started: gets the refs of those that the caller has now."""
    call = share.call
    token = secrets.token_hex(16)
    rows = [
        {
            "ref": job.ref,
            "now": now,
            "token": token,
            "expires": now + (call.lease_ms or job.lane.lease_ms or rules.LEASE_MS),
            "type_timeout": job.lane.timeout_ms,
            "grace": rules.TIMEOUT_GRACE_MS,
            "worker_id": call.worker.id,
            "worker_name": call.worker.name,
        }
        for job in share.jobs
    ]
    taken: list[LeasedJob] = []
    for candidate, row in zip(share.jobs, tx.each("lease", rows), strict=True):
        if row is not None:
            started.add(candidate.ref)
            taken.append(_leased(row))
    for job in taken:
        tx.move(call.project, job.type, "pending", "processing")
        tx.figures.started.append((call.project, job.type, now - job.due_at_ms))
        if job.batch is not None:
            tx.move_batch(job.batch, "pending", "processing")
    return tuple(taken)


def _leased(row: Row) -> LeasedJob:
    """The columns are the fields, in their order; ids as people see them."""
    job = LeasedJob(*row)
    job.id = JobId(shown(job.id))
    if job.batch is not None:
        job.batch = shown(job.batch)
    return job


def _spend(
    tx: Transaction, now: int, project: ProjectId, jobs: Sequence[Candidate], started: set[Any]
) -> None:
    """Write down what is left of the rates that these jobs count against; those that did not start cost nothing."""
    for job in jobs:
        if job.ref not in started:
            for bucket in job.buckets:
                bucket.tokens += 1
    buckets = {id(bucket): bucket for job in jobs if job.ref in started for bucket in job.buckets}
    rows = [
        {
            "project": project,
            "type": bucket.type,
            "partition_key": bucket.key,
            "tokens": bucket.tokens,
            "now": now,
            "clocks_differ": rules.CLOCKS_DIFFER_MS,
        }
        for bucket in buckets.values()
    ]
    tx.many("bucket_set", rows)


def heartbeat(tx: Transaction, now: int, calls: Sequence[BeatCall]) -> list[list[Beat]]:
    note_workers(tx, now, [(call.project, call.worker) for call in calls])
    answers: list[list[Beat]] = [["lease_lost"] * len(call.leases) for call in calls]
    claims = [
        (number, place, call, lease)
        for number, call in enumerate(calls)
        for place, lease in enumerate(call.leases)
    ]
    seen: dict[str, Values] = {}
    for some in rounds(claims, lambda claim: stored(claim[3].job_id)):
        rows = [
            {
                "id": stored(lease.job_id),
                "project": call.project,
                "token": lease.lease_token,
                "expires": None if call.lease_ms is None else now + call.lease_ms,
                "now": now,
                "default_lease": rules.LEASE_MS,
            }
            for _, _, call, lease in some
        ]
        for (number, place, call, lease), row in zip(some, tx.each("heartbeat", rows), strict=True):
            if row is None:
                continue
            requested_at, run = row
            answers[number][place] = "extended" if requested_at is None else "cancel_requested"
            if requested_at is not None:
                id = stored(lease.job_id)
                seen[id] = cancel_seen(now, id, run, call.worker.id, call.worker.name)
    tx.many("event_once", list(seen.values()))
    return answers


def note_workers(tx: Transaction, now: int, workers: Iterable[tuple[ProjectId, WorkerInfo]]) -> None:
    """Have these workers seen now, if this process has not noted them in the last seconds."""
    noted = tx.memory.noted
    heard = {
        (project, worker.id): worker
        for project, worker in workers
        if not now - WORKER_NOTED_EVERY_MS <= noted.get((project, worker.id), -1) <= now
    }
    if not heard:
        return
    if len(noted) > WORKERS_REMEMBERED:
        noted.clear()
    rows = [
        {
            "project": project,
            "id": worker.id,
            "hostname": worker.hostname,
            "pid": worker.pid,
            "version": worker.version,
            "now": now,
            "not_since": now - WORKER_NOTED_EVERY_MS,
        }
        for (project, _), worker in sorted(heard.items())
    ]
    tx.many("worker", rows)
    tx.on_commit(lambda: noted.update(dict.fromkeys(heard, now)))
