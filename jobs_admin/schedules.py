"""Schedules: jobs that are enqueued by the clock. Verbs as services are, then what can be asked as queries are.

A slot is an instant for which a schedule enqueues its job, once: when the slots are, cron.py says. The keeper enqueues
each up to a second before, due at the slot, so that a job that a worker waits for starts at the slot.
Source: jobs.md, "What a job may carry, and what a type may say".
"""

import asyncio
import json
import logging
import re
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import batched

import uuid_utils

from aerodash import audit, engines, instants, limits
from aerodash.auth import Actor, Scope
from aerodash.errors import EngineDown, InvalidInput
from aerodash.ids import JobId, ProjectId
from aerodash.realtime import topics
from aerodash.realtime.publish import publish
from jobs_admin import cron
from jobs_admin.bounds import check_job, check_pause_reason, check_text, check_within
from jobs_admin.engine import stored_jobs
from jobs_admin.engine.contract import Enqueued, JobEngine, NewJob, Who
from jobs_admin.engine.schedules import (
    Changed,
    DueBefore,
    DueSchedule,
    DueSchedules,
    Fault,
    Firing,
    ScheduleChange,
    ScheduleRef,
    ScheduleSet,
)
from jobs_admin.models import Schedule
from jobs_admin.reading import in_reader
from jobs_admin.records import instant_or_none

MISSED = ("skip", "one", "all")
FIRED_AT_ONCE = 100
FIRED_BYTES = 16 * 1024 * 1024
"""Of payloads that one schedule's slots enqueue at once; what is over comes with the next look."""
PAGE_BYTES = 32 * 1024 * 1024
READ_AT_ONCE = 10
CHANGE_TRIES = 10
LABEL_CHARS = 160

_NAME = re.compile(limits.JOB_TYPE_PATTERN)
_OWN_TIMES = {
    "delaySeconds": lambda job: job.delay_ms,
    "runAt": lambda job: job.due_at_ms is not None,
    "deadline": lambda job: job.deadline_at_ms is not None,
    "batch": lambda job: job.batch is not None,
    "idempotencyKey": lambda job: job.idempotency_key,
}
"""What an enqueue may carry and a schedule may not: it would be about one of its jobs, or let only the first in."""

_told: dict[int, int] = {}
"""Schedules that cannot be fired, by the version of which the log knows."""

log = logging.getLogger("aerodash.keeper.jobs")


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """A schedule. Either cron or every_s. next_at: None while it is paused, or if the line has no more slots.

    last_at: the last slot that was enqueued, and last_job_id its job; None before the first. fault: why the slot after
    that could not be enqueued, in a sentence; "" if nothing is wrong. version: grows with each change of what is said.
    """

    name: str
    job: NewJob
    cron: str
    every_s: float | None
    timezone: str
    missed: str
    paused_at: datetime | None
    next_at: datetime | None
    last_at: datetime | None
    last_job_id: str | None
    created_at: datetime
    updated_at: datetime
    updated_by: str
    fault: str = ""
    version: int = 1


@dataclass(frozen=True, slots=True)
class SchedulePage:
    """Schedules by name. after: the cursor of the next page; None on the last."""

    schedules: tuple[ScheduleRow, ...]
    after: str | None


@engines.on_engine_loop
async def set_schedule(
    project: ProjectId,
    actor: Actor,
    *,
    name: str,
    job: NewJob,
    cron_line: str = "",
    every_s: float | None = None,
    timezone: str = "UTC",
    missed: str = "one",
    paused: bool | None = None,
) -> int | None:
    """Add a schedule, or replace all that is said about the one of this name; its next slot in ms, None while paused.

    name: 1..128 of A-Za-z0-9._:-. job: within the bounds of services.enqueue, without times, batch and idempotency key.
    Either cron_line, five fields in the time zone (see cron.py), or every_s, from 1, counted from the schedule's
    creation. missed: what becomes of slots that are more than a minute late because no keeper ran: skip, one (a
    single job for all of them) or all. paused: None leaves it as it is. Resumed, it goes on from now.
    If its times stay the same, so does its next slot.
    Raises InvalidInput (invalid_cron, unknown_timezone, and for every other bound).
    """
    actor.require(Scope.QUEUE_MANAGE)
    said = _said(
        project,
        actor,
        name=name,
        job=job,
        cron_line=cron_line,
        every_s=every_s,
        timezone=timezone,
        missed=missed,
        paused=paused,
    )
    answer: int | None = await _engine().call("set_schedule", said)
    publish(project, topics.JOBS)
    await audit.record(project, actor, verb="schedule.set", target=name, after=_text(said))
    return answer


@engines.on_engine_loop
async def change(
    project: ProjectId,
    actor: Actor,
    *,
    was: ScheduleRow,
    job: NewJob,
    cron_line: str = "",
    every_s: float | None = None,
    timezone: str = "UTC",
    missed: str = "one",
) -> bool:
    """Replace what is said about a schedule, as set_schedule does, but only over what the caller has seen (`was`).

    A pause stays. Returns False, with nothing changed, if somebody changed or deleted it meanwhile.
    """
    actor.require(Scope.QUEUE_MANAGE)
    said = _said(
        project,
        actor,
        name=was.name,
        job=job,
        cron_line=cron_line,
        every_s=every_s,
        timezone=timezone,
        missed=missed,
        paused=None,
    )
    changed: Changed = await _engine().call("change_schedule", ScheduleChange(said, was.version))
    if changed.done:
        publish(project, topics.JOBS)
        before = _text(_as_it_is(project, actor, was, paused=None))
        await audit.record(
            project, actor, verb="schedule.set", target=was.name, before=before, after=_text(said)
        )
    return changed.done


@engines.on_engine_loop
async def set_paused(
    project: ProjectId, actor: Actor, *, name: str, paused: bool, reason: str = ""
) -> bool | None:
    """Keep a schedule from firing, or let it go on from its next slot after now: slots in between are not made up for.

    reason: up to 256 characters, for the audit log. Returns whether it was the other way before; None if there is no
    schedule of this name. Raises EngineDown (busy) where others change it faster than this can.
    """
    actor.require(Scope.QUEUE_MANAGE)
    check_pause_reason(reason)
    for _ in range(CHANGE_TRIES):
        row = await in_reader(get)(project, actor, name=name)
        if row is None:
            return None
        if (row.paused_at is not None) == paused:
            return False
        said = _as_it_is(project, actor, row, paused=paused)
        changed: Changed = await _engine().call("change_schedule", ScheduleChange(said, row.version))
        if changed.done:
            publish(project, topics.JOBS)
            verb = "schedule.pause" if paused else "schedule.resume"
            await audit.record(project, actor, verb=verb, target=name, reason=reason)
            return True
    raise EngineDown(f"The schedule {name!r} is being changed by others; try again.", reason="busy")


@engines.on_engine_loop
async def delete(project: ProjectId, actor: Actor, *, name: str) -> bool:
    """Delete a schedule; the jobs that it has enqueued stay. Returns False if there is none of this name."""
    actor.require(Scope.QUEUE_MANAGE)
    found: bool = await _engine().call("delete_schedule", ScheduleRef(project, name))
    if found:
        publish(project, topics.JOBS)
        await audit.record(project, actor, verb="schedule.delete", target=name)
    return found


@engines.on_engine_loop
async def run(project: ProjectId, actor: Actor, *, name: str) -> Enqueued:
    """Enqueue a schedule's job now, beside its slots, also while it is paused; or the job that has its unique key already.

    Raises InvalidInput (unknown_schedule).
    """
    actor.require(Scope.QUEUE_MANAGE)
    job: NewJob | None = await _engine().call("scheduled_job", ScheduleRef(project, name))
    if job is None:
        raise InvalidInput(f"There is no schedule {name!r}.", reason="unknown_schedule", field="name")
    who = replace(_who(actor), label=f"{actor.label} (schedule {name})"[:LABEL_CHARS])
    [added] = await _engine().enqueue(project, who, (job,))
    publish(project, topics.JOBS, (added.job_id,))
    await audit.record(project, actor, verb="schedule.run", target=name, after=added.job_id)
    return added


@engines.on_engine_loop
async def fire() -> int:
    """Enqueue the jobs of every slot that has come, of all projects; returns how many. For the keeper.

    Two keepers that do it at once enqueue no slot twice, and what is changed meanwhile stays changed. A schedule that
    cannot be fired steps aside for half a minute, with its fault to be seen, and its slot is not lost.
    """
    total = 0
    while True:
        due: DueSchedules = await _engine().call("due_schedules", DueBefore(cron.EARLY_MS, FIRED_AT_ONCE))
        fired = await asyncio.gather(*(_fire(schedule, due.now_ms) for schedule in due.schedules))
        total += sum(len(job_ids) for job_ids in fired if job_ids)
        if len(fired) < FIRED_AT_ONCE:
            return total


def check_times(cron_line: str, every_s: float | None, timezone: str) -> tuple[str, int | None]:
    """The cron line with single spaces and its next slot in ms; "" and None for every_s. Raises InvalidInput."""
    if bool(cron_line) == (every_s is not None):
        raise InvalidInput("Send either cron or everySeconds.", reason="missing", field="cron")
    check_text("timezone", timezone, limits.TIMEZONE_CHARS)
    if every_s is not None:
        check_within("everySeconds", every_s, limits.EVERY_MIN_S, limits.EVERY_MAX_S)
        cron.check_timezone(timezone)  # it changes nothing, and is shown
        return "", None
    check_text("cron", cron_line, limits.CRON_CHARS)
    now_ms = instants.now_ms()
    cron.check(cron_line, timezone, now_ms=now_ms)
    cron_line = " ".join(cron_line.split())
    return cron_line, next(cron.following(cron.Timing(cron_line, timezone), now_ms), None)


def get(project: ProjectId, actor: Actor, *, name: str) -> ScheduleRow | None:
    """One schedule; None if the project has none of this name."""
    actor.require(Scope.QUEUE_READ)
    found = Schedule.objects.filter(project_id=project, name=name).first()
    return None if found is None else _row(found)


def page(project: ProjectId, actor: Actor, *, after: str | None = None, limit: int = 1000) -> SchedulePage:
    """Up to `limit` (1..1000) schedules by name; after: those after this cursor.

    Ends early before it holds more than PAGE_BYTES of payloads. Raises InvalidInput for a limit out of bounds.
    """
    actor.require(Scope.QUEUE_READ)
    check_within("limit", limit, 1, limits.SCHEDULES_PER_PAGE)
    schedules = Schedule.objects.filter(project_id=project).order_by("name")
    if after is not None:
        _check_cursor(after)
        schedules = schedules.filter(name__gt=after)
    names = list(schedules.values_list("name", flat=True)[: limit + 1])
    rows: list[ScheduleRow] = []
    size = 0
    for some in batched(names[:limit], READ_AT_ONCE):
        for schedule in schedules.filter(name__in=some):
            size += len(schedule.job)
            if rows and size > PAGE_BYTES:
                return SchedulePage(tuple(rows), rows[-1].name)
            rows.append(_row(schedule))
    return SchedulePage(tuple(rows), rows[-1].name if len(names) > limit else None)


async def _fire(schedule: DueSchedule, now_ms: int) -> Sequence[JobId] | None:
    """The jobs of its slots that have come; None if it was not fired: others were faster, or it cannot be."""
    timing = cron.Timing(schedule.cron, schedule.timezone, schedule.every_ms, schedule.created_at_ms)
    try:
        job = stored_jobs.load(schedule.job)
        most = max(1, min(cron.SLOTS_AT_ONCE, FIRED_BYTES // max(1, job.payload_bytes)))
        due = cron.due(timing, schedule.missed, schedule.next_at_ms, now_ms, most=most)
        slots = tuple((slot, JobId(str(uuid_utils.uuid7()))) for slot in due.slots)
        job_ids: Sequence[JobId] | None = await _engine().call(
            "fire_schedule", Firing(schedule, job, slots, due.next_at_ms), jobs=max(1, len(slots))
        )
    except (InvalidInput, zoneinfo.ZoneInfoNotFoundError) as exc:
        # A type too many, a unique key that changes hands too fast, or a zone that this machine no longer knows.
        if _told.get(schedule.id) != schedule.version:
            log.error("schedule %s of project %s: %s", schedule.name, schedule.project, exc)
            _told[schedule.id] = schedule.version
        await _engine().call("fault_schedule", Fault(schedule, str(exc)))
        publish(schedule.project, topics.JOBS)
        return None
    _told.pop(schedule.id, None)
    if job_ids:
        publish(schedule.project, topics.JOBS, job_ids)
    return job_ids


def _said(
    project: ProjectId,
    actor: Actor,
    *,
    name: str,
    job: NewJob,
    cron_line: str,
    every_s: float | None,
    timezone: str,
    missed: str,
    paused: bool | None,
) -> ScheduleSet:
    """What set_schedule was given, within its bounds. Raises InvalidInput."""
    _check_name(name)
    check_job(job)
    for field, is_set in _OWN_TIMES.items():
        if is_set(job):
            raise InvalidInput(
                f"{field}: a schedule's jobs cannot carry it.", reason="invalid_field", field=field
            )
    if missed not in MISSED:
        raise InvalidInput(
            f"missed must be one of {', '.join(MISSED)}.", reason="invalid_field", field="missed"
        )
    cron_line, next_at_ms = check_times(cron_line, every_s, timezone)
    return ScheduleSet(
        project,
        _who(actor),
        name,
        job.type,
        job,
        missed,
        cron_line,
        timezone,
        None if every_s is None else int(every_s * 1000),
        next_at_ms,
        paused,
    )


def _as_it_is(project: ProjectId, actor: Actor, row: ScheduleRow, *, paused: bool | None) -> ScheduleSet:
    """What is said about a schedule already, and whether it is paused."""
    return _said(
        project,
        actor,
        name=row.name,
        job=row.job,
        cron_line=row.cron,
        every_s=row.every_s,
        timezone=row.timezone,
        missed=row.missed,
        paused=paused,
    )


def _text(said: ScheduleSet) -> str:
    """As JSON, for people who read the audit log."""
    words = {
        "type": said.type,
        "cron": said.cron,
        "everySeconds": None if said.every_ms is None else said.every_ms / 1000,
        "timezone": said.timezone,
        "missed": said.missed,
        "paused": said.paused,
    }
    return json.dumps({key: value for key, value in words.items() if value not in (None, "")})


def _row(schedule: Schedule) -> ScheduleRow:
    return ScheduleRow(
        name=schedule.name,
        job=stored_jobs.load(schedule.job),
        cron=schedule.cron,
        every_s=None if schedule.every_ms is None else schedule.every_ms / 1000,
        timezone=schedule.timezone,
        missed=schedule.missed,
        paused_at=instant_or_none(schedule.paused_at_ms),
        next_at=instant_or_none(schedule.next_at_ms),
        last_at=instant_or_none(schedule.last_at_ms),
        last_job_id=None if schedule.last_job_id is None else str(schedule.last_job_id),
        created_at=_instant(schedule.created_at_ms),
        updated_at=_instant(schedule.updated_at_ms),
        updated_by=schedule.updated_by,
        fault=schedule.fault or "",
        version=schedule.version,
    )


def _instant(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidInput("name must be 1..128 of A-Za-z0-9._:-", reason="invalid_name", field="name")


def _check_cursor(after: str) -> None:
    if not _NAME.fullmatch(after):
        raise InvalidInput("This cursor is not one of ours.", reason="invalid_cursor", field="cursor")


def _engine() -> JobEngine:
    engine: JobEngine = engines.get("jobs")
    return engine


def _who(actor: Actor) -> Who:
    return Who(actor.kind, actor.id, actor.label, actor.door.value, actor.request_id)
