"""Batches: one progress, one end, and one job after it, whoever ends the last member and whatever comes between."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uuid_utils

from aerodash.errors import InvalidInput
from jobs_admin.engine import stored_jobs
from jobs_admin.engine.batches import BatchRef, MembersAfter, NewBatch, UnfinishedAfter
from jobs_admin.engine.contract import Drift, Finished, NewJob, Unique
from jobs_admin.engine.rules import RetryPolicy
from jobs_admin.engine.steps import batches, enqueue, retry
from jobs_admin.engine.steps.calls import EnqueueCall, RetryCall
from jobs_admin.engine.transactions import Transaction
from tests.conformance.jobs.conftest import ANN, APP, Queue
from tests.conformance.jobs.store import stored

AFTER = NewJob(
    type="report", payload='{"of": "batch"}', payload_bytes=15, priority=2, traceparent="00-a-b-01"
)


async def new_batch(queue: Queue, then: NewJob | None = None) -> str:
    id = str(uuid_utils.uuid7())
    await queue.engine.call("create_batch", NewBatch(queue.project, ANN, id, "import", then))
    return id


async def seal(queue: Queue, batch: str) -> bool:
    found = await queue.engine.call("seal_batch", BatchRef(queue.project, batch))
    await queue.engine.call("finish_batches", {batch})
    return found


def row(queue: Queue, batch: str) -> dict:
    [found] = queue.store.run("SELECT * FROM jobs_admin_batch WHERE id = ?", stored(batch))
    return found


def counts(queue: Queue, batch: str) -> dict[str, int]:
    return queue.store.batch_counts(batch)


def follower(queue: Queue, batch: str) -> str:
    return str(uuid.UUID(row(queue, batch)["completion_job_id"]))


def jobs(queue: Queue, type: str = "report") -> list[dict]:
    return [job for job in queue.store.jobs(queue.project).values() if job["type"] == type]


async def settled(queue: Queue) -> None:
    """Let what the engine does by itself after a commit come through: its turn is before this one's."""
    await queue.engine.call("finish_batches", ())


async def ended(queue: Queue, batch: str) -> dict:
    await settled(queue)
    found = row(queue, batch)
    assert found["ended_at_ms"] is not None
    return found


async def test_a_new_batch_is_open_and_knows_who_made_it(queue: Queue):
    batch = await new_batch(queue)
    found = row(queue, batch)
    assert (found["name"], found["created_by"], found["created_at_ms"]) == ("import", "Ann", queue.clock())
    assert found["sealed_at_ms"] is found["ended_at_ms"] is found["completion_job_id"] is None


async def test_its_counts_follow_its_members(queue: Queue):
    batch = await new_batch(queue)
    ids = [await queue.enqueue(batch=batch) for _ in range(4)]
    await queue.enqueue()
    assert counts(queue, batch) == {"pending": 4}
    jobs = await queue.lease(3)
    await queue.settle(jobs[0])
    await queue.settle(jobs[1], "failed", final=True)
    await queue.cancel(ids[3])
    assert counts(queue, batch) == {"processing": 1, "completed": 1, "failed": 1, "cancelled": 1}


async def test_it_ends_with_its_last_member_and_enqueues_what_follows(queue: Queue):
    batch = await new_batch(queue, AFTER)
    for _ in range(2):
        await queue.enqueue(batch=batch)
    await seal(queue, batch)
    first, second = await queue.lease(2)
    await queue.settle(first)
    await settled(queue)
    assert row(queue, batch)["ended_at_ms"] is None
    queue.clock.move(5)
    await queue.settle(second, "failed", final=True)
    found = await ended(queue, batch)
    assert found["ended_at_ms"] == queue.clock()
    [after] = jobs(queue)
    assert found["completion_job_id"] == after["id"]
    assert (after["payload"], after["priority"], after["traceparent"]) == ('{"of": "batch"}', 2, "00-a-b-01")
    assert (after["enqueued_by"], after["enqueued_door"], after["status"]) == ("Ann", "console", "pending")


@pytest.mark.parametrize("way", ["cancel", "expire", "deadline"])
async def test_every_way_out_of_the_last_member_ends_it(queue: Queue, way: str):
    batch = await new_batch(queue, AFTER)
    options = {"deadline_at_ms": queue.clock() + 1000} if way == "deadline" else {"max_retries": 0}
    job_id = await queue.enqueue(batch=batch, **options)
    await seal(queue, batch)
    if way == "cancel":
        await queue.cancel(job_id)
    if way == "expire":
        await queue.lease()
    await queue.expire()
    await ended(queue, batch)
    assert len(jobs(queue)) == 1


async def test_it_does_not_end_before_it_is_sealed(queue: Queue):
    batch = await new_batch(queue, AFTER)
    await queue.settle(await queue.leased(batch=batch))
    await settled(queue)
    assert row(queue, batch)["ended_at_ms"] is None
    await seal(queue, batch)
    assert row(queue, batch)["ended_at_ms"] == queue.clock()
    assert len(jobs(queue)) == 1


async def test_an_empty_batch_ends_when_it_is_sealed(queue: Queue):
    batch = await new_batch(queue, AFTER)
    assert await seal(queue, batch)
    assert row(queue, batch)["ended_at_ms"] == queue.clock()
    assert len(jobs(queue)) == 1


async def test_a_batch_without_a_follower_just_ends(queue: Queue):
    batch = await new_batch(queue)
    await seal(queue, batch)
    found = row(queue, batch)
    assert (found["ended_at_ms"], found["completion_job_id"]) == (queue.clock(), None)
    assert queue.store.jobs(queue.project) == {}


async def test_a_sealed_batch_takes_no_more_members(queue: Queue):
    batch = await new_batch(queue)
    await seal(queue, batch)
    with pytest.raises(InvalidInput) as refused:
        await queue.enqueue(batch=batch)
    assert refused.value.reason == "batch_sealed"
    assert counts(queue, batch) == {}


async def test_sealed_again_the_first_seal_stands(queue: Queue):
    batch = await new_batch(queue)
    await queue.enqueue(batch=batch)
    await seal(queue, batch)
    sealed_at = queue.clock()
    queue.clock.move(9)
    assert await seal(queue, batch)
    assert row(queue, batch)["sealed_at_ms"] == sealed_at


async def test_another_projects_batch_is_unknown(queue: Queue):
    other = Queue(queue.engine, queue.store, queue.clock, queue.store.new_project())
    batch = await new_batch(other)
    assert not await seal(queue, batch)
    assert row(queue, batch)["sealed_at_ms"] is None
    with pytest.raises(InvalidInput) as refused:
        await queue.enqueue(batch=batch)
    assert refused.value.reason == "unknown_batch"


@contextmanager
def one_transaction(queue: Queue) -> Iterator[Transaction]:
    """As a group of calls has it: what its steps do to counters is written at its end."""
    session = queue.store.dialect().connect()
    try:
        transaction = session.begin(durable=True)
        yield transaction
        transaction.flush()
        session.commit()
    finally:
        session.close()


async def test_members_and_the_seal_in_one_transaction_do_not_end_it(queue: Queue):
    batch = await new_batch(queue, AFTER)
    call = EnqueueCall(queue.project, APP, [str(uuid_utils.uuid7())], [NewJob("email", "1", 1, batch=batch)])
    with one_transaction(queue) as transaction:
        enqueue.enqueue(transaction, queue.clock(), [call])
        batches.seal(transaction, queue.clock(), [BatchRef(queue.project, batch)])
        assert batches.finish(transaction, queue.clock(), [{batch}]) == [[]]
    assert counts(queue, batch) == {"pending": 1}
    assert row(queue, batch)["ended_at_ms"] is None
    assert jobs(queue) == []


@pytest.mark.parametrize("order", ["retry, end", "end, retry"])
async def test_a_retry_and_the_end_in_one_transaction_leave_it_unfinished(queue: Queue, order: str):
    batch = await new_batch(queue, AFTER)
    job = await queue.leased(batch=batch)
    await queue.settle(job)
    await queue.engine.call("seal_batch", BatchRef(queue.project, batch))
    with one_transaction(queue) as transaction:
        for step in order.split(", "):
            if step == "retry":
                retry.retry(transaction, queue.clock(), [RetryCall(queue.project, ANN, [job.id], None)])
            else:
                batches.finish(transaction, queue.clock(), [{batch}])
    assert row(queue, batch)["ended_at_ms"] is None
    assert counts(queue, batch) == {"pending": 1}
    assert len(jobs(queue)) == (order == "end, retry")


async def test_a_member_retried_by_hand_makes_it_unfinished_and_nothing_follows_twice(queue: Queue):
    batch = await new_batch(queue, AFTER)
    job = await queue.leased(batch=batch, max_retries=0)
    await seal(queue, batch)
    await queue.settle(job, "failed")
    before = await ended(queue, batch)
    await queue.retry(job.id)
    assert row(queue, batch)["ended_at_ms"] is None
    assert counts(queue, batch) == {"pending": 1}
    queue.clock.move(60)
    [again] = await queue.lease(types=["email"])
    await queue.settle(again)
    after = await ended(queue, batch)
    assert after["ended_at_ms"] == queue.clock()
    assert after["completion_job_id"] == before["completion_job_id"]
    assert len(jobs(queue)) == 1


async def test_members_that_end_at_the_same_time_end_it_once(queue: Queue):
    batch = await new_batch(queue, AFTER)
    for _ in range(20):
        await queue.enqueue(batch=batch)
    await seal(queue, batch)
    await asyncio.gather(*(queue.settle(job) for job in await queue.lease(20)))
    await ended(queue, batch)
    await settled(queue)
    assert counts(queue, batch) == {"completed": 20}
    assert len(jobs(queue)) == 1


async def test_two_processes_that_find_it_over_end_it_once(queue: Queue):
    other = queue.store.engine(queue.clock)
    await other.open()
    try:
        for _ in range(10):
            batch = await new_batch(queue, AFTER)
            await queue.engine.call("seal_batch", BatchRef(queue.project, batch))
            ends = await asyncio.gather(
                *(engine.call("finish_batches", {batch}) for engine in (queue.engine, other, queue.engine))
            )
            assert {done.job_id for found in ends for done in found} == {follower(queue, batch)}
    finally:
        await other.close()
    assert len(jobs(queue)) == 10


async def test_what_a_crash_left_over_is_found_later(queue: Queue):
    """As if the process had died after the commit of the last member, or of the seal."""
    over = await new_batch(queue, AFTER)
    await queue.engine.call("seal_batch", BatchRef(queue.project, over))
    at_work = await new_batch(queue, AFTER)
    await queue.enqueue(batch=at_work)
    await seal(queue, at_work)
    await new_batch(queue, AFTER)
    found = await queue.engine.call("batches_unfinished", UnfinishedAfter("", 1000))
    assert found == [(over, True), (at_work, False)]
    assert await queue.engine.call("batches_unfinished", UnfinishedAfter(over, 1000)) == [(at_work, False)]
    assert await queue.engine.call("batches_unfinished", UnfinishedAfter("", 1)) == [(over, True)]
    [done] = await queue.engine.call("finish_batches", {over, at_work})
    assert (done.project, done.batch, done.job_id) == (queue.project, over, follower(queue, over))


async def test_a_follower_with_a_unique_key_that_is_held_is_its_holder(queue: Queue):
    job_id = await queue.enqueue(type="report", unique=Unique("r"))
    batch = await new_batch(queue, NewJob("report", "2", 1, unique=Unique("r"), tags=("a",)))
    await seal(queue, batch)
    assert follower(queue, batch) == job_id
    assert len(jobs(queue)) == 1


async def test_a_follower_carries_all_that_a_job_may(queue: Queue):
    job = NewJob(
        type="report",
        payload='{"n": 123456789012345678901234567890, "t": "\\u0000 ü"}',
        payload_bytes=9,
        delay_ms=1500,
        max_retries=7,
        priority=1,
        retry=RetryPolicy("list", delays_ms=(1, 2)),
        unique=Unique("k", period_ms=60_000, replace=True),
        idempotency_key="i",
        timeout_ms=9_000,
        deadline_at_ms=queue.clock() + 10**6,
        tags=("a", "ü"),
        partition_key="p",
        traceparent="00-1-2-03",
    )
    assert stored_jobs.load(stored_jobs.dump(job)) == job
    batch = await new_batch(queue, job)
    await seal(queue, batch)
    [found] = jobs(queue)
    assert found["payload"] == job.payload
    assert (found["due_at_ms"], found["max_retries"]) == (queue.clock() + 1500, 7)
    assert json.loads(found["tags"]) == ["a", "ü"]
    assert (found["unique_key"], found["partition_key"], found["timeout_ms"]) == ("k", "p", 9_000)


async def test_a_walk_through_the_unfinished_members_ends_where_it_began(queue: Queue):
    batch = await new_batch(queue)
    ids = [await queue.enqueue(batch=batch) for _ in range(5)]
    await queue.enqueue()
    done, *_ = await queue.lease(2)
    await queue.settle(done)
    first = await queue.engine.call("batch_members", MembersAfter(batch, 3))
    assert first.job_ids == tuple(ids[1:4])
    await queue.enqueue(batch=batch)
    second = await queue.engine.call("batch_members", MembersAfter(batch, 3, ids[3], first.until))
    assert (second.job_ids, second.until) == ((ids[4],), ids[4])
    third = await queue.engine.call("batch_members", MembersAfter(batch, 3, ids[4], first.until))
    assert third.job_ids == ()


async def test_of_a_batch_without_unfinished_members_there_is_nothing_to_walk(queue: Queue):
    batch = await new_batch(queue)
    await queue.settle(await queue.leased(batch=batch))
    assert (await queue.engine.call("batch_members", MembersAfter(batch, 3))).job_ids == ()


async def test_jobs_that_come_while_it_is_sealed_are_members_or_refused(queue: Queue):
    """Whatever the order, no job is in a batch that has ended without it."""
    other = queue.store.engine(queue.clock)
    await other.open()
    try:
        for _ in range(20):
            batch = await new_batch(queue, AFTER)
            job = NewJob("email", "1", 1, batch=batch)
            *added, _ = await asyncio.gather(
                *(other.enqueue(queue.project, APP, [job]) for _ in range(8)),
                seal(queue, batch),
                return_exceptions=True,
            )
            members = [answer for answer in added if isinstance(answer, list)]
            refusals = [answer.reason for answer in added if isinstance(answer, InvalidInput)]
            assert len(members) + len(refusals) == 8
            assert set(refusals) <= {"batch_sealed"}
            assert counts(queue, batch).get("pending", 0) == len(members)
            await settled(queue)
            assert (row(queue, batch)["ended_at_ms"] is None) == bool(members)
    finally:
        await other.close()


async def test_a_retry_while_another_process_ends_it_leaves_it_unfinished(queue: Queue):
    other = queue.store.engine(queue.clock)
    await other.open()
    followers = set[str]()
    try:
        for _ in range(20):
            batch = await new_batch(queue, AFTER)
            await queue.enqueue(batch=batch)
            [job] = await queue.lease(types=["email"])
            await queue.settle(job)
            await queue.engine.call("seal_batch", BatchRef(queue.project, batch))
            await asyncio.gather(
                queue.retry(job.id),
                *(engine.call("finish_batches", {batch}) for engine in (other, queue.engine)),
            )
            await settled(queue)
            assert counts(queue, batch) == {"pending": 1}
            assert row(queue, batch)["ended_at_ms"] is None
            await queue.settle((await queue.lease(types=["email"]))[0])
            await ended(queue, batch)
            followers.add(follower(queue, batch))
    finally:
        await other.close()
    assert len(jobs(queue)) == len(followers) == 20


@pytest.mark.parametrize(
    ("sealed", "members", "over"),
    [(True, 0, True), (False, 0, False), (True, 1, False)],
)
async def test_a_batch_is_ended_by_its_statement_only_when_it_is_over(queue: Queue, sealed, members, over):
    batch = await new_batch(queue)
    for _ in range(members):
        await queue.enqueue(batch=batch)
    if sealed:
        await queue.engine.call("seal_batch", BatchRef(queue.project, batch))
    for statement in ("batch_over", "batch_finish"):
        values = {"batch": stored(batch), "now": queue.clock()}
        assert queue.store.would_change(statement, values) == over
        assert not queue.store.would_change(statement, {**values, "batch": "0" * 32})
    await queue.engine.call("finish_batches", {batch})
    if over:
        assert not queue.store.would_change("batch_finish", {"batch": stored(batch), "now": queue.clock()})


def plant(queue: Queue, batch: str, status: str, change: int) -> None:
    """Have a batch's counter say so many more than there are."""
    known = queue.store.run(
        "SELECT id FROM jobs_admin_batchcounter WHERE batch_id = ? AND status = ?", stored(batch), status
    )
    if known:
        queue.store.run(
            "UPDATE jobs_admin_batchcounter SET count = count + ? WHERE id = ?", change, known[0]["id"]
        )
    else:
        queue.store.run(
            "INSERT INTO jobs_admin_batchcounter (batch_id, status, count) VALUES (?, ?, ?)",
            stored(batch), status, change,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "change"), [("pending", 5), ("pending", -1), ("processing", 2), ("completed", -1)]
)
async def test_a_wrong_count_of_a_batch_is_found_and_set_right(queue: Queue, status, change):
    batch, other = await new_batch(queue), await new_batch(queue)
    for of in (batch, other):
        await queue.ended(batch=of)
    for of in (batch, other):
        await queue.enqueue(batch=of)
    right = counts(queue, batch)
    plant(queue, batch, status, change)
    actual = right.get(status, 0)
    assert await queue.engine.reconcile() == [
        Drift(queue.project, "", status, actual + change, actual, batch)
    ]
    assert counts(queue, batch) == counts(queue, other) == right
    assert await queue.engine.reconcile() == []


async def test_counters_of_a_batch_that_are_missing_are_added(queue: Queue):
    batch = await new_batch(queue)
    await queue.enqueue(batch=batch)
    queue.store.run("DELETE FROM jobs_admin_batchcounter")
    assert [drift.counted for drift in await queue.engine.reconcile()] == [0]
    assert counts(queue, batch) == {"pending": 1}


async def test_what_a_batch_counts_beyond_its_ended_members_is_taken_for_pruned(queue: Queue):
    batch = await new_batch(queue)
    await queue.ended(batch=batch)
    queue.clock.move(1)
    await queue.prune(completed=1)
    assert await queue.engine.reconcile() == []
    assert counts(queue, batch) == {"completed": 1}


async def test_a_batch_that_only_a_wrong_count_kept_from_its_end_ends_when_that_is_set_right(queue: Queue):
    batch = await new_batch(queue, AFTER)
    plant(queue, batch, "pending", 1)
    await seal(queue, batch)
    assert row(queue, batch)["ended_at_ms"] is None
    await queue.engine.reconcile()
    await ended(queue, batch)
    assert len(jobs(queue)) == 1


async def test_the_end_that_the_engine_finds_by_itself_is_told_once(queue: Queue):
    told = []
    queue.engine.on_finished = told.append
    batch = await new_batch(queue, AFTER)
    job = await queue.leased(batch=batch)
    await seal(queue, batch)
    assert told == []
    await queue.settle(job)
    await ended(queue, batch)
    assert told == [Finished(queue.project, batch, follower(queue, batch))]
