"""The verbs that change jobs. Doors (API, console, keeper, commands) parse and call; rights, bounds and traces are here.

Each is durable when it returns (leases, heartbeats and reports with the next commit that is), and tells the live pages
which jobs changed after its commit.
All raise NotAllowed, InvalidInput for a bound, and EngineDown with nothing written. Source: jobs.md.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from aerodash import engines, limits
from aerodash.auth import Actor, Scope
from aerodash.errors import InvalidInput
from aerodash.ids import JobId, ProjectId
from aerodash.realtime import topics
from aerodash.realtime.publish import publish
from jobs_admin import bounds, queries
from jobs_admin.bounds import (
    check_job,
    check_leases,
    check_number,
    check_type,
    check_within,
    check_worker,
    is_job_id,
)
from jobs_admin.engine.contract import (
    Beat,
    Drift,
    Enqueued,
    Heard,
    JobEngine,
    LeasedJob,
    LeaseRef,
    Lost,
    NewJob,
    NotRunNow,
    Refusal,
    Report,
    RunResult,
    Settled,
    Swept,
    Who,
    WorkerInfo,
)
from jobs_admin.engine.leftovers import Forget
from jobs_admin.engine.rules import RetryPolicy
from jobs_admin.queries import JobFilter
from jobs_admin.reading import in_reader

PRIORITY = 5
SWEEP_BATCH = 500
PRUNE_BATCH = 100
"""On SQLite nobody else writes meanwhile: about 15 ms."""
FORGET_BATCH = 500
RETRY_BATCH = 500


def new_job(
    type: str,
    payload: bytes,
    *,
    delay_s: float = 0,
    max_retries: int | None = None,
    priority: int = PRIORITY,
    retry_base_s: float | None = None,
) -> NewJob:
    """A job of the usual kind for `enqueue`: a payload of JSON text, lengths in seconds. NewJob says the rest."""
    return NewJob(
        type=type,
        payload=payload.decode(),
        payload_bytes=len(payload),
        delay_ms=int(delay_s * 1000),
        max_retries=max_retries,
        priority=priority,
        retry=None if retry_base_s is None else RetryPolicy(base_ms=int(retry_base_s * 1000)),
    )


@dataclass(frozen=True, slots=True)
class CancelResult:
    """success: False only where nothing can be cancelled any more; note: a sentence for people."""

    success: bool
    note: str | None = None


@dataclass(frozen=True, slots=True)
class RetryResult:
    """count: jobs put back; refused: why not the others, by id; more_refused: so many besides those."""

    count: int
    refused: dict[str, Refusal]
    more_refused: int = 0


@dataclass(frozen=True, slots=True)
class RunNowResult:
    """count: jobs made due now; refused: why not the others, by id."""

    count: int
    refused: dict[str, NotRunNow]


@engines.on_engine_loop
async def enqueue(project: ProjectId, actor: Actor, *, job: NewJob) -> Enqueued:
    """Add one job: it is pending, and due after its delay or at its instant. See new_job, NewJob.

    type: 1..128 of A-Za-z0-9._:-. payload: JSON text, at most 1 MiB, kept as it is. Delays up to ten years, priority
    0 (first) to 9, keys 1..256 characters, up to 20 tags of 1..64, a time limit of 1 s to 7 days.
    Where its unique or idempotency key has a job already, that one answers (duplicate).
    """
    actor.require(Scope.QUEUE_ENQUEUE)
    check_job(job)
    added = await _engine().enqueue(project, _who(actor), (job,))
    publish(project, topics.JOBS, (added[0].job_id,))
    return added[0]


@engines.on_engine_loop
async def enqueue_many(project: ProjectId, actor: Actor, *, jobs: Sequence[NewJob]) -> list[Enqueued]:
    """Add up to 10 000 jobs, all or none; one answer each, in the order given. See enqueue for the bounds of each."""
    actor.require(Scope.QUEUE_ENQUEUE)
    if not jobs:
        raise InvalidInput("jobs must hold at least one job.", reason="missing", field="jobs")
    check_number("jobs", jobs, limits.ENQUEUE_MANY_JOBS)
    for index, job in enumerate(jobs):
        check_job(job, f"jobs[{index}].")
    added = await _engine().enqueue(project, _who(actor), jobs)
    _changed(project, (one.job_id for one in added))
    return added


@engines.on_engine_loop
async def lease(
    project: ProjectId,
    actor: Actor,
    *,
    types: Sequence[str] | None,
    limit: int,
    lease_s: float | None,
    wait_s: float,
    worker: WorkerInfo,
    is_connected: Callable[[], bool] = lambda: True,
) -> list[LeasedJob]:
    """Hand out up to `limit` (1..1000) due jobs of these types (None: all), most urgent first.

    Each is the worker's for lease_s (1..3600; None: as its type says, else 30) seconds, until it settles or extends.
    Waits up to wait_s (0..30) for the first. is_connected: False once the caller has gone; then it gets nothing.
    """
    actor.require(Scope.QUEUE_WORK)
    check_worker(worker)
    check_within("limit", limit, 1, limits.LEASE_JOBS)
    if lease_s is not None:
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
        lease_ms=None if lease_s is None else int(lease_s * 1000),
        wait_s=wait_s,
        is_connected=is_connected,
    )
    _changed(project, (job.id for job in leased.jobs))
    return list(leased.jobs)


@engines.on_engine_loop
async def heartbeat(
    project: ProjectId, actor: Actor, *, worker: WorkerInfo, leases: Sequence[LeaseRef], lease_s: float | None
) -> list[Beat]:
    """Extend up to 1000 leases to lease_s from now; per lease: extended, lease_lost or cancel_requested.

    lease_s: None takes for each what its type says, else 30, and never takes a lease back to less than it had.
    """
    actor.require(Scope.QUEUE_WORK)
    check_worker(worker)
    check_leases(leases)
    if lease_s is not None:
        check_within("leaseSeconds", lease_s, 1, limits.LEASE_MAX_S)
    known = [lease for lease in leases if is_job_id(lease.job_id)]
    lease_ms = None if lease_s is None else int(lease_s * 1000)
    beats = await _engine().heartbeat(project, worker, known, lease_ms=lease_ms)
    # Pages show that the worker knows now.
    _changed(
        project,
        [lease.job_id for lease, said in zip(known, beats, strict=True) if said == "cancel_requested"],
    )
    return _in_order(leases, len(known), beats, "lease_lost")


@engines.on_engine_loop
async def settle(project: ProjectId, actor: Actor, *, results: Sequence[RunResult]) -> list[Settled]:
    """End up to 1000 runs; per run: accepted, lease_lost (nothing changed but the timeline) or cancelled.

    A result is at most 1 MiB of JSON text, an error's type 256 bytes. An error's message is cut to 8 KiB and a traceback
    to 64 KiB, with a note of how long it was. Of results that lost their lease the timeline keeps the first 20 of a
    job, 8 KiB of each, and counts the others.
    """
    actor.require(Scope.QUEUE_WORK)
    results = bounds.run_results(results)
    known = [sent for sent in results if is_job_id(sent.job_id)]
    settled = await _engine().settle(project, _who(actor), known)
    _changed(project, [sent.job_id for sent in known])
    return _in_order(results, len(known), settled, "lease_lost")


@engines.on_engine_loop
async def report(project: ProjectId, actor: Actor, *, reports: Sequence[Report]) -> list[Heard]:
    """Keep what up to 1000 running handlers say; per report: accepted, lease_lost (nothing was kept) or cancel_requested.

    percent: 0..100. A message is cut to 1 KiB and a line of the log to 4 KiB, with a note of how long it was. Up to
    100 lines a report and 10 000 a call; of a job the first 1000 are kept, and the others counted.
    """
    actor.require(Scope.QUEUE_WORK)
    reports = bounds.reports(reports)
    known = [sent for sent in reports if is_job_id(sent.job_id)]
    heard = await _engine().report(project, known)
    _changed(project, [sent.job_id for sent, said in zip(known, heard, strict=True) if said != "lease_lost"])
    return _in_order(reports, len(known), heard, "lease_lost")


@engines.on_engine_loop
async def worker_lost(project: ProjectId, actor: Actor, *, lost: Lost) -> int:
    """End at once the runs of a worker process that was seen to die; returns how many. Its tokens are worth nothing then.

    Where lost.begun names the jobs whose handler had started, only these count as crashes; the others are released.
    A reason is cut to 1 KiB and a traceback to 64 KiB, with a note of how long it was.
    """
    actor.require(Scope.QUEUE_WORK)
    ended = await _engine().worker_lost(project, bounds.lost_worker(lost))
    _changed(project, ended)
    return len(ended)


@engines.on_engine_loop
async def cancel(project: ProjectId, actor: Actor, *, job_id: str) -> CancelResult:
    """Keep a pending job from starting; ask a processing one to end, which it does as cancelled whatever its worker says."""
    actor.require(Scope.QUEUE_MANAGE)
    if (known := _known(job_id)) is None:
        return CancelResult(success=False, note="There is no such job.")
    [done] = await _engine().cancel(project, _who(actor), [known])
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
    Refused per job: not_found, not_finished, unique_taken (another job has its unique key).
    """
    actor.require(Scope.QUEUE_MANAGE)
    check_number("jobIds", job_ids, limits.SETTLE_RESULTS)
    text = None if payload is None else bounds.json_text(payload, "payload")
    known = [(job_id, _known(job_id)) for job_id in job_ids]
    done = await _engine().retry(
        project, _who(actor), [job_id for _, job_id in known if job_id], payload=text
    )
    _changed(project, done.job_ids)
    unknown: dict[str, Refusal] = {sent: "not_found" for sent, job_id in known if not job_id}
    return RetryResult(len(done.job_ids), unknown | done.refused)


@engines.on_engine_loop
async def run_now(project: ProjectId, actor: Actor, *, job_ids: Sequence[str]) -> RunNowResult:
    """Make pending jobs (at most 1000) that are due later due now; their attempts, limits and deadlines stay.

    Refused per job: not_found, not_waiting (it runs or has ended), due_already.
    """
    actor.require(Scope.QUEUE_MANAGE)
    check_number("jobIds", job_ids, limits.SETTLE_RESULTS)
    known = [(job_id, _known(job_id)) for job_id in job_ids]
    done = await _engine().run_now(project, _who(actor), [job_id for _, job_id in known if job_id])
    _changed(project, done.job_ids)
    unknown: dict[str, NotRunNow] = {sent: "not_found" for sent, job_id in known if not job_id}
    return RunNowResult(len(done.job_ids), unknown | done.refused)


@engines.on_engine_loop
async def retry_matching(
    project: ProjectId, actor: Actor, *, filter: JobFilter, payload: bytes | None = None
) -> RetryResult:
    """Put back every ended job that matches, as retry does, however many there are.

    filter.status: completed, failed or cancelled; None: failed. Only jobs that were there at the call, each once, in
    steps of 500: if a step raises, those before it are done, and the same call again goes on with the others.
    """
    actor.require(Scope.QUEUE_MANAGE)
    text = None if payload is None else bounds.json_text(payload, "payload")
    if filter.tag is not None:
        bounds.check_text("filter.tag", filter.tag, limits.TAG_CHARS, least=1)
    who, engine = _who(actor), _engine()
    count, refused, more_refused = 0, dict[str, Refusal](), 0
    newest = await in_reader(queries.newest_ended)(project, filter)
    after: JobId | None = None
    while newest is not None:
        job_ids = await in_reader(queries.ended_ids)(
            project, filter, after=after, up_to=newest, limit=RETRY_BATCH
        )
        if not job_ids:
            break
        done = await engine.retry(project, who, job_ids, payload=text)
        _changed(project, done.job_ids)
        count += len(done.job_ids)
        for job_id, reason in done.refused.items():
            if len(refused) < limits.REFUSED_RETRIES:
                refused[job_id] = reason
            else:
                more_refused += 1
        after = job_ids[-1]
    return RetryResult(count, refused, more_refused)


@engines.on_engine_loop
async def sweep() -> int:
    """End the runs whose lease has expired, and the jobs that are past their deadline; returns how many. For the keeper."""
    return await _in_steps(lambda: _engine().sweep(limit=SWEEP_BATCH))


@engines.on_engine_loop
async def prune(*, retention_ms: Mapping[str, int]) -> int:
    """Delete ended jobs that are older than their type keeps them; returns how many. For the keeper.

    retention_ms: by terminal status, for types that do not say.
    """
    return await _in_steps(lambda: _engine().prune(retention_ms, limit=PRUNE_BATCH), rests=True)


@engines.on_engine_loop
async def forget(*, retention_ms: Mapping[str, int]) -> None:
    """Forget what jobs leave behind: lanes and counters of types without any, silent workers, old batches. For the keeper.

    retention_ms: as prune has it. A batch is kept for the longest of them after its end, and while it has members.
    """
    call = Forget(FORGET_BATCH, max(retention_ms.values()))
    while True:
        began = time.monotonic()
        if not await _engine().call("forget", call):
            return
        await asyncio.sleep(time.monotonic() - began)


@engines.on_engine_loop
async def fold() -> None:
    """Make one row of each counter's rows, where counters grow by rows. For the keeper."""
    await _engine().fold()


@engines.on_engine_loop
async def reconcile() -> list[Drift]:
    """Set right every counter that does not equal its number of jobs; returns them. For the keeper."""
    drifts = await _engine().reconcile()
    for project in {drift.project for drift in drifts}:
        publish(project, topics.JOBS)
    return drifts


async def _in_steps(step: Callable[[], Awaitable[Swept]], *, rests: bool = False) -> int:
    """Repeat a bounded step until it finds no more; others come in between.

    rests: let them have half of the time, where there may be very much and none of it is urgent.
    """
    total = 0
    while True:
        began = time.monotonic()
        swept = await step()
        for project, job_ids in swept.changed.items():
            _changed(project, job_ids)
            total += len(job_ids)
        if not swept.more:
            return total
        if rests:
            await asyncio.sleep(time.monotonic() - began)


def _in_order[Answer: str](
    sent: Sequence[LeaseRef] | Sequence[RunResult] | Sequence[Report],
    known: int,
    answers: list[Answer],
    lost: Answer,
) -> list[Answer]:
    """One answer for each that was sent: what cannot be the id of a job of ours has lost its lease."""
    if known == len(sent):
        return answers
    of_known = iter(answers)
    return [next(of_known) if is_job_id(one.job_id) else lost for one in sent]


def _engine() -> JobEngine:
    engine: JobEngine = engines.get("jobs")
    return engine


def _who(actor: Actor) -> Who:
    return Who(actor.kind, actor.id, actor.label, actor.door.value, actor.request_id)


def _changed(project: ProjectId, job_ids: Iterable[str]) -> None:
    ids = tuple(job_ids)
    if ids:
        publish(project, topics.JOBS, ids)


def _known(job_id: str) -> JobId | None:
    """The id in the form that engines take; None if it cannot be one of ours."""
    lowered = job_id.lower()
    return JobId(lowered) if is_job_id(lowered) else None
