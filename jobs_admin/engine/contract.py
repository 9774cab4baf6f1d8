"""What a job engine does, whichever database it writes to. tests/conformance/jobs holds every engine to it.

Instants are milliseconds since the epoch. Payloads and results are the
callers' own JSON text. Records that a request has a thousand of are not
frozen: to build a frozen one takes eight times as long. Engines do not change
what they are given. Source: jobs.md.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from aerodash.ids import JobId, ProjectId
from jobs_admin.engine.rules import RetryPolicy

type Clock = Callable[[], int]
"""The time in milliseconds since the epoch; tests move it by hand."""

type RunOutcome = Literal["completed", "failed", "released"]
type Settled = Literal["accepted", "lease_lost", "cancelled"]
type Beat = Literal["extended", "lease_lost", "cancel_requested"]
type Heard = Literal["accepted", "lease_lost", "cancel_requested"]
type Refusal = Literal["not_found", "not_finished", "unique_taken"]
type NotRunNow = Literal["not_found", "not_waiting", "due_already"]
type Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Who:
    """By whom and by which door a change came in; kept on the job's timeline."""

    kind: str
    id: str
    label: str
    door: str
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Unique:
    """While a job holds the key, no other of its type and project gets it.

    period_ms: for so long from its enqueue, whatever becomes of it; None: for as long as it is unfinished.
    replace: a job that comes later gives its payload and times to the holder, if that one has not begun.
    """

    key: str
    period_ms: int | None = None
    replace: bool = False


@dataclass(slots=True)
class NewJob:
    """A job to enqueue.

    delay_ms: from the engine's now; due_at_ms: an instant instead. max_retries, retry: None takes the type's, else the
    default. timeout_ms: None takes the type's at each lease. deadline_at_ms: it does not begin from then on.
    batch: the id of a batch that is not sealed. idempotency_key: "" for none.
    """

    type: str
    payload: str
    payload_bytes: int
    delay_ms: int = 0
    due_at_ms: int | None = None
    max_retries: int | None = None
    priority: int = 5
    retry: RetryPolicy | None = None
    unique: Unique | None = None
    idempotency_key: str = ""
    timeout_ms: int | None = None
    deadline_at_ms: int | None = None
    tags: tuple[str, ...] = ()
    batch: str | None = None
    partition_key: str = ""
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The job that was added, or the one that has its unique or idempotency key already (duplicate)."""

    job_id: JobId
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """Who leases. id: one incarnation of a worker process; a new boot is a new id."""

    id: str
    hostname: str = ""
    pid: int = 0
    version: str = ""

    @property
    def name(self) -> str:
        """What people read: the machine and the process, or the id where the worker did not say."""
        return f"{self.hostname}:{self.pid}" if self.hostname else self.id


@dataclass(slots=True)
class LeasedJob:
    """A job handed to a worker, with the token that settles it until lease_expires_at_ms.

    timeout_ms: how long this run may take; None: for ever. tags: a JSON array's text, "" for none.
    """

    id: JobId
    type: str
    priority: int
    run: int
    attempts: int
    max_retries: int
    created_at_ms: int
    due_at_ms: int
    started_at_ms: int
    payload: str
    payload_version: int
    timeout_ms: int | None
    deadline_at_ms: int | None
    tags: str
    batch: str | None
    partition_key: str
    unique_key: str
    traceparent: str
    lease_token: str
    lease_expires_at_ms: int


@dataclass(frozen=True, slots=True)
class Leased:
    """What a lease found. next_due_at_ms: when the next job of these types may start, where none may now."""

    jobs: tuple[LeasedJob, ...]
    next_due_at_ms: int | None = None


@dataclass(slots=True)
class LeaseRef:
    """A worker's claim to one job."""

    job_id: JobId
    lease_token: str


@dataclass(slots=True)
class RunResult:
    """How a run ended, as its worker says. result: JSON text or "". final: fail at once, whatever budget is left."""

    job_id: JobId
    lease_token: str
    outcome: RunOutcome
    result: str = ""
    error_type: str = ""
    error_message: str = ""
    traceback: str = ""
    retry_after_ms: int | None = None
    final: bool = False


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that a handler wrote. at_ms: None takes the engine's now."""

    level: Level
    message: str
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """How far a run is. percent, message: None leaves what was said before."""

    job_id: JobId
    lease_token: str
    percent: float | None = None
    message: str | None = None
    logs: tuple[LogLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What a cancel did. status: where the job stands now; "" if there is none of this id."""

    success: bool
    status: str
    requested: bool = False


@dataclass(frozen=True, slots=True)
class Retried:
    """Which jobs a retry by hand put back, and why not the others."""

    job_ids: tuple[JobId, ...]
    refused: dict[str, Refusal]


@dataclass(frozen=True, slots=True)
class RunNow:
    """Which waiting jobs were made due now, and why not the others."""

    job_ids: tuple[JobId, ...]
    refused: dict[str, NotRunNow]


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker that was seen to die. reason, traceback: for the attempts that it takes with it.

    begun: of the jobs that it held, those whose handler had started, where that is known; the others are released.
    """

    worker_id: str
    reason: str = ""
    traceback: str = ""
    begun: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Swept:
    """Jobs that a step of the housekeeping changed, by project. more: the batch was full, so there may be others."""

    changed: dict[ProjectId, list[JobId]] = field(default_factory=dict)
    more: bool = False


@dataclass(frozen=True, slots=True)
class Drift:
    """A counter that did not equal the number of its jobs, and was set right.

    batch: the id of the batch whose counter it is; its type is "" then.
    """

    project: ProjectId
    type: str
    status: str
    counted: int
    actual: int
    batch: str | None = None


@dataclass(frozen=True, slots=True)
class TypeSettings:
    """What a type says about its jobs, all of it; None: no limit, or the default. See models.JobType."""

    retry: RetryPolicy | None = None
    max_retries: int | None = None
    lease_ms: int | None = None
    timeout_ms: int | None = None
    concurrency: int | None = None
    rate: int | None = None
    rate_per_ms: int | None = None
    rate_burst: int | None = None
    partition_concurrency: int | None = None
    partition_rate: int | None = None
    partition_rate_per_ms: int | None = None
    partition_rate_burst: int | None = None
    retention_completed_s: int | None = None
    retention_failed_s: int | None = None
    retention_cancelled_s: int | None = None
    secret_paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """A batch that has ended. job_id: what was enqueued because of that; None for nothing, also when it ends again."""

    project: ProjectId
    batch: str
    job_id: JobId | None


@dataclass(slots=True)
class Figures:
    """What a committed transaction did, for the timeline; tuples, because a transaction may end thousands of runs.

    enqueued: jobs by project and type. started: project, type, and how many ms the job had been due when it was leased.
    ended: project, type, where the job stands since ("pending": it is tried again), and how many ms the run took, None
    where that says nothing about the handler: it was cancelled, its worker fell silent, or it never began.
    """

    at_ms: int = 0
    enqueued: dict[tuple[ProjectId, str], int] = field(default_factory=dict)
    started: list[tuple[ProjectId, str, int]] = field(default_factory=list)
    ended: list[tuple[ProjectId, str, str, int | None]] = field(default_factory=list)


class JobEngine(ABC):
    """Every verb is one atomic step, durable when it returns, and answers only for its own part of a group.

    Transitions are compare-and-swap on status, lease token and run: who lost a lease changes nothing. All verbs raise
    EngineDown (with the reason) when the database cannot take the change; nothing of it was then written.
    All are called on the engine loop.
    """

    skips_locked_rows: ClassVar[bool]
    """Whether several processes may lease at once without waiting for each other."""

    on_finished: Callable[[Finished], None]
    """Called on the engine loop for each batch that the engine itself found over, after its end is committed."""

    on_figures: Callable[[Figures], None]
    """Called on the engine loop after each commit that there is something to count of; callers are answered before."""

    @abstractmethod
    async def open(self) -> None:
        """Start threads and tasks; succeeds also while the database is away."""

    @abstractmethod
    async def check(self) -> None:
        """Return if the database answers; raise EngineDown if not."""

    @abstractmethod
    async def drain(self) -> None:
        """The process is about to end: answer waiting leases with nothing, and let no other wait. All else goes on."""

    @abstractmethod
    async def close(self) -> None:
        """Answer what waits (long polls with nothing), commit what was accepted, let go of the database."""

    @abstractmethod
    async def enqueue(self, project: ProjectId, who: Who, jobs: Sequence[NewJob]) -> list[Enqueued]:
        """Add jobs as pending, all or none; one answer each, in the order given.

        Raises InvalidInput (unknown_batch, batch_sealed, too_many_types).
        """

    @abstractmethod
    async def lease(
        self,
        project: ProjectId,
        worker: WorkerInfo,
        *,
        types: Sequence[str] | None,
        limit: int,
        lease_ms: int | None,
        wait_s: float = 0,
        is_connected: Callable[[], bool] = lambda: True,
    ) -> Leased:
        """Hand out up to `limit` due jobs of these types (None: all), most urgent first; waits up to wait_s for one.

        Paused types are left out, and so are jobs over a limit of their type or past their deadline.
        lease_ms: None takes each type's, else 30 s. A lease ends no later than its run's time limit and a grace.
        Durable with the next commit that waits for the disk: of a lease that a power cut takes back, the worker's
        settle is refused, and the job runs again. is_connected is asked just before the commit: a caller that has gone gets nothing,
        and what was leased for one that went meanwhile is released.
        """

    @abstractmethod
    async def heartbeat(
        self, project: ProjectId, worker: WorkerInfo, leases: Sequence[LeaseRef], *, lease_ms: int | None
    ) -> list[Beat]:
        """Extend leases to lease_ms from now; one answer each. A job with a cancel request is extended too.

        lease_ms: None takes each type's, else 30 s, and never takes a lease back to less than it had.
        Never beyond the run's time limit and a grace. Durable as lease is.
        """

    @abstractmethod
    async def settle(self, project: ProjectId, who: Who, results: Sequence[RunResult]) -> list[Settled]:
        """End runs; one answer each. lease_lost changes nothing but the timeline; cancelled: a cancel had won.

        A job's timeline keeps limits.LATE_RESULTS late results. Of one that lost its lease it keeps the first
        limits.LATE_RESULT_BYTES, with result_bytes where that is not all; later ones are counted as `more` on the last.
        """

    @abstractmethod
    async def report(self, project: ProjectId, reports: Sequence[Report]) -> list[Heard]:
        """Keep what running handlers say of their progress; one answer each. lease_lost: nothing was kept.

        Of a job's log limits.LOG_LINES lines are kept, and the others counted. Durable as lease is.
        """

    @abstractmethod
    async def worker_lost(self, project: ProjectId, lost: Lost) -> list[JobId]:
        """End at once the runs of a worker that is dead; the jobs that changed. Its tokens are worth nothing then."""

    @abstractmethod
    async def cancel(self, project: ProjectId, who: Who, job_ids: Sequence[JobId]) -> list[Cancelled]:
        """Keep pending jobs from starting; ask for processing ones to end as cancelled. One answer each."""

    @abstractmethod
    async def retry(
        self, project: ProjectId, who: Who, job_ids: Sequence[JobId], *, payload: str | None = None
    ) -> Retried:
        """Put ended jobs back as pending, due now, with the whole budget; with another payload if one is given."""

    @abstractmethod
    async def run_now(self, project: ProjectId, who: Who, job_ids: Sequence[JobId]) -> RunNow:
        """Make pending jobs that are due later due now. What else holds them back (pause, limits, deadline) still does."""

    @abstractmethod
    async def pause(self, project: ProjectId, who: Who, type: str, reason: str) -> None:
        """Let nobody lease jobs of a type. Paused again, the first pause stands. Raises InvalidInput (too_many_types)."""

    @abstractmethod
    async def resume(self, project: ProjectId, type: str) -> None:
        """Take a pause back; who waits for such jobs is woken."""

    @abstractmethod
    async def configure(self, project: ProjectId, type: str, settings: TypeSettings) -> None:
        """Replace all that a type says, from the next transaction on. A pause stays. Raises InvalidInput (too_many_types)."""

    @abstractmethod
    async def sweep(self, *, limit: int) -> Swept:
        """End up to `limit` runs whose lease has expired, and fail as many pending jobs whose deadline has passed."""

    @abstractmethod
    async def prune(self, retention: Mapping[str, int], *, limit: int) -> Swept:
        """Delete up to `limit` jobs that ended longer ago than their type keeps them, with all that is about them.

        retention: milliseconds by terminal status, for types that say nothing. Forgets old idempotency keys and full
        rate buckets as well.
        """

    @abstractmethod
    async def fold(self) -> None:
        """Make one row of each counter's rows, where counters grow by rows."""

    @abstractmethod
    async def call(self, step: str, call: Any, *, jobs: int = 1) -> Any:
        """Run one of the rarer steps: batches.py, schedules.py and leftovers.py say what each takes and answers.

        jobs: how many it is about; of them a transaction takes so many and no more.
        """

    @abstractmethod
    async def reconcile(self) -> list[Drift]:
        """Compare every counter of types and batches with its jobs and set right what differs.

        A batch counts on the ended members that were pruned, so that it has too many of those cannot be seen.
        """
