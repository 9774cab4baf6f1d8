"""The queue operations of the wire contract, section 4. Enqueues answer 201, all else 200."""

from datetime import UTC, datetime
from itertools import batched

from msgspec import UNSET, Raw, UnsetType

from aerodash.auth import Scope
from aerodash.ids import JobId
from aerodash.wire.operation import Call, operation
from jobs_admin import queries, services
from jobs_admin.reading import in_reader
from jobs_admin.schemas import (
    Beat,
    CancelReply,
    CancelRequest,
    EnqueueManyReply,
    EnqueueManyRequest,
    EnqueueReply,
    EnqueueRequest,
    ErrorDetails,
    HeartbeatReply,
    HeartbeatRequest,
    JobRecord,
    JobReply,
    JobRequest,
    JobsReply,
    JobsRequest,
    LeasedRecord,
    LeaseReply,
    LeaseRequest,
    RefusedRetry,
    RetryReply,
    RetryRequest,
    RunError,
    RunResult,
    Settled,
    SettleReply,
    SettleRequest,
    Worker,
)

PAGE = 50
PAGE_BYTES = 32 * 1024 * 1024
"""Of payloads, results and tracebacks in one page, which ends early before it holds more: an answer is held in memory,
several times over."""
READ_JOBS = 10
"""Jobs that are read at once with all they carry, until the page is full."""


@operation(
    "/queue/enqueue", request=EnqueueRequest, reply=EnqueueReply, scope=Scope.QUEUE_ENQUEUE, status=201
)
async def queue_enqueue(call: Call, body: EnqueueRequest) -> EnqueueReply:
    """Add a job.

    Once this has answered, the job is on disk and runs at least once, unless it is cancelled.
    """
    spec = _spec(body)
    done = await services.enqueue(
        call.project,
        call.actor,
        type=spec.type,
        payload=spec.payload,
        delay_s=spec.delay_s,
        max_retries=spec.max_retries,
        priority=spec.priority,
        retry_base_s=spec.retry_base_s,
    )
    return EnqueueReply(jobId=done.job_id, success=True, status="pending")


@operation(
    "/queue/enqueueMany",
    request=EnqueueManyRequest,
    reply=EnqueueManyReply,
    scope=Scope.QUEUE_ENQUEUE,
    status=201,
)
async def queue_enqueue_many(call: Call, body: EnqueueManyRequest) -> EnqueueManyReply:
    """Add up to 10 000 jobs, all or none.

    `jobIds` stand in the order of `jobs`.
    """
    job_ids = await services.enqueue_many(call.project, call.actor, jobs=[_spec(job) for job in body.jobs])
    return EnqueueManyReply(success=True, jobIds=job_ids)


@operation("/queue/job", request=JobRequest, reply=JobReply, scope=Scope.QUEUE_READ)
async def queue_job(call: Call, body: JobRequest) -> JobReply:
    """Read one job.

    An unknown id answers `job: null, exists: false`.
    """
    found = await _record(call, body.jobId)
    return JobReply(job=found, exists=found is not None)


@operation("/queue/jobs", request=JobsRequest, reply=JobsReply, scope=Scope.QUEUE_READ)
async def queue_jobs(call: Call, body: JobsRequest) -> JobsReply:
    """List jobs, newest first.

    `status` takes the five statuses and the finer words scheduled, retrying and cancelling; `cursor` goes on where
    the page before ended.
    """
    jobs, older = await _records(call, body)
    return JobsReply(jobs=jobs, list_complete=older is None, cursor=older if older is not None else UNSET)


@operation("/queue/cancel", request=CancelRequest, reply=CancelReply, scope=Scope.QUEUE_MANAGE)
async def queue_cancel(call: Call, body: CancelRequest) -> CancelReply:
    """Cancel a job.

    A pending one never starts. A running one is asked to stop, and ends as cancelled whatever its worker says.
    """
    done = await services.cancel(call.project, call.actor, job_id=body.jobId)
    return CancelReply(success=done.success, note=done.note if done.note is not None else UNSET)


@operation("/queue/retry", request=RetryRequest, reply=RetryReply, scope=Scope.QUEUE_MANAGE)
async def queue_retry(call: Call, body: RetryRequest) -> RetryReply:
    """Run ended jobs again, with their whole retry budget.

    Jobs that are not ended or not known are listed in `refused`; the others are pending again, and due now.
    """
    payload = None if body.payload is None else bytes(body.payload)
    done = await services.retry(call.project, call.actor, job_ids=body.jobIds, payload=payload)
    refused = [RefusedRetry(jobId=job_id, reason=reason) for job_id, reason in done.refused.items()]
    return RetryReply(success=not refused, count=done.count, refused=refused)


@operation("/queue/lease", request=LeaseRequest, reply=LeaseReply, scope=Scope.QUEUE_WORK, long_poll=True)
async def queue_lease(call: Call, body: LeaseRequest) -> LeaseReply:
    """Take due jobs to run them.

    Each is yours until `leaseExpiresAt`; extend with /queue/heartbeat, end with /queue/settle. Waits up to
    `waitSeconds` for the first job; an empty list means that none came.
    """
    leased = await services.lease(
        call.project,
        call.actor,
        types=body.types,
        limit=body.limit,
        lease_s=body.leaseSeconds,
        wait_s=body.waitSeconds,
        worker=_worker(body.worker),
        is_connected=call.is_connected,
    )
    return LeaseReply(jobs=[_leased(call, job) for job in leased])


@operation("/queue/heartbeat", request=HeartbeatRequest, reply=HeartbeatReply, scope=Scope.QUEUE_WORK)
async def queue_heartbeat(call: Call, body: HeartbeatRequest) -> HeartbeatReply:
    """Extend leases and learn of cancels.

    Answers in the order of `leases`: extended, lease_lost (stop: the job is somebody else's) or cancel_requested.
    """
    beats = await services.heartbeat(
        call.project,
        call.actor,
        worker=_worker(body.worker),
        leases=[services.LeaseRef(JobId(lease.jobId), lease.leaseToken) for lease in body.leases],
        lease_s=body.leaseSeconds,
    )
    return HeartbeatReply(
        leases=[Beat(jobId=lease.jobId, outcome=beat) for lease, beat in zip(body.leases, beats, strict=True)]
    )


@operation("/queue/settle", request=SettleRequest, reply=SettleReply, scope=Scope.QUEUE_WORK)
async def queue_settle(call: Call, body: SettleRequest) -> SettleReply:
    """End runs.

    Answers in the order of `results`: accepted, lease_lost (nothing changed) or cancelled (a cancel came first).
    """
    settled = await services.settle(
        call.project, call.actor, results=[_result(sent) for sent in body.results]
    )
    return SettleReply(
        results=[
            Settled(jobId=sent.jobId, outcome=outcome)
            for sent, outcome in zip(body.results, settled, strict=True)
        ]
    )


def _spec(body: EnqueueRequest) -> services.JobSpec:
    return services.JobSpec(
        type=body.type,
        payload=bytes(body.payload),
        delay_s=body.delaySeconds or 0,
        max_retries=services.MAX_RETRIES if body.maxRetries is None else body.maxRetries,
        priority=services.PRIORITY if body.priority is None else body.priority,
        retry_base_s=body.retryDelay,
    )


def _worker(body: Worker) -> services.WorkerInfo:
    return services.WorkerInfo(body.id, body.hostname, body.pid, body.version)


def _result(sent: RunResult) -> services.RunResult:
    error = sent.error or RunError()
    result = bytes(sent.result).decode()
    return services.RunResult(
        job_id=JobId(sent.jobId.lower()),
        lease_token=sent.leaseToken,
        outcome=sent.outcome,
        result="" if result == "null" else result,
        error_type=error.type,
        error_message=error.message,
        traceback=error.traceback,
        retry_after_ms=None if sent.retryAfterSeconds is None else int(sent.retryAfterSeconds * 1000),
        final=bool(sent.final),
    )


@in_reader
def _record(call: Call, job_id: str) -> JobRecord | None:
    found = queries.records(call.project, call.actor, ids=[job_id])
    return _wire(call, found[0]) if found else None


@in_reader
def _records(call: Call, body: JobsRequest) -> tuple[list[JobRecord], str | None]:
    page = queries.page(
        call.project,
        call.actor,
        status="pending" if body.status == "queued" else body.status,
        type=body.type,
        before=body.cursor,
        limit=body.limit or PAGE,
    )
    jobs: list[JobRecord] = []
    size = 0
    for rows in batched(page.jobs, READ_JOBS):
        for record in queries.records(call.project, call.actor, ids=[row.id for row in rows]):
            job = _wire(call, record)
            size += _size_bytes(job)
            if jobs and size > PAGE_BYTES:
                return jobs, jobs[-1].id
            jobs.append(job)
    return jobs, page.older


def _size_bytes(job: JobRecord) -> int:
    """Of what users put into a record; its payload, which is sent twice, counted once."""
    size = len(bytes(job.payload))
    if job.result is not UNSET:
        size += len(bytes(job.result))
    if job.errorDetails is not UNSET:
        size += len(job.errorDetails.message) + len(job.errorDetails.traceback)
    return size


def _wire(call: Call, record: queries.JobContent) -> JobRecord:
    row = record.row
    payload = Raw(record.payload.encode())
    details: ErrorDetails | UnsetType = UNSET
    if record.error_message or record.error_type:
        details = ErrorDetails(
            type=record.error_type, message=record.error_message, traceback=record.traceback
        )
    return JobRecord(
        id=row.id,
        type=row.type,
        status=row.status,
        state=row.state,
        payload=payload,
        data=payload,
        attempts=row.attempts,
        maxRetries=row.max_retries,
        priority=row.priority,
        run=row.run,
        projectId=str(call.project),
        createdAt=_instant(row.created_at),
        scheduledAt=_instant(row.due_at),
        startedAt=_instant(row.started_at) if row.started_at else UNSET,
        completedAt=_instant(row.ended_at) if row.ended_at else UNSET,
        error=(record.error_message or record.error_type) if details is not UNSET else UNSET,
        errorDetails=details,
        result=Raw(record.result.encode()) if record.result is not None else UNSET,
    )


def _leased(call: Call, job: services.LeasedJob) -> LeasedRecord:
    payload = Raw(job.payload.encode())
    return LeasedRecord(
        id=job.id,
        type=job.type,
        status="processing",
        state="processing",
        payload=payload,
        data=payload,
        attempts=job.attempts,
        maxRetries=job.max_retries,
        priority=job.priority,
        run=job.run,
        projectId=str(call.project),
        createdAt=_of_ms(job.created_at_ms),
        scheduledAt=_of_ms(job.due_at_ms),
        startedAt=_of_ms(job.started_at_ms),
        leaseToken=job.lease_token,
        leaseExpiresAt=_of_ms(job.lease_expires_at_ms),
    )


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _of_ms(at_ms: int) -> str:
    return _instant(datetime.fromtimestamp(at_ms / 1000, UTC))
