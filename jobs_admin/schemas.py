"""Bodies of the queue operations. Source: wire contract, sections 4, 8 and 9."""

from typing import Annotated, ClassVar, Literal

from msgspec import UNSET, Meta, Raw, UnsetType, field

from aerodash import limits
from aerodash.wire.inputs import Reply, Request

type Aliases = dict[str, tuple[str, ...]]
type JobType = Annotated[
    str,
    Meta(min_length=1, max_length=128, pattern=limits.JOB_TYPE_PATTERN, description="A-Z a-z 0-9 . _ : -"),
]
type Id = Annotated[str, Meta(min_length=1, max_length=64, description="As enqueue answered it.")]
type Token = Annotated[str, Meta(min_length=1, max_length=64, description="As lease answered it.")]
type Seconds = Annotated[float, Meta(ge=0, le=limits.DELAY_MAX_S)]
type LeaseSeconds = Annotated[float, Meta(ge=1, le=limits.LEASE_MAX_S)]
type Instant = Annotated[str, Meta(description="RFC 3339, UTC, with milliseconds.")]
type Status = Literal["pending", "processing", "completed", "failed", "cancelled"]

JOB_ID_ALIASES: Aliases = {"jobId": ("job_id", "id")}


class EnqueueRequest(Request):
    aliases: ClassVar[Aliases] = {
        "payload": ("data",),
        "delaySeconds": ("delay", "delay_seconds"),
        "maxRetries": ("max_retries", "retries"),
        "retryDelay": ("retryDelaySeconds",),
    }
    nullable: ClassVar[frozenset[str]] = frozenset({"payload"})

    type: JobType
    payload: Annotated[Raw, Meta(description="Any JSON, at most 1 MiB; kept as it is.")]
    delaySeconds: Seconds | None = None
    maxRetries: Annotated[int, Meta(ge=0, le=limits.MAX_RETRIES)] | None = None
    priority: Annotated[int, Meta(ge=0, le=9, description="0 first, 9 last, 5 if absent.")] | None = None
    retryDelay: (
        Annotated[Seconds, Meta(description="Longest delay of the first retry; it doubles.")] | None
    ) = None


class EnqueueReply(Reply):
    jobId: str
    success: bool
    status: Status


class EnqueueManyRequest(Request):
    jobs: Annotated[list[EnqueueRequest], Meta(min_length=1, max_length=limits.ENQUEUE_MANY_JOBS)]


class EnqueueManyReply(Reply):
    success: bool
    jobIds: list[str]


class ErrorDetails(Reply):
    type: str
    message: str
    traceback: str


class JobRecord(Reply):
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


class LeasedRecord(JobRecord, kw_only=True):
    leaseToken: str
    leaseExpiresAt: Instant


class JobRequest(Request):
    aliases: ClassVar[Aliases] = JOB_ID_ALIASES

    jobId: Id


class JobReply(Reply):
    job: JobRecord | None
    exists: bool


class JobsRequest(Request):
    status: str | None = None
    type: JobType | None = None
    limit: Annotated[int, Meta(ge=1, le=limits.JOBS_PER_PAGE)] | None = None
    cursor: Annotated[str, Meta(description="Opaque; from the page before.")] | None = None


class JobsReply(Reply):
    jobs: list[JobRecord]
    list_complete: bool
    cursor: str | UnsetType = UNSET


class CancelRequest(Request):
    aliases: ClassVar[Aliases] = JOB_ID_ALIASES

    jobId: Id


class CancelReply(Reply):
    success: bool
    note: str | UnsetType = UNSET


class RetryRequest(Request):
    aliases: ClassVar[Aliases] = {"payload": ("data",)}

    jobIds: Annotated[list[Id], Meta(min_length=1, max_length=limits.SETTLE_RESULTS)]
    payload: Annotated[Raw, Meta(description="Replaces the jobs' payload from this retry on.")] | None = None


class RefusedRetry(Reply):
    jobId: str
    reason: Literal["not_found", "not_finished"]


class RetryReply(Reply):
    success: bool
    count: int
    refused: list[RefusedRetry]


class Worker(Request):
    """id: one start of one worker process; a restart is another."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    hostname: Annotated[str, Meta(max_length=128)] = ""
    pid: Annotated[int, Meta(ge=0, le=2**32)] = 0
    version: Annotated[str, Meta(max_length=64)] = ""


class LeaseRequest(Request):
    worker: Worker
    types: Annotated[list[JobType], Meta(max_length=1000)] | None = None
    limit: Annotated[int, Meta(ge=1, le=limits.LEASE_JOBS)] = 1
    leaseSeconds: LeaseSeconds = 30
    waitSeconds: Annotated[float, Meta(ge=0, le=limits.WAIT_MAX_S, description="Wait for the first job.")] = 0


class LeaseReply(Reply):
    jobs: list[LeasedRecord]


class RunError(Request):
    type: Annotated[str, Meta(max_length=limits.ERROR_TYPE_BYTES)] = ""
    message: str = ""
    traceback: str = ""


class RunResult(Request):
    aliases: ClassVar[Aliases] = JOB_ID_ALIASES
    nullable: ClassVar[frozenset[str]] = frozenset({"result"})

    jobId: Id
    leaseToken: Token
    outcome: Literal["completed", "failed", "released"]
    result: Annotated[Raw, Meta(description="Any JSON, at most 1 MiB.")] = field(default_factory=Raw)
    error: RunError | None = None
    retryAfterSeconds: Seconds | None = None
    final: bool | None = None


class SettleRequest(Request):
    results: Annotated[list[RunResult], Meta(max_length=limits.SETTLE_RESULTS)]


class Settled(Reply):
    jobId: str
    outcome: Literal["accepted", "lease_lost", "cancelled"]


class SettleReply(Reply):
    results: list[Settled]


class Lease(Request):
    aliases: ClassVar[Aliases] = JOB_ID_ALIASES

    jobId: Id
    leaseToken: Token


class HeartbeatRequest(Request):
    worker: Worker
    leases: Annotated[list[Lease], Meta(max_length=limits.SETTLE_RESULTS)]
    leaseSeconds: LeaseSeconds = 30


class Beat(Reply):
    jobId: str
    outcome: Literal["extended", "lease_lost", "cancel_requested"]


class HeartbeatReply(Reply):
    leases: list[Beat]
