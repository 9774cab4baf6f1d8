"""What is forgotten, when, and what never is."""

import asyncio

import pytest

from aerodash.ids import JobId
from jobs_admin.engine import rules
from jobs_admin.engine.contract import LogLine, NewJob, RunResult, Unique
from jobs_admin.engine.steps import prune
from tests.conformance.jobs.conftest import APP, OTHER, Queue

HOUR_S = 3600
TABLES = ("job", "attempt", "jobevent", "joblog", "jobprogress", "jobtag")


def rows(queue: Queue) -> dict[str, int]:
    """How many rows there are about jobs."""
    return {
        table: queue.store.run(f"SELECT count(*) AS number FROM jobs_admin_{table}")[0]["number"]
        for table in TABLES
    }


async def test_a_job_is_deleted_with_all_that_is_about_it(queue: Queue):
    job = await queue.leased(tags=("a", "b"), max_retries=5)
    await queue.report(job, percent=1.0, logs=(LogLine("info", "x"), LogLine("info", "y")))
    await queue.settle(job, "released")
    [again] = await queue.lease()
    await queue.settle(job)  # late
    await queue.settle(again, result="1")
    assert rows(queue) == {"job": 1, "attempt": 2, "jobevent": 1, "joblog": 2, "jobprogress": 1, "jobtag": 2}
    kept = await queue.ended()
    kept_job = queue.store.job(kept)
    queue.store.run(
        "UPDATE jobs_admin_job SET ended_at_ms = ended_at_ms + 1000 WHERE id = ?", queue.store.id(kept)
    )
    queue.clock.move(HOUR_S)
    assert await queue.prune(completed=HOUR_S) == [job.id]
    assert rows(queue) == {"job": 1, "attempt": 1, "jobevent": 0, "joblog": 0, "jobprogress": 0, "jobtag": 0}
    assert queue.store.job(kept)["id"] == kept_job["id"]
    assert queue.store.wrong_counters() == []
    assert await queue.settle(again) == "lease_lost"


async def test_each_status_is_kept_for_its_own_time_and_one_without_a_time_for_ever(queue: Queue):
    done, failed = await queue.ended(), await queue.ended("failed")
    cancelled = await queue.enqueue()
    await queue.cancel(cancelled)
    queue.clock.move(60)
    assert await queue.prune(completed=61, failed=59) == [failed]
    queue.clock.move(1)
    assert await queue.prune(completed=61, failed=59) == [done]
    queue.clock.move(10 * 365 * 24 * HOUR_S)
    assert await queue.prune(completed=61, failed=59) == []
    assert await queue.prune(cancelled=0) == [cancelled]


async def test_what_the_type_says_wins(queue: Queue):
    await queue.configure("short", retention_completed_s=10)
    await queue.configure("long", retention_completed_s=1_000)
    short, long, other = [await queue.ended(type=type) for type in ("short", "long", "other")]
    failed = await queue.ended("failed", type="short")
    queue.clock.move(100)
    assert sorted(await queue.prune(completed=50, failed=200)) == sorted([short, other])
    assert {queue.status(long), queue.status(failed)} == {"completed", "failed"}
    queue.clock.move(900)
    assert await queue.prune(completed=50_000) == [long]


async def test_a_job_that_is_not_over_is_never_pruned(queue: Queue):
    waiting, later = await queue.enqueue(), await queue.enqueue(delay_ms=9_000)
    running = await queue.leased(type="slow")
    queue.clock.move(10 * 365 * 24 * HOUR_S)
    assert await queue.prune(completed=0, failed=0, cancelled=0) == []
    assert {queue.status(waiting), queue.status(later), queue.status(running.id)} == {"pending", "processing"}


async def test_a_retried_job_is_kept_for_its_whole_time_again(queue: Queue):
    job_id = await queue.ended()
    queue.clock.move(HOUR_S)
    await queue.retry(job_id)
    assert await queue.prune(completed=HOUR_S) == []
    [job] = await queue.lease()
    await queue.settle(job)
    queue.clock.move(HOUR_S - 1)
    assert await queue.prune(completed=HOUR_S) == []
    queue.clock.move(1)
    assert await queue.prune(completed=HOUR_S) == [job_id]


async def test_jobs_created_long_ago_that_ended_lately_do_not_hide_the_others(queue: Queue):
    old = await queue.engine.enqueue(queue.project, APP, [NewJob("email", "1", 1, delay_ms=1000_000)] * 50)
    soon = [await queue.ended() for _ in range(3)]
    queue.clock.move(1_000)
    for job in await queue.lease(50):
        await queue.settle(job)
    assert sorted(await queue.prune(limit=10, completed=500)) == sorted(soon)
    queue.clock.move(500)
    assert sorted(await queue.prune(limit=10, completed=500)) == [one.job_id for one in old]


async def test_each_type_gets_its_turn_in_small_steps(queue: Queue):
    for type in ("a", "b", "c"):
        await queue.configure(type, retention_failed_s=1)
        for _ in range(5):
            await queue.ended(type=type)
            await queue.ended("failed", type=type)
    queue.clock.move(10)
    gone: list[JobId] = []
    steps = 0
    queue.store.pruned = True
    while True:
        swept = await queue.engine.prune({"completed": 5_000, "failed": 5_000}, limit=4)
        found = swept.changed.get(queue.project, [])
        assert len(found) <= 4
        gone += found
        steps += 1
        if not swept.more:
            break
    assert len(set(gone)) == len(gone) == 30
    assert steps == 8
    # The next walk begins anew.
    last = await queue.ended(type="a")
    queue.clock.move(10)
    assert await queue.prune(completed=5) == [last]


async def test_a_step_looks_at_so_many_types_and_no_more(queue: Queue):
    """A transaction does not get longer with the types of which there is nothing to delete."""
    kept = [await queue.ended(type=f"type-{number:02}") for number in range(20)]
    queue.store.pruned = True
    steps = 0
    older_than_all_ids_ms = 60 * 365 * 24 * 3_600_000
    while (await queue.engine.prune({"completed": older_than_all_ids_ms}, limit=4)).more:
        steps += 1
    assert steps == 4
    # However little a step may do, the walk comes to its end.
    assert await queue.prune(limit=1, completed=older_than_all_ids_ms / 1000) == []
    queue.clock.move(10)
    assert sorted(await queue.prune(limit=4, completed=5)) == kept


async def test_a_step_deletes_no_more_rows_than_a_transaction_may(queue: Queue, monkeypatch):
    monkeypatch.setattr(prune, "ROWS", 100)
    for _ in range(4):
        job = await queue.leased()
        await queue.report(job, logs=(LogLine("info", "x"),) * 60)
        await queue.settle(job)
    queue.clock.move(10)
    queue.store.pruned = True
    steps = []
    for _ in range(4):
        swept = await queue.engine.prune({"completed": 0}, limit=1_000)
        steps.append((len(swept.changed.get(queue.project, [])), swept.more))
    assert steps == [(1, True), (1, True), (1, True), (1, False)]
    assert rows(queue)["joblog"] == 0


async def test_a_retry_and_a_prune_of_the_same_moment_never_lose_the_job(queue: Queue, elsewhere: Queue):
    for number in range(15):
        ids = [await queue.ended() for _ in range(4)]
        queue.clock.move(HOUR_S)
        here, there = (queue, elsewhere) if number % 2 else (elsewhere, queue)
        retried, gone = await asyncio.gather(here.retry(*ids), there.prune(completed=HOUR_S))
        assert sorted([*retried.job_ids, *gone]) == sorted(ids)
        assert set(retried.refused) == set(gone)
        assert set(queue.store.jobs(queue.project)) == {queue.store.id(job_id) for job_id in retried.job_ids}
        for job in await queue.lease(4):
            assert await queue.settle(job) == "accepted"
        queue.clock.move(HOUR_S)
        await queue.prune(completed=HOUR_S)
    assert rows(queue) == dict.fromkeys(TABLES, 0)


async def test_two_processes_that_prune_at_once_delete_each_job_once(queue: Queue, elsewhere: Queue):
    ids = [await queue.ended() for _ in range(30)]
    queue.clock.move(HOUR_S)
    gone = await asyncio.gather(*(here.prune(limit=7, completed=60) for here in (queue, elsewhere)))
    assert sorted(gone[0] + gone[1]) == sorted(ids)
    assert queue.store.wrong_counters() == []


async def test_a_batch_goes_on_counting_its_members_that_are_gone(queue: Queue):
    batch = queue.store.new_batch(queue.project, "01900000-0000-7000-8000-0000000000ba")
    await queue.ended(batch=batch)
    await queue.ended("failed", batch=batch)
    await queue.enqueue(batch=batch)
    queue.clock.move(10)
    assert len(await queue.prune(completed=1, failed=1)) == 2
    assert queue.store.batch_counts(batch) == {"completed": 1, "failed": 1, "pending": 1}


async def test_a_job_that_holds_its_key_for_a_time_stays_until_that_is_over(queue: Queue):
    unique = Unique("k", period_ms=60_000)
    job_id = await queue.ended(unique=unique)
    queue.clock.move(59)
    assert await queue.prune(completed=1) == []
    assert (await queue.enqueue_job(unique=unique)).job_id == job_id
    queue.clock.move(1)
    assert await queue.prune(completed=1) == [job_id]
    assert not (await queue.enqueue_job(unique=unique)).duplicate


async def test_idempotency_keys_are_forgotten_after_a_day_and_not_before(queue: Queue):
    await queue.enqueue(idempotency_key="old")
    queue.clock.move(1)
    await queue.enqueue(idempotency_key="new")
    queue.clock.now_ms += rules.IDEMPOTENCY_MS - 1_000
    await queue.prune()
    kept = queue.store.run("SELECT * FROM jobs_admin_idempotencykey")
    assert [row["key"] for row in kept] == ["new"]


async def test_of_many_old_idempotency_keys_a_step_forgets_so_many(queue: Queue):
    jobs = [NewJob("email", "1", 1, idempotency_key=str(n)) for n in range(25)]
    await queue.engine.enqueue(queue.project, APP, jobs)
    queue.clock.now_ms += rules.IDEMPOTENCY_MS
    assert (await queue.engine.prune({}, limit=10)).more
    assert len(queue.store.run("SELECT * FROM jobs_admin_idempotencykey")) == 15
    await queue.prune(limit=10)
    assert queue.store.run("SELECT * FROM jobs_admin_idempotencykey") == []


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_rate_buckets_are_forgotten_once_they_are_full(queue: Queue, limit):
    await queue.configure(rate=4, rate_per_ms=4_000, partition_rate=1, partition_rate_per_ms=2_000)
    for key in ("a", "b"):
        await queue.enqueue(partition_key=key)
    assert len(await queue.lease(5)) == 2

    def kept() -> list[str]:
        return sorted(row["partition_key"] for row in queue.store.run("SELECT * FROM jobs_admin_ratebucket"))

    assert kept() == ["", "a", "b"]
    await queue.prune(limit=limit)
    assert kept() == ["", "a", "b"]
    queue.clock.move(1)
    await queue.enqueue(partition_key="c")
    assert len(await queue.lease(5)) == 1
    queue.clock.move(1)
    await queue.prune(limit=limit)
    assert kept() == ["", "c"]
    queue.clock.move(1)
    await queue.prune(limit=limit)
    assert kept() == []


async def test_a_bucket_of_a_type_without_a_rate_is_forgotten(queue: Queue):
    await queue.configure(rate=1, rate_per_ms=3_600_000)
    await queue.leased()
    await queue.configure()
    await queue.prune()
    assert queue.store.run("SELECT * FROM jobs_admin_ratebucket") == []


async def test_after_a_prune_a_late_settle_is_refused_and_leaves_nothing_behind(queue: Queue):
    slow = await queue.leased(max_retries=0)
    await queue.expire()
    queue.clock.move(10)
    await queue.prune(failed=1)
    results = [RunResult(slow.id, slow.lease_token, "completed", result="1")]
    assert await queue.engine.settle(queue.project, APP, results) == ["lease_lost"]
    assert await queue.lease(worker=OTHER) == []
    assert rows(queue) == dict.fromkeys(TABLES, 0)
