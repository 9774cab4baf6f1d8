"""Schedules: a slot's job is enqueued once, on time, whoever fires, however often, and whatever is edited meanwhile."""

import asyncio
import itertools

import pytest
import uuid_utils

from aerodash.ids import JobId
from jobs_admin import cron
from jobs_admin.engine.contract import JobEngine, NewJob, Unique
from jobs_admin.engine.schedules import (
    FAULT_MS,
    SLOTS_KEPT,
    DueBefore,
    DueSchedule,
    Fault,
    Firing,
    ScheduleChange,
    ScheduleRef,
    ScheduleSet,
)
from jobs_admin.engine.stored_jobs import load
from tests.conformance.jobs.conftest import ANN, Queue

JOB = NewJob(type="report", payload='{"a": 1}', payload_bytes=8, tags=("night",))
MINUTE_MS = 60_000


async def set_every(queue: Queue, name: str = "nightly", *, every_s: int = 60, **said) -> int | None:
    job = said.pop("job", JOB)
    values = {"missed": "one", "every_ms": every_s * 1000, **said}
    return await queue.engine.call(
        "set_schedule", ScheduleSet(queue.project, ANN, name, job.type, job, **values)
    )


async def set_cron(queue: Queue, line: str, name: str = "nightly", *, timezone: str = "UTC", **said):
    next_at = next(cron.following(cron.Timing(line, timezone), queue.clock()))
    values = {"missed": "one", "cron": line, "timezone": timezone, "next_at_ms": next_at, **said}
    return await queue.engine.call(
        "set_schedule", ScheduleSet(queue.project, ANN, name, JOB.type, JOB, **values)
    )


def at_eight(queue: Queue) -> None:
    """Make it 8 o'clock, in UTC."""
    day_ms = 24 * 60 * MINUTE_MS
    queue.clock.now_ms += (8 * 60 * MINUTE_MS - queue.clock()) % day_ms


async def due(queue: Queue, engine: JobEngine | None = None) -> tuple[int, tuple[DueSchedule, ...]]:
    found = await (engine or queue.engine).call("due_schedules", DueBefore(cron.EARLY_MS, 100))
    return found.now_ms, found.schedules


async def fire_one(engine: JobEngine, schedule: DueSchedule, now_ms: int) -> list[JobId] | None:
    timing = cron.Timing(schedule.cron, schedule.timezone, schedule.every_ms, schedule.created_at_ms)
    found = cron.due(timing, schedule.missed, schedule.next_at_ms, now_ms)
    slots = tuple((slot, JobId(str(uuid_utils.uuid7()))) for slot in found.slots)
    return await engine.call("fire_schedule", Firing(schedule, load(schedule.job), slots, found.next_at_ms))


async def fire(queue: Queue, engine: JobEngine | None = None) -> list[JobId]:
    """What the keeper does, once."""
    now_ms, schedules = await due(queue, engine)
    fired = [await fire_one(engine or queue.engine, schedule, now_ms) for schedule in schedules]
    return list(itertools.chain.from_iterable(job_ids or () for job_ids in fired))


def row(queue: Queue, name: str = "nightly") -> dict:
    [found] = queue.store.run(
        "SELECT * FROM jobs_admin_schedule WHERE project_id = ? AND name = ?", queue.project, name
    )
    return found


def slots(queue: Queue) -> list[int]:
    found = queue.store.run(
        "SELECT slot_ms FROM jobs_admin_scheduleslot AS slot JOIN jobs_admin_schedule AS schedule"
        " ON schedule.id = slot.schedule_id WHERE schedule.project_id = ? ORDER BY slot_ms",
        queue.project,
    )
    return [one["slot_ms"] for one in found]


def due_times(queue: Queue) -> list[int]:
    return sorted(job["due_at_ms"] for job in queue.store.jobs(queue.project).values())


async def test_a_slots_job_is_enqueued_a_little_early_and_starts_at_the_slot(queue: Queue):
    slot = await set_every(queue)
    assert slot == queue.clock() + MINUTE_MS
    queue.clock.move(58.999)
    assert await fire(queue) == []
    queue.clock.move(0.001)
    [job_id] = await fire(queue)
    job = queue.store.job(job_id)
    assert (job["due_at_ms"], job["payload"], job["tags"]) == (slot, '{"a": 1}', '["night"]')
    assert (job["enqueued_by"], job["enqueued_door"]) == ("schedule nightly", "keeper")
    assert await queue.lease() == []
    queue.clock.move(1)
    assert [leased.id for leased in await queue.lease()] == [job_id]
    found = row(queue)
    assert (found["last_at_ms"], found["next_at_ms"]) == (slot, slot + MINUTE_MS)
    assert found["last_job_id"] == job["id"]


async def test_fired_again_nothing_is_enqueued(queue: Queue):
    await set_every(queue)
    queue.clock.move(60)
    assert len(await fire(queue)) == 1
    assert await fire(queue) == []


async def test_a_cron_line_fires_in_its_time_zone(queue: Queue):
    at_eight(queue)
    slot = await set_cron(queue, "30 17 * * *", timezone="Asia/Tokyo")
    assert slot == queue.clock() + 30 * MINUTE_MS
    queue.clock.move(30 * 60)
    await fire(queue)
    assert due_times(queue) == [slot]
    assert row(queue)["next_at_ms"] == slot + 24 * 60 * MINUTE_MS


async def test_two_keepers_at_once_fire_each_slot_once(queue: Queue):
    other = queue.store.engine(queue.clock)
    await other.open()
    try:
        for number in range(5):
            await set_every(queue, f"s-{number}", every_s=1, missed="all")
        for _ in range(5):
            queue.clock.move(3)
            read = [await due(queue, engine) for engine in (queue.engine, other)]
            await asyncio.gather(
                *(
                    fire_one(engine, schedule, now_ms)
                    for engine, (now_ms, schedules) in zip((queue.engine, other), read, strict=True)
                    for schedule in schedules
                )
            )
    finally:
        await other.close()
    # 15 seconds, and a second ahead.
    assert len(due_times(queue)) == 5 * 16
    assert len(slots(queue)) == 5 * 16


@pytest.mark.parametrize("meanwhile", ["other job", "other times", "fired"])
async def test_what_was_read_before_a_change_fires_nothing(queue: Queue, meanwhile: str):
    await set_every(queue)
    queue.clock.move(60)
    now_ms, [schedule] = await due(queue)
    if meanwhile == "other job":
        assert await set_every(queue, job=NewJob("other", "2", 1)) == schedule.next_at_ms
    elif meanwhile == "other times":
        await set_every(queue, every_s=90)
    else:
        await fire(queue)
    before = row(queue)
    assert await fire_one(queue.engine, schedule, now_ms) is None
    assert row(queue) == before


async def test_a_slot_that_has_its_job_gets_no_other(queue: Queue):
    """Also if an edit makes the schedule come to it again: the slot's own row decides."""
    at_eight(queue)
    slot = await set_every(queue, every_s=60)
    queue.clock.move(59.5)
    await fire(queue)
    await set_cron(queue, "* * * * *", next_at_ms=slot)
    assert await fire(queue) == []
    assert due_times(queue) == [slot]
    assert row(queue)["next_at_ms"] == slot + MINUTE_MS


@pytest.mark.parametrize(("missed", "expected"), [("skip", 0), ("one", 1), ("all", 9)])
async def test_slots_that_nobody_was_there_for(queue: Queue, missed: str, expected: int):
    first = await set_every(queue, every_s=600, missed=missed)
    queue.clock.move(95 * 60)
    await fire(queue)
    assert len(due_times(queue)) == expected
    assert row(queue)["next_at_ms"] == first + 9 * 10 * MINUTE_MS
    # What was missed is due now: a job cannot be due in the past.
    assert set(due_times(queue)) <= {queue.clock()}


async def test_of_many_missed_slots_a_thousand_come_at_a_time(queue: Queue):
    first = await set_every(queue, every_s=1, missed="all")
    queue.clock.move(2_500)
    assert [len(await fire(queue)) for _ in range(4)] == [1000, 1000, 501, 0]
    assert row(queue)["next_at_ms"] == first + 2_501_000


async def test_a_paused_schedule_fires_nothing_and_resumed_goes_on_from_now(queue: Queue):
    await set_every(queue, missed="all")
    created = queue.clock()
    assert await set_every(queue, missed="all", paused=True) is None
    assert row(queue)["paused_at_ms"] == created
    queue.clock.move(10 * 60 + 7)
    assert await fire(queue) == []
    assert await set_every(queue, missed="all", paused=False) == created + 11 * MINUTE_MS
    assert row(queue)["paused_at_ms"] is None


async def test_a_pause_stays_unless_it_is_spoken_of(queue: Queue):
    await set_every(queue, paused=True)
    paused_at = queue.clock()
    queue.clock.move(5)
    assert await set_every(queue, every_s=90) is None
    assert await set_every(queue, every_s=90, paused=True) is None
    assert row(queue)["paused_at_ms"] == paused_at


async def test_an_edit_that_keeps_the_times_keeps_an_overdue_slot(queue: Queue):
    slot = await set_every(queue)
    queue.clock.move(600)
    assert await set_every(queue, job=NewJob("other", "2", 1), missed="skip") == slot
    await fire(queue)
    assert row(queue)["version"] == 2
    # The one that is due, and one that is just late enough to count as on time.
    assert [job["type"] for job in queue.store.jobs(queue.project).values()] == ["other", "other"]


async def test_every_so_often_counts_from_the_creation_whatever_is_edited(queue: Queue):
    created = queue.clock()
    await set_every(queue, every_s=60)
    queue.clock.move(100)
    assert await set_every(queue, every_s=45) == created + 135_000
    queue.clock.move(35)
    assert await set_every(queue, every_s=15) == created + 150_000


async def test_between_the_two_kinds_the_new_one_counts(queue: Queue):
    at_eight(queue)
    created = queue.clock()
    await set_every(queue)
    assert await set_cron(queue, "0 12 * * *") == created + 4 * 60 * MINUTE_MS
    found = row(queue)
    assert (found["cron"], found["every_ms"]) == ("0 12 * * *", None)
    assert await set_every(queue, every_s=30) == created + 30_000
    found = row(queue)
    assert (found["cron"], found["every_ms"], found["version"]) == ("", 30_000, 3)


async def test_the_same_line_in_another_time_zone_is_another_time(queue: Queue):
    at_eight(queue)
    assert await set_cron(queue, "30 17 * * *", timezone="Asia/Tokyo") == queue.clock() + 30 * MINUTE_MS
    assert await set_cron(queue, "30 17 * * *") == queue.clock() + (9 * 60 + 30) * MINUTE_MS


async def test_names_are_the_projects_own(queue: Queue):
    other = Queue(queue.engine, queue.store, queue.clock, queue.store.new_project())
    await set_every(queue)
    await set_every(other, every_s=1)
    assert row(queue)["every_ms"] == 60_000
    assert not await queue.engine.call("delete_schedule", ScheduleRef(queue.project, "absent"))
    assert await queue.engine.call("delete_schedule", ScheduleRef(queue.project, "nightly"))
    assert row(other)["every_ms"] == 1_000
    assert await queue.engine.call("scheduled_job", ScheduleRef(queue.project, "nightly")) is None
    assert await queue.engine.call("scheduled_job", ScheduleRef(other.project, "nightly")) == JOB


async def test_a_deleted_schedule_takes_its_slots_and_leaves_its_jobs(queue: Queue):
    await set_every(queue)
    queue.clock.move(60)
    await fire(queue)
    queue.clock.move(60)
    now_ms, [schedule] = await due(queue)
    assert await queue.engine.call("delete_schedule", ScheduleRef(queue.project, "nightly"))
    assert slots(queue) == []
    assert await fire_one(queue.engine, schedule, now_ms) is None
    assert len(due_times(queue)) == 1


async def test_a_unique_key_lets_one_job_stand_for_several_slots(queue: Queue):
    await set_every(queue, every_s=1, job=NewJob("report", "1", 1, unique=Unique("r")))
    queue.clock.move(3)
    job_ids = await fire(queue)
    assert len(job_ids) == 4
    assert len(set(job_ids)) == len(due_times(queue)) == 1
    found = queue.store.run("SELECT DISTINCT job_id FROM jobs_admin_scheduleslot")
    assert [one["job_id"] for one in found] == [job_ids[0].replace("-", "")] == [row(queue)["last_job_id"]]


async def test_of_its_slots_a_schedule_keeps_the_last(queue: Queue):
    await set_every(queue, every_s=1, missed="all")
    queue.clock.move(SLOTS_KEPT + 50)
    await fire(queue)
    last = row(queue)["last_at_ms"]
    assert slots(queue) == [last - 1000 * number for number in reversed(range(SLOTS_KEPT))]


async def test_the_longest_overdue_comes_first(queue: Queue):
    await set_every(queue, "late", every_s=30)
    await set_every(queue, "later", every_s=40)
    await set_every(queue, "never", every_s=3600)
    queue.clock.move(50)
    found = await queue.engine.call("due_schedules", DueBefore(0, 1))
    assert [schedule.name for schedule in found.schedules] == ["late"]
    found = await queue.engine.call("due_schedules", DueBefore(0, 9))
    assert [schedule.name for schedule in found.schedules] == ["late", "later"]


async def at_fault(queue: Queue) -> DueSchedule:
    """A schedule whose slot has come and could not be enqueued."""
    await set_every(queue)
    queue.clock.move(60)
    _, [schedule] = await due(queue)
    await queue.engine.call("fault_schedule", Fault(schedule, "no such zone"))
    return schedule


async def test_one_that_cannot_be_fired_steps_aside_and_keeps_its_slot(queue: Queue):
    schedule = await at_fault(queue)
    found = row(queue)
    assert (found["fault"], found["next_at_ms"]) == ("no such zone", schedule.next_at_ms)
    assert (await due(queue))[1] == ()
    await set_every(queue, "other", every_s=1)
    queue.clock.move(FAULT_MS / 1000 - 0.001)
    assert [one.name for one in (await due(queue))[1]] == ["other"]
    queue.clock.move(0.001)
    assert {one.name for one in (await due(queue))[1]} == {"nightly", "other"}


async def test_once_it_fires_nothing_is_wrong_with_it(queue: Queue):
    schedule = await at_fault(queue)
    queue.clock.move(FAULT_MS / 1000)
    assert len(await fire(queue)) == 1
    assert slots(queue) == [schedule.next_at_ms]
    assert (row(queue)["fault"], row(queue)["look_at_ms"]) == (None, None)


async def test_set_anew_it_is_tried_at_once(queue: Queue):
    await at_fault(queue)
    await set_every(queue)
    assert (row(queue)["fault"], row(queue)["look_at_ms"]) == (None, None)
    assert len(await fire(queue)) == 1


async def test_the_fault_of_one_that_was_changed_or_fired_meanwhile_is_not_kept(queue: Queue):
    await set_every(queue)
    queue.clock.move(60)
    _, [schedule] = await due(queue)
    await set_every(queue)
    await queue.engine.call("fault_schedule", Fault(schedule, "changed"))
    assert row(queue)["fault"] is None
    _, [schedule] = await due(queue)
    await fire(queue)
    await queue.engine.call("fault_schedule", Fault(schedule, "fired"))
    assert row(queue)["fault"] is None


def said(queue: Queue, name: str = "nightly", **values) -> ScheduleSet:
    return ScheduleSet(
        queue.project, ANN, name, JOB.type, JOB, **{"missed": "one", "every_ms": MINUTE_MS, **values}
    )


async def change(queue: Queue, version: int, **values):
    return await queue.engine.call("change_schedule", ScheduleChange(said(queue, **values), version))


async def test_a_change_of_what_was_seen_is_made(queue: Queue):
    await set_every(queue)
    done = await change(queue, row(queue)["version"], missed="all", paused=True)
    assert (done.done, done.next_at_ms) == (True, None)
    now = row(queue)
    assert (now["missed"], now["version"]) == ("all", 2)
    resumed = await change(queue, 2, missed="all", paused=False)
    assert resumed.next_at_ms == row(queue)["next_at_ms"] == queue.clock() + MINUTE_MS


async def test_a_change_of_what_has_changed_since_is_refused(queue: Queue):
    await set_every(queue)
    seen = row(queue)["version"]
    await set_every(queue, every_s=120)
    before = row(queue)
    assert not (await change(queue, seen, missed="all")).done
    assert row(queue) == before


async def test_a_change_of_what_was_deleted_makes_nothing(queue: Queue):
    await set_every(queue)
    await queue.engine.call("delete_schedule", ScheduleRef(queue.project, "nightly"))
    assert not (await change(queue, 1)).done
    assert (
        queue.store.run("SELECT 1 AS one FROM jobs_admin_schedule WHERE project_id = ?", queue.project) == []
    )


async def test_of_two_changes_at_once_one_is_made(queue: Queue):
    await set_every(queue)
    done = await asyncio.gather(change(queue, 1, missed="all"), change(queue, 1, missed="skip"))
    assert sorted(one.done for one in done) == [False, True]
    assert row(queue)["version"] == 2
