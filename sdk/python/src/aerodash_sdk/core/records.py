"""What comes back: frozen records, read from the API's replies."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self

type Status = Literal["pending", "processing", "completed", "failed", "cancelled"]

TERMINAL: frozenset[str] = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Entry:
    """A cache entry. expires_at: None means never. revision: opaque, for comparing two reads."""

    key: str
    value: Any
    metadata: Mapping[str, Any] | None
    expires_at: datetime | None
    revision: str

    @classmethod
    def read(cls, key: str, reply: Mapping[str, Any]) -> Self | None:
        """From a reply of /cache/get; None if it says that there is no such entry."""
        if not reply["exists"]:
            return None
        return cls(
            key=key,
            value=reply["value"],
            metadata=reply.get("metadata"),
            expires_at=instant(reply.get("expiresAt")),
            revision=str(reply.get("revision", "")),
        )


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key in a listing, with all but its value."""

    key: str
    metadata: Mapping[str, Any] | None
    expires_at: datetime | None

    @classmethod
    def read(cls, item: Mapping[str, Any]) -> Self:
        return cls(item["key"], item.get("metadata"), instant(item.get("expiresAt")))


@dataclass(frozen=True, slots=True)
class Page[T]:
    """A part of a listing. cursor: where the next part begins; None if this is the last."""

    items: list[T]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to enqueue. payload: any JSON value. max_retries: None takes the server's default (3)."""

    type: str
    payload: Any = None
    delay_seconds: float | None = None
    max_retries: int | None = None


@dataclass(frozen=True, slots=True)
class JobRef:
    """An accepted job: it is stored, and will run."""

    job_id: str


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a run failed, as its worker told."""

    type: str
    message: str
    traceback: str


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it was when asked for.

    status: one of the five. state: the finer word (scheduled, retrying, cancelling, or the status).
    attempts: runs since it was enqueued or last retried by hand. error: one line; error_details: the rest.
    """

    id: str
    type: str
    status: Status
    state: str
    payload: Any
    attempts: int
    max_retries: int
    created_at: datetime
    scheduled_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error: str | None = None
    error_details: JobError | None = None
    result: Any = None

    @property
    def ended(self) -> bool:
        """Whether it is completed, failed or cancelled; only a retry by hand starts it again."""
        return self.status in TERMINAL

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Self:
        details = record.get("errorDetails")
        created_at = instant(record["createdAt"])
        if created_at is None:
            raise ValueError("createdAt is empty")
        return cls(
            id=record["id"],
            type=record["type"],
            status=record["status"],
            state=record.get("state", record["status"]),
            payload=record["payload"],
            attempts=record["attempts"],
            max_retries=record["maxRetries"],
            created_at=created_at,
            scheduled_at=instant(record.get("scheduledAt")),
            started_at=instant(record.get("startedAt")),
            completed_at=instant(record.get("completedAt")),
            error=record.get("error"),
            error_details=_job_error(details) if details is not None else None,
            result=record.get("result"),
        )


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What became of a request to cancel.

    accepted: the job is cancelled, or its worker will be told to stop. note: the server's words, if any.
    """

    accepted: bool
    note: str | None


@dataclass(frozen=True, slots=True)
class LeasedJob:
    """A job handed to a worker, with the token that proves the lease."""

    job: Job
    lease_token: str


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a run ended, on its way to the server.

    outcome: completed, failed or released (given back unfinished, at no cost to the retry budget).
    """

    job_id: str
    lease_token: str
    outcome: Literal["completed", "failed", "released"]
    result: Any = None
    error: JobError | None = None
    retry_after_s: float | None = None
    final: bool = False

    def wire(self) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "jobId": self.job_id,
            "leaseToken": self.lease_token,
            "outcome": self.outcome,
            "result": self.result,
            "error": dataclasses.asdict(self.error) if self.error else None,
            "retryAfterSeconds": self.retry_after_s,
            "final": self.final or None,
        }
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """One start of one worker process; a restart is another."""

    id: str
    hostname: str
    pid: int
    version: str

    def wire(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def instant(text: str | None) -> datetime | None:
    """An aware UTC instant from RFC 3339 text; None from None."""
    return datetime.fromisoformat(text).astimezone(UTC) if text is not None else None


def _job_error(details: Mapping[str, Any]) -> JobError:
    return JobError(
        type=str(details.get("type", "")),
        message=str(details.get("message", "")),
        traceback=str(details.get("traceback", "")),
    )
