"""The guards about unique keys hold by themselves: each condition of each statement, wrong one at a time."""

from dataclasses import replace
from typing import Any

import pytest

from jobs_admin.engine.contract import NewJob, Unique
from jobs_admin.engine.steps.enqueue import values
from jobs_admin.engine.steps.history import stored
from tests.conformance.jobs.conftest import APP, Queue

HOUR_MS = 3_600_000
HELD = NewJob("email", "{}", 2, unique=Unique("order-7", period_ms=HOUR_MS))
OTHER_ID = "01980000-0000-7000-8000-000000000001"


def _later(queue: Queue, **other: Any) -> dict[str, Any]:
    """The values of a later enqueue of the same key, at the moment at which the holder's time is over."""
    row = values(queue.clock() + HOUR_MS, queue.project, APP, OTHER_ID, HELD)
    return {**row, **other}


async def _enqueue(queue: Queue, job: NewJob = HELD) -> str:
    [added] = await queue.engine.enqueue(queue.project, APP, [job])
    return added.job_id


@pytest.mark.parametrize(
    "wrong", [{"project": -1}, {"type": "sms"}, {"unique_key": "order-8"}], ids=["project", "type", "key"]
)
@pytest.mark.parametrize("statement", ["replace", "key_free", "key_holder"])
async def test_a_key_is_that_of_its_project_and_type(queue: Queue, statement, wrong):
    await _enqueue(queue)
    assert queue.store.would_change(statement, _later(queue))
    assert not queue.store.would_change(statement, _later(queue, **wrong))


async def test_a_key_is_not_freed_before_its_time(queue: Queue):
    await _enqueue(queue)
    assert not queue.store.would_change("key_free", _later(queue, now=queue.clock() + HOUR_MS - 1))


async def test_a_key_that_is_held_while_unfinished_is_not_freed_by_time(queue: Queue):
    await _enqueue(queue, replace(HELD, unique=Unique("order-7")))
    assert not queue.store.would_change("key_free", _later(queue))


@pytest.mark.parametrize("statement", ["replace", "key_free", "key_holder"])
async def test_who_does_not_hold_the_key_is_passed_over(queue: Queue, statement):
    job_id = await _enqueue(queue)
    queue.store.run(
        "UPDATE jobs_admin_job SET holds_key = (1 = 0) WHERE id = ?", queue.store.job(job_id)["id"]
    )
    assert not queue.store.would_change(statement, _later(queue))


async def test_a_job_that_runs_is_not_replaced(queue: Queue):
    await _enqueue(queue)
    await queue.lease()
    assert not queue.store.would_change("replace", _later(queue))


async def test_a_job_that_ran_before_is_not_replaced(queue: Queue):
    await _enqueue(queue)
    [job] = await queue.lease()
    await queue.settle(job, "released")
    assert not queue.store.would_change("replace", _later(queue))


async def _ended_beside_a_holder(queue: Queue, holder: NewJob, *, elsewhere: bool = False) -> dict[str, Any]:
    """The values that retry an ended job whose key another job holds now, perhaps one of another project."""
    job_id = await _enqueue(queue, replace(HELD, unique=Unique("order-7")))
    [job] = await queue.lease()
    await queue.settle(job)
    other = Queue(queue.engine, queue.store, queue.clock, queue.store.new_project()) if elsewhere else queue
    await _enqueue(other, holder)
    row = queue.store.job(job_id)
    return {
        "id": row["id"],
        "project": queue.project,
        "run": row["run"],
        "status": "completed",
        "now": queue.clock(),
        "payload": None,
        "payload_bytes": None,
    }


async def test_a_retry_does_not_take_a_key_that_another_job_holds(queue: Queue):
    assert not queue.store.would_change("retry", await _ended_beside_a_holder(queue, HELD))


@pytest.mark.parametrize(
    ("holder", "elsewhere"),
    [
        (HELD, True),
        (replace(HELD, type="sms"), False),
        (replace(HELD, unique=Unique("order-8")), False),
        (replace(HELD, unique=None), False),
    ],
    ids=["another project's", "another type's", "another key's", "no key's"],
)
async def test_a_retry_minds_no_other_holder(queue: Queue, holder, elsewhere):
    assert queue.store.would_change("retry", await _ended_beside_a_holder(queue, holder, elsewhere=elsewhere))


async def test_a_retry_minds_nobody_who_held_the_key_once(queue: Queue):
    given = await _ended_beside_a_holder(queue, replace(HELD, unique=Unique("order-7")))
    [job] = await queue.lease()
    await queue.settle(job)
    assert queue.store.would_change("retry", given)
    assert stored(str(given["id"])) != stored(job.id)
