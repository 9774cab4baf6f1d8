"""Schedules: set, deleted, and fired slot by slot."""

from collections.abc import Sequence
from dataclasses import replace

from aerodash.ids import JobId
from jobs_admin.engine import stored_jobs
from jobs_admin.engine.contract import NewJob, Who
from jobs_admin.engine.schedules import (
    FAULT_MS,
    SLOTS_KEPT,
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
from jobs_admin.engine.steps.calls import EnqueueCall
from jobs_admin.engine.steps.enqueue import enqueue
from jobs_admin.engine.steps.history import stored
from jobs_admin.engine.transactions import Transaction


def set_schedule(tx: Transaction, now: int, calls: Sequence[ScheduleSet]) -> list[int | None]:
    answers: list[int | None] = []
    for call in calls:
        row = tx.row(
            "schedule_set",
            project=call.project,
            name=call.name,
            type=call.type,
            job=stored_jobs.dump(call.job),
            cron=call.cron,
            every=call.every_ms,
            timezone=call.timezone,
            missed=call.missed,
            paused=call.paused,
            next=call.next_at_ms,
            now=now,
            by=call.who.label,
        )
        assert row is not None
        answers.append(row[0])
    return answers


def change(tx: Transaction, now: int, calls: Sequence[ScheduleChange]) -> list[Changed]:
    answers: list[Changed] = []
    for call in calls:
        # Locked, so that nobody comes between the look and the change.
        found = tx.row("schedule_lock", project=call.said.project, name=call.said.name)
        if found is None or found[1] != call.version:
            answers.append(Changed(done=False))
        else:
            [next_at_ms] = set_schedule(tx, now, [call.said])
            answers.append(Changed(done=True, next_at_ms=next_at_ms))
    return answers


def delete(tx: Transaction, now: int, calls: Sequence[ScheduleRef]) -> list[bool]:
    answers = []
    for call in calls:
        # Locked before its slots go: who fires it at this moment comes before or finds nothing.
        found = tx.row("schedule_lock", project=call.project, name=call.name)
        if found is not None:
            tx.many("schedule_forget", [{"schedule": found[0]}])
            tx.many("schedule_delete", [{"schedule": found[0]}])
        answers.append(found is not None)
    return answers


def job_of(tx: Transaction, now: int, calls: Sequence[ScheduleRef]) -> list[NewJob | None]:
    found = [tx.row("schedule_job", project=call.project, name=call.name) for call in calls]
    return [None if row is None else stored_jobs.load(row[0]) for row in found]


def due(tx: Transaction, now: int, calls: Sequence[DueBefore]) -> list[DueSchedules]:
    return [
        DueSchedules(
            now,
            tuple(
                DueSchedule(*row)
                for row in tx.rows("schedules_due", before=now + call.ahead_ms, now=now, limit=call.limit)
            ),
        )
        for call in calls
    ]


def fault(tx: Transaction, now: int, calls: Sequence[Fault]) -> list[None]:
    rows = [
        {
            "schedule": call.schedule.id,
            "version": call.schedule.version,
            "was": call.schedule.next_at_ms,
            "look": now + FAULT_MS,
            "fault": call.why,
        }
        for call in calls
    ]
    tx.many("schedule_fault", rows)
    return [None] * len(calls)


def fire(tx: Transaction, now: int, calls: Sequence[Firing]) -> list[list[JobId] | None]:
    return [_fire(tx, now, call) for call in calls]


def _fire(tx: Transaction, now: int, call: Firing) -> list[JobId] | None:
    schedule = call.schedule
    advanced = tx.row(
        "schedule_advance",
        schedule=schedule.id,
        version=schedule.version,
        was=schedule.next_at_ms,
        then=call.then_ms,
    )
    if advanced is None:
        return None
    rows = [{"schedule": schedule.id, "slot": slot, "job": stored(id)} for slot, id in call.slots]
    new = [one for one, row in zip(call.slots, tx.each("slot_take", rows), strict=True) if row is not None]
    if not new:
        return []
    who = Who("schedule", str(schedule.id), f"schedule {schedule.name}", "keeper")
    ids = [id for _, id in new]
    jobs = [replace(call.job, due_at_ms=slot) for slot, _ in new]
    [added] = enqueue(tx, now, [EnqueueCall(schedule.project, who, ids, jobs)])
    # With a unique key the job of an earlier slot may stand for this one's too.
    tx.many(
        "slot_became",
        [
            {"schedule": schedule.id, "slot": slot, "job": stored(one.job_id)}
            for (slot, id), one in zip(new, added, strict=True)
            if one.job_id != id
        ],
    )
    last_slot, _ = new[-1]
    tx.many("schedule_fired", [{"schedule": schedule.id, "slot": last_slot, "job": stored(added[-1].job_id)}])
    tx.many("slots_prune", [{"schedule": schedule.id, "kept": SLOTS_KEPT}])
    return [one.job_id for one in added]
