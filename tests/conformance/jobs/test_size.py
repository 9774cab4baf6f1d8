"""What a verb costs does not depend on how many jobs there are: counted in the database's own instructions, not in time."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from jobs_admin.engine.contract import NewJob
from tests.conformance.jobs.conftest import APP, LEASE_S, Queue
from tests.conformance.jobs.store import STORES, Store

FEW, MANY = 300, 6_000


@pytest.fixture(params=["sqlite"])
def store(request: pytest.FixtureRequest, tmp_path) -> Iterator[Store]:
    """Of PostgreSQL test_plans says the same: it counts the rows that verbs read among a million."""
    store = STORES[request.param](tmp_path)
    yield store
    store.close()


async def _instructions(queue: Queue, verb: Callable[[], Awaitable[Any]]) -> int:
    """How many instructions of SQLite's machine the verb takes on the writer's connection."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    [connection] = queue.engine.connections  # type: ignore[attr-defined]
    connection.set_progress_handler(step, 1)
    await verb()
    connection.set_progress_handler(None, 1)
    return count


async def _fill(queue: Queue, jobs: int) -> None:
    """So many jobs of each kind that a verb might stumble over: waiting, scheduled, urgent, completed."""
    for options in ({}, {"delay_ms": 3_600_000}, {"priority": 9}, {"priority": 0, "delay_ms": 3_600_000}):
        await queue.engine.enqueue(queue.project, APP, [NewJob("email", "1", 1, **options)] * jobs)
    done = 0
    while done < jobs:
        leased = await queue.lease(1000)
        done += len(leased)
        for job in leased[:1]:
            await queue.settle(job, "failed", retry_after_ms=3_600_000)
        for job in leased[1:]:
            await queue.settle(job)
        await queue.engine.enqueue(queue.project, APP, [NewJob("email", "1", 1)] * len(leased))


async def _one_of_each(queue: Queue) -> dict[str, int]:
    cost = {}
    cost["enqueue"] = await _instructions(queue, lambda: queue.enqueue())
    cost["lease all types"] = await _instructions(queue, lambda: queue.lease(5))
    cost["lease one type"] = await _instructions(queue, lambda: queue.lease(5, types=["email"]))
    cost["lease nothing"] = await _instructions(queue, lambda: queue.lease(5, types=["nobody"]))
    jobs = await queue.lease(5)
    cost["heartbeat"] = await _instructions(queue, lambda: queue.beat(jobs[0]))
    cost["settle completed"] = await _instructions(queue, lambda: queue.settle(jobs[0]))
    cost["settle failed"] = await _instructions(queue, lambda: queue.settle(jobs[1], "failed"))
    cost["release"] = await _instructions(queue, lambda: queue.settle(jobs[2], "released"))
    cost["cancel"] = await _instructions(queue, lambda: queue.cancel(jobs[3].id))
    cost["retry"] = await _instructions(queue, lambda: queue.retry(jobs[0].id))
    cost["sweep nothing"] = await _instructions(queue, lambda: queue.engine.sweep(limit=2))
    queue.clock.move(LEASE_S)
    cost["sweep"] = await _instructions(queue, lambda: queue.engine.sweep(limit=2))
    await queue.engine.sweep(limit=1000)
    return cost


async def test_every_verb_costs_the_same_with_twenty_times_the_jobs(queue: Queue):
    await _fill(queue, FEW)
    few = await _one_of_each(queue)
    await _fill(queue, MANY)
    many = await _one_of_each(queue)
    grown = {verb: (few[verb], cost) for verb, cost in many.items() if cost > few[verb] * 1.2 + 20}
    assert grown == {}
