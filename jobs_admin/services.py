"""The verbs that change jobs. Doors (API, console, keeper, commands) parse and call; rights, bounds and traces are here.

Each is durable when it returns, and tells the live pages which jobs changed after its commit.
All raise NotAllowed, InvalidInput for a bound, and EngineDown with nothing written. Source: jobs.md.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from aerodash import engines, limits
from aerodash.auth import Actor, Scope
from aerodash.errors import InvalidInput
from aerodash.ids import JobId, ProjectId
from aerodash.realtime import topics
from aerodash.realtime.publish import publish
from jobs_admin.bounds import (
    check_leases,
    check_number,
    check_type,
    check_within,
    check_worker,
    json_text,
    run_results,
)
from jobs_admin.engine.contract import (
    Beat,
    Drift,
    JobEngine,
    LeasedJob,
    LeaseRef,
    NewJob,
    Refusal,
    RunResult,
    Settled,
    Who,
    WorkerInfo,
)

_JOB_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
PRIORITY = 5
MAX_RETRIES = 3
SWEEP_BATCH = 500


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The job that was added."""

    job_id: JobId


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One job of an enqueue_many; the fields are those of enqueue."""

    type: str
    payload: bytes
    delay_s: float = 0
    max_retries: int = MAX_RETRIES
    priority: int = PRIORITY
    retry_base_s: float | None = None


@dataclass(frozen=True, slots=True)
class CancelResult:
    """success: False only where nothing can be cancelled any more; note: a sentence for people."""

    success: bool
    note: str | None = None


@dataclass(frozen=True, slots=True)
class RetryResult:
    """count: jobs put back; refused: why not the others, by id."""

    count: int
    refused: dict[str, Refusal]


@engines.on_engine_loop
async def enqueue(
    project: ProjectId,
    actor: Actor,
    *,
    type: str,
    payload: bytes,
    delay_s: float = 0,
    max_retries: int = MAX_RETRIES,
    priority: int = PRIORITY,
    retry_base_s: float | None = None,
) -> Enqueued:
    """Add one job; it is pending, and due after delay_s.

    type: 1..128 of A-Za-z0-9._:-. payload: JSON text, at most 1 MiB, kept as it is. max_retries: runs after the first.
    priority: 0 (first) to 9. retry_base_s: the first retry's longest delay; None takes the type's, else 4 s.
    """
    spec = JobSpec(type, payload, delay_s, max_retries, priority, retry_base_s)
    job_ids = await _enqueue(project, actor, [spec])
    return Enqueued(job_ids[0])


@engines.on_engine_loop
async def enqueue_many(project: ProjectId, actor: Actor, *, jobs: Sequence[JobSpec]) -> list[JobId]:
    """Add up to 10 000 jobs, all or none; their ids in the order given. See enqueue for the bounds of each."""
    if not jobs:
        raise InvalidInput("jobs must hold at least one job.", reason="missing", field="jobs")
    check_number("jobs", jobs, limits.ENQUEUE_MANY_JOBS)
    return await _enqueue(project, actor, jobs, within="jobs[{}].")


@engines.on_engine_loop
async def lease(
    project: ProjectId,
    actor: Actor,
    *,
    types: Sequence[str] | None,
    limit: int,
    lease_s: float,
    wait_s: float,
    worker: WorkerInfo,
    is_connected: Callable[[], bool] = lambda: True,
) -> list[LeasedJob]:
    """Hand out up to `limit` (1..1000) due jobs of these types (None: all), most urgent first.

    Each is the worker's for lease_s (1..3600) seconds, until it settles or extends. Waits up to wait_s (0..30) for
    the first. is_connected: False once the caller has gone; then it gets nothing.
    """
    actor.require(Scope.QUEUE_WORK)
    check_worker(worker)
    check_within("limit", limit, 1, limits.LEASE_JOBS)
    check_within("leaseSeconds", lease_s, 1, limits.LEASE_MAX_S)
    check_within("waitSeconds", wait_s, 0, limits.WAIT_MAX_S)
    check_number("types", types or (), limits.LEASE_TYPES)
    for type in types or ():
        check_type(type, "types")
    leased = await _engine().lease(
        project,
        worker,
        types=types,
        limit=limit,
        lease_ms=int(lease_s * 1000),
        wait_s=wait_s,
        is_connected=is_connected,
    )
    _changed(project, (job.id for job in leased.jobs))
    return list(leased.jobs)


@engines.on_engine_loop
async def heartbeat(
    project: ProjectId, actor: Actor, *, worker: WorkerInfo, leases: Sequence[LeaseRef], lease_s: float
) -> list[Beat]:
    """Extend up to 1000 leases to lease_s from now; per lease: extended, lease_lost or cancel_requested."""
    actor.require(Scope.QUEUE_WORK)
    check_worker(worker)
    check_leases(leases)
    check_within("leaseSeconds", lease_s, 1, limits.LEASE_MAX_S)
    return await _engine().heartbeat(project, worker, leases, lease_ms=int(lease_s * 1000))


@engines.on_engine_loop
async def settle(project: ProjectId, actor: Actor, *, results: Sequence[RunResult]) -> list[Settled]:
    """End up to 1000 runs; per run: accepted, lease_lost (nothing changed but the timeline) or cancelled.

    A result is at most 1 MiB of JSON text, an error's type 256 bytes. An error's message is cut to 8 KiB and a traceback
    to 64 KiB, with a note of how long it was. Of results that lost their lease the timeline keeps the first 20 of a
    job, 8 KiB of each, and counts the others.
    """
    actor.require(Scope.QUEUE_WORK)
    results = run_results(results)
    settled = await _engine().settle(project, _who(actor), results)
    _changed(project, (sent.job_id for sent in results))
    return settled


@engines.on_engine_loop
async def cancel(project: ProjectId, actor: Actor, *, job_id: str) -> CancelResult:
    """Keep a pending job from starting; ask a processing one to end, which it does as cancelled whatever its worker says."""
    actor.require(Scope.QUEUE_MANAGE)
    if (known := _known(job_id)) is None:
        return CancelResult(success=False, note="There is no such job.")
    done = await _engine().cancel(project, _who(actor), known)
    if done.success:
        _changed(project, (known,))
    note: str | None = None
    match done:
        case _ if done.requested:
            note = "It is running: its worker learns at the next heartbeat, and the job ends as cancelled."
        case _ if done.success and done.status == "processing":
            note = "A cancel was requested before; the job ends as cancelled."
        case _ if not done.success:
            note = f"The job is {done.status} already." if done.status else "There is no such job."
    return CancelResult(done.success, note)


@engines.on_engine_loop
async def retry(
    project: ProjectId, actor: Actor, *, job_ids: Sequence[str], payload: bytes | None = None
) -> RetryResult:
    """Put ended jobs (at most 1000) back as pending, due now, with their whole budget; history stays.

    payload: JSON text that replaces theirs from this retry on; the one before stays on the timeline.
    Refused per job: not_found, not_finished.
    """
    actor.require(Scope.QUEUE_MANAGE)
    check_number("jobIds", job_ids, limits.SETTLE_RESULTS)
    text = None if payload is None else json_text(payload, "payload")
    known = [(job_id, _known(job_id)) for job_id in job_ids]
    done = await _engine().retry(
        project, _who(actor), [job_id for _, job_id in known if job_id], payload=text
    )
    _changed(project, done.job_ids)
    unknown: dict[str, Refusal] = {sent: "not_found" for sent, job_id in known if not job_id}
    return RetryResult(len(done.job_ids), unknown | done.refused)


@engines.on_engine_loop
async def sweep() -> int:
    """End the runs whose lease has expired, in small batches; returns how many. For the keeper."""
    total = 0
    while True:
        swept = await _engine().sweep(limit=SWEEP_BATCH)
        for project, job_ids in swept.changed.items():
            _changed(project, job_ids)
            total += len(job_ids)
        if not swept.more:
            return total


@engines.on_engine_loop
async def reconcile() -> list[Drift]:
    """Set right every counter that does not equal its number of jobs; returns them. For the keeper."""
    drifts = await _engine().reconcile()
    for project in {drift.project for drift in drifts}:
        publish(project, topics.JOBS)
    return drifts


async def _enqueue(
    project: ProjectId, actor: Actor, jobs: Sequence[JobSpec], within: str = ""
) -> list[JobId]:
    actor.require(Scope.QUEUE_ENQUEUE)
    new = [_new_job(job, within.format(index)) for index, job in enumerate(jobs)]
    job_ids = await _engine().enqueue(project, _who(actor), new)
    _changed(project, job_ids)
    return job_ids


def _new_job(job: JobSpec, within: str) -> NewJob:
    check_type(job.type, f"{within}type")
    check_within(f"{within}delaySeconds", job.delay_s, 0, limits.DELAY_MAX_S)
    check_within(f"{within}maxRetries", job.max_retries, 0, limits.MAX_RETRIES)
    check_within(f"{within}priority", job.priority, 0, limits.PRIORITY_MAX)
    if job.retry_base_s is not None:
        check_within(f"{within}retryDelay", job.retry_base_s, 0, limits.DELAY_MAX_S)
    return NewJob(
        type=job.type,
        payload=json_text(job.payload, f"{within}payload"),
        payload_bytes=len(job.payload),
        delay_ms=int(job.delay_s * 1000),
        max_retries=job.max_retries,
        priority=job.priority,
        retry_base_ms=None if job.retry_base_s is None else int(job.retry_base_s * 1000),
    )


def _engine() -> JobEngine:
    return engines.get("jobs")


def _who(actor: Actor) -> Who:
    return Who(actor.kind, actor.id, actor.label, actor.door.value, actor.request_id)


def _changed(project: ProjectId, job_ids: Iterable[str]) -> None:
    ids = tuple(job_ids)
    if ids:
        publish(project, topics.JOBS, ids)


def _known(job_id: str) -> JobId | None:
    """The id in the form that engines take; None if it cannot be one of ours."""
    lowered = job_id.lower()
    return JobId(lowered) if _JOB_ID.fullmatch(lowered) else None
