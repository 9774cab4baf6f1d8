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
type Id = Annotated[
    str, Meta(min_length=1, max_length=limits.JOB_ID_CHARS, description="As enqueue answered it.")
]
type Token = Annotated[
    str, Meta(min_length=1, max_length=limits.LEASE_TOKEN_CHARS, description="As lease answered it.")
]
type Seconds = Annotated[float, Meta(ge=0, le=limits.DELAY_MAX_S)]
type LeaseSeconds = Annotated[float, Meta(ge=1, le=limits.LEASE_MAX_S)]
type Instant = Annotated[str, Meta(description="RFC 3339, UTC, with milliseconds.")]
type Status = Literal["pending", "processing", "completed", "failed", "cancelled"]

JOB_ID_ALIASES: Aliases = {"jobId": ("job_id", "id")}


class EnqueueRequest(Request):
    """One job to add."""

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
    priority: (
        Annotated[int, Meta(ge=0, le=limits.PRIORITY_MAX, description="0 first, 9 last, 5 if absent.")] | None
    ) = None
    retryDelay: (
        Annotated[Seconds, Meta(description="Longest delay of the first retry; it doubles.")] | None
    ) = None


class EnqueueReply(Reply):
    """The job that was added."""

    jobId: str
    success: bool
    status: Status


class EnqueueManyRequest(Request):
    """Jobs to add, all or none."""

    jobs: Annotated[list[EnqueueRequest], Meta(min_length=1, max_length=limits.ENQUEUE_MANY_JOBS)]


class EnqueueManyReply(Reply):
    """Their ids, in the order of the jobs."""

    success: bool
    jobIds: list[str]


class ErrorDetails(Reply):
    """What the last failed run raised."""

    type: str
    message: str
    traceback: str


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


class LeasedRecord(JobRecord, kw_only=True):
    """A job that was handed out, with what settles it."""

    leaseToken: str
    leaseExpiresAt: Instant


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

    status: str | None = None
    type: JobType | None = None
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


class RetryRequest(Request):
    """Which ended jobs to run again."""

    aliases: ClassVar[Aliases] = {"payload": ("data",)}

    jobIds: Annotated[list[Id], Meta(min_length=1, max_length=limits.SETTLE_RESULTS)]
    payload: Annotated[Raw, Meta(description="Replaces the jobs' payload from this retry on.")] | None = None


class RefusedRetry(Reply):
    """A job that was not put back, and why."""

    jobId: str
    reason: Literal["not_found", "not_finished"]


class RetryReply(Reply):
    """How many were put back; success if none was refused."""

    success: bool
    count: int
    refused: list[RefusedRetry]


class Worker(Request):
    """id: one start of one worker process; a restart is another."""

    id: Annotated[str, Meta(min_length=1, max_length=limits.WORKER_ID_CHARS)]
    hostname: Annotated[str, Meta(max_length=limits.HOSTNAME_CHARS)] = ""
    pid: Annotated[int, Meta(ge=0, le=limits.PID_MAX)] = 0
    version: Annotated[str, Meta(max_length=limits.VERSION_CHARS)] = ""


class LeaseRequest(Request):
    """Who takes how many jobs of which types, and how long it waits for the first."""

    worker: Worker
    types: Annotated[list[JobType], Meta(max_length=limits.LEASE_TYPES)] | None = None
    limit: Annotated[int, Meta(ge=1, le=limits.LEASE_JOBS)] = 1
    leaseSeconds: LeaseSeconds = 30
    waitSeconds: Annotated[float, Meta(ge=0, le=limits.WAIT_MAX_S, description="Wait for the first job.")] = 0


class LeaseReply(Reply):
    """The jobs that were handed out, maybe none."""

    jobs: list[LeasedRecord]


class RunError(Request):
    """What a failed run raised."""

    type: Annotated[str, Meta(max_length=limits.ERROR_TYPE_BYTES)] = ""
    message: Annotated[str, Meta(description="Over 8 KiB its end is cut.")] = ""
    traceback: Annotated[str, Meta(description="Over 64 KiB its middle is cut.")] = ""


class RunResult(Request):
    """How one run ended."""

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
    """How runs ended."""

    results: Annotated[list[RunResult], Meta(max_length=limits.SETTLE_RESULTS)]


class Settled(Reply):
    """What became of one result."""

    jobId: str
    outcome: Literal["accepted", "lease_lost", "cancelled"]


class SettleReply(Reply):
    """One answer for each result, in their order."""

    results: list[Settled]


class Lease(Request):
    """One job that a worker still runs."""

    aliases: ClassVar[Aliases] = JOB_ID_ALIASES

    jobId: Id
    leaseToken: Token


class HeartbeatRequest(Request):
    """Which leases to extend."""

    worker: Worker
    leases: Annotated[list[Lease], Meta(max_length=limits.SETTLE_RESULTS)]
    leaseSeconds: LeaseSeconds = 30


class Beat(Reply):
    """What became of one lease."""

    jobId: str
    outcome: Literal["extended", "lease_lost", "cancel_requested"]


class HeartbeatReply(Reply):
    """One answer for each lease, in their order."""

    leases: list[Beat]
