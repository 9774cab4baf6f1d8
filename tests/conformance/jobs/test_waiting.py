"""Long polls: woken by work in any process, never handing jobs to a caller who has gone."""

import asyncio
import time

import pytest

from tests.conformance.jobs.conftest import OTHER, PATIENCE_S, Queue, is_served, waiting


@pytest.mark.usefixtures("only_wakes")
async def test_a_waiting_lease_is_woken_by_an_enqueue(queue: Queue):
    task = await waiting(queue)
    await queue.enqueue()
    assert await is_served(task)


@pytest.mark.usefixtures("only_wakes")
async def test_a_waiting_lease_is_woken_from_another_process(queue: Queue, elsewhere: Queue):
    task = await waiting(queue)
    await elsewhere.enqueue()
    assert await is_served(task)


@pytest.mark.usefixtures("only_wakes")
@pytest.mark.parametrize("event", ["release", "retry", "expiry"])
async def test_a_waiting_lease_is_woken_by_whatever_makes_a_job_pending(queue: Queue, event):
    job = await queue.leased()
    if event == "retry":
        await queue.settle(job, "failed", final=True)
    task = await waiting(queue, worker=OTHER)
    match event:
        case "release":
            await queue.settle(job, "released")
        case "retry":
            await queue.retry(job.id)
        case "expiry":
            await queue.expire()
    assert await is_served(task)


@pytest.mark.usefixtures("only_wakes")
async def test_a_waiting_lease_sleeps_no_longer_than_to_the_next_due_time(queue: Queue):
    await queue.enqueue(delay_ms=150)
    task = asyncio.create_task(queue.lease(wait_s=10 * PATIENCE_S))
    await asyncio.sleep(0.05)
    queue.clock.move(0.15)  # nobody is told of the time
    assert await is_served(task)


async def test_without_valkey_a_waiting_lease_finds_work_by_polling(queue: Queue, tmp_path):
    nowhere = f"unix://{tmp_path}/nobody.sock"
    engines = [queue.store.engine(queue.clock, valkey_url=nowhere) for _ in range(2)]
    for engine in engines:
        await engine.open()
    here, there = (Queue(engine, queue.store, queue.clock, queue.project) for engine in engines)
    task = await waiting(here)
    await there.enqueue()
    assert await is_served(task)
    for engine in engines:
        await engine.close()


@pytest.mark.usefixtures("only_wakes")
async def test_a_waiting_lease_ends_empty_at_its_time(queue: Queue):
    began = time.monotonic()
    assert await asyncio.wait_for(queue.lease(wait_s=0.3), PATIENCE_S) == []
    assert time.monotonic() - began >= 0.3


@pytest.mark.usefixtures("only_wakes")
async def test_closing_answers_waiting_leases_at_once(queue: Queue, elsewhere: Queue):
    task = await waiting(elsewhere)
    await elsewhere.engine.close()
    assert await asyncio.wait_for(task, PATIENCE_S) == []


@pytest.mark.usefixtures("only_wakes")
async def test_draining_answers_waiting_leases_and_lets_everything_else_go_on(queue: Queue, elsewhere: Queue):
    task = await waiting(elsewhere)
    await elsewhere.engine.drain()
    assert await asyncio.wait_for(task, PATIENCE_S) == []
    again = elsewhere.lease(wait_s=10 * PATIENCE_S)
    assert await asyncio.wait_for(again, PATIENCE_S) == []
    await elsewhere.enqueue()
    [job] = await elsewhere.lease(wait_s=20)
    assert await elsewhere.settle(job) == "accepted"


async def test_a_caller_who_has_gone_gets_nothing(queue: Queue):
    job_id = await queue.enqueue()
    assert await queue.lease(is_connected=lambda: False) == []
    assert (queue.status(job_id), queue.outcomes(job_id)) == ("pending", [])


async def test_what_was_leased_for_a_caller_who_went_meanwhile_is_released(queue: Queue):
    job_id = await queue.enqueue(max_retries=0)
    answers = iter([True, False])
    assert await queue.lease(is_connected=lambda: next(answers, False)) == []
    [again] = await queue.lease(wait_s=PATIENCE_S)
    assert (again.id, again.run, again.attempts) == (job_id, 2, 1)
    assert queue.outcomes(job_id) == ["released"]


async def test_what_was_leased_for_a_call_that_was_cancelled_is_released(queue: Queue):
    job_id = await queue.enqueue(max_retries=0)
    task = asyncio.create_task(queue.lease())
    await asyncio.sleep(0)  # the lease is with the writer now
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [again] = await queue.lease(wait_s=PATIENCE_S, worker=OTHER)
    assert (again.id, again.run, again.attempts) == (job_id, 2, 1)
    assert queue.outcomes(job_id) == ["released"]
