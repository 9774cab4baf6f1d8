"""What a job engine does, whichever database it writes to. tests/conformance/jobs holds every engine to it.

Instants are milliseconds since the epoch. Payloads and results are the
callers' own JSON text. Source: jobs.md.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from aerodash.ids import JobId, ProjectId

type Clock = Callable[[], int]
"""The time in milliseconds since the epoch; tests move it by hand."""

type RunOutcome = Literal["completed", "failed", "released"]
type Settled = Literal["accepted", "lease_lost", "cancelled"]
type Beat = Literal["extended", "lease_lost", "cancel_requested"]
type Refusal = Literal["not_found", "not_finished"]


@dataclass(frozen=True, slots=True)
class Who:
    """By whom and by which door a change came in; kept on the job's timeline."""

    kind: str
    id: str
    label: str
    door: str
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to enqueue. delay_ms: from the engine's now. retry_base_ms: None takes the type's, else the default."""

    type: str
    payload: str
    payload_bytes: int
    delay_ms: int = 0
    max_retries: int = 3
    priority: int = 5
    retry_base_ms: int | None = None
    retry_cap_ms: int | None = None


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


@dataclass(frozen=True, slots=True)
class LeasedJob:
    """A job handed to a worker, with the token that settles it until lease_expires_at_ms."""

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
    lease_token: str
    lease_expires_at_ms: int


@dataclass(frozen=True, slots=True)
class Leased:
    """What a lease found. next_due_at_ms: when the next job of these types is due, where none is due now."""

    jobs: tuple[LeasedJob, ...]
    next_due_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class LeaseRef:
    """A worker's claim to one job."""

    job_id: JobId
    lease_token: str


@dataclass(frozen=True, slots=True)
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
class Swept:
    """Jobs whose lease had expired, by project. more: the batch was full, so there may be others."""

    changed: dict[ProjectId, list[JobId]] = field(default_factory=dict)
    more: bool = False


@dataclass(frozen=True, slots=True)
class Drift:
    """A counter that did not equal the number of its jobs, and was set right."""

    project: ProjectId
    type: str
    status: str
    counted: int
    actual: int


class JobEngine(ABC):
    """Every verb is one atomic step, durable when it returns, and answers only for its own part of a group.

    Transitions are compare-and-swap on status, lease token and run: who lost a lease changes nothing. All verbs raise
    EngineDown (with the reason) when the database cannot take the change; nothing of it was then written.
    All are called on the engine loop.
    """

    skips_locked_rows: ClassVar[bool]
    """Whether several processes may lease at once without waiting for each other."""

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
    async def enqueue(self, project: ProjectId, who: Who, jobs: Sequence[NewJob]) -> list[JobId]:
        """Add jobs as pending, all or none; their ids in the order given."""

    @abstractmethod
    async def lease(
        self,
        project: ProjectId,
        worker: WorkerInfo,
        *,
        types: Sequence[str] | None,
        limit: int,
        lease_ms: int,
        wait_s: float = 0,
        is_connected: Callable[[], bool] = lambda: True,
    ) -> Leased:
        """Hand out up to `limit` due jobs of these types (None: all), most urgent first; waits up to wait_s for one.

        Paused types are left out. is_connected is asked just before the commit: a caller that has gone gets nothing,
        and what was leased for one that went meanwhile is released.
        """

    @abstractmethod
    async def heartbeat(
        self, project: ProjectId, worker: WorkerInfo, leases: Sequence[LeaseRef], *, lease_ms: int
    ) -> list[Beat]:
        """Extend leases to lease_ms from now; one answer each. A job with a cancel request is extended too."""

    @abstractmethod
    async def settle(self, project: ProjectId, who: Who, results: Sequence[RunResult]) -> list[Settled]:
        """End runs; one answer each. lease_lost changes nothing but the timeline; cancelled: a cancel had won.

        A job's timeline keeps limits.LATE_RESULTS late results. Of one that lost its lease it keeps the first
        limits.LATE_RESULT_BYTES, with result_bytes where that is not all; later ones are counted as `more` on the last.
        """

    @abstractmethod
    async def cancel(self, project: ProjectId, who: Who, job_id: JobId) -> Cancelled:
        """Keep a pending job from starting; ask for a processing one to end as cancelled."""

    @abstractmethod
    async def retry(
        self, project: ProjectId, who: Who, job_ids: Sequence[JobId], *, payload: str | None = None
    ) -> Retried:
        """Put ended jobs back as pending, due now, with the whole budget; with another payload if one is given."""

    @abstractmethod
    async def sweep(self, *, limit: int) -> Swept:
        """End up to `limit` runs whose lease has expired."""

    @abstractmethod
    async def reconcile(self) -> list[Drift]:
        """Compare every counter with its jobs and set right what differs."""
