"""What a type may say: paused, how many run at once, how many start in a time, for the whole fleet and for each key."""

import asyncio

import pytest

from jobs_admin.engine.contract import NewJob
from jobs_admin.engine.rules import RetryPolicy
from tests.conformance.jobs.conftest import ANN, APP, OTHER, PATIENCE_S, WORKER, Queue, is_served, waiting


async def many(queue: Queue, number: int, type: str = "email", **options) -> list[str]:
    added = await queue.engine.enqueue(queue.project, APP, [NewJob(type, "1", 1, **options)] * number)
    return [one.job_id for one in added]


async def next_due(queue: Queue) -> int | None:
    leased = await queue.engine.lease(queue.project, WORKER, types=None, limit=10, lease_ms=1000)
    assert leased.jobs == ()
    return leased.next_due_at_ms


# settings and pause


async def test_configure_replaces_all_that_a_type_says_and_keeps_its_pause(queue: Queue):
    await queue.engine.pause(queue.project, ANN, "email", "broken")
    await queue.configure(
        retry=RetryPolicy("list", delays_ms=(1, 2)), max_retries=7, lease_ms=1, timeout_ms=2, concurrency=3,
        rate=4, rate_per_ms=5, rate_burst=6, partition_concurrency=7, partition_rate=8, partition_rate_per_ms=9,
        partition_rate_burst=10, retention_completed_s=11, retention_failed_s=12, retention_cancelled_s=13,
        secret_paths=("card.number", "été"),
    )  # fmt: skip
    row = queue.store.type(queue.project, "email")
    assert RetryPolicy.parse(row["retry_policy"]) == RetryPolicy("list", delays_ms=(1, 2))
    assert [row[name] for name in ("max_retries", "lease_ms", "timeout_ms", "concurrency")] == [7, 1, 2, 3]
    assert [row[name] for name in ("rate", "rate_per_ms", "rate_burst")] == [4, 5, 6]
    assert [row[f"partition_{name}"] for name in ("concurrency", "rate", "rate_per_ms", "rate_burst")] == [
        7,
        8,
        9,
        10,
    ]
    assert [row[f"retention_{name}_s"] for name in ("completed", "failed", "cancelled")] == [11, 12, 13]
    assert row["secret_paths"] == '["card.number", "été"]'
    await queue.configure(concurrency=1)
    row = queue.store.type(queue.project, "email")
    assert (row["concurrency"], row["max_retries"], row["retry_policy"], row["secret_paths"]) == (
        1,
        None,
        "",
        "[]",
    )
    assert (row["pause_reason"], row["paused_by"]) == ("broken", "Ann")


async def test_paused_again_the_first_pause_stands(queue: Queue):
    await queue.engine.pause(queue.project, ANN, "email", "broken")
    paused_at = queue.clock()
    queue.clock.move(9)
    await queue.engine.pause(queue.project, APP, "email", "other")
    row = queue.store.type(queue.project, "email")
    assert (row["paused_at_ms"], row["paused_by"], row["pause_reason"]) == (paused_at, "Ann", "broken")


async def test_a_pause_keeps_a_type_that_has_settings_from_starting_and_takes_nothing_from_them(queue: Queue):
    await queue.configure(max_retries=9)
    await queue.engine.pause(queue.project, ANN, "email", "")
    await queue.enqueue()
    await queue.enqueue("other")
    assert [job.type for job in await queue.lease(5)] == ["other"]
    assert queue.store.type(queue.project, "email")["max_retries"] == 9


async def test_a_pause_lets_what_runs_go_on(queue: Queue):
    job = await queue.leased()
    await queue.engine.pause(queue.project, ANN, "email", "")
    assert await queue.beat(job) == "extended"
    assert await queue.settle(job, "released") == "accepted"
    assert await queue.lease() == []


@pytest.mark.usefixtures("only_wakes")
async def test_resume_wakes_who_waits(queue: Queue, elsewhere: Queue):
    await queue.engine.pause(queue.project, ANN, "email", "")
    await queue.enqueue()
    task = await waiting(elsewhere)
    await queue.engine.resume(queue.project, "email")
    assert await is_served(task)
    row = queue.store.type(queue.project, "email")
    assert (row["paused_at_ms"], row["paused_by"], row["pause_reason"]) == (None, "", "")


async def test_resuming_what_is_not_paused_changes_nothing(queue: Queue):
    await queue.engine.resume(queue.project, "email")
    assert queue.store.run("SELECT * FROM jobs_admin_jobtype WHERE project_id = ?", queue.project) == []


# how many run at once


async def test_no_more_of_a_type_run_at_once_than_it_says_in_all_processes(queue: Queue, elsewhere: Queue):
    await queue.configure(concurrency=3)
    await many(queue, 20)
    batches = await asyncio.gather(*(here.lease(2) for here in (queue, elsewhere) * 5))
    running = [job for batch in batches for job in batch]
    assert len(running) == 3
    await queue.settle(running[0])
    await queue.settle(running[1], "released")
    assert len(await elsewhere.lease(10)) == 2
    await queue.expire()
    assert len(await queue.lease(10)) == 3


async def test_callers_of_one_moment_for_different_types_share_one_limit(queue: Queue):
    await queue.configure(concurrency=3)
    await many(queue, 20)
    await many(queue, 2, "other")
    wanted = [None, ["email"], ["email", "other"], ["email", "other", "third"]]
    batches = await asyncio.gather(*(queue.lease(5, types=types) for types in wanted))
    types = [job.type for batch in batches for job in batch]
    assert (types.count("email"), types.count("other")) == (3, 2)


async def test_a_full_type_leaves_the_others_alone(queue: Queue):
    await queue.configure("full", concurrency=0)
    await many(queue, 30, "full", priority=0)
    other = await many(queue, 2, "other", priority=9)
    assert sorted(job.id for job in await queue.lease(2)) == other


@pytest.mark.parametrize(
    "settings", [{"concurrency": 2}, {"rate": 5, "rate_per_ms": 60_000, "rate_burst": 2}]
)
async def test_an_urgent_type_takes_no_more_places_of_a_lease_than_it_has_room_for(queue: Queue, settings):
    await queue.configure("urgent", **settings)
    await many(queue, 30, "urgent", priority=0)
    await many(queue, 30, "other", priority=9)
    types = [job.type for job in await queue.lease(10)]
    assert (types.count("urgent"), types.count("other")) == (2, 8)


async def test_types_with_little_room_fill_a_lease_together(queue: Queue):
    for type in ("a", "b", "c"):
        await queue.configure(type, concurrency=2)
        await many(queue, 5, type)
    assert len(await queue.lease(5)) == 5
    assert len(await queue.lease(5)) == 1


@pytest.mark.usefixtures("only_wakes")
@pytest.mark.parametrize("end", ["completed", "failed", "cancelled", "expired", "lost"])
async def test_a_place_that_becomes_free_wakes_who_waits_in_another_process(
    queue: Queue, elsewhere: Queue, end
):
    """The process that settles has never leased of the type itself."""
    await queue.configure(concurrency=1)
    await many(queue, 2, max_retries=0)
    [running] = await queue.lease()
    task = await waiting(queue, worker=OTHER)
    match end:
        case "expired":
            await elsewhere.expire()
        case "lost":
            await elsewhere.lost()
        case "cancelled":
            await elsewhere.cancel(running.id)
            await elsewhere.settle(running)
        case _:
            await elsewhere.settle(running, end)
    assert await is_served(task)


@pytest.mark.usefixtures("only_wakes")
async def test_a_wider_limit_wakes_who_waits(queue: Queue):
    await queue.configure(concurrency=0)
    await queue.enqueue()
    task = await waiting(queue)
    await queue.configure(concurrency=1)
    assert await is_served(task)


# how many start in a time


async def test_a_rate_lets_a_burst_start_and_then_one_by_one(queue: Queue, elsewhere: Queue):
    await queue.configure(rate=2, rate_per_ms=10_000, rate_burst=3)
    await many(queue, 20)
    batches = await asyncio.gather(*(here.lease(2) for here in (queue, elsewhere) * 3))
    assert sum(map(len, batches)) == 3
    assert await next_due(queue) == pytest.approx(queue.clock() + 5_000, abs=2)
    queue.clock.move(4.99)
    assert await queue.lease(5) == []
    queue.clock.move(0.02)
    assert len(await queue.lease(5)) == 1
    queue.clock.move(3600)
    assert len(await elsewhere.lease(5)) == 3


async def test_without_a_burst_a_rate_starts_as_many_as_its_number(queue: Queue):
    await queue.configure(rate=2, rate_per_ms=1_000)
    await many(queue, 5)
    assert len(await queue.lease(5)) == 2


async def test_a_clock_that_is_put_back_does_not_stop_a_type_that_has_a_rate(queue: Queue):
    await queue.configure(rate=1, rate_per_ms=10_000)
    await queue.leased()
    queue.clock.move(-3_600)
    await many(queue, 5)
    assert len(await queue.lease(5)) == 1
    assert await queue.lease(5) == []
    queue.clock.move(10)
    assert len(await queue.lease(5)) == 1


async def test_a_clock_that_is_a_little_behind_starts_nothing_twice(queue: Queue):
    await queue.configure(rate=1, rate_per_ms=10_000)
    await queue.leased()
    queue.clock.move(-1)
    await many(queue, 5)
    assert await queue.lease(5) == []


async def test_only_what_starts_counts_against_a_rate(queue: Queue):
    """A lease is cut to what fits into one answer; the places of the others are not lost."""
    await queue.configure(rate=100, rate_per_ms=1_000_000)
    big = NewJob("email", '"' + "x" * 1_000_000 + '"', 1_000_002)
    await queue.engine.enqueue(queue.project, APP, [big] * 40)
    leased = []
    while batch := await queue.lease(40):
        leased += batch
    assert len(leased) == 40
    await many(queue, 100)
    assert len(await queue.lease(100)) == 60


async def test_a_rate_and_a_limit_both_count(queue: Queue):
    await queue.configure(rate=2, rate_per_ms=1_000, concurrency=1)
    await many(queue, 5)
    [first] = await queue.lease(5)
    assert await queue.lease(5) == []
    await queue.settle(first)
    [second] = await queue.lease(5)
    await queue.settle(second)
    assert await queue.lease(5) == []
    queue.clock.move(0.6)
    assert len(await queue.lease(5)) == 1


@pytest.mark.usefixtures("only_wakes")
async def test_a_waiting_lease_starts_a_job_when_its_rate_lets_it(queue: Queue):
    await queue.configure(rate=1, rate_per_ms=200)
    await many(queue, 2)
    assert len(await queue.lease(5)) == 1
    task = asyncio.create_task(queue.lease(wait_s=10 * PATIENCE_S))
    await asyncio.sleep(0.05)
    queue.clock.move(0.201)
    assert await is_served(task)


# keys


async def test_no_more_of_a_key_run_at_once_than_the_type_says(queue: Queue, elsewhere: Queue):
    await queue.configure(partition_concurrency=2)
    for key in ("a", "b", ""):
        await many(queue, 5, partition_key=key)
    batches = await asyncio.gather(*(here.lease(6) for here in (queue, elsewhere) * 3))
    running = [job for batch in batches for job in batch]
    keys = [job.partition_key for job in running]
    # Those without a key are under no limit of keys.
    assert {key: keys.count(key) for key in ("a", "b", "")} == {"a": 2, "b": 2, "": 5}
    [done] = [job for job in running if job.partition_key == "a"][:1]
    await elsewhere.settle(done)
    assert [job.partition_key for job in await queue.lease(6)] == ["a"]


async def test_no_more_of_a_key_start_in_a_time_than_the_type_says(queue: Queue):
    await queue.configure(partition_rate=1, partition_rate_per_ms=10_000)
    for key in ("a", "a", "b", "b"):
        await queue.enqueue(partition_key=key)
    assert sorted(job.partition_key for job in await queue.lease(9)) == ["a", "b"]
    assert await next_due(queue) == pytest.approx(queue.clock() + 10_000, abs=2)
    queue.clock.move(10.001)
    assert sorted(job.partition_key for job in await queue.lease(9)) == ["a", "b"]


async def test_a_head_full_of_one_blocked_key_does_not_hide_the_others(queue: Queue):
    await queue.configure(partition_concurrency=1)
    await many(queue, 450, partition_key="blocked")
    assert [job.partition_key for job in await queue.lease(3)] == ["blocked"]
    queue.clock.move(1)
    later = await many(queue, 1, partition_key="other") + await many(queue, 1)
    assert sorted(job.id for job in await queue.lease(3)) == sorted(later)
    assert await queue.lease(3) == []


async def test_behind_a_blocked_head_each_key_gets_its_turn(queue: Queue):
    await queue.configure(partition_concurrency=1)
    await many(queue, 250, partition_key="blocked")
    await queue.lease()
    jobs = [NewJob("email", "1", 1, partition_key=f"key-{n:03}") for n in range(450)]
    await queue.engine.enqueue(queue.project, APP, jobs)
    keys: set[str] = set()
    for _ in range(60):
        keys |= {job.partition_key for job in await queue.lease(10)}
    assert len(keys) == 450


async def test_behind_a_blocked_head_lanes_of_several_priorities_do_not_take_each_others_turn(queue: Queue):
    await queue.configure(partition_concurrency=1)
    for priority in (4, 5):
        await many(queue, 250, partition_key="blocked", priority=priority)
    await queue.lease()
    for priority in (4, 5):
        jobs = [
            NewJob("email", "1", 1, partition_key=f"{priority}-{n:03}", priority=priority) for n in range(201)
        ]
        await queue.engine.enqueue(queue.project, APP, jobs)
    keys: set[str] = set()
    for _ in range(60):
        keys |= {job.partition_key for job in await queue.lease(10)}
    assert len(keys) == 402


# several callers


async def test_leases_of_one_moment_are_served_in_turn_and_each_within_its_limit(queue: Queue):
    ids = await many(queue, 10)
    batches = await asyncio.gather(*(queue.lease(limit) for limit in (3, 1, 4, 5)))
    assert [len(batch) for batch in batches] == [3, 1, 4, 2]
    assert sorted(job.id for batch in batches for job in batch) == sorted(ids)
    assert len({job.lease_token for batch in batches for job in batch}) == 4


async def test_leases_of_one_moment_keep_to_their_types_and_projects(queue: Queue):
    other = Queue(queue.engine, queue.store, queue.clock, queue.store.new_project())
    for type in ("a", "b", "c"):
        await many(queue, 2, type)
        await many(other, 1, type)
    got = await asyncio.gather(
        queue.lease(9, types=["a"]),
        queue.lease(9, types=["c", "b"]),
        other.lease(9),
        other.lease(9, types=["a"]),
    )
    assert [sorted(job.type for job in batch) for batch in got[:2]] == [["a", "a"], ["b", "b", "c", "c"]]
    assert sorted(job.type for batch in got[2:] for job in batch) == ["a", "b", "c"]
