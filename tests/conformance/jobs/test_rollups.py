"""What an engine says that it did, for the timeline: after the commit, once, and only what happened."""

from collections import Counter

import pytest
import uuid_utils

from aerodash.errors import EngineDown, InvalidInput
from aerodash.ids import JobId
from jobs_admin.engine.contract import Figures, NewJob, Unique
from jobs_admin.engine.schedules import DueBefore, Firing, ScheduleSet
from tests.conformance.jobs.conftest import ANN, APP, WORKER, Queue


class Told:
    """The figures of a queue's engine, put together."""

    def __init__(self, queue: Queue) -> None:
        self.all: list[Figures] = []
        queue.engine.on_figures = self.all.append

    @property
    def enqueued(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for figures in self.all:
            for (_, type), number in figures.enqueued.items():
                found[type] += number
        return found

    @property
    def waits(self) -> list[int]:
        return [wait_ms for figures in self.all for _, _, wait_ms in figures.started]

    @property
    def ended(self) -> list[tuple[str, int | None]]:
        return [(status, run_ms) for figures in self.all for _, _, status, run_ms in figures.ended]


@pytest.fixture
def told(queue: Queue) -> Told:
    return Told(queue)


async def test_a_job_is_counted_when_it_comes_begins_and_ends(queue: Queue, told: Told):
    await queue.enqueue()
    queue.clock.move(2)
    [job] = await queue.lease()
    queue.clock.move(3)
    await queue.settle(job)
    assert told.enqueued == {"email": 1}
    assert told.waits == [2_000]
    assert told.ended == [("completed", 3_000)]
    assert {project for one in told.all for project, *_ in [*one.enqueued, *one.started, *one.ended]} == {
        queue.project
    }
    assert [one.at_ms for one in told.all] == sorted(one.at_ms for one in told.all)
    assert told.all[-1].at_ms == queue.clock()


async def test_many_at_once_are_counted_by_type(queue: Queue, told: Told):
    jobs = [NewJob(f"type-{number % 3}", "{}", 2) for number in range(70)]
    await queue.engine.enqueue(queue.project, APP, jobs)
    for job in await queue.lease(limit=70):
        await queue.settle(job)
    assert told.enqueued == {"type-0": 24, "type-1": 23, "type-2": 23}
    assert len(told.waits) == 70
    assert Counter(status for status, _ in told.ended) == {"completed": 70}


async def test_a_failed_run_is_retried_until_it_is_over(queue: Queue, told: Told):
    job = await queue.leased(max_retries=1)
    queue.clock.move(1)
    await queue.settle(job, "failed")
    queue.clock.move(3_600)
    [job] = await queue.lease()
    queue.clock.move(2)
    await queue.settle(job, "failed")
    assert told.ended == [("pending", 1_000), ("failed", 2_000)]


async def test_what_is_given_back_is_no_outcome(queue: Queue, told: Told):
    await queue.settle(await queue.leased(), "released")
    assert told.ended == []


async def test_cancelled_jobs_count_whether_they_had_begun_or_not(queue: Queue, told: Told):
    await queue.cancel(await queue.enqueue())
    job = await queue.leased()
    await queue.cancel(job.id)
    await queue.cancel(job.id)
    assert told.ended == [("cancelled", None)]
    await queue.settle(job)
    assert told.ended == [("cancelled", None)] * 2


async def test_a_lost_lease_counts_once_and_says_nothing_of_the_run_s_time(queue: Queue, told: Told):
    job = await queue.leased()
    await queue.expire()
    await queue.settle(job)  # late: the lease is lost
    await queue.expire()
    assert told.ended == [("pending", None)]
    assert len(told.waits) == 1


async def test_a_run_over_its_time_limit_took_as_long_as_it_was_let(queue: Queue, told: Told):
    job = await queue.leased(timeout_ms=1_000, max_retries=0)
    await queue.expire()
    [(status, run_ms)] = told.ended
    assert status == "failed"
    assert run_ms is not None
    assert run_ms >= 1_000
    assert await queue.settle(job) == "lease_lost"
    assert len(told.ended) == 1


async def test_the_runs_of_a_worker_that_died_are_retried_and_those_it_had_not_begun_given_back(
    queue: Queue, told: Told
):
    begun, idle = await queue.leased(), await queue.leased()
    await queue.lost(WORKER, begun=frozenset({begun.id}))
    assert queue.status(idle.id) == "pending"
    assert told.ended == [("pending", None)]


async def test_a_job_that_may_not_begin_any_more_has_failed(queue: Queue, told: Told):
    await queue.enqueue(deadline_at_ms=queue.clock() + 1_000, delay_ms=500)
    queue.clock.move(2)
    await queue.engine.sweep(limit=10)
    assert told.ended == [("failed", None)]
    assert told.waits == []


async def test_an_enqueue_that_made_no_job_counts_none(queue: Queue, told: Told):
    for _ in range(2):
        await queue.enqueue(unique=Unique("k"))
        await queue.enqueue(idempotency_key="i")
    assert told.enqueued == {"email": 2}


async def test_a_job_put_back_by_hand_is_neither_new_nor_an_outcome(queue: Queue, told: Told):
    job_id = await queue.ended()
    before = len(told.all)
    await queue.retry(job_id)
    assert told.all[before:] == []


async def test_what_was_rolled_back_is_not_counted(queue: Queue, told: Told):
    with pytest.raises(InvalidInput):
        await queue.enqueue(batch="0190b1c2-0000-7000-8000-000000000000")
    assert told.all == []


async def test_a_schedule_s_jobs_count_as_new(queue: Queue, told: Told):
    job = NewJob("nightly", "{}", 2)
    said = ScheduleSet(queue.project, ANN, "n", job.type, job, "one", every_ms=60_000)
    await queue.engine.call("set_schedule", said)
    queue.clock.move(60)
    due = await queue.engine.call("due_schedules", DueBefore(0, 10))
    [schedule] = [one for one in due.schedules if one.project == queue.project]
    slots = ((schedule.next_at_ms, JobId(str(uuid_utils.uuid7()))),)
    await queue.engine.call("fire_schedule", Firing(schedule, job, slots, schedule.next_at_ms + 60_000))
    assert told.enqueued == {"nightly": 1}


async def test_a_count_that_fails_fails_no_job(queue: Queue):
    def broken(figures: Figures) -> None:
        raise RuntimeError("the figures are broken")

    queue.engine.on_figures = broken
    job_id = await queue.enqueue()
    assert queue.status(job_id) == "pending"


async def test_a_database_that_refuses_counts_nothing(queue: Queue):
    with queue.store.away():
        engine = queue.store.engine(queue.clock)
        await engine.open()
        early = Queue(engine, queue.store, queue.clock, queue.project)
        told = Told(early)
        with pytest.raises(EngineDown):
            await early.enqueue()
    assert told.all == []
    await early.enqueue()
    assert told.enqueued == {"email": 1}
    await engine.close()
