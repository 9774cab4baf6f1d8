"""Bodies of what programs do with jobs, and the types that all queue bodies share. Source: wire contract, sections 4, 8 and 9."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from msgspec import UNSET, Meta, Raw, UnsetType, field

from aerodash import limits
from aerodash.wire.inputs import Reply, Request

type Aliases = dict[str, tuple[str, ...]]
type JobType = Annotated[
    str,
    Meta(min_length=1, max_length=128, pattern=limits.JOB_TYPE_PATTERN, description="A-Z a-z 0-9 . _ : -"),
]
type Id = Annotated[
    str, Meta(min_length=1, max_length=limits.JOB_ID_CHARS, description="As enqueue answered it.")
]
type Token = Annotated[
    str, Meta(min_length=1, max_length=limits.LEASE_TOKEN_CHARS, description="As lease answered it.")
]
type Seconds = Annotated[float, Meta(ge=0, le=limits.DELAY_MAX_S)]
type LeaseSeconds = Annotated[float, Meta(ge=1, le=limits.LEASE_MAX_S)]
type TimeoutSeconds = Annotated[float, Meta(ge=1, le=limits.TIMEOUT_MAX_S)]
type MaxRetries = Annotated[int, Meta(ge=0, le=limits.MAX_RETRIES)]
type Priority = Annotated[
    int, Meta(ge=0, le=limits.PRIORITY_MAX, description="0 first, 9 last, 5 if absent.")
]
type Key = Annotated[str, Meta(min_length=1, max_length=limits.UNIQUE_KEY_CHARS, description="No NUL.")]
type Tag = Annotated[str, Meta(min_length=1, max_length=limits.TAG_CHARS, description="No NUL.")]
type When = Annotated[datetime, Meta(tz=True, description="RFC 3339 with a zone.")]
type Instant = Annotated[str, Meta(description="RFC 3339, UTC, with milliseconds.")]
type Level = Literal["debug", "info", "warning", "error"]
type Status = Literal["pending", "processing", "completed", "failed", "cancelled"]

JOB_ID_ALIASES: Aliases = {"jobId": ("job_id", "id")}


class RetryDelay(Request):
    """How long a failed job waits for its next run.

    exponential: half of min(cap, base * 2^(failures - 1)) and up to as much again by luck. fixed: base. list: the
    delays one after another, then the last again and again.
    """

    kind: Literal["exponential", "fixed", "list"] = "exponential"
    base: Annotated[Seconds, Meta(description="Of exponential (4 if absent) and fixed.")] | None = None
    cap: Annotated[Seconds, Meta(description="Of exponential; 3600 if absent.")] | None = None
    delays: (
        Annotated[
            list[Seconds], Meta(min_length=1, max_length=limits.RETRY_DELAYS, description="Of list only.")
        ]
        | None
    ) = None


class UniqueKey(Request):
    """While a job holds the key, no other of its type gets it."""

    aliases: ClassVar[Aliases] = {"onConflict": ("on_conflict",)}

    key: Key
    while_: Annotated[
        Literal["unfinished"] | Annotated[float, Meta(gt=0, le=limits.DELAY_MAX_S)],
        Meta(description="For as long as the job is unfinished, or so many seconds from its enqueue."),
    ] = field(name="while", default="unfinished")
    onConflict: Annotated[
        Literal["keep", "replace"],
        Meta(description="keep: the first stays; replace: it takes this payload and time, unless it runs."),
    ] = "keep"


class EnqueueRequest(Request):
    """One job to add."""

    aliases: ClassVar[Aliases] = {
        "payload": ("data",),
        "delaySeconds": ("delay", "delay_seconds"),
        "runAt": ("run_at",),
        "maxRetries": ("max_retries", "retries"),
        "retryDelay": ("retryDelaySeconds", "retry_delay", "retry_delay_seconds"),
        "uniqueKey": ("unique_key",),
        "idempotencyKey": ("idempotency_key",),
        "timeoutSeconds": ("timeout", "timeout_seconds"),
        "batch": ("batchId", "batch_id"),
        "partitionKey": ("partition_key",),
    }
    nullable: ClassVar[frozenset[str]] = frozenset({"payload"})

    type: JobType
    payload: Annotated[Raw, Meta(description="Any JSON, at most 1 MiB; kept as it is.")]
    delaySeconds: Seconds | None = None
    runAt: When | None = None
    maxRetries: MaxRetries | None = None
    priority: Priority | None = None
    retryDelay: (
        Annotated[Seconds, Meta(description="Longest delay of the first retry; it doubles.")]
        | RetryDelay
        | None
    ) = None
    uniqueKey: Key | UniqueKey | None = None
    idempotencyKey: Key | None = None
    timeoutSeconds: TimeoutSeconds | None = None
    deadline: When | None = None
    tags: Annotated[list[Tag], Meta(max_length=limits.TAGS)] | None = None
    batch: Id | None = None
    partitionKey: Key | None = None
    traceparent: (
        Annotated[str, Meta(min_length=1, description="As W3C Trace Context says, in lower case.")] | None
    ) = None


class EnqueueReply(Reply):
    """The job that was added, or the one that has its unique or idempotency key already (duplicate)."""

    jobId: str
    success: bool
    status: Status
    duplicate: bool | UnsetType = UNSET


class EnqueueManyRequest(Request):
    """Jobs to add, all or none."""

    jobs: Annotated[list[EnqueueRequest], Meta(min_length=1, max_length=limits.ENQUEUE_MANY_JOBS)]


class EnqueueManyReply(Reply):
    """Their ids, in the order of the jobs. duplicates: the places of those that another job stands for."""

    success: bool
    jobIds: list[str]
    duplicates: list[int] | UnsetType = UNSET


class ErrorDetails(Reply):
    """What the last failed run raised."""

    type: str
    message: str
    traceback: str


class Progress(Reply):
    """How far the job's handler last said it is."""

    at: Instant
    percent: float | UnsetType = UNSET
    message: str | UnsetType = UNSET


class JobRecord(Reply):
    """A job as programs see it; payload and data are the same."""

    id: str
    type: str
    status: Status
    state: str
    payload: Raw
    data: Raw
    attempts: int
    maxRetries: int
    priority: int
    run: int
    projectId: str
    createdAt: Instant
    scheduledAt: Instant
    startedAt: Instant | UnsetType = UNSET
    completedAt: Instant | UnsetType = UNSET
    error: str | UnsetType = UNSET
    errorDetails: ErrorDetails | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    batch: str | UnsetType = UNSET
    partitionKey: str | UnsetType = UNSET
    uniqueKey: str | UnsetType = UNSET
    timeoutSeconds: float | UnsetType = UNSET
    deadline: Instant | UnsetType = UNSET
    traceparent: str | UnsetType = UNSET
    progress: Progress | UnsetType = UNSET


class JobRequest(Request):
    """Which job to read."""

    aliases: ClassVar[Aliases] = JOB_ID_ALIASES

    jobId: Id


class JobReply(Reply):
    """The job, or `job: null, exists: false`."""

    job: JobRecord | None
    exists: bool


class JobsRequest(Request):
    """Which page of which jobs."""

    aliases: ClassVar[Aliases] = {"batch": ("batchId", "batch_id")}

    status: str | None = None
    type: JobType | None = None
    tag: Tag | None = None
    batch: Id | None = None
    limit: Annotated[int, Meta(ge=1, le=limits.JOBS_PER_PAGE)] | None = None
    cursor: Annotated[str, Meta(description="Opaque; from the page before.")] | None = None


class JobsReply(Reply):
    """A page of jobs, newest first."""

    jobs: list[JobRecord]
    list_complete: bool
    cursor: str | UnsetType = UNSET


class CancelRequest(Request):
    """Which job to cancel."""

    aliases: ClassVar[Aliases] = JOB_ID_ALIASES

    jobId: Id


class CancelReply(Reply):
    """Whether it is or will be cancelled, and a sentence for people."""

    success: bool
    note: str | UnsetType = UNSET


class RetryFilter(Request):
    """Which ended jobs: all that match everything that is given. Without a status the failed ones."""

    aliases: ClassVar[Aliases] = {"batch": ("batchId", "batch_id")}

    status: Literal["completed", "failed", "cancelled"] | None = None
    type: JobType | None = None
    tag: Tag | None = None
    batch: Id | None = None


class RetryRequest(Request):
    """Which ended jobs to run again: their ids, or a filter, not both."""

    aliases: ClassVar[Aliases] = {"payload": ("data",), "jobIds": ("job_ids", "ids")}

    jobIds: Annotated[list[Id], Meta(min_length=1, max_length=limits.SETTLE_RESULTS)] | None = None
    filter: RetryFilter | None = None
    payload: Annotated[Raw, Meta(description="Replaces the jobs' payload from this retry on.")] | None = None


class RefusedRetry(Reply):
    """A job that was not put back, and why."""

    jobId: str
    reason: Literal["not_found", "not_finished", "unique_taken"]


class RetryReply(Reply):
    """How many were put back; success if none was refused. moreRefused: so many besides those that are listed."""

    success: bool
    count: int
    refused: list[RefusedRetry]
    moreRefused: int | UnsetType = UNSET


class LogsRequest(Request):
    """Which job's log, and after which line."""

    aliases: ClassVar[Aliases] = JOB_ID_ALIASES

    jobId: Id
    after: Annotated[str, Meta(description="Opaque; the cursor of the reply before.")] | None = None


class LoggedLine(Reply):
    """A line that is kept."""

    run: int
    at: Instant
    level: Level
    message: str


class LogsReply(Reply):
    """Up to 1000 lines, oldest first. dropped: so many were over the bound of a job. cursor: goes on after these."""

    lines: list[LoggedLine]
    dropped: int | UnsetType = UNSET
    cursor: str | UnsetType = UNSET


class DoneReply(Reply):
    """It is done."""

    success: bool


class CountsByStatus(Reply):
    """Jobs per status; exact."""

    pending: int
    processing: int
    completed: int
    failed: int
    cancelled: int
