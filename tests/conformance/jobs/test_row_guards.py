"""A statement changes the row that it names and no other: each thing here has a twin, which must stay as it is."""

from typing import Any

import pytest
import uuid_utils

from jobs_admin.engine import rules
from jobs_admin.engine.batches import BatchRef, NewBatch
from jobs_admin.engine.contract import LogLine, NewJob, Unique
from jobs_admin.engine.schedules import ScheduleSet
from jobs_admin.engine.steps.enqueue import values
from tests.conformance.jobs.conftest import ANN, APP, Queue
from tests.conformance.jobs.store import stored

AFTER = NewJob("report", "{}", 2)


def _beside(queue: Queue) -> Queue:
    """Another project of the same database."""
    return Queue(queue.engine, queue.store, queue.clock, queue.store.new_project())


async def _batch(queue: Queue, then: NewJob | None = None) -> str:
    id = str(uuid_utils.uuid7())
    await queue.engine.call("create_batch", NewBatch(queue.project, ANN, id, "import", then))
    return id


async def _ended_batch(queue: Queue, then: NewJob | None = None) -> tuple[str, str]:
    """A batch that is over, and its only member."""
    batch = await _batch(queue, then)
    job_id = await queue.ended(batch=batch)
    await queue.engine.call("seal_batch", BatchRef(queue.project, batch))
    await queue.engine.call("finish_batches", {batch})
    assert _row(queue, batch)["ended_at_ms"] is not None
    return batch, job_id


def _row(queue: Queue, batch: str) -> dict[str, Any]:
    [found] = queue.store.run("SELECT * FROM jobs_admin_batch WHERE id = ?", stored(batch))
    return found


def _run(queue: Queue, statement: str, **values: Any) -> None:
    """One statement by itself, for good."""
    session = queue.store.dialect().connect()
    try:
        transaction = session.begin(durable=False)
        transaction.many(statement, [{"now": queue.clock(), **values}])
        session.commit()
    finally:
        session.close()


def _answered(queue: Queue, statement: str, *rows: dict[str, Any]) -> list[bool]:
    """For which of these rows one statement, by itself, lets something through; undone again."""
    session = queue.store.dialect().connect()
    try:
        transaction = session.begin(durable=False)
        return [
            row is not None
            for row in transaction.each(statement, [{"now": queue.clock(), **row} for row in rows])
        ]
    finally:
        session.roll_back()
        session.close()


async def _schedule(queue: Queue, name: str) -> int:
    await queue.engine.call(
        "set_schedule", ScheduleSet(queue.project, ANN, name, "report", AFTER, "one", every_ms=60_000)
    )
    [found] = queue.store.run(
        "SELECT id FROM jobs_admin_schedule WHERE project_id = ? AND name = ?", queue.project, name
    )
    return int(found["id"])


async def test_one_batch_is_sealed(queue: Queue):
    first, second = await _batch(queue), await _batch(queue)
    assert await queue.engine.call("seal_batch", BatchRef(queue.project, first))
    assert _row(queue, first)["sealed_at_ms"] is not None
    assert _row(queue, second)["sealed_at_ms"] is None


async def test_a_retry_reopens_the_batch_of_its_job_only(queue: Queue):
    first, job_id = await _ended_batch(queue)
    second, _ = await _ended_batch(queue)
    await queue.retry(job_id)
    assert _row(queue, first)["ended_at_ms"] is None
    assert _row(queue, second)["ended_at_ms"] is not None


async def test_one_batch_is_followed(queue: Queue):
    other = await _batch(queue, AFTER)
    batch, _ = await _ended_batch(queue, AFTER)
    assert _row(queue, batch)["completion_job_id"] is not None
    assert _row(queue, other)["completion_job_id"] is None


async def test_what_followed_a_batch_first_stays(queue: Queue):
    batch, _ = await _ended_batch(queue, AFTER)
    followed = _row(queue, batch)["completion_job_id"]
    _run(queue, "batch_followed", batch=stored(batch), job="0" * 32)
    assert _row(queue, batch)["completion_job_id"] == followed


async def test_two_projects_with_the_same_type_are_counted_apart(queue: Queue):
    other = _beside(queue)
    await queue.enqueue()
    await other.enqueue()
    await other.enqueue()
    await queue.lease()
    counted = queue.store.run(
        "SELECT project_id, status, sum(count) AS jobs FROM jobs_admin_jobcounter GROUP BY project_id, status"
    )
    assert {(row["project_id"], row["status"]): int(row["jobs"]) for row in counted if row["jobs"]} == {
        (queue.project, "processing"): 1,
        (other.project, "pending"): 2,
    }


@pytest.mark.parametrize("unique", [None, Unique("order-7")], ids=["plain", "unique"])
async def test_a_job_has_the_retries_of_its_own_type(queue: Queue, unique: Unique | None):
    await _beside(queue).configure("email", max_retries=7)
    await queue.configure("sms", max_retries=8)
    untold = await queue.enqueue("email", unique=unique)
    assert queue.store.job(untold)["max_retries"] == rules.MAX_RETRIES
    await queue.configure("email", max_retries=9)
    told = await queue.enqueue("email", unique=unique and Unique("order-8"))
    assert queue.store.job(told)["max_retries"] == 9


async def test_folding_leaves_every_counter_as_it_is(queue: Queue):
    other = _beside(queue)
    batches = [await _batch(queue), await _batch(queue)]
    for batch in batches:
        for _ in range(3):
            await queue.enqueue(batch=batch)
    await queue.enqueue("sms")
    await other.enqueue()
    await queue.lease(2, types=["email"])
    counted = [queue.store.batch_counts(batch) for batch in batches]
    await queue.engine.fold()
    assert [queue.store.batch_counts(batch) for batch in batches] == counted
    assert sum(count for found in counted for count in found.values()) == 6
    assert queue.store.wrong_counters() == []


async def test_of_several_new_jobs_those_whose_key_is_held_are_duplicates(queue: Queue):
    held, free = (NewJob("email", "{}", 2, unique=Unique(key)) for key in ("order-7", "order-8"))
    [first] = await queue.engine.enqueue(queue.project, APP, [held])
    again, new = await queue.engine.enqueue(queue.project, APP, [held, free])
    assert (again.job_id, again.duplicate, new.duplicate) == (first.job_id, True, False)


async def test_idempotency_keys_of_one_moment_are_each_answered_for_themselves(queue: Queue):
    other = _beside(queue)
    await queue.enqueue(idempotency_key="a")
    not_since = queue.clock() - rules.IDEMPOTENCY_MS
    rows = [
        {"project": project, "key": key, "id": f"{number:032x}", "not_since": not_since}
        for number, (project, key) in enumerate(
            [(queue.project, "a"), (queue.project, "b"), (other.project, "a"), (other.project, "c")]
        )
    ]
    assert _answered(queue, "idempotency_keep", *rows) == [False, True, True, True]


@pytest.mark.parametrize("wrong", [{"project": -1}, {"key": "b"}], ids=["project", "key"])
async def test_one_idempotency_key_is_pointed_elsewhere(queue: Queue, wrong):
    job_id = await queue.enqueue(idempotency_key="a")
    _run(queue, "idempotency_point", **{"project": queue.project, "key": "a", "id": "0" * 32, **wrong})
    [kept] = queue.store.run("SELECT job_id FROM jobs_admin_idempotencykey")
    assert stored(str(kept["job_id"])) == stored(job_id)


async def test_slots_of_one_moment_are_each_taken_for_themselves(queue: Queue):
    first, second = await _schedule(queue, "a"), await _schedule(queue, "b")
    _run(queue, "slot_take", schedule=first, slot=1, job="1" * 32)
    rows = [
        {"schedule": schedule, "slot": slot, "job": "2" * 32}
        for schedule, slot in [(first, 1), (first, 2), (second, 1), (second, 3)]
    ]
    assert _answered(queue, "slot_take", *rows) == [False, True, True, True]


async def test_what_is_said_of_a_schedules_slot_leaves_its_twin_alone(queue: Queue):
    first, second = await _schedule(queue, "a"), await _schedule(queue, "b")
    for schedule in (first, second):
        for slot in (1, 2, 3):
            _run(queue, "slot_take", schedule=schedule, slot=slot, job="1" * 32)

    def slots(schedule: int) -> dict[int, str]:
        found = queue.store.run(
            "SELECT slot_ms, job_id FROM jobs_admin_scheduleslot WHERE schedule_id = ?", schedule
        )
        return {row["slot_ms"]: row["job_id"] for row in found}

    _run(queue, "slot_became", schedule=first, slot=2, job="2" * 32)
    assert slots(first) == {1: "1" * 32, 2: "2" * 32, 3: "1" * 32}
    # The other's are later: none of them is among those that this one keeps.
    for slot in (7, 8):
        _run(queue, "slot_take", schedule=second, slot=slot, job="1" * 32)
    _run(queue, "slots_prune", schedule=first, kept=2)
    assert sorted(slots(first)) == [2, 3]
    _run(queue, "schedule_fired", schedule=first, slot=3, job="3" * 32)
    _run(queue, "schedule_forget", schedule=first)
    assert slots(first) == {}
    assert slots(second) == dict.fromkeys((1, 2, 3, 7, 8), "1" * 32)
    fired = queue.store.run("SELECT id, last_at_ms FROM jobs_admin_schedule")
    assert {row["id"]: row["last_at_ms"] for row in fired} == {first: 3, second: None}


@pytest.mark.parametrize(
    "statement", ["prune_attempt", "prune_event", "prune_log", "prune_progress", "prune_tag"]
)
async def test_what_is_about_another_job_stays(queue: Queue, statement: str):
    gone, kept = [await queue.leased(tags=("a",)) for _ in range(2)]
    for job in (gone, kept):
        await queue.report(job, percent=1.0, logs=(LogLine("info", "x"),))
        await queue.settle(job, "failed", final=True)
        await queue.retry(job.id)
    table = {
        "prune_attempt": "attempt",
        "prune_event": "jobevent",
        "prune_log": "joblog",
        "prune_progress": "jobprogress",
        "prune_tag": "jobtag",
    }[statement]

    def left() -> set[str]:
        return {
            stored(str(row["job_id"])) for row in queue.store.run(f"SELECT job_id FROM jobs_admin_{table}")
        }

    assert left() == {stored(gone.id), stored(kept.id)}
    _run(queue, statement, id=stored(gone.id))
    assert left() == {stored(kept.id)}


@pytest.mark.parametrize(
    "wrong",
    [{"project": -1}, {"type": "sms"}, {"partition_key": "b"}, {"at": 1}, {"tokens": 0.5}],
    ids=["project", "type", "key", "time", "tokens"],
)
async def test_a_bucket_that_is_not_as_it_was_read_stays(queue: Queue, wrong):
    await queue.configure(rate=4, rate_per_ms=4_000)
    await queue.leased()
    [bucket] = queue.store.run("SELECT * FROM jobs_admin_ratebucket")
    read = {"project": queue.project, "type": "email", "partition_key": ""}
    read |= {"at": bucket["at_ms"], "tokens": bucket["tokens"]}
    _run(queue, "prune_bucket", **{**read, **wrong})
    assert queue.store.run("SELECT * FROM jobs_admin_ratebucket") == [bucket]
    _run(queue, "prune_bucket", **read)
    assert queue.store.run("SELECT * FROM jobs_admin_ratebucket") == []


async def test_only_a_pause_of_this_type_is_taken_back(queue: Queue):
    await queue.configure("sms")
    await queue.engine.pause(queue.project, ANN, "email", "")
    right = {"project": queue.project, "type": "email"}
    wrong = [{"project": -1}, {"type": "sms"}, {"type": "fax"}]
    assert [_answered(queue, "resume", {**right, **other}) for other in wrong] == [[False]] * 3
    assert _answered(queue, "resume", right) == [True]


async def test_late_results_are_those_of_the_job_and_no_other_lines(queue: Queue):
    late = await queue.leased()
    await queue.expire()
    await queue.settle(late)
    assert "late_result" in queue.timeline(late.id)
    cancelled = await queue.enqueue("sms")
    await queue.cancel(cancelled)
    assert queue.timeline(cancelled)
    asked = [{"id": stored(id), "kept": 1} for id in (late.id, cancelled)]
    assert [_answered(queue, "late_again", one) for one in asked] == [[True], [False]]


async def test_a_worker_is_noted_beside_others_of_its_name_or_project(queue: Queue):
    other = _beside(queue)

    def note(project: int, id: str, not_since: int) -> None:
        who = {"hostname": "", "pid": 1, "version": ""}
        _run(queue, "worker", project=project, id=id, not_since=not_since, **who)

    def seen() -> dict[tuple[int, str], int]:
        found = queue.store.run("SELECT project_id, worker_id, last_seen_at_ms FROM jobs_admin_worker")
        return {(row["project_id"], row["worker_id"]): row["last_seen_at_ms"] for row in found}

    began = queue.clock()
    for project, id in [(queue.project, "w-1"), (queue.project, "w-2"), (other.project, "w-1")]:
        note(project, id, began)
    assert len(seen()) == 3
    queue.clock.move(1)
    note(queue.project, "w-1", began)
    assert set(seen().values()) == {began}
    note(queue.project, "w-1", began + 1)
    assert seen() == {
        (queue.project, "w-1"): began + 1_000,
        (queue.project, "w-2"): began,
        (other.project, "w-1"): began,
    }


async def test_a_worker_is_lost_alone_and_for_the_first_reason(queue: Queue):
    other = _beside(queue)
    who = {"hostname": "", "pid": 1, "version": "", "not_since": 0}
    for project, id in [(queue.project, "w-1"), (queue.project, "w-2"), (other.project, "w-1")]:
        _run(queue, "worker", project=project, id=id, **who)
    for reason in ("first", "second"):
        _run(queue, "worker_gone", project=queue.project, id="w-1", reason=reason)
    found = queue.store.run("SELECT project_id, worker_id, lost_reason FROM jobs_admin_worker")
    assert {(row["project_id"], row["worker_id"]): row["lost_reason"] for row in found} == {
        (queue.project, "w-1"): "first",
        (queue.project, "w-2"): "",
        (other.project, "w-1"): "",
    }


async def test_a_cancelled_job_that_still_holds_its_key_is_not_replaced(queue: Queue):
    job = NewJob("email", "{}", 2, unique=Unique("order-7", period_ms=3_600_000))
    [added] = await queue.engine.enqueue(queue.project, APP, [job])
    later = values(queue.clock() + 1_000, queue.project, APP, "0" * 32, job)
    assert _answered(queue, "replace", later) == [True]
    await queue.cancel(added.job_id)
    assert queue.store.job(added.job_id)["holds_key"]
    assert _answered(queue, "replace", later) == [False]


async def test_an_ended_job_that_still_holds_its_key_may_be_retried(queue: Queue):
    job_id = await queue.ended(unique=Unique("order-7", period_ms=3_600_000))
    assert queue.store.job(job_id)["holds_key"]
    assert (await queue.retry(job_id)).job_ids == (job_id,)
