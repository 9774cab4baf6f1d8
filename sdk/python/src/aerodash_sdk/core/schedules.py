"""The calls for schedules: jobs that the server enqueues by a cron line, or every so often."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self

from aerodash_sdk.core.json_text import encode
from aerodash_sdk.core.queue import succeeded, text
from aerodash_sdk.core.records import JobRef, NewJob, Page, instant, present
from aerodash_sdk.core.request import Repeat, Request, request

type Missed = Literal["skip", "one", "all"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule. Either cron, read in timezone, or every_seconds is set.

    missed: what becomes of the times at which no keeper ran: none of them, one job for all, or a job for each.
    next_at: when it fires next; None while it is paused. last_at, last_job_id: of the last slot that was enqueued.
    fault: why the slot after that could not be enqueued, in a sentence; None: nothing is wrong.
    """

    name: str
    type: str
    payload: Any
    cron: str | None
    every_seconds: float | None
    timezone: str
    missed: Missed
    paused: bool
    next_at: datetime | None
    last_at: datetime | None = None
    last_job_id: str | None = None
    fault: str | None = None

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Self:
        return cls(
            name=text(record["name"]),
            type=text(record["type"]),
            payload=record.get("payload"),
            cron=record.get("cron"),
            every_seconds=record.get("everySeconds"),
            timezone=record.get("timezone", "UTC"),
            missed=record.get("missed", "one"),
            paused=bool(record.get("paused", False)),
            next_at=instant(record.get("nextAt")),
            last_at=instant(record.get("lastAt")),
            last_job_id=record.get("lastJobId"),
            fault=record.get("fault"),
        )


def set(
    name: str,
    job: NewJob,
    *,
    cron: str | None,
    every_seconds: float | None,
    timezone: str | None,
    missed: Missed | None,
    paused: bool | None,
) -> Request[datetime | None]:
    times = present(
        name=name, cron=cron, everySeconds=every_seconds, timezone=timezone, missed=missed, paused=paused
    )
    return Request(
        "/queue/schedule/set",
        encode({**job.wire(), **times}),
        lambda reply: instant(reply.get("nextAt")),
    )


def list_page(*, cursor: str | None) -> Request[Page[Schedule]]:
    return request(
        "/queue/schedule/list",
        lambda reply: Page(
            [Schedule.read(record) for record in reply["schedules"]],
            None if reply["list_complete"] else reply["cursor"],
        ),
        cursor=cursor,
    )


def delete(name: str) -> Request[bool]:
    return request("/queue/schedule/delete", succeeded, name=name)


def run(name: str) -> Request[JobRef]:
    # Never twice: there would be two jobs.
    return request(
        "/queue/schedule/run",
        lambda reply: JobRef(text(reply["jobId"]), bool(reply.get("duplicate", False))),
        repeat=Repeat.IF_REFUSED,
        name=name,
    )
