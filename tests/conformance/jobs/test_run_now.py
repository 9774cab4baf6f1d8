"""Run now: a job that waits for its time is due at once, whatever else holds it back; and what workers were told."""

import json

import pytest

from tests.conformance.jobs.conftest import ANN, OTHER, Queue
from tests.conformance.jobs.store import stored


async def run_now(queue: Queue, *job_ids: str):
    return await queue.engine.run_now(queue.project, ANN, job_ids)


async def test_a_delayed_job_is_due_at_once(queue: Queue):
    job_id = await queue.enqueue(delay_ms=3_600_000)
    was = queue.store.job(job_id)["due_at_ms"]
    assert await queue.lease() == []
    done = await run_now(queue, job_id)
    assert (done.job_ids, done.refused) == ((job_id,), {})
    assert queue.store.job(job_id)["due_at_ms"] == queue.clock()
    [event] = queue.store.events(job_id)
    assert (event["kind"], event["actor_label"]) == ("run_now", "Ann")
    assert json.loads(event["details"]) == {"was_due_at_ms": was}
    assert [job.id for job in await queue.lease()] == [job_id]


async def test_a_job_that_is_to_be_retried_runs_with_the_attempts_it_had(queue: Queue):
    job = await queue.leased(max_retries=3)
    await queue.settle(job, "failed", retry_after_ms=3_600_000)
    assert (await run_now(queue, job.id)).job_ids == (job.id,)
    [again] = await queue.lease()
    assert (again.id, again.run, again.attempts) == (job.id, 2, 2)


async def test_a_waiting_lease_is_woken(queue: Queue):
    job_id = await queue.enqueue(delay_ms=3_600_000)
    await run_now(queue, job_id)
    assert [job.id for job in await queue.lease(wait_s=30)] == [job_id]


@pytest.mark.parametrize("status", ["processing", "completed", "failed", "cancelled"])
async def test_what_does_not_wait_is_refused(queue: Queue, status):
    if status == "processing":
        job_id = (await queue.leased()).id
    elif status == "cancelled":
        job_id = await queue.enqueue()
        await queue.cancel(job_id)
    else:
        job_id = await queue.ended(status)
    before = queue.store.job(job_id)
    assert (await run_now(queue, job_id)).refused == {job_id: "not_waiting"}
    assert queue.store.job(job_id) == before


async def test_each_job_is_answered_for_itself(queue: Queue):
    later, due = await queue.enqueue(delay_ms=9_000), await queue.enqueue()
    beside = Queue(queue.engine, queue.store, queue.clock, queue.store.new_project())
    theirs = await beside.enqueue(delay_ms=9_000)
    unknown = "01900000-0000-7000-8000-000000000000"
    done = await run_now(queue, later, due, theirs, unknown, later)
    assert done.job_ids == (later,)
    assert done.refused == {due: "due_already", theirs: "not_found", unknown: "not_found"}
    assert queue.store.job(theirs)["due_at_ms"] == queue.clock() + 9_000
    assert queue.timeline(later) == ["run_now"]
    assert queue.timeline(due) == []


async def test_a_pause_and_a_limit_still_hold(queue: Queue):
    job_id = await queue.enqueue(delay_ms=9_000)
    await queue.engine.pause(queue.project, ANN, "email", "")
    assert (await run_now(queue, job_id)).job_ids == (job_id,)
    assert await queue.lease() == []


async def test_the_statement_changes_the_job_that_it_names_as_it_was_read(queue: Queue):
    job_id, other = await queue.enqueue(delay_ms=9_000), await queue.enqueue(delay_ms=9_000)
    running = await queue.leased()
    was = queue.store.job(job_id)["due_at_ms"]
    beside = queue.store.new_project()

    def row(id: str, **said: int) -> dict[str, object]:
        return {"id": stored(id), "project": queue.project, "was": was, "now": queue.clock(), **said}

    session = queue.store.dialect().connect()
    try:
        transaction = session.begin(durable=False)
        rows = [
            row(job_id, project=beside),
            row(other, was=was - 1),
            row(running.id, was=queue.store.job(running.id)["due_at_ms"]),
        ]
        assert transaction.each("run_now", rows) == [None, None, None]
        assert transaction.each("run_now", [row(job_id)]) == [(0,)]
        session.commit()
    finally:
        session.close()
    assert queue.store.job(job_id)["due_at_ms"] == queue.clock()
    assert queue.store.job(other)["due_at_ms"] == was


async def test_a_worker_is_noted_once_a_run_as_told_to_end_it(queue: Queue):
    first, second = await queue.leased(), await queue.leased()
    await queue.cancel(first.id)
    await queue.cancel(second.id)
    await queue.beat(first)
    await queue.beat(first)
    assert await queue.report(second, percent=1) == "cancel_requested"
    await queue.beat(second)
    assert queue.timeline(first.id) == ["cancel_requested", "cancel_seen"]
    assert queue.timeline(second.id) == ["cancel_requested", "cancel_seen"]
    seen = queue.store.events(first.id)[1]
    assert (seen["actor_kind"], seen["actor_id"], seen["actor_label"]) == ("worker", "w-1", "host-a:41")
    assert queue.store.events(second.id)[1]["actor_label"] == "host-a:41"


async def test_a_worker_that_has_no_lease_is_told_nothing(queue: Queue):
    job = await queue.leased()
    await queue.cancel(job.id)
    assert await queue.settle(job) == "cancelled"
    await queue.beat(job)
    assert "cancel_seen" not in queue.timeline(job.id)


async def test_a_later_run_has_a_line_of_its_own(queue: Queue):
    job = await queue.leased()
    await queue.cancel(job.id)
    await queue.beat(job)
    await queue.settle(job)
    await queue.retry(job.id)
    [again] = await queue.lease(worker=OTHER)
    await queue.cancel(again.id)
    await queue.beat(again)
    kinds = [kind for kind in queue.timeline(job.id) if kind == "cancel_seen"]
    assert len(kinds) == 2
