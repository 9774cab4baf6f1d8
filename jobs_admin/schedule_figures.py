"""Schedules as the console lists them: without their payloads, and with how their last jobs ended.

Needs the queue:read right. What a schedule says in full: schedules.get.
"""

import functools
import itertools
import re
import uuid
import zoneinfo
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cronsim import CronSim

from aerodash import instants, limits
from aerodash.auth import Actor, Scope
from aerodash.errors import InvalidInput
from aerodash.ids import ProjectId
from jobs_admin import cron, queries
from jobs_admin.bounds import check_within
from jobs_admin.models import Schedule, ScheduleSlot
from jobs_admin.records import JobRow, instant_or_none

LAST_SLOTS = 20
NEXT_SLOTS = 5

_NAME = re.compile(limits.JOB_TYPE_PATTERN)


@dataclass(frozen=True, slots=True)
class Line:
    """A schedule's line. words: its times for people. last: its last job as it is now; None before the first.

    last_job_id: of the last job, also where that one is kept no more.
    """

    name: str
    type: str
    words: str
    cron: str
    timezone: str
    is_paused: bool
    fault: str
    next_at: datetime | None
    last_at: datetime | None
    last_job_id: str | None
    last: JobRow | None


@dataclass(frozen=True, slots=True)
class Lines:
    """Some schedules by name. after, before: cursors, None at either end."""

    lines: tuple[Line, ...]
    after: str | None
    before: str | None


@dataclass(frozen=True, slots=True)
class Totals:
    """How many schedules a project has, and of those how many are paused and how many cannot be fired."""

    all: int
    paused: int
    faulty: int


@dataclass(frozen=True, slots=True)
class Next:
    """A slot to come. local: how the clocks of the schedule's own time zone show it, "" where that is UTC."""

    at: datetime
    local: str = ""


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot that was enqueued, and its job as it is now; None where that one is kept no more."""

    at: datetime
    job_id: str | None
    job: JobRow | None


def page(
    project: ProjectId,
    actor: Actor,
    *,
    show: str = "",
    type: str = "",
    after: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> Lines:
    """Up to `limit` (1..200) schedules by name. show: "paused", "faulty", "" for all. type: only of this one.

    after: those after this name; before: the nearest before it. Raises InvalidInput for what is no cursor.
    """
    actor.require(Scope.QUEUE_READ)
    check_within("limit", limit, 1, 200)
    found = Schedule.objects.filter(project_id=project).defer("job")
    if type:
        found = found.filter(type=type)
    if show == "paused":
        found = found.filter(paused_at_ms__isnull=False)
    elif show == "faulty":
        found = found.exclude(fault=None).exclude(fault="")
    for cursor in filter(None, (after, before)):
        if not _NAME.fullmatch(cursor):
            raise InvalidInput("This cursor is not one of ours.", reason="invalid_cursor", field="cursor")
    if before:
        rows = list(found.filter(name__lt=before).order_by("-name")[: limit + 1])
        more, rows = len(rows) > limit, rows[:limit]
        rows.reverse()
        return Lines(
            _lines(project, actor, rows), rows[-1].name if rows else None, rows[0].name if more else None
        )
    if after:
        found = found.filter(name__gt=after)
    rows = list(found.order_by("name")[: limit + 1])
    more, rows = len(rows) > limit, rows[:limit]
    first = rows[0].name if after and rows else None
    return Lines(_lines(project, actor, rows), rows[-1].name if more else None, first)


def totals(project: ProjectId, actor: Actor) -> Totals:
    """Counted when asked: a project has hundreds of schedules, not millions."""
    actor.require(Scope.QUEUE_READ)
    found = Schedule.objects.filter(project_id=project)
    faulty = found.exclude(fault=None).exclude(fault="")
    return Totals(found.count(), found.filter(paused_at_ms__isnull=False).count(), faulty.count())


def last_slots(project: ProjectId, actor: Actor, *, name: str) -> tuple[Slot, ...]:
    """The newest LAST_SLOTS slots of a schedule that were enqueued, newest first, with their jobs."""
    actor.require(Scope.QUEUE_READ)
    schedule = Schedule.objects.filter(project_id=project, name=name).values_list("pk", flat=True).first()
    if schedule is None:
        return ()
    slots = ScheduleSlot.objects.filter(schedule_id=schedule).order_by("-slot_ms")[:LAST_SLOTS]
    rows = list(slots.values_list("slot_ms", "job_id"))
    jobs = _jobs(project, actor, [job_id for _, job_id in rows])
    return tuple(
        Slot(instants.of_ms(at_ms), None if job_id is None else str(job_id), jobs.get(str(job_id)))
        for at_ms, job_id in rows
    )


def next_slots(
    cron_line: str, every_s: float | None, timezone: str, *, anchor_ms: int, now_ms: int
) -> list[Next]:
    """The NEXT_SLOTS slots after now_ms, fewer where the line has no more. anchor_ms: what every_s is counted from."""
    every_ms = None if every_s is None else int(every_s * 1000)
    timing = cron.Timing(cron_line, timezone, every_ms, anchor_ms)
    zone = None if every_s is not None or timezone == "UTC" else zoneinfo.ZoneInfo(timezone)
    slots = (instants.of_ms(at_ms) for at_ms in cron.following(timing, now_ms))
    return [
        Next(at, "" if zone is None else f"{at.astimezone(zone):%a %H:%M %Z}")
        for at in itertools.islice(slots, NEXT_SLOTS)
    ]


@functools.lru_cache(maxsize=4096)
def words(cron_line: str, every_s: float | None) -> str:
    """A schedule's times for people: "At 03:00 every day", "Every 15 min"."""
    if every_s is not None:
        return f"Every {_length(every_s)}"
    return str(CronSim(cron_line, instants.of_ms(0)).explain())


def _length(seconds: float) -> str:
    """In the largest unit that it is a whole number of: 90 min, and not 1 h 30 min; "minute" alone for one."""
    for size, unit, alone in ((86_400, "d", "day"), (3_600, "h", "hour"), (60, "min", "minute")):
        if seconds >= size and seconds % size == 0:
            number = int(seconds) // size
            return alone if number == 1 else f"{number:,} {unit}"
    return "second" if seconds == 1 else f"{seconds:,g} s"


def _lines(project: ProjectId, actor: Actor, rows: Sequence[Schedule]) -> tuple[Line, ...]:
    jobs = _jobs(project, actor, [row.last_job_id for row in rows])
    return tuple(_line(row, jobs.get(str(row.last_job_id))) for row in rows)


def _line(row: Schedule, last: JobRow | None) -> Line:
    return Line(
        name=row.name,
        type=row.type,
        words=words(row.cron, None if row.every_ms is None else row.every_ms / 1000),
        cron=row.cron,
        timezone=row.timezone,
        is_paused=row.paused_at_ms is not None,
        fault=row.fault or "",
        next_at=instant_or_none(row.next_at_ms),
        last_at=instant_or_none(row.last_at_ms),
        last_job_id=None if row.last_job_id is None else str(row.last_job_id),
        last=last,
    )


def _jobs(project: ProjectId, actor: Actor, ids: Iterable[uuid.UUID | None]) -> dict[str, JobRow]:
    known = {str(id) for id in ids if id is not None}
    return {row.id: row for row in queries.rows(project, actor, ids=known)} if known else {}
