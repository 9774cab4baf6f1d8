"""What programs do with jobs: enqueue, read, cancel, retry. Enqueues answer 201, all else 200."""

from itertools import batched
from typing import cast

from msgspec import UNSET

from aerodash import instants
from aerodash.auth import Scope
from aerodash.wire.operation import OPTIONS, Call, Rpc, operation
from jobs_admin import forms, queries, services
from jobs_admin.reading import in_reader
from jobs_admin.records import LogPage
from jobs_admin.schemas import (
    CancelReply,
    CancelRequest,
    EnqueueManyReply,
    EnqueueManyRequest,
    EnqueueReply,
    EnqueueRequest,
    JobRecord,
    JobReply,
    JobRequest,
    JobsReply,
    JobsRequest,
    Level,
    LoggedLine,
    LogsReply,
    LogsRequest,
    RefusedRetry,
    RetryReply,
    RetryRequest,
    Status,
)

PAGE = 50
PAGE_BYTES = 32 * 1024 * 1024
"""Of payloads, results and tracebacks in one page, which ends early before it holds more: an answer is held in memory,
several times over."""
READ_JOBS = 10
"""Jobs that are read at once with all they carry, until the page is full."""


@operation(
    "/queue/enqueue",
    request=EnqueueRequest,
    reply=EnqueueReply,
    scope=Scope.QUEUE_ENQUEUE,
    status=201,
    rpc=Rpc(("type", "payload", "delaySeconds")),
)
async def queue_enqueue(call: Call, body: EnqueueRequest) -> EnqueueReply:
    """Add a job.

    Once this has answered, the job is on disk and runs at least once, unless it is cancelled. Where a unique or an
    idempotency key has a job already, its id comes back with `duplicate: true`.
    """
    added = await services.enqueue(call.project, call.actor, job=forms.new_job(body))
    if not added.duplicate:
        return EnqueueReply(jobId=added.job_id, success=True, status="pending")
    status = await _status(call, added.job_id)
    return EnqueueReply(jobId=added.job_id, success=True, status=status, duplicate=True)


@operation(
    "/queue/enqueueMany",
    request=EnqueueManyRequest,
    reply=EnqueueManyReply,
    scope=Scope.QUEUE_ENQUEUE,
    status=201,
)
async def queue_enqueue_many(call: Call, body: EnqueueManyRequest) -> EnqueueManyReply:
    """Add up to 10 000 jobs, all or none.

    `jobIds` stand in the order of `jobs`; `duplicates` are the places of those whose unique or idempotency key has a
    job already, maybe one of the same call.
    """
    jobs = [forms.new_job(job, f"jobs[{index}].") for index, job in enumerate(body.jobs)]
    added = await services.enqueue_many(call.project, call.actor, jobs=jobs)
    duplicates = [index for index, one in enumerate(added) if one.duplicate]
    return EnqueueManyReply(
        success=True, jobIds=[one.job_id for one in added], duplicates=duplicates or UNSET
    )


@operation("/queue/job", request=JobRequest, reply=JobReply, scope=Scope.QUEUE_READ, rpc=Rpc(("jobId",)))
async def queue_job(call: Call, body: JobRequest) -> JobReply:
    """Read one job.

    An unknown id answers `job: null, exists: false`.
    """
    found = await _record(call, body.jobId)
    return JobReply(job=found, exists=found is not None)


@operation("/queue/jobs", request=JobsRequest, reply=JobsReply, scope=Scope.QUEUE_READ, rpc=Rpc((OPTIONS,)))
async def queue_jobs(call: Call, body: JobsRequest) -> JobsReply:
    """List jobs, newest first.

    `status` takes the five statuses and the finer words scheduled, retrying, cancelling and due; `cursor` goes on
    where the page before ended.
    """
    jobs, older = await _records(call, body)
    return JobsReply(jobs=jobs, list_complete=older is None, cursor=older if older is not None else UNSET)


@operation("/queue/logs", request=LogsRequest, reply=LogsReply, scope=Scope.QUEUE_READ)
async def queue_logs(call: Call, body: LogsRequest) -> LogsReply:
    """Read what a job's handlers logged, oldest first.

    Up to 1000 lines; `cursor` goes on after them, now or once there are more. A job keeps its first 1000 lines, of all
    its runs; `dropped` are those that came later.
    """
    page = await _logs(call, body)
    return LogsReply(
        lines=[
            LoggedLine(
                run=line.run,
                at=instants.text_of(line.at),
                level=cast(Level, line.level),
                message=line.message,
            )
            for line in page.lines
        ],
        dropped=page.dropped or UNSET,
        cursor=UNSET if page.cursor is None else page.cursor,
    )


@operation(
    "/queue/cancel", request=CancelRequest, reply=CancelReply, scope=Scope.QUEUE_MANAGE, rpc=Rpc(("jobId",))
)
async def queue_cancel(call: Call, body: CancelRequest) -> CancelReply:
    """Cancel a job.

    A pending one never starts. A running one is asked to stop, and ends as cancelled whatever its worker says.
    """
    done = await services.cancel(call.project, call.actor, job_id=body.jobId)
    return CancelReply(success=done.success, note=done.note if done.note is not None else UNSET)


@operation("/queue/retry", request=RetryRequest, reply=RetryReply, scope=Scope.QUEUE_MANAGE)
async def queue_retry(call: Call, body: RetryRequest) -> RetryReply:
    """Run ended jobs again, with their whole retry budget.

    Named by their ids, or all that match a filter (without a status: the failed ones). Jobs that are not ended, not
    known, or whose unique key has another job are listed in `refused`, the first 1000 of them; the others are pending
    again, and due now.
    """
    payload = None if body.payload is None else bytes(body.payload)
    if (body.jobIds is None) == (body.filter is None):
        raise forms.one_of("jobIds", "filter")
    if body.filter is not None:
        wanted = queries.JobFilter(body.filter.status, body.filter.type, body.filter.tag, body.filter.batch)
        done = await services.retry_matching(call.project, call.actor, filter=wanted, payload=payload)
    else:
        done = await services.retry(call.project, call.actor, job_ids=body.jobIds or (), payload=payload)
    return RetryReply(
        success=not done.refused,
        count=done.count,
        refused=[RefusedRetry(jobId=job_id, reason=reason) for job_id, reason in done.refused.items()],
        moreRefused=done.more_refused or UNSET,
    )


@in_reader
def _status(call: Call, job_id: str) -> Status:
    """Where a job stands that was enqueued before; as it was then, if it has been pruned since."""
    return cast(Status, queries.status(call.project, job_id=job_id) or "pending")


@in_reader
def _record(call: Call, job_id: str) -> JobRecord | None:
    found = queries.records(call.project, call.actor, ids=[job_id])
    return forms.job_record(call.project, found[0]) if found else None


@in_reader
def _logs(call: Call, body: LogsRequest) -> LogPage:
    return queries.logs(call.project, call.actor, job_id=body.jobId, after=body.after)


@in_reader
def _records(call: Call, body: JobsRequest) -> tuple[list[JobRecord], str | None]:
    page = queries.page(
        call.project,
        call.actor,
        status="pending" if body.status == "queued" else body.status,
        type=body.type,
        tag=body.tag,
        batch=body.batch,
        before=body.cursor,
        limit=body.limit or PAGE,
    )
    jobs: list[JobRecord] = []
    size = 0
    for rows in batched(page.jobs, READ_JOBS):
        for record in queries.records(call.project, call.actor, ids=[row.id for row in rows]):
            job = forms.job_record(call.project, record)
            size += forms.size_bytes(job)
            if jobs and size > PAGE_BYTES:
                return jobs, jobs[-1].id
            jobs.append(job)
    return jobs, page.older
