"""What jobs leave behind goes after its time: lanes, counters, workers and batches; and no lease misses a job for it."""

import pytest

from jobs_admin.engine.batches import BatchRef
from jobs_admin.engine.leftovers import LANE_KEPT_MS, LANE_KNOWN_MS, WORKER_KEPT_MS, Forget
from tests.conformance.jobs.conftest import OTHER, WORKER, Queue
from tests.conformance.jobs.store import stored
from tests.conformance.jobs.test_batches import new_batch

DAY_S = 24 * 3600
BATCH_MS = 10 * DAY_S * 1000


async def forget(queue: Queue, limit: int = 100) -> int:
    """The keeper's pass; how many stretches it had."""
    stretches = 1
    while await queue.engine.call("forget", Forget(limit, BATCH_MS)):
        stretches += 1
    return stretches


def lanes(queue: Queue) -> set[tuple[str, int]]:
    rows = queue.store.run("SELECT * FROM jobs_admin_joblane WHERE project_id = ?", queue.project)
    return {(row["type"], row["priority"]) for row in rows}


def number(queue: Queue, table: str, condition: str = "1 = 1") -> int:
    [row] = queue.store.run(f"SELECT count(*) AS found FROM jobs_admin_{table} WHERE {condition}")
    return row["found"]


async def without_jobs(queue: Queue, type: str = "email", **options) -> None:
    """A type that had a job and has none any more."""
    await queue.ended(type=type, **options)
    queue.clock.move(1)
    await queue.prune(completed=1)


async def test_a_lane_goes_when_its_type_had_no_job_for_a_week_and_not_before(queue: Queue):
    await without_jobs(queue)
    queue.clock.move(LANE_KEPT_MS / 1000 - 1.001)
    await forget(queue)
    assert lanes(queue) == {("email", 5)}
    queue.clock.move(0.001)
    await forget(queue)
    assert lanes(queue) == set()


@pytest.mark.parametrize("state", ["pending", "processing", "failed"])
async def test_a_lane_stays_while_its_type_has_a_job_also_one_that_can_be_put_back(queue: Queue, state):
    job_id = await queue.enqueue(priority=3)
    if state != "pending":
        [job] = await queue.lease()
    if state == "failed":
        await queue.settle(job, "failed", final=True)
    queue.clock.move(2 * LANE_KEPT_MS / 1000)
    await forget(queue)
    assert lanes(queue) == {("email", 3)}
    if state == "processing":
        await queue.engine.sweep(limit=10)
        queue.clock.move(DAY_S)
    if state == "failed":
        await queue.retry(job_id)
    assert [job.id for job in await queue.lease()] == [job_id]


async def test_what_another_process_forgot_is_made_again_by_the_next_enqueue(queue: Queue, elsewhere: Queue):
    """This process knows the lane from before, and goes by that no longer than the keeper waits."""
    await without_jobs(queue)
    queue.clock.move(LANE_KEPT_MS / 1000)
    await forget(elsewhere)
    assert lanes(queue) == set()
    job_id = await queue.enqueue()
    assert [job.id for job in await elsewhere.lease()] == [job_id]


async def test_who_enqueues_again_and_again_keeps_the_lane_although_it_is_remembered(
    queue: Queue, elsewhere: Queue
):
    for _ in range(3):
        await without_jobs(queue)
        queue.clock.move(LANE_KNOWN_MS / 1000)
    queue.clock.move(LANE_KEPT_MS / 1000 - LANE_KNOWN_MS / 1000 - 2)
    await forget(elsewhere)
    assert lanes(queue) == {("email", 5)}


async def test_a_lane_that_was_enqueued_to_at_last_within_the_hour_is_known_without_a_write(queue: Queue):
    await queue.enqueue()
    queue.store.run("DELETE FROM jobs_admin_joblane")
    queue.clock.move(LANE_KNOWN_MS / 1000 - 0.001)
    await queue.enqueue()
    assert lanes(queue) == set()
    queue.clock.move(0.001)
    await queue.enqueue()
    assert lanes(queue) == {("email", 5)}


async def test_a_process_that_knows_a_lane_never_knows_it_for_as_long_as_the_keeper_waits(queue: Queue):
    assert LANE_KNOWN_MS * 24 <= LANE_KEPT_MS


async def test_a_lane_from_before_the_note_counts_from_the_first_pass_on(queue: Queue):
    await without_jobs(queue)
    queue.store.run("UPDATE jobs_admin_joblane SET seen_at_ms = NULL")
    queue.clock.move(LANE_KEPT_MS / 1000)
    await forget(queue)
    assert lanes(queue) == {("email", 5)}
    queue.clock.move(LANE_KEPT_MS / 1000)
    await forget(queue)
    assert lanes(queue) == set()


async def test_counters_go_when_all_of_their_type_are_empty(queue: Queue):
    await without_jobs(queue, "gone")
    await queue.ended(type="kept")
    await queue.engine.fold()
    await forget(queue)
    assert number(queue, "jobcounter", "type = 'gone'") == 0
    assert number(queue, "jobcounter", "type = 'kept' AND count = 1") == 1
    await queue.enqueue("gone")
    assert await queue.engine.reconcile() == []


async def test_a_worker_goes_when_it_was_not_heard_for_a_week(queue: Queue):
    await queue.lease()
    queue.clock.move(WORKER_KEPT_MS / 1000 - 1)
    await queue.lease(worker=OTHER)
    await forget(queue)
    assert number(queue, "worker") == 2
    queue.clock.move(1)
    await forget(queue)
    assert number(queue, "worker", f"worker_id = '{WORKER.id}'") == 0
    assert number(queue, "worker", f"worker_id = '{OTHER.id}'") == 1
    await queue.lease()
    assert number(queue, "worker") == 2


async def ended_batch(queue: Queue, *, members: int = 1) -> str:
    batch = await new_batch(queue)
    for _ in range(members):
        await queue.ended(batch=batch)
    await queue.engine.call("seal_batch", BatchRef(queue.project, batch))
    await queue.engine.call("finish_batches", {batch})
    return batch


async def test_an_ended_batch_goes_with_its_counters_after_its_time_and_without_members(queue: Queue):
    batch = await ended_batch(queue)
    await queue.prune(completed=0)
    queue.clock.move(BATCH_MS / 1000 - 0.001)
    await forget(queue)
    assert queue.store.batch_counts(batch) == {"completed": 1}
    queue.clock.move(0.001)
    await forget(queue)
    assert number(queue, "batch") == number(queue, "batchcounter") == 0


async def test_a_batch_stays_while_it_is_open_or_sealed_or_has_a_member(queue: Queue):
    with_member = await ended_batch(queue)
    await new_batch(queue)
    sealed = await new_batch(queue)
    await queue.enqueue(batch=sealed)
    await queue.engine.call("seal_batch", BatchRef(queue.project, sealed))
    queue.clock.move(2 * BATCH_MS / 1000)
    await forget(queue)
    assert number(queue, "batch") == 3
    await queue.prune(completed=0)
    await forget(queue)
    assert number(queue, "batch") == 2
    assert queue.store.run("SELECT id FROM jobs_admin_batch WHERE id = ?", stored(with_member)) == []


async def test_a_pass_over_many_goes_in_stretches(queue: Queue):
    for type in ("a", "b", "c", "d", "e"):
        await without_jobs(queue, type)
    queue.clock.move(LANE_KEPT_MS / 1000)
    await queue.engine.fold()
    # Five lanes, then their counters, the worker, and no batch.
    assert await forget(queue, limit=2) >= 3 + 1 + 1 + 1
    assert lanes(queue) == set()
    assert await forget(queue, limit=2) == 4
