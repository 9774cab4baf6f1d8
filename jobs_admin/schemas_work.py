"""Bodies of what workers do. Source: wire contract, section 4."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Raw, field

from aerodash import limits
from aerodash.wire.inputs import Reply, Request
from jobs_admin.schemas import (
    JOB_ID_ALIASES,
    Aliases,
    Id,
    Instant,
    JobRecord,
    JobType,
    LeaseSeconds,
    Level,
    Seconds,
    Token,
    When,
)


class LeasedRecord(JobRecord, kw_only=True):
    """A job that was handed out, with what settles it."""

    leaseToken: str
    leaseExpiresAt: Instant


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
    leaseSeconds: Annotated[LeaseSeconds, Meta(description="Absent: the type's, else 30.")] | None = None
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
    leaseSeconds: Annotated[LeaseSeconds, Meta(description="Absent: the type's, else 30.")] | None = None


class Beat(Reply):
    """What became of one lease."""

    jobId: str
    outcome: Literal["extended", "lease_lost", "cancel_requested"]


class HeartbeatReply(Reply):
    """One answer for each lease, in their order."""

    leases: list[Beat]


class LogLine(Request):
    """A line that a handler wrote. at: when it did; absent: now."""

    message: Annotated[str, Meta(description="Over 4 KiB its end is cut.")]
    level: Level = "info"
    at: When | None = None


class ProgressReport(Request):
    """What one running handler says. An absent percent or message stays as it was."""

    aliases: ClassVar[Aliases] = JOB_ID_ALIASES

    jobId: Id
    leaseToken: Token
    percent: Annotated[float, Meta(ge=0, le=100)] | None = None
    message: Annotated[str, Meta(description="Over 1 KiB its end is cut.")] | None = None
    logs: Annotated[list[LogLine], Meta(max_length=limits.REPORT_LINES)] | None = None


class ProgressRequest(Request):
    """What running handlers say."""

    reports: Annotated[list[ProgressReport], Meta(max_length=limits.PROGRESS_REPORTS)]


class Heard(Reply):
    """What became of one report."""

    jobId: str
    outcome: Literal["accepted", "lease_lost", "cancel_requested"]


class ProgressReply(Reply):
    """One answer for each report, in their order."""

    results: list[Heard]


class WorkerLostRequest(Request):
    """A worker process that was seen to die. begun: its jobs whose handler had started; absent: any of them may have."""

    worker: Worker
    reason: Annotated[str, Meta(description="Over 1 KiB its end is cut.")] | None = None
    traceback: Annotated[str, Meta(description="Over 64 KiB its middle is cut.")] | None = None
    begun: Annotated[list[Id], Meta(max_length=limits.BEGUN_JOBS)] | None = None


class WorkerLostReply(Reply):
    """How many runs it took with it."""

    success: bool
    count: int
