"""What the steps of schedules take and answer. Callers name a step to JobEngine.call; part of the engines' contract.

set_schedule: ScheduleSet -> its next slot, None while it is paused
change_schedule: ScheduleChange -> Changed
delete_schedule: ScheduleRef -> bool, whether there was one
scheduled_job: ScheduleRef -> NewJob, or None if there is no such schedule
due_schedules: DueBefore -> DueSchedules
fault_schedule: Fault -> None
fire_schedule: Firing -> list of JobIds that were enqueued; None if somebody changed or fired the schedule meanwhile
"""

from dataclasses import dataclass

from aerodash.ids import JobId, ProjectId
from jobs_admin.engine.contract import NewJob, Who

FAULT_MS = 30_000
"""How long a schedule that could not be fired steps aside, so that others come into their own; then it is tried again."""

SLOTS_KEPT = 100
"""Of one schedule: the last slots and which job each became."""


@dataclass(frozen=True, slots=True)
class ScheduleSet:
    """Add a schedule, or replace all that is said about the one of this name.

    Either cron, in timezone, with next_at_ms, its slot after now; or every_ms, counted from the schedule's creation.
    paused: None leaves it as it is. If the times stay the same, so does the next slot, even one that is overdue.
    """

    project: ProjectId
    who: Who
    name: str
    type: str
    job: NewJob
    missed: str
    cron: str = ""
    timezone: str = "UTC"
    every_ms: int | None = None
    next_at_ms: int | None = None
    paused: bool | None = None


@dataclass(frozen=True, slots=True)
class ScheduleChange:
    """Replace all that is said about a schedule, if it still is at the version that it was read with."""

    said: ScheduleSet
    version: int


@dataclass(frozen=True, slots=True)
class Changed:
    """done: False where somebody changed or deleted it meanwhile. next_at_ms: its next slot, None while it is paused."""

    done: bool
    next_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ScheduleRef:
    """A project's schedule."""

    project: ProjectId
    name: str


@dataclass(frozen=True, slots=True)
class DueBefore:
    """Up to `limit` schedules whose next slot is before ahead_ms from now, the longest overdue first.

    Without those that had a fault less than FAULT_MS ago.
    """

    ahead_ms: int
    limit: int


@dataclass(frozen=True, slots=True)
class DueSchedule:
    """A schedule with a slot to enqueue. job: as stored_jobs.load takes it."""

    id: int
    project: ProjectId
    name: str
    job: str
    cron: str
    timezone: str
    every_ms: int | None
    missed: str
    created_at_ms: int
    next_at_ms: int
    version: int


@dataclass(frozen=True, slots=True)
class DueSchedules:
    """now_ms: the engine's own time."""

    now_ms: int
    schedules: tuple[DueSchedule, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """Keep why a schedule could not be fired, and look at it again FAULT_MS later; its slot stays the next.

    Only if the schedule still is at the version and the slot that it was read with.
    """

    schedule: DueSchedule
    why: str


@dataclass(frozen=True, slots=True)
class Firing:
    """Enqueue a job for each of these slots, with the ids given, and go on to then_ms; all of it or nothing.

    Only if the schedule still is at the version and the slot that it was read with. A slot that has its job already
    gets no other.
    """

    schedule: DueSchedule
    job: NewJob
    slots: tuple[tuple[int, JobId], ...]
    then_ms: int | None
