"""The queue's calls for those who enqueue and look after jobs. Source: the wire contract, section 4."""

from collections.abc import Sequence
from typing import Any

from aerodash_sdk.core.json_text import encode
from aerodash_sdk.core.records import Cancellation, Job, JobRef, NewJob, Page
from aerodash_sdk.core.request import Repeat, Request, request


def enqueue(job: NewJob) -> Request[JobRef]:
    # Never twice: the job would run twice.
    return Request(
        "/queue/enqueue",
        encode(_wire(job)),
        lambda reply: JobRef(_id(reply["jobId"])),
        repeat=Repeat.IF_REFUSED,
    )


def enqueue_many(jobs: Sequence[NewJob]) -> Request[list[JobRef]]:
    return request(
        "/queue/enqueueMany",
        lambda reply: [JobRef(_id(job_id)) for job_id in reply["jobIds"]],
        repeat=Repeat.IF_REFUSED,
        jobs=[_wire(job) for job in jobs],
    )


def get_job(job_id: str) -> Request[Job | None]:
    return request(
        "/queue/job", lambda reply: Job.read(reply["job"]) if reply["exists"] else None, jobId=job_id
    )


def list_jobs(*, type: str | None, status: str | None, limit: int, cursor: str | None) -> Request[Page[Job]]:
    return request(
        "/queue/jobs",
        lambda reply: Page(
            [Job.read(record) for record in reply["jobs"]],
            None if reply["list_complete"] else reply["cursor"],
        ),
        type=type,
        status=status,
        limit=limit,
        cursor=cursor,
    )


def cancel_job(job_id: str) -> Request[Cancellation]:
    return request(
        "/queue/cancel", lambda reply: Cancellation(bool(reply["success"]), reply.get("note")), jobId=job_id
    )


def retry_job(job_id: str) -> Request[bool]:
    # Never twice: the job may have failed again in between, and would get a second new budget.
    return request(
        "/queue/retry", lambda reply: int(reply["count"]) == 1, repeat=Repeat.IF_REFUSED, jobIds=[job_id]
    )


def _wire(job: NewJob) -> dict[str, Any]:
    options = {"delaySeconds": job.delay_seconds, "maxRetries": job.max_retries}
    present = {name: value for name, value in options.items() if value is not None}
    return {"type": job.type, "payload": job.payload, **present}


def _id(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a job id is not a string")
    return value
