"""What comes back: frozen records, read from the API's replies."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self

from aerodash_sdk.core.errors import InvalidInput

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
class RetryDelay:
    """How long a failed job waits for its next run, in seconds.

    exponential: base * 2^(n-1) after the n-th failure, at most cap, drawn from the upper half. fixed: always base.
    list: the n-th of delays, the last one from then on.
    """

    kind: Literal["exponential", "fixed", "list"] = "exponential"
    base: float | None = None
    cap: float | None = None
    delays: Sequence[float] | None = None

    def wire(self) -> dict[str, Any]:
        delays = [*self.delays] if self.delays is not None else None
        return present(kind=self.kind, base=self.base, cap=self.cap, delays=delays)


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """At most one job with this key: while one is unfinished, or for so many seconds after one was enqueued.

    on_conflict: `keep` answers the first job's id (JobRef.duplicate says so), `replace` takes the place of one that
    has not begun.
    """

    key: str
    during: Literal["unfinished"] | float = "unfinished"
    on_conflict: Literal["keep", "replace"] = "keep"

    def wire(self) -> dict[str, Any]:
        return {"key": self.key, "while": self.during, "onConflict": self.on_conflict}


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to enqueue. Whatever is None is left to the job's type, or to the server.

    payload: any JSON value. delay_seconds, run_at: when it is due, one of the two. max_retries: runs after the first
    (3). priority: 0 first, 9 last (5). retry_delay: seconds, or a RetryDelay. unique_key: text, or a UniqueKey.
    idempotency_key: the same enqueue sent again within a day answers the same job; the client makes one of its own.
    timeout_seconds: the longest run. deadline: when it must have begun, else it fails as expired.
    tags: to find it by. batch: a batch's id. partition_key: what a type's limits per partition count by.
    traceparent: the W3C trace that it belongs to. Instants are aware datetimes.
    """

    type: str
    payload: Any = None
    delay_seconds: float | None = None
    max_retries: int | None = None
    run_at: datetime | None = None
    priority: int | None = None
    retry_delay: float | RetryDelay | None = None
    unique_key: str | UniqueKey | None = None
    idempotency_key: str | None = None
    timeout_seconds: float | None = None
    deadline: datetime | None = None
    tags: Sequence[str] | None = None
    batch: str | None = None
    partition_key: str | None = None
    traceparent: str | None = None

    def wire(self) -> dict[str, Any]:
        retry_delay = self.retry_delay
        unique_key = self.unique_key
        return {
            "type": self.type,
            "payload": self.payload,
            **present(
                delaySeconds=self.delay_seconds,
                runAt=instant_text(self.run_at),
                maxRetries=self.max_retries,
                priority=self.priority,
                retryDelay=retry_delay.wire() if isinstance(retry_delay, RetryDelay) else retry_delay,
                uniqueKey=unique_key.wire() if isinstance(unique_key, UniqueKey) else unique_key,
                idempotencyKey=self.idempotency_key,
                timeoutSeconds=self.timeout_seconds,
                deadline=instant_text(self.deadline),
                tags=[*self.tags] if self.tags is not None else None,
                batch=self.batch,
                partitionKey=self.partition_key,
                traceparent=self.traceparent,
            ),
        }


@dataclass(frozen=True, slots=True)
class JobRef:
    """An accepted job: it is stored, and will run.

    duplicate: nothing was added, for the job existed: by its unique key, or because this enqueue was sent before.
    """

    job_id: str
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running job is, as its handler last said. percent: 0 to 100; None if it only gave a message."""

    percent: float | None
    message: str | None
    at: datetime | None


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
    attempts: runs since it was enqueued or last retried by hand. run: the number of the last run, which never falls.
    error: one line; error_details: the rest.
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
    run: int = 0
    priority: int = 5
    tags: tuple[str, ...] = ()
    batch: str | None = None
    partition_key: str | None = None
    unique_key: str | None = None
    timeout_seconds: float | None = None
    deadline: datetime | None = None
    traceparent: str | None = None
    progress: Progress | None = None

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
            run=record.get("run", 0),
            priority=record.get("priority", 5),
            tags=tuple(record.get("tags", ())),
            batch=record.get("batch"),
            partition_key=record.get("partitionKey"),
            unique_key=record.get("uniqueKey"),
            timeout_seconds=record.get("timeoutSeconds"),
            deadline=instant(record.get("deadline")),
            traceparent=record.get("traceparent"),
            progress=_progress(record.get("progress")),
        )


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What became of a request to cancel.

    accepted: the job is cancelled, or its worker will be told to stop. note: the server's words, if any.
    """

    accepted: bool
    note: str | None


@dataclass(frozen=True, slots=True)
class Retried:
    """What a retry by hand did: how many jobs are pending again, and why the others are not.

    refused, by job id: not_found, not_finished, or unique_taken (another unfinished job holds the unique key); the
    first 1000 of them. more_refused: how many besides.
    """

    count: int
    refused: Mapping[str, str]
    more_refused: int = 0


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that a handler wrote. run: of which run."""

    run: int
    at: datetime | None
    level: str
    message: str


@dataclass(frozen=True, slots=True)
class LogPage:
    """A part of a job's log. dropped: lines over the bound, which were counted and not kept.

    cursor: pass it as `after` for the lines written since.
    """

    lines: list[LogLine]
    dropped: int
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Paused:
    """Who paused a job type, when and why."""

    at: datetime | None
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class JobType:
    """A job type with the number of its jobs by status, and its settings as on the wire."""

    type: str
    counts: Mapping[str, int]
    paused: Paused | None
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """One start of one worker process; a restart is another."""

    id: str
    hostname: str
    pid: int
    version: str

    def wire(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def present(**fields: Any) -> dict[str, Any]:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def instant(text: str | None) -> datetime | None:
    """An aware UTC instant from RFC 3339 text; None from None."""
    return datetime.fromisoformat(text).astimezone(UTC) if text is not None else None


def instant_text(at: datetime | None) -> str | None:
    """RFC 3339 text from an aware instant; None from None. Raises InvalidInput for a naive one."""
    if at is None:
        return None
    if at.tzinfo is None:
        raise InvalidInput(f"{at} has no time zone.", details={"reason": "naive_datetime"})
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _progress(said: Mapping[str, Any] | None) -> Progress | None:
    if said is None:
        return None
    return Progress(said.get("percent"), said.get("message"), instant(said.get("at")))


def _job_error(details: Mapping[str, Any]) -> JobError:
    return JobError(
        type=str(details.get("type", "")),
        message=str(details.get("message", "")),
        traceback=str(details.get("traceback", "")),
    )
