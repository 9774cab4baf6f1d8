"""What a job may carry: keys that make it the only one, times, retry policies, tags."""

import asyncio
import json

import pytest

from jobs_admin.engine.contract import Enqueued, NewJob, Unique
from jobs_admin.engine.rules import RetryPolicy
from tests.conformance.jobs.conftest import APP, LEASE_S, OTHER, Queue

DAY_S = 24 * 3600
KEY = Unique("order-7")
REPLACE = Unique("order-7", replace=True)
MINUTE = Unique("order-7", period_ms=60_000)


async def run(queue: Queue, job_id: str, outcome: str = "completed", **options) -> None:
    """Lease this job and settle it."""
    [job] = await queue.lease()
    assert job.id == job_id
    await queue.settle(job, outcome, **options)


# priorities


async def test_each_lower_priority_waits_a_minute_longer_behind_newer_jobs(queue: Queue):
    low = await queue.enqueue(priority=7)
    queue.clock.move(119)
    soon = await queue.enqueue(priority=5)
    queue.clock.move(2)
    late = await queue.enqueue(priority=5)
    # The one of priority 7 came 119 s before one of priority 5, and 121 s before the other.
    assert [job.id for job in await queue.lease(3)] == [soon, low, late]


async def test_ageing_goes_across_types_and_a_whole_lane_is_not_taken_before_the_next(queue: Queue):
    ids = []
    for n in range(8):
        ids.append(await queue.enqueue("ab"[n % 2], priority=5 if n % 2 else 6))
        queue.clock.move(30)
    leased = [job.id for job in await queue.lease(8)]
    urgency = {job_id: n * 30 + (300 if n % 2 else 360) for n, job_id in enumerate(ids)}
    assert leased == sorted(ids, key=lambda job_id: (urgency[job_id], leased.index(job_id)))
    assert [urgency[job_id] for job_id in leased] == sorted(urgency.values())


# unique keys


async def test_while_a_job_holds_its_key_a_second_enqueue_answers_the_first(queue: Queue):
    first = await queue.enqueue_job(unique=KEY, payload='"a"')
    second = await queue.enqueue_job(unique=KEY, payload='"b"')
    assert (first.duplicate, second) == (False, Enqueued(first.job_id, duplicate=True))
    assert queue.store.job(first.job_id)["payload"] == '"a"'
    [running] = await queue.lease()
    assert (await queue.enqueue_job(unique=KEY)).duplicate
    assert running.unique_key == "order-7"


async def test_a_key_is_of_its_type_and_its_project(queue: Queue):
    other = Queue(queue.engine, queue.store, queue.clock, queue.store.new_project())
    added = [
        await queue.enqueue_job("a", unique=KEY),
        await queue.enqueue_job("b", unique=KEY),
        await other.enqueue_job("a", unique=KEY),
        await queue.enqueue_job("a", unique=Unique("order-8")),
    ]
    assert [one.duplicate for one in added] == [False] * 4


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled", "expired", "past its deadline"])
async def test_the_key_is_free_once_the_job_is_over(queue: Queue, end):
    deadline = queue.clock() + 1_000 if end == "past its deadline" else None
    first = await queue.enqueue(unique=KEY, max_retries=0, deadline_at_ms=deadline)
    match end:
        case "cancelled":
            await queue.cancel(first)
        case "past its deadline":
            await queue.expire()
        case "expired":
            await queue.lease()
            await queue.expire()
        case _:
            await run(queue, first, end)
    assert queue.status(first) not in ("pending", "processing")
    second = await queue.enqueue_job(unique=KEY)
    assert (second.duplicate, second.job_id != first) == (False, True)


@pytest.mark.parametrize("end", ["failed", "released", "expired"])
async def test_the_key_is_held_through_runs_that_are_tried_again(queue: Queue, end):
    first = await queue.leased(unique=KEY)
    await (queue.expire() if end == "expired" else queue.settle(first, end))
    assert await queue.enqueue_job(unique=KEY) == Enqueued(first.id, duplicate=True)


async def test_replace_gives_a_later_payload_and_time_to_the_one_that_waits(queue: Queue):
    first = await queue.enqueue(unique=REPLACE, payload='"a"', delay_ms=5_000)
    queue.clock.move(4)
    second = await queue.enqueue_job(
        unique=REPLACE, payload='"bb"', delay_ms=5_000, priority=1, max_retries=9, timeout_ms=7
    )
    assert second == Enqueued(first, duplicate=True)
    row = queue.store.job(first)
    assert (row["payload"], row["payload_bytes"], row["payload_version"]) == ('"bb"', 4, 2)
    assert (row["priority"], row["max_retries"], row["timeout_ms"]) == (1, 9, 7)
    assert row["due_at_ms"] == queue.clock() + 5_000
    [event] = queue.store.events(first)
    assert (event["kind"], json.loads(event["details"])) == ("replaced", {"payload_version": 2})
    queue.clock.move(4.9)
    assert await queue.lease() == []
    queue.clock.move(0.1)
    assert [(job.id, job.priority) for job in await queue.lease()] == [(first, 1)]


async def test_replace_leaves_a_job_alone_that_has_begun(queue: Queue):
    first = await queue.leased(unique=REPLACE, payload='"a"')
    assert await queue.enqueue_job(unique=REPLACE, payload='"b"') == Enqueued(first.id, duplicate=True)
    await queue.settle(first, "released")
    assert await queue.enqueue_job(unique=REPLACE, payload='"b"') == Enqueued(first.id, duplicate=True)
    assert queue.store.job(first.id)["payload"] == '"a"'
    assert queue.timeline(first.id) == []


async def test_a_key_for_a_time_is_held_that_long_whatever_becomes_of_the_job(queue: Queue):
    first = await queue.enqueue(unique=MINUTE)
    await run(queue, first)
    queue.clock.move(59.999)
    assert await queue.enqueue_job(unique=MINUTE) == Enqueued(first, duplicate=True)
    queue.clock.move(0.001)
    second = await queue.enqueue_job(unique=MINUTE)
    assert not second.duplicate
    # An unfinished one gives it up as well.
    queue.clock.move(60)
    third = await queue.enqueue_job(unique=MINUTE)
    assert not third.duplicate
    assert {job.id for job in await queue.lease(5)} == {second.job_id, third.job_id}


async def test_callers_of_the_same_moment_with_one_key_make_one_job(queue: Queue, elsewhere: Queue):
    added = await asyncio.gather(*(here.enqueue_job(unique=KEY) for here in (queue, elsewhere) * 20))
    assert len({one.job_id for one in added}) == 1
    assert [one.duplicate for one in added].count(False) == 1
    assert len(queue.store.jobs(queue.project)) == 1


async def test_in_one_call_the_first_gets_the_key(queue: Queue):
    jobs = [NewJob("email", str(n), 1, unique=KEY) for n in range(3)] + [NewJob("email", "9", 1)]
    first, second, third, other = await queue.engine.enqueue(queue.project, APP, jobs)
    assert [one.duplicate for one in (first, second, third, other)] == [False, True, True, False]
    assert first.job_id == second.job_id == third.job_id
    assert queue.store.job(first.job_id)["payload"] == "0"


async def test_a_retry_by_hand_takes_the_key_back_and_is_refused_while_another_has_it(queue: Queue):
    first = await queue.enqueue(unique=KEY)
    await run(queue, first)
    second = await queue.enqueue(unique=KEY)
    refused = await queue.retry(first)
    assert (refused.job_ids, refused.refused) == ((), {first: "unique_taken"})
    assert queue.status(first) == "completed"
    await run(queue, second)
    assert (await queue.retry(first)).job_ids == (first,)
    assert await queue.enqueue_job(unique=KEY) == Enqueued(first, duplicate=True)
    assert (await queue.retry(second)).refused == {second: "unique_taken"}


async def test_who_holds_the_same_key_of_another_type_or_project_or_another_key_is_not_in_the_way(
    queue: Queue,
):
    first = await queue.enqueue(unique=KEY)
    await run(queue, first)
    other = Queue(queue.engine, queue.store, queue.clock, queue.store.new_project())
    await other.enqueue(unique=KEY)
    await queue.enqueue("b", unique=KEY)
    await queue.enqueue(unique=Unique("order-8"))
    assert (await queue.retry(first)).job_ids == (first,)


async def test_who_held_the_key_for_a_time_that_is_over_is_not_in_the_way_of_a_retry(queue: Queue):
    first = await queue.enqueue(unique=MINUTE)
    await run(queue, first)
    queue.clock.move(60)
    second = await queue.enqueue(unique=MINUTE)
    assert (await queue.retry(first)).refused == {first: "unique_taken"}
    queue.clock.move(60)
    assert (await queue.retry(first)).job_ids == (first,)
    assert queue.status(second) == "pending"


async def test_of_two_with_the_same_key_one_call_retries_one(queue: Queue):
    first = await queue.enqueue(unique=KEY)
    await run(queue, first)
    second = await queue.enqueue(unique=KEY)
    await run(queue, second)
    done = await queue.retry(first, second)
    assert len(done.job_ids) == 1
    assert list(done.refused.values()) == ["unique_taken"]


# idempotency keys


async def test_the_same_enqueue_sent_again_answers_the_same_job(queue: Queue, elsewhere: Queue):
    first = await queue.enqueue_job(idempotency_key="i-1")
    again = [await here.enqueue_job(idempotency_key="i-1") for here in (queue, elsewhere)]
    assert again == [Enqueued(first.job_id, duplicate=True)] * 2
    await run(queue, first.job_id)
    assert await queue.enqueue_job(idempotency_key="i-1") == Enqueued(first.job_id, duplicate=True)
    assert len(queue.store.jobs(queue.project)) == 1


async def test_an_idempotency_key_is_of_its_project(queue: Queue):
    other = Queue(queue.engine, queue.store, queue.clock, queue.store.new_project())
    assert not (await queue.enqueue_job(idempotency_key="i-1")).duplicate
    assert not (await other.enqueue_job(idempotency_key="i-1")).duplicate


async def test_callers_of_the_same_moment_with_one_idempotency_key_make_one_job(
    queue: Queue, elsewhere: Queue
):
    added = await asyncio.gather(
        *(here.enqueue_job(idempotency_key="i-1") for here in (queue, elsewhere) * 20)
    )
    assert len({one.job_id for one in added}) == 1
    assert [one.duplicate for one in added].count(False) == 1
    assert list(queue.store.jobs(queue.project)) == [queue.store.id(added[0].job_id)]


async def test_in_one_call_the_same_idempotency_key_is_one_job(queue: Queue):
    jobs = [NewJob("email", str(n), 1, idempotency_key="i-1") for n in range(3)]
    added = await queue.engine.enqueue(queue.project, APP, jobs)
    assert [one.duplicate for one in added] == [False, True, True]
    assert {one.job_id for one in added} == {added[0].job_id}
    assert len(queue.store.jobs(queue.project)) == 1


async def test_an_idempotency_key_is_forgotten_after_a_day(queue: Queue):
    first = await queue.enqueue(idempotency_key="i-1")
    queue.clock.move(DAY_S - 0.001)
    assert (await queue.enqueue_job(idempotency_key="i-1")).job_id == first
    queue.clock.move(0.001)
    second = await queue.enqueue_job(idempotency_key="i-1")
    assert (second.duplicate, second.job_id != first) == (False, True)
    assert (await queue.enqueue_job(idempotency_key="i-1")).job_id == second.job_id


async def test_with_a_unique_key_an_idempotency_key_answers_what_its_call_was_answered(queue: Queue):
    holder = await queue.enqueue(unique=KEY)
    first = await queue.enqueue_job(unique=KEY, idempotency_key="i-1")
    assert first == Enqueued(holder, duplicate=True)
    await run(queue, holder)
    # Its unique key is free now, but this enqueue was answered already.
    assert await queue.enqueue_job(unique=KEY, idempotency_key="i-1") == Enqueued(holder, duplicate=True)


async def test_with_a_unique_key_all_of_one_moment_are_answered_with_the_holder(queue: Queue):
    holder = await queue.enqueue(unique=KEY)
    jobs = [NewJob("email", "1", 1, unique=KEY, idempotency_key="i-1") for _ in range(3)]
    added = await queue.engine.enqueue(queue.project, APP, jobs)
    assert added == [Enqueued(holder, duplicate=True)] * 3


async def test_an_enqueue_that_failed_leaves_its_idempotency_key_free(queue: Queue):
    broken = NewJob("email", payload=None, payload_bytes=2, idempotency_key="i-1")  # type: ignore[arg-type]
    with pytest.raises(Exception, match="refused"):
        await queue.engine.enqueue(queue.project, APP, [broken])
    assert not (await queue.enqueue_job(idempotency_key="i-1")).duplicate


# retry policies


async def delays(queue: Queue, runs: int, **options) -> list[int]:
    """How long a new job waits after each of so many failures."""
    job_id = await queue.enqueue(max_retries=50, **options)
    found = []
    for _ in range(runs):
        queue.clock.now_ms = max(queue.store.job(job_id)["due_at_ms"], queue.clock())
        await run(queue, job_id, "failed")
        found.append(queue.store.job(job_id)["due_at_ms"] - queue.clock())
    return found


async def test_a_fixed_delay_is_the_same_each_time(queue: Queue):
    assert await delays(queue, 4, retry=RetryPolicy("fixed", base_ms=7_000)) == [7_000] * 4


async def test_a_list_of_delays_ends_with_its_last_one_again_and_again(queue: Queue):
    policy = RetryPolicy("list", delays_ms=(1_000, 60_000, 0))
    assert await delays(queue, 5, retry=policy) == [1_000, 60_000, 0, 0, 0]


async def test_an_exponential_delay_is_drawn_between_half_of_it_and_the_whole(queue: Queue):
    drawn = await delays(queue, 5, retry=RetryPolicy(base_ms=1_000, cap_ms=6_000))
    for delay, longest in zip(drawn, (1_000, 2_000, 4_000, 6_000, 6_000), strict=True):
        assert longest // 2 <= delay <= longest


async def test_the_types_policy_and_budget_count_where_the_job_says_nothing(queue: Queue):
    await queue.configure("slow", retry=RetryPolicy("fixed", base_ms=9_000), max_retries=1)
    job_id = await queue.enqueue("slow")
    await run(queue, job_id, "failed")
    row = queue.store.job(job_id)
    assert (row["due_at_ms"], row["max_retries"]) == (queue.clock() + 9_000, 1)
    queue.clock.move(9)
    await run(queue, job_id)
    own = await queue.enqueue("slow", max_retries=0)
    assert queue.store.job(own)["max_retries"] == 0
    assert queue.store.job(await queue.enqueue("fast"))["max_retries"] == 3


# deadline


async def test_after_its_deadline_a_job_does_not_begin_and_fails_as_expired(queue: Queue):
    job_id = await queue.enqueue(deadline_at_ms=queue.clock() + 5_000)
    queue.clock.move(4.999)
    assert (await queue.engine.sweep(limit=10)).changed == {}
    queue.clock.move(0.001)
    assert await queue.lease() == []
    assert (await queue.engine.sweep(limit=10)).changed == {queue.project: [job_id]}
    row = queue.store.job(job_id)
    assert (row["status"], row["error_type"], row["ended_at_ms"]) == ("failed", "Expired", queue.clock())
    assert queue.timeline(job_id) == ["expired"]
    assert queue.outcomes(job_id) == []
    assert await queue.lease() == []


async def test_a_run_that_began_before_the_deadline_may_end_after_it(queue: Queue):
    job = await queue.leased(deadline_at_ms=queue.clock() + 5_000)
    assert job.deadline_at_ms == queue.clock() + 5_000
    queue.clock.move(6)
    assert (await queue.engine.sweep(limit=10)).changed == {}
    assert await queue.settle(job) == "accepted"


async def test_a_retry_that_would_begin_after_the_deadline_fails_as_expired(queue: Queue):
    job = await queue.leased(deadline_at_ms=queue.clock() + 5_000)
    await queue.settle(job, "failed", retry_after_ms=10_000)
    await queue.expire()
    assert (queue.status(job.id), queue.outcomes(job.id)) == ("failed", ["failed"])
    assert queue.timeline(job.id) == ["expired"]


async def test_jobs_past_their_deadline_do_not_hide_the_others(queue: Queue):
    late = NewJob("email", "1", 1, deadline_at_ms=queue.clock() + 1_000)
    await queue.engine.enqueue(queue.project, APP, [late] * 20)
    other = await queue.enqueue()
    queue.clock.move(2)
    assert [job.id for job in await queue.lease(1)] == [other]


async def test_jobs_past_their_deadline_do_not_hide_those_of_another_lane(queue: Queue):
    """Also where nobody sweeps."""
    late = NewJob("late", "1", 1, priority=0, deadline_at_ms=queue.clock() + 1_000)
    await queue.engine.enqueue(queue.project, APP, [late] * 20)
    queue.clock.move(2)
    others = [await queue.enqueue("other", priority=9) for _ in range(3)]
    assert [(await queue.lease(1))[0].id for _ in others] == others
    assert await queue.lease(1) == []


async def test_a_retry_by_hand_takes_the_deadline_away(queue: Queue):
    job_id = await queue.enqueue(deadline_at_ms=queue.clock() + 1_000)
    await queue.expire()
    await queue.retry(job_id)
    assert [job.id for job in await queue.lease()] == [job_id]


# time limit


async def test_a_lease_ends_with_the_time_limit_and_a_grace(queue: Queue):
    job = await queue.leased(timeout_ms=5_000)
    assert (job.timeout_ms, job.lease_expires_at_ms) == (5_000, queue.clock() + 15_000)
    queue.clock.move(14)
    assert await queue.beat(job) == "extended"
    assert queue.store.job(job.id)["lease_expires_at_ms"] == job.lease_expires_at_ms


async def test_a_long_time_limit_is_reached_by_heartbeats_and_not_passed(queue: Queue):
    job = await queue.leased(timeout_ms=60_000)
    assert job.lease_expires_at_ms == queue.clock() + LEASE_S * 1000
    for _ in range(3):
        queue.clock.move(20)
        assert await queue.beat(job) == "extended"
    assert queue.store.job(job.id)["lease_expires_at_ms"] == job.started_at_ms + 70_000
    queue.clock.move(9.999)
    assert (await queue.engine.sweep(limit=10)).changed == {}
    queue.clock.move(0.001)
    assert (await queue.engine.sweep(limit=10)).changed == {queue.project: [job.id]}
    assert queue.outcomes(job.id) == ["timed_out"]


async def test_a_run_over_its_time_limit_is_a_failure_and_no_crash(queue: Queue):
    await queue.enqueue(timeout_ms=1_000, max_retries=3, retry=RetryPolicy("fixed", base_ms=4_000))
    for _ in range(4):
        queue.clock.move(4)
        [job] = await queue.lease()
        await queue.expire()
        assert queue.store.job(job.id)["crashes"] == 0
    # Three crashes would have been poison.
    assert (queue.status(job.id), queue.outcomes(job.id)) == ("failed", ["timed_out"] * 4)
    assert queue.store.job(job.id)["error_type"] == "TimedOut"
    assert queue.timeline(job.id) == []


async def test_a_worker_that_dies_long_before_the_limit_is_a_crash_however_late_the_sweep(queue: Queue):
    job = await queue.leased(timeout_ms=60_000)
    queue.clock.move(600)
    await queue.engine.sweep(limit=10)
    assert queue.outcomes(job.id) == ["lease_expired"]


async def test_a_cancel_wins_over_the_time_limit(queue: Queue):
    job = await queue.leased(timeout_ms=1_000)
    await queue.cancel(job.id)
    await queue.expire()
    assert (queue.status(job.id), queue.outcomes(job.id)) == ("cancelled", ["cancelled"])


async def test_the_types_time_limit_and_lease_count_where_nobody_says_another(queue: Queue):
    await queue.configure("slow", timeout_ms=2_000, lease_ms=90_000)
    await queue.enqueue("slow")
    await queue.enqueue("slow", timeout_ms=100_000)
    leased = await queue.engine.lease(queue.project, OTHER, types=["slow"], limit=2, lease_ms=None)
    assert [job.timeout_ms for job in leased.jobs] == [2_000, 100_000]
    now = queue.clock()
    assert [job.lease_expires_at_ms - now for job in leased.jobs] == [12_000, 90_000]


async def test_a_retry_has_the_whole_time_again(queue: Queue):
    job = await queue.leased(timeout_ms=5_000)
    queue.clock.move(4)
    await queue.settle(job, "released")
    [again] = await queue.lease()
    assert again.lease_expires_at_ms == queue.clock() + 15_000


# tags and the rest


async def test_tags_stand_on_the_job_and_by_themselves(queue: Queue):
    job_id = await queue.enqueue(tags=("vip", "été", "vip"))
    assert json.loads(queue.store.job(job_id)["tags"]) == ["vip", "été", "vip"]
    rows = queue.store.run("SELECT * FROM jobs_admin_jobtag WHERE project_id = ?", queue.project)
    assert sorted((row["tag"], row["job_id"]) for row in rows) == [
        ("vip", queue.store.id(job_id)),
        ("été", queue.store.id(job_id)),
    ]
    [job] = await queue.lease()
    assert json.loads(job.tags) == ["vip", "été", "vip"]


async def test_a_duplicate_adds_no_tags(queue: Queue):
    await queue.enqueue(unique=KEY, tags=("a",))
    await queue.enqueue(unique=KEY, tags=("b",))
    rows = queue.store.run("SELECT tag FROM jobs_admin_jobtag WHERE project_id = ?", queue.project)
    assert [row["tag"] for row in rows] == ["a"]


async def test_what_a_worker_needs_to_know_comes_with_the_lease(queue: Queue):
    batch = queue.store.new_batch(queue.project, "01900000-0000-7000-8000-0000000000ba")
    job = await queue.leased(batch=batch, partition_key="p", traceparent="00-1-2-01", unique=KEY)
    assert (job.batch, job.partition_key, job.traceparent, job.unique_key) == (
        batch,
        "p",
        "00-1-2-01",
        "order-7",
    )


async def test_an_instant_to_run_at_counts_and_one_in_the_past_is_now(queue: Queue):
    later = await queue.enqueue(due_at_ms=queue.clock() + 8_000)
    early = await queue.enqueue(due_at_ms=1)
    assert queue.store.job(later)["due_at_ms"] == queue.clock() + 8_000
    assert queue.store.job(early)["due_at_ms"] == queue.clock()
