"""What the steps are called with, a class a verb: the arguments of the engine's method."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aerodash.ids import JobId, ProjectId
from jobs_admin.engine.contract import (
    LeaseRef,
    Lost,
    NewJob,
    Report,
    RunResult,
    TypeSettings,
    Who,
    WorkerInfo,
)


@dataclass(frozen=True, slots=True)
class EnqueueCall:
    project: ProjectId
    who: Who
    ids: Sequence[str]
    jobs: Sequence[NewJob]


@dataclass(frozen=True, slots=True)
class LeaseCall:
    """types: sorted, without repetition."""

    project: ProjectId
    worker: WorkerInfo
    types: tuple[str, ...] | None
    limit: int
    lease_ms: int | None
    is_connected: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class BeatCall:
    project: ProjectId
    worker: WorkerInfo
    leases: Sequence[LeaseRef]
    lease_ms: int | None


@dataclass(frozen=True, slots=True)
class SettleCall:
    project: ProjectId
    who: Who
    results: Sequence[RunResult]


@dataclass(frozen=True, slots=True)
class ReportCall:
    project: ProjectId
    reports: Sequence[Report]


@dataclass(frozen=True, slots=True)
class CancelCall:
    project: ProjectId
    who: Who
    job_ids: Sequence[JobId]


@dataclass(frozen=True, slots=True)
class RetryCall:
    project: ProjectId
    who: Who
    job_ids: Sequence[JobId]
    payload: str | None


@dataclass(frozen=True, slots=True)
class RunNowCall:
    project: ProjectId
    who: Who
    job_ids: Sequence[JobId]


@dataclass(frozen=True, slots=True)
class LostCall:
    project: ProjectId
    lost: Lost


@dataclass(frozen=True, slots=True)
class PauseCall:
    project: ProjectId
    type: str
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SettingsCall:
    project: ProjectId
    type: str
    settings: TypeSettings
