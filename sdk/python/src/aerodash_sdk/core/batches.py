"""The calls for batches: sets of jobs with a progress, and a job that runs when the last of them has ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from aerodash_sdk.core.queue import succeeded, text
from aerodash_sdk.core.records import NewJob, Page, instant
from aerodash_sdk.core.request import Repeat, Request, request


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far a batch is. counts: its jobs by status. sealed: no more jobs join it.

    ended_at: when the last of its jobs ended, after it was sealed. completion_job_id: the job enqueued then.
    """

    id: str
    name: str | None
    counts: Mapping[str, int]
    total: int
    sealed: bool
    ended_at: datetime | None
    completion_job_id: str | None

    @property
    def ended(self) -> bool:
        return self.ended_at is not None

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Self:
        return cls(
            id=text(record["id"]),
            name=record.get("name"),
            counts=record["counts"],
            total=int(record["total"]),
            sealed=bool(record["sealed"]),
            ended_at=instant(record.get("endedAt")),
            completion_job_id=record.get("completionJobId"),
        )


def create(name: str | None, *, on_complete: NewJob | None) -> Request[str]:
    return request(
        "/queue/batch/create",
        lambda reply: text(reply["batchId"]),
        repeat=Repeat.IF_REFUSED,
        name=name,
        onComplete=on_complete.wire() if on_complete is not None else None,
    )


def seal(batch_id: str) -> Request[bool]:
    return request("/queue/batch/seal", succeeded, batchId=batch_id)


def get(batch_id: str) -> Request[BatchProgress | None]:
    return request(
        "/queue/batch/get",
        lambda reply: BatchProgress.read(reply["batch"]) if reply["exists"] else None,
        batchId=batch_id,
    )


def list_page(*, limit: int, cursor: str | None) -> Request[Page[BatchProgress]]:
    return request(
        "/queue/batch/list",
        lambda reply: Page(
            [BatchProgress.read(record) for record in reply["batches"]],
            None if reply["list_complete"] else reply["cursor"],
        ),
        limit=limit,
        cursor=cursor,
    )


def cancel(batch_id: str) -> Request[int]:
    return request("/queue/batch/cancel", lambda reply: int(reply["count"]), batchId=batch_id)


def retry(batch_id: str) -> Request[int]:
    # Never twice: a job may have failed again in between, and would get a second new budget.
    return request(
        "/queue/batch/retry",
        lambda reply: int(reply["count"]),
        repeat=Repeat.IF_REFUSED,
        batchId=batch_id,
    )
