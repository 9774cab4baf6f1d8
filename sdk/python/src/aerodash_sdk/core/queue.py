"""The queue's calls for those who enqueue and look after jobs. Source: the wire contract, section 4."""

from collections.abc import Mapping, Sequence
from typing import Any

from aerodash_sdk.core.json_text import encode
from aerodash_sdk.core.records import (
    Cancellation,
    Job,
    JobRef,
    JobType,
    LogLine,
    LogPage,
    NewJob,
    Page,
    Paused,
    Retried,
    instant,
    present,
)
from aerodash_sdk.core.request import Repeat, Request, request

TYPES_PAGE = 1000
"""The most that a server answers with at once."""


def enqueue(job: NewJob) -> Request[JobRef]:
    return Request(
        "/queue/enqueue",
        encode(job.wire()),
        lambda reply: JobRef(text(reply["jobId"]), bool(reply.get("duplicate", False))),
        repeat=_repeat([job]),
    )


def enqueue_many(jobs: Sequence[NewJob]) -> Request[list[JobRef]]:
    return request(
        "/queue/enqueueMany",
        _refs,
        repeat=_repeat(jobs),
        jobs=[job.wire() for job in jobs],
    )


def get_job(job_id: str) -> Request[Job | None]:
    return request(
        "/queue/job", lambda reply: Job.read(reply["job"]) if reply["exists"] else None, jobId=job_id
    )


def list_jobs(
    *,
    type: str | None,
    status: str | None,
    tag: str | None = None,
    batch: str | None = None,
    limit: int,
    cursor: str | None,
) -> Request[Page[Job]]:
    return request(
        "/queue/jobs",
        lambda reply: Page(
            [Job.read(record) for record in reply["jobs"]],
            None if reply["list_complete"] else reply["cursor"],
        ),
        type=type,
        status=status,
        tag=tag,
        batch=batch,
        limit=limit,
        cursor=cursor,
    )


def cancel_job(job_id: str) -> Request[Cancellation]:
    return request(
        "/queue/cancel", lambda reply: Cancellation(bool(reply["success"]), reply.get("note")), jobId=job_id
    )


def retry(
    job_ids: Sequence[str] | None, *, where: Mapping[str, str] | None = None, payload: object = None
) -> Request[Retried]:
    """Either the jobs of these ids, or those that match: status, type, batch, tag."""
    # Never twice: a job may have failed again in between, and would get a second new budget.
    return request(
        "/queue/retry",
        lambda reply: Retried(
            int(reply["count"]),
            {item["jobId"]: str(item["reason"]) for item in reply.get("refused", ())},
            int(reply.get("moreRefused", 0)),
        ),
        repeat=Repeat.IF_REFUSED,
        jobIds=[*job_ids] if job_ids is not None else None,
        filter=dict(where) if where is not None else None,
        payload=payload,
    )


def logs(job_id: str, *, after: str | None) -> Request[LogPage]:
    return request(
        "/queue/logs",
        lambda reply: LogPage(
            [
                LogLine(int(line["run"]), instant(line.get("at")), str(line["level"]), str(line["message"]))
                for line in reply["lines"]
            ],
            int(reply.get("dropped", 0)),
            reply.get("cursor"),
        ),
        jobId=job_id,
        after=after,
    )


def pause(type: str, *, reason: str | None) -> Request[bool]:
    return request("/queue/pause", succeeded, type=type, reason=reason)


def resume(type: str) -> Request[bool]:
    return request("/queue/resume", succeeded, type=type)


def configure(type: str, settings: Mapping[str, object]) -> Request[bool]:
    return request("/queue/configure", succeeded, type=type, settings=dict(settings))


def types_page(*, cursor: str | None) -> Request[Page[JobType]]:
    return request(
        "/queue/types",
        lambda reply: Page(
            [_type(item) for item in reply["types"]],
            None if reply["list_complete"] else reply["cursor"],
        ),
        limit=TYPES_PAGE,
        cursor=cursor,
    )


def succeeded(reply: Mapping[str, Any]) -> bool:
    return bool(reply["success"])


def text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("an id is not a string")
    return value


def _repeat(jobs: Sequence[NewJob]) -> Repeat:
    """Without a key, never twice: the job would run twice."""
    return Repeat.ALWAYS if all(job.idempotency_key for job in jobs) else Repeat.IF_REFUSED


def _refs(reply: Mapping[str, Any]) -> list[JobRef]:
    duplicates = frozenset(reply.get("duplicates", ()))
    return [JobRef(text(job_id), index in duplicates) for index, job_id in enumerate(reply["jobIds"])]


def _type(item: Mapping[str, Any]) -> JobType:
    paused = item.get("paused")
    return JobType(
        type=str(item["type"]),
        counts=present(**item["counts"]),
        paused=Paused(instant(paused.get("at")), str(paused.get("by", "")), str(paused.get("reason", "")))
        if paused is not None
        else None,
        settings=item.get("settings") or {},
    )
