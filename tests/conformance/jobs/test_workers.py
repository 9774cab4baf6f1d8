"""Workers that die, and what those that live say of their runs."""

from dataclasses import replace

import pytest

from aerodash import limits
from aerodash.ids import JobId
from jobs_admin.engine.contract import LogLine, NewJob, Report
from tests.conformance.jobs.conftest import APP, OTHER, WORKER, Queue


async def many(queue: Queue, number: int, type: str = "email", **options) -> list[str]:
    added = await queue.engine.enqueue(queue.project, APP, [NewJob(type, "1", 1, **options)] * number)
    return [one.job_id for one in added]


# workers that die


async def test_a_lost_workers_runs_end_at_once_as_crashes(queue: Queue):
    job = await queue.leased()
    queue.clock.move(1)
    assert await queue.lost(reason="killed by signal 9", traceback="core") == [job.id]
    row = queue.store.job(job.id)
    assert (row["status"], row["crashes"], row["attempts"], row["due_at_ms"]) == (
        "pending",
        1,
        1,
        queue.clock(),
    )
    [attempt] = queue.store.attempts(job.id)
    assert (attempt["outcome"], attempt["error_message"], attempt["traceback"]) == (
        "worker_lost",
        "killed by signal 9",
        "core",
    )
    [worker] = queue.store.run("SELECT * FROM jobs_admin_worker WHERE project_id = ?", queue.project)
    assert (worker["lost_at_ms"], worker["lost_reason"]) == (queue.clock(), "killed by signal 9")


async def test_what_a_lost_worker_says_afterwards_is_refused(queue: Queue):
    job = await queue.leased()
    await queue.lost()
    assert await queue.settle(job, result='"late"') == "lease_lost"
    assert await queue.beat(job) == "lease_lost"
    assert await queue.report(job, percent=1.0) == "lease_lost"
    assert queue.timeline(job.id) == ["late_result"]
    assert queue.status(job.id) == "pending"


async def test_with_begun_only_those_are_charged_and_the_others_released(queue: Queue):
    await many(queue, 3, max_retries=0)
    begun, idle, other = [(await queue.lease(worker=worker))[0] for worker in (WORKER, WORKER, OTHER)]
    assert set(await queue.lost(begun=frozenset({begun.id.upper()}))) == {begun.id, idle.id}
    assert (queue.status(begun.id), queue.outcomes(begun.id)) == ("failed", ["worker_lost"])
    row = queue.store.job(idle.id)
    assert (row["status"], row["attempts"], row["crashes"], row["run"]) == ("pending", 0, 0, 1)
    assert queue.outcomes(idle.id) == ["released"]
    assert await queue.settle(other) == "accepted"


async def test_a_job_that_was_asked_to_end_ends_cancelled_with_its_worker(queue: Queue):
    job = await queue.leased()
    await queue.cancel(job.id)
    await queue.lost(begun=frozenset())
    assert (queue.status(job.id), queue.outcomes(job.id)) == ("cancelled", ["cancelled"])


async def test_a_job_that_takes_three_workers_with_it_is_poison(queue: Queue):
    await queue.enqueue(max_retries=50)
    for _ in range(3):
        queue.clock.move(3600)
        [job] = await queue.lease()
        await queue.lost(reason="out of memory")
    row = queue.store.job(job.id)
    assert row["status"] == "failed"
    assert row["error_message"] == "out of memory; 3 times in a row, so the job counts as poison"
    assert (queue.timeline(job.id), queue.outcomes(job.id)) == (["poisoned"], ["worker_lost"] * 3)


async def test_a_lost_worker_of_another_project_or_nobody_changes_nothing(queue: Queue):
    job = await queue.leased()
    other = Queue(queue.engine, queue.store, queue.clock, queue.store.new_project())
    assert (await other.lost(), await queue.lost(OTHER)) == ([], [])
    assert await queue.settle(job) == "accepted"
    assert await queue.lost() == []


# reports


async def test_a_report_keeps_what_is_said_and_leaves_what_is_not(queue: Queue):
    job = await queue.leased()
    assert await queue.report(job, percent=12.5, message="half a quarter") == "accepted"
    queue.clock.move(1)
    assert await queue.report(job, percent=50.0) == "accepted"
    assert await queue.report(job, message="") == "accepted"
    progress = queue.store.progress(job.id)
    assert (progress["percent"], progress["message"], progress["run"]) == (50.0, "", 1)
    assert (progress["at_ms"], progress["log_lines"], progress["log_dropped"]) == (queue.clock(), 0, 0)


async def test_what_an_earlier_run_said_goes_with_the_first_word_of_the_next(queue: Queue):
    job = await queue.leased()
    await queue.report(job, percent=90.0, message="nearly", logs=(LogLine("info", "one"),))
    await queue.settle(job, "released")
    [again] = await queue.lease()
    await queue.report(again, logs=(LogLine("warning", "two"),))
    progress = queue.store.progress(job.id)
    assert (progress["run"], progress["percent"], progress["message"]) == (2, None, "")
    assert progress["log_lines"] == 2
    assert [(line["run"], line["level"], line["message"]) for line in queue.store.logs(job.id)] == [
        (1, "info", "one"),
        (2, "warning", "two"),
    ]


async def test_log_lines_have_their_own_time_or_the_engines(queue: Queue):
    job = await queue.leased()
    await queue.report(job, logs=(LogLine("info", "then", at_ms=5), LogLine("error", "now")))
    assert [line["at_ms"] for line in queue.store.logs(job.id)] == [5, queue.clock()]


async def test_of_a_log_a_thousand_lines_are_kept_and_the_others_counted(queue: Queue):
    job = await queue.leased()
    for begin in range(0, 1_050, 70):
        lines = tuple(LogLine("info", str(n)) for n in range(begin, begin + 70))
        assert await queue.report(job, logs=lines) == "accepted"
    progress = queue.store.progress(job.id)
    assert (progress["log_lines"], progress["log_dropped"]) == (limits.LOG_LINES, 50)
    assert [line["message"] for line in queue.store.logs(job.id)] == [str(n) for n in range(limits.LOG_LINES)]


async def test_a_first_report_may_have_too_many_lines(queue: Queue):
    job = await queue.leased()
    lines = tuple(LogLine("info", str(n)) for n in range(limits.LOG_LINES + 3))
    await queue.report(job, logs=lines)
    progress = queue.store.progress(job.id)
    assert (progress["log_lines"], progress["log_dropped"]) == (limits.LOG_LINES, 3)
    assert len(queue.store.logs(job.id)) == limits.LOG_LINES


@pytest.mark.parametrize("gone", ["settled", "expired", "another token", "another project"])
async def test_a_report_without_the_lease_keeps_nothing(queue: Queue, gone):
    job = await queue.leased()
    reporting = queue
    match gone:
        case "settled":
            await queue.settle(job)
        case "expired":
            await queue.expire()
        case "another token":
            job = replace(job, lease_token="0" * 32)
        case "another project":
            reporting = Queue(queue.engine, queue.store, queue.clock, queue.store.new_project())
    assert await reporting.report(job, percent=1.0, logs=(LogLine("info", "x"),)) == "lease_lost"
    assert (queue.store.progress(job.id), queue.store.logs(job.id)) == (None, [])


async def test_a_report_learns_of_a_cancel(queue: Queue):
    job = await queue.leased()
    await queue.cancel(job.id)
    assert await queue.report(job, percent=1.0) == "cancel_requested"
    assert queue.store.progress(job.id)["percent"] == 1.0


async def test_each_report_of_a_call_stands_for_itself_and_in_its_order(queue: Queue):
    await many(queue, 2)
    first, second = await queue.lease(2)
    reports = [
        Report(first.id, first.lease_token, percent=1.0, logs=(LogLine("info", "a"),)),
        Report(second.id, "0" * 32, percent=2.0),
        Report(first.id, first.lease_token, percent=3.0, logs=(LogLine("info", "b"),)),
        Report(JobId("nonsense"), "x", percent=4.0),
    ]
    said = await queue.engine.report(queue.project, reports)
    assert said == ["accepted", "lease_lost", "accepted", "lease_lost"]
    assert queue.store.progress(first.id)["percent"] == 3.0
    assert [line["message"] for line in queue.store.logs(first.id)] == ["a", "b"]
    assert queue.store.progress(second.id) is None
