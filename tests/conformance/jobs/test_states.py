"""Every row of the states table of jobs.md, and every refusal."""

import asyncio
import json

import pytest

from aerodash.errors import EngineDown
from aerodash.ids import JobId
from jobs_admin.engine.contract import LeaseRef, NewJob, RunResult
from jobs_admin.engine.rules import RetryPolicy
from tests.conformance.jobs.conftest import ANN, APP, LEASE_S, OTHER, WORKER, Queue

UNKNOWN = JobId("01900000-0000-7000-8000-000000000000")


# enqueue


async def test_enqueue_makes_a_pending_job_that_is_due_now(queue: Queue):
    job_id = await queue.enqueue(payload='{"n":1.0}', priority=3, max_retries=7)

    job = queue.store.job(job_id)
    assert (job["status"], job["run"], job["attempts"]) == ("pending", 0, 0)
    assert job["due_at_ms"] == job["created_at_ms"] == queue.clock()
    assert (job["payload"], job["payload_bytes"]) == ('{"n":1.0}', 9)
    assert (job["priority"], job["max_retries"], job["enqueued_by"]) == (3, 7, "key shop")


async def test_ids_are_ordered_by_time(queue: Queue):
    ids = [await queue.enqueue() for _ in range(20)]
    added = await queue.engine.enqueue(queue.project, APP, [NewJob("email", "1", 1) for _ in range(20)])
    ids += [one.job_id for one in added]
    assert ids == sorted(ids)
    assert {job_id[14] for job_id in ids} == {"7"}


async def test_enqueueing_many_adds_all_or_none(queue: Queue):
    broken = NewJob("email", payload=None, payload_bytes=1)  # type: ignore[arg-type]
    with pytest.raises(EngineDown):
        await queue.engine.enqueue(queue.project, APP, [NewJob("email", "1", 1), broken])
    assert queue.store.jobs(queue.project) == {}


# lease


async def test_lease_starts_a_run(queue: Queue):
    job_id = await queue.enqueue(payload='[1,"é"]')

    [leased] = await queue.lease()

    assert (leased.id, leased.payload, leased.run, leased.attempts) == (job_id, '[1,"é"]', 1, 1)
    job = queue.store.job(job_id)
    assert (job["status"], job["run"], job["attempts"]) == ("processing", 1, 1)
    assert job["lease_token"] == leased.lease_token
    assert job["lease_expires_at_ms"] == leased.lease_expires_at_ms == queue.clock() + LEASE_S * 1000
    assert (job["worker_id"], job["worker_name"]) == ("w-1", "host-a:41")


async def test_a_delayed_job_is_leased_only_when_it_is_due(queue: Queue):
    await queue.enqueue(delay_ms=5_000)
    queue.clock.move(4.999)
    assert await queue.lease() == []
    queue.clock.move(0.001)
    assert len(await queue.lease()) == 1


async def test_lease_takes_only_the_types_asked_for(queue: Queue):
    for type in ("a", "b", "c"):
        await queue.enqueue(type)
    assert sorted(job.type for job in await queue.lease(10, types=["a", "c", "nobody"])) == ["a", "c"]
    assert await queue.lease(10, types=[]) == []


async def test_a_paused_type_is_not_leased(queue: Queue):
    for type in ("a", "b", "c"):
        await queue.enqueue(type)
    await queue.engine.pause(queue.project, ANN, "b", "broken")
    assert await queue.lease(10, types=["b"]) == []
    assert sorted(job.type for job in await queue.lease(10)) == ["a", "c"]


async def test_lease_stays_in_its_project(queue: Queue):
    await queue.enqueue()
    other = Queue(queue.engine, queue.store, queue.clock, queue.store.new_project())
    assert await other.lease(10) == []


async def test_lease_gives_the_most_urgent_first_and_at_most_the_limit(queue: Queue):
    for type, priority in (("a", 5), ("b", 0), ("a", 9), ("b", 5), ("a", 0)):
        await queue.enqueue(type, priority=priority)
        queue.clock.move(0.001)
    assert [(job.type, job.priority) for job in await queue.lease(3)] == [("b", 0), ("a", 0), ("a", 5)]
    assert [(job.type, job.priority) for job in await queue.lease(3)] == [("b", 5), ("a", 9)]


async def test_an_old_job_of_low_priority_overtakes_new_urgent_ones(queue: Queue):
    old = await queue.enqueue(priority=9)
    queue.clock.move(3600)
    await queue.enqueue(priority=0)
    assert [job.id for job in await queue.lease(1)] == [old]


async def test_two_workers_never_get_the_same_job(queue: Queue):
    await queue.engine.enqueue(queue.project, APP, [NewJob("email", "1", 1) for _ in range(200)])
    batches = await asyncio.gather(*(queue.lease(30, worker=worker) for worker in (WORKER, OTHER) * 5))
    ids = [job.id for batch in batches for job in batch]
    assert len(ids) == len(set(ids)) == 200


async def test_lease_says_when_the_next_job_is_due(queue: Queue):
    await queue.enqueue("a", delay_ms=9_000)
    await queue.enqueue("b", delay_ms=4_000)
    leased = await queue.engine.lease(queue.project, WORKER, types=None, limit=1, lease_ms=1000)
    assert leased.next_due_at_ms == queue.clock() + 4_000


# heartbeat


async def test_heartbeat_extends_the_lease(queue: Queue):
    job = await queue.leased()
    queue.clock.move(20)
    assert await queue.beat(job) == "extended"
    assert queue.store.job(job.id)["lease_expires_at_ms"] == queue.clock() + LEASE_S * 1000


async def test_heartbeat_without_the_lease_is_refused(queue: Queue):
    job = await queue.leased()
    refs = [LeaseRef(job.id, "0" * 32), LeaseRef(UNKNOWN, job.lease_token)]
    queue.clock.move(1)
    assert await queue.engine.heartbeat(queue.project, WORKER, refs, lease_ms=1) == ["lease_lost"] * 2
    assert queue.store.job(job.id)["lease_expires_at_ms"] == job.lease_expires_at_ms

    await queue.expire()
    assert await queue.beat(job) == "lease_lost"
    [again] = await queue.lease(worker=OTHER)
    assert await queue.beat(job) == "lease_lost"
    assert await queue.beat(again) == "extended"
    await queue.settle(again)
    assert await queue.beat(again) == "lease_lost"


async def test_heartbeat_notes_the_worker(queue: Queue):
    job = await queue.leased()
    queue.clock.move(20)
    await queue.beat(job)
    [worker] = queue.store.run("SELECT * FROM jobs_admin_worker WHERE project_id = ?", queue.project)
    assert (worker["worker_id"], worker["hostname"], worker["pid"]) == ("w-1", "host-a", 41)
    assert worker["last_seen_at_ms"] == queue.clock()
    assert worker["first_seen_at_ms"] == queue.clock() - 20_000


# settle


async def test_settle_completed_keeps_the_result(queue: Queue):
    job = await queue.leased()
    queue.clock.move(2)

    assert await queue.settle(job, result='{"sum":12345678901234567890}') == "accepted"

    row = queue.store.job(job.id)
    assert (row["status"], row["result"]) == ("completed", '{"sum":12345678901234567890}')
    assert (row["ended_at_ms"], row["lease_token"], row["lease_expires_at_ms"]) == (queue.clock(), "", None)
    [attempt] = queue.store.attempts(job.id)
    assert (attempt["run"], attempt["outcome"], attempt["worker_name"]) == (1, "completed", "host-a:41")
    assert attempt["ended_at_ms"] - attempt["leased_at_ms"] == 2_000


async def test_settle_failed_is_tried_again_after_the_stored_delay(queue: Queue):
    job = await queue.leased(max_retries=3, retry=RetryPolicy(base_ms=8_000))

    said = {"error_type": "ValueError", "error_message": "no such user", "traceback": "line 1"}
    assert await queue.settle(job, "failed", **said) == "accepted"

    row = queue.store.job(job.id)
    assert row["status"] == "pending"
    assert 4_000 <= row["due_at_ms"] - queue.clock() <= 8_000
    assert (row["error_type"], row["error_message"], row["traceback"]) == (
        "ValueError",
        "no such user",
        "line 1",
    )
    [attempt] = queue.store.attempts(job.id)
    assert (attempt["outcome"], attempt["error_message"]) == ("failed", "no such user")
    assert attempt["next_due_at_ms"] == row["due_at_ms"]

    assert await queue.lease() == []
    queue.clock.now_ms = row["due_at_ms"]
    [again] = await queue.lease()
    assert (again.run, again.attempts) == (2, 2)


async def test_three_retries_mean_four_runs(queue: Queue):
    await queue.enqueue(max_retries=3)
    for run in range(1, 5):
        queue.clock.move(3600)
        [job] = await queue.lease()
        assert job.run == run
        assert await queue.settle(job, "failed", error_message=f"failure {run}") == "accepted"
    assert queue.status(job.id) == "failed"
    assert queue.store.job(job.id)["ended_at_ms"] == queue.clock()
    assert queue.outcomes(job.id) == ["failed"] * 4
    queue.clock.move(7200)
    assert await queue.lease() == []


async def test_retry_delays_double_up_to_the_cap(queue: Queue):
    await queue.enqueue(max_retries=10, retry=RetryPolicy(base_ms=1_000, cap_ms=10_000))
    for longest in (1_000, 2_000, 4_000, 8_000, 10_000, 10_000):
        queue.clock.move(60)
        [job] = await queue.lease()
        await queue.settle(job, "failed")
        assert longest // 2 <= queue.store.job(job.id)["due_at_ms"] - queue.clock() <= longest


async def test_the_types_retry_policy_counts_unless_the_job_has_its_own(queue: Queue):
    queue.store.run(
        "INSERT INTO jobs_admin_jobtype (project_id, name, paused_by, pause_reason, secret_paths, retry_policy)"
        """ VALUES (?, 'slow', '', '', '[]', '{"kind": "exponential", "base_ms": 600000, "cap_ms": 3600000}')""",
        queue.project,
    )
    await queue.enqueue("slow")
    await queue.enqueue("slow", retry=RetryPolicy(base_ms=2_000))
    first, second = await queue.lease(2)
    await queue.settle(first, "failed")
    await queue.settle(second, "failed")
    assert 300_000 <= queue.store.job(first.id)["due_at_ms"] - queue.clock() <= 600_000
    assert 1_000 <= queue.store.job(second.id)["due_at_ms"] - queue.clock() <= 2_000


async def test_the_workers_own_delay_wins(queue: Queue):
    job = await queue.leased()
    await queue.settle(job, "failed", retry_after_ms=123_456)
    assert queue.store.job(job.id)["due_at_ms"] == queue.clock() + 123_456


async def test_a_final_failure_fails_at_once(queue: Queue):
    job = await queue.leased(max_retries=9)
    assert await queue.settle(job, "failed", final=True, retry_after_ms=1) == "accepted"
    assert queue.status(job.id) == "failed"


async def test_two_settles_with_the_same_token_accept_one(queue: Queue):
    job = await queue.leased()
    said = await asyncio.gather(queue.settle(job, result="1"), queue.settle(job, result="2"))
    assert said == ["accepted", "lease_lost"]
    assert queue.store.job(job.id)["result"] == "1"
    assert queue.outcomes(job.id) == ["completed"]

    both = [RunResult(job.id, job.lease_token, "completed"), RunResult(job.id, job.lease_token, "failed")]
    assert await queue.engine.settle(queue.project, APP, both) == ["lease_lost"] * 2


@pytest.mark.parametrize("outcome", ["completed", "failed", "released"])
async def test_settle_after_a_lost_lease_is_refused_and_kept_on_the_timeline(queue: Queue, outcome):
    slow = await queue.leased()
    await queue.expire()
    [fast] = await queue.lease(worker=OTHER)

    assert await queue.settle(slow, outcome, result='"late"', error_message="late") == "lease_lost"

    row = queue.store.job(slow.id)
    assert (row["status"], row["lease_token"], row["worker_id"]) == ("processing", fast.lease_token, "w-2")
    [event] = queue.store.events(slow.id)
    said = json.loads(event["details"])
    assert (event["kind"], event["actor_label"], event["door"]) == ("late_result", "key shop", "api")
    assert (said["refused"], said["outcome"], said["result"]) == ("lease_lost", outcome, '"late"')

    assert await queue.settle(fast, result='"in time"') == "accepted"
    assert queue.store.job(slow.id)["result"] == '"in time"'
    assert queue.outcomes(slow.id) == ["lease_expired", "completed"]


async def test_of_late_results_the_timeline_keeps_twenty_and_counts_the_others(queue: Queue):
    slow = await queue.leased()
    await queue.expire()
    for number in range(23):
        assert await queue.settle(slow, result=str(number)) == "lease_lost"

    said = [json.loads(event["details"]) for event in queue.store.events(slow.id)]
    assert [late["result"] for late in said] == [str(number) for number in range(20)]
    assert [late["more"] for late in said if "more" in late] == [3]
    assert said[-1]["more"] == 3

    other = await queue.leased()
    assert other.id == slow.id
    assert await queue.settle(other, result='"in time"') == "accepted"


async def test_of_a_large_late_result_the_beginning_and_the_size_are_kept(queue: Queue):
    slow = await queue.leased()
    await queue.expire()
    assert await queue.settle(slow, result='"' + "é" * 500_000 + '"') == "lease_lost"

    [event] = queue.store.events(slow.id)
    said = json.loads(event["details"])
    assert said["result"] == '"' + "é" * 4095
    assert said["result_bytes"] == 1_000_002


async def test_settle_of_an_unknown_job_or_of_another_project_is_refused(queue: Queue):
    job = await queue.leased()
    stranger = Queue(queue.engine, queue.store, queue.clock, queue.store.new_project())
    assert await stranger.settle(job) == "lease_lost"
    assert await stranger.beat(job) == "lease_lost"
    unknown = [RunResult(UNKNOWN, job.lease_token, "completed"), RunResult(JobId("nonsense"), "x", "failed")]
    assert await queue.engine.settle(queue.project, APP, unknown) == ["lease_lost"] * 2
    assert queue.status(job.id) == "processing"
    assert queue.timeline(job.id) == []


@pytest.mark.parametrize("outcome", ["completed", "failed", "released"])
async def test_no_token_is_nobodys_token(queue: Queue, outcome):
    waiting, stopped, done = await queue.enqueue(), await queue.enqueue(), await _ended(queue, "completed")
    await queue.cancel(stopped)
    before = queue.store.jobs(queue.project)
    results = [RunResult(job_id, "", outcome, result="1") for job_id in (waiting, stopped, done)]
    assert await queue.engine.settle(queue.project, APP, results) == ["lease_lost"] * 3
    leases = [LeaseRef(job_id, "") for job_id in (waiting, stopped, done)]
    assert await queue.engine.heartbeat(queue.project, WORKER, leases, lease_ms=1) == ["lease_lost"] * 3
    assert queue.store.jobs(queue.project) == before


async def test_each_result_of_a_settle_stands_for_itself(queue: Queue):
    await queue.enqueue()
    await queue.enqueue()
    first, second = await queue.lease(2)
    results = [
        RunResult(first.id, "0" * 32, "completed"),
        RunResult(second.id, second.lease_token, "completed"),
        RunResult(first.id, first.lease_token, "failed", final=True),
    ]
    assert await queue.engine.settle(queue.project, APP, results) == ["lease_lost", "accepted", "accepted"]
    assert (queue.status(first.id), queue.status(second.id)) == ("failed", "completed")


# release


async def test_release_gives_back_without_charging_the_budget(queue: Queue):
    job = await queue.leased(max_retries=0)
    queue.clock.move(1)
    assert await queue.settle(job, "released") == "accepted"
    row = queue.store.job(job.id)
    assert (row["status"], row["due_at_ms"], row["attempts"], row["run"]) == ("pending", queue.clock(), 0, 1)
    assert queue.outcomes(job.id) == ["released"]
    [again] = await queue.lease()
    assert (again.run, again.attempts) == (2, 1)


# lease expiry


async def test_an_expired_lease_is_swept_and_the_job_runs_again_at_once(queue: Queue):
    job = await queue.leased()
    queue.clock.move(LEASE_S - 0.001)
    assert (await queue.engine.sweep(limit=10)).changed == {}
    queue.clock.move(0.001)

    assert (await queue.engine.sweep(limit=10)).changed == {queue.project: [job.id]}

    row = queue.store.job(job.id)
    assert (row["status"], row["due_at_ms"], row["attempts"], row["crashes"]) == (
        "pending",
        queue.clock(),
        1,
        1,
    )
    [attempt] = queue.store.attempts(job.id)
    assert attempt["outcome"] == "lease_expired"
    assert "lease expired" in attempt["error_message"]
    [again] = await queue.lease(worker=OTHER)
    assert (again.run, again.attempts) == (2, 2)


async def test_an_expired_lease_uses_up_the_budget(queue: Queue):
    job = await queue.leased(max_retries=0)
    await queue.expire()
    assert queue.status(job.id) == "failed"
    assert queue.store.job(job.id)["error_message"].startswith("lease expired")


async def test_the_third_crash_in_a_row_is_poison(queue: Queue):
    await queue.enqueue(max_retries=50)
    for crash in (1, 2, 3):
        queue.clock.move(3600)
        [job] = await queue.lease()
        assert job.run == crash
        await queue.expire()
    row = queue.store.job(job.id)
    assert (row["status"], row["attempts"]) == ("failed", 3)
    assert "poison" in row["error_message"]
    assert queue.timeline(job.id) == ["poisoned"]


async def test_the_second_crash_backs_off(queue: Queue):
    await queue.enqueue(max_retries=50, retry=RetryPolicy(base_ms=10_000))
    for _ in range(2):
        [job] = await queue.lease()
        await queue.expire()
    assert 10_000 <= queue.store.job(job.id)["due_at_ms"] - queue.clock() <= 20_000


@pytest.mark.parametrize("outcome", ["failed", "released"])
async def test_only_crashes_in_a_row_count(queue: Queue, outcome):
    await queue.enqueue(max_retries=50)
    for ending in ("crash", "crash", outcome, "crash", "crash"):
        queue.clock.move(3600)
        [job] = await queue.lease()
        if ending == "crash":
            await queue.expire()
        else:
            await queue.settle(job, outcome)
    assert (queue.status(job.id), queue.store.job(job.id)["crashes"]) == ("pending", 2)


async def test_a_settle_that_comes_before_the_sweep_counts(queue: Queue):
    job = await queue.leased()
    queue.clock.move(LEASE_S * 2)
    assert await queue.settle(job) == "accepted"
    assert (await queue.engine.sweep(limit=10)).changed == {}
    assert queue.status(job.id) == "completed"


async def test_sweeps_at_the_same_time_end_a_run_once(queue: Queue):
    job = await queue.leased()
    queue.clock.move(LEASE_S)
    swept = await asyncio.gather(*(queue.engine.sweep(limit=10) for _ in range(3)))
    assert [s.changed for s in swept if s.changed] == [{queue.project: [job.id]}]
    assert queue.outcomes(job.id) == ["lease_expired"]


async def test_a_sweep_ends_at_its_limit_and_says_that_there_is_more(queue: Queue):
    await queue.engine.enqueue(queue.project, APP, [NewJob("email", "1", 1) for _ in range(5)])
    await queue.lease(5)
    queue.clock.move(LEASE_S)
    swept = [await queue.engine.sweep(limit=3), await queue.engine.sweep(limit=3)]
    assert [(len(s.changed[queue.project]), s.more) for s in swept] == [(3, True), (2, False)]


# cancel


async def test_a_cancelled_pending_job_never_starts(queue: Queue):
    job_id = await queue.enqueue()
    done = await queue.cancel(job_id)
    assert (done.success, done.status) == (True, "cancelled")
    assert (queue.status(job_id), queue.store.job(job_id)["ended_at_ms"]) == ("cancelled", queue.clock())
    assert await queue.lease() == []
    [event] = queue.store.events(job_id)
    assert (event["kind"], event["actor_label"], event["door"]) == ("cancelled", "Ann", "console")


async def test_cancelling_a_running_job_asks_its_worker(queue: Queue):
    job = await queue.leased()
    done = await queue.cancel(job.id)
    assert (done.success, done.status, done.requested) == (True, "processing", True)
    assert queue.status(job.id) == "processing"
    assert await queue.beat(job) == "cancel_requested"
    assert queue.timeline(job.id) == ["cancel_requested", "cancel_seen"]
    assert await queue.beat(job) == "cancel_requested"
    again = await queue.cancel(job.id)
    assert (again.success, again.requested) == (True, False)
    assert queue.timeline(job.id) == ["cancel_requested", "cancel_seen"]


@pytest.mark.parametrize("outcome", ["completed", "failed", "released"])
async def test_once_a_cancel_is_requested_every_settle_ends_cancelled(queue: Queue, outcome):
    job = await queue.leased()
    await queue.cancel(job.id)

    assert await queue.settle(job, outcome, result='"done"', error_message="oh") == "cancelled"

    row = queue.store.job(job.id)
    assert (row["status"], row["result"], row["ended_at_ms"]) == ("cancelled", "", queue.clock())
    assert queue.outcomes(job.id) == ["cancelled"]
    kept = [
        json.loads(event["details"]) for event in queue.store.events(job.id) if event["kind"] == "late_result"
    ]
    if outcome == "released":
        assert kept == []
    else:
        assert [(k["refused"], k["outcome"], k["result"]) for k in kept] == [("cancelled", outcome, '"done"')]
    assert await queue.lease() == []


async def test_once_a_cancel_is_requested_a_lost_lease_ends_cancelled(queue: Queue):
    job = await queue.leased()
    await queue.cancel(job.id)
    await queue.expire()
    assert queue.status(job.id) == "cancelled"
    assert queue.outcomes(job.id) == ["cancelled"]
    assert await queue.settle(job) == "lease_lost"
    assert queue.status(job.id) == "cancelled"


async def test_a_stale_settle_does_not_end_a_cancelling_job(queue: Queue):
    slow = await queue.leased()
    await queue.expire()
    [fast] = await queue.lease(worker=OTHER)
    await queue.cancel(fast.id)
    assert await queue.settle(slow) == "lease_lost"
    assert queue.status(fast.id) == "processing"
    assert await queue.settle(fast) == "cancelled"


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_an_ended_job_cannot_be_cancelled(queue: Queue, status):
    job_id = await _ended(queue, status)
    before = queue.store.job(job_id)
    done = await queue.cancel(job_id)
    assert (done.success, done.status) == (False, status)
    assert queue.store.job(job_id) == before


async def test_cancelling_an_unknown_job_says_so(queue: Queue):
    job_id = await queue.enqueue()
    stranger = Queue(queue.engine, queue.store, queue.clock, queue.store.new_project())
    assert (await queue.cancel(UNKNOWN)).status == ""
    assert (await stranger.cancel(job_id)).success is False
    assert queue.status(job_id) == "pending"


# retry by hand


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_retry_by_hand_gives_the_whole_budget_and_keeps_history(queue: Queue, status):
    job_id = await _ended(queue, status)
    runs = queue.store.job(job_id)["run"]
    queue.clock.move(1)

    done = await queue.retry(job_id)

    assert (done.job_ids, done.refused) == ((job_id,), {})
    row = queue.store.job(job_id)
    assert (row["status"], row["due_at_ms"], row["attempts"], row["crashes"]) == (
        "pending",
        queue.clock(),
        0,
        0,
    )
    assert (row["run"], row["payload_version"], row["error_message"]) == (runs, 1, "")
    assert row["cancel_requested_at_ms"] is None
    event = queue.store.events(job_id)[-1]
    assert (event["kind"], event["actor_label"]) == ("retried", "Ann")
    assert json.loads(event["details"])["was"] == status
    [again] = await queue.lease()
    assert (again.run, again.attempts) == (runs + 1, 1)
    assert len(queue.store.attempts(job_id)) == runs
    assert await queue.settle(again) == "accepted"


async def test_retry_with_another_payload_counts_its_version_and_keeps_the_old_one(queue: Queue):
    job_id = await _ended(queue, "failed")
    await queue.retry(job_id, payload='{"b":2}')
    row = queue.store.job(job_id)
    assert (row["payload"], row["payload_bytes"], row["payload_version"]) == ('{"b":2}', 7, 2)
    details = json.loads(queue.store.events(job_id)[-1]["details"])
    assert (details["payload_version"], details["payload_before"]) == (2, "{}")
    [again] = await queue.lease()
    assert (again.payload, again.payload_version) == ('{"b":2}', 2)


async def test_retry_is_refused_for_each_job_that_is_not_ended(queue: Queue):
    running = await queue.leased()
    waiting = await queue.enqueue()
    ended = await _ended(queue, "failed", type="other")
    done = await queue.retry(running.id, waiting, UNKNOWN, ended, ended)
    assert done.job_ids == (ended,)
    assert done.refused == {running.id: "not_finished", waiting: "not_finished", UNKNOWN: "not_found"}
    assert await queue.settle(running) == "accepted"


async def test_a_settle_from_before_the_retry_is_refused(queue: Queue):
    job = await queue.leased(max_retries=0)
    await queue.expire()
    await queue.retry(job.id)
    [again] = await queue.lease()
    assert await queue.settle(job) == "lease_lost"
    assert await queue.settle(again) == "accepted"


# counters


async def test_reconcile_sets_a_wrong_counter_right_and_reports_it(queue: Queue):
    await queue.enqueue("a")
    await queue.enqueue("a")
    await queue.enqueue("b")
    assert await queue.engine.reconcile() == []
    await queue.engine.fold()  # one row a counter, in every database
    queue.store.run(
        "UPDATE jobs_admin_jobcounter SET count = count + 5"
        " WHERE id = (SELECT min(id) FROM jobs_admin_jobcounter WHERE type = 'a')"
    )
    queue.store.run("DELETE FROM jobs_admin_jobcounter WHERE type = 'b'")

    drifts = await queue.engine.reconcile()

    assert {(d.type, d.status, d.counted, d.actual) for d in drifts} == {
        ("a", "pending", 7, 2),
        ("b", "pending", 0, 1),
    }
    assert queue.store.wrong_counters() == []


async def _ended(queue: Queue, status: str, type: str = "ended") -> JobId:
    job_id = await queue.enqueue(type)
    if status == "cancelled":
        await queue.cancel(job_id)
        return job_id
    [job] = await queue.lease(types=[type])
    await queue.settle(job, status, final=True, error_message="no" if status == "failed" else "")
    return job_id
