"""What a group of callers may expect of each other and of a failing database."""

import asyncio
import threading

import pytest

from aerodash.errors import EngineDown
from jobs_admin.engine.contract import NewJob
from jobs_admin.engine.grouping import Step
from jobs_admin.engine.steps.registry import STEPS
from tests.conformance.jobs.conftest import APP, Queue

GOOD = NewJob("email", "{}", 2)
BROKEN = NewJob("email", payload=None, payload_bytes=2)  # type: ignore[arg-type]


async def test_callers_of_the_same_moment_are_all_answered_with_their_own_jobs(queue: Queue):
    ids = await asyncio.gather(*(queue.enqueue(payload=str(n)) for n in range(300)))
    assert [queue.store.job(job_id)["payload"] for job_id in ids] == [str(n) for n in range(300)]


async def test_one_who_fails_does_not_fail_the_others(queue: Queue):
    verbs = [
        *(queue.enqueue() for _ in range(5)),
        queue.engine.enqueue(queue.project, APP, [GOOD, BROKEN]),
        *(queue.enqueue() for _ in range(5)),
    ]
    done = await asyncio.gather(*verbs, return_exceptions=True)
    failed = [answer for answer in done if isinstance(answer, BaseException)]
    assert len(failed) == 1
    assert isinstance(failed[0], EngineDown)
    assert len(queue.store.jobs(queue.project)) == 10


async def test_nobody_waits_while_all_jobs_are_counted(queue: Queue, monkeypatch):
    counting, counted = threading.Event(), threading.Event()

    def slowly(tx, now, calls):
        counting.set()
        assert counted.wait(60)
        return [[] for _ in calls]

    monkeypatch.setitem(STEPS, "drift", Step(slowly, reads=True))
    count = asyncio.create_task(queue.engine.reconcile())
    try:
        await asyncio.to_thread(counting.wait, 60)
        async with asyncio.timeout(60):
            await queue.settle(await queue.leased())
            await queue.engine.sweep(limit=10)
        assert not count.done()
    finally:
        counted.set()
    assert await count == []


async def test_too_many_waiting_callers_are_refused_at_once(queue: Queue):
    engine = queue.store.engine(queue.clock, waiting_max=3, busy_timeout_ms=5_000)
    await engine.open()
    crowded = Queue(engine, queue.store, queue.clock, queue.project)
    with queue.store.locked():
        accepted = [asyncio.create_task(crowded.enqueue())]
        await asyncio.sleep(0.1)  # the writer has taken this one and waits for the lock
        accepted += [asyncio.create_task(crowded.enqueue()) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(EngineDown) as refused:
            await crowded.enqueue()
    assert (refused.value.reason, refused.value.status, refused.value.retry_after_s) == ("overloaded", 503, 1)
    assert len(set(await asyncio.gather(*accepted))) == 4
    await engine.close()


async def test_a_database_that_stays_locked_is_said_to_be_and_nothing_is_lost(queue: Queue):
    engine = queue.store.engine(queue.clock, busy_timeout_ms=200)
    await engine.open()
    patient = Queue(engine, queue.store, queue.clock, queue.project)
    before = await patient.enqueue()
    [leased] = await patient.lease()
    with queue.store.locked():
        done = await asyncio.gather(
            *(patient.enqueue() for _ in range(10)), patient.settle(leased), return_exceptions=True
        )
    assert {getattr(answer, "reason", answer) for answer in done} == {"database_locked"}
    assert list(queue.store.jobs(queue.project)) == [before.replace("-", "")]
    # The same callers, once the lock is gone.
    assert await patient.settle(leased) == "accepted"
    assert len(set(await asyncio.gather(*(patient.enqueue() for _ in range(10))))) == 10
    await engine.close()


async def test_a_lock_shorter_than_the_timeout_only_delays(queue: Queue):
    with queue.store.locked():
        waiting = asyncio.create_task(queue.enqueue())
        await asyncio.sleep(0.2)
        assert not waiting.done()
    assert queue.status(await waiting) == "pending"


async def test_a_full_disk_refuses_whole_changes_and_recovers(queue: Queue):
    kept = await queue.enqueue()
    many = [NewJob("email", "x" * 10_000, 10_000) for _ in range(50)]
    with queue.store.full(queue.engine):
        with pytest.raises(EngineDown) as refused:
            await queue.engine.enqueue(queue.project, APP, many)
        assert refused.value.reason == "disk_full"
        assert list(queue.store.jobs(queue.project)) == [kept.replace("-", "")]
        assert queue.store.wrong_counters() == []
    assert len(await queue.engine.enqueue(queue.project, APP, many)) == len(many)


async def test_a_database_that_is_not_there_is_said_to_be_and_found_again(queue: Queue):
    with queue.store.away():
        engine = queue.store.engine(queue.clock)
        await engine.open()
        early = Queue(engine, queue.store, queue.clock, queue.project)
        with pytest.raises(EngineDown) as refused:
            await early.enqueue()
        assert refused.value.reason == "database_unavailable"
    assert queue.status(await early.enqueue()) == "pending"
    await engine.close()


async def test_closing_commits_what_was_accepted(queue: Queue):
    engine = queue.store.engine(queue.clock)
    await engine.open()
    closing = Queue(engine, queue.store, queue.clock, queue.project)
    waiting = [asyncio.create_task(closing.enqueue()) for _ in range(50)]
    await asyncio.sleep(0)
    await engine.close()
    assert {queue.status(job_id) for job_id in await asyncio.gather(*waiting)} == {"pending"}
    with pytest.raises(EngineDown) as refused:
        await closing.enqueue()
    assert refused.value.reason == "closing"


async def test_an_answer_is_durable(queue: Queue):
    """Read by a connection of its own: the commit was before the answer."""
    job_id = await queue.enqueue()
    assert queue.status(job_id) == "pending"
