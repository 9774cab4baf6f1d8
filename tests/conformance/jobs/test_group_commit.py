"""What a group of callers may expect of each other and of a failing database."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from aerodash.errors import EngineDown
from jobs_admin.engine.contract import NewJob
from tests.conformance.jobs.conftest import APP, Queue

GOOD = NewJob("email", "{}", 2)
BROKEN = NewJob(type=None, payload="{}", payload_bytes=2)  # type: ignore[arg-type]


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


async def test_a_project_that_does_not_exist_fails_alone(queue: Queue):
    done = await asyncio.gather(
        queue.enqueue(), queue.engine.enqueue(-1, APP, [GOOD]), queue.enqueue(), return_exceptions=True
    )
    assert [isinstance(answer, EngineDown) for answer in done] == [False, True, False]
    assert len(queue.store.jobs(queue.project)) == 2
    assert queue.store.jobs(-1) == {}


async def test_too_many_waiting_callers_are_refused_at_once(queue: Queue):
    engine = queue.store.engine(queue.clock, waiting_max=3, busy_timeout_ms=5_000)
    await engine.open()
    crowded = Queue(engine, queue.store, queue.clock, queue.project)
    with _locked(queue):
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
    with _locked(queue):
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
    with _locked(queue):
        waiting = asyncio.create_task(queue.enqueue())
        await asyncio.sleep(0.2)
        assert not waiting.done()
    assert queue.status(await waiting) == "pending"


async def test_a_full_disk_refuses_whole_changes_and_recovers(queue: Queue):
    if not hasattr(queue.engine, "_group"):
        pytest.fail("this engine needs its own way to fill its disk")
    kept = await queue.enqueue()
    await _limit_pages(queue, headroom=8)
    # What earlier tests left free inside the file can be used again, so fill that as well.
    with closing(sqlite3.connect(queue.store.path)) as file:
        free = file.execute("PRAGMA freelist_count").fetchone()[0]
    many = [NewJob("email", "x" * 10_000, 10_000) for _ in range(50 + free // 2)]
    with pytest.raises(EngineDown) as refused:
        await queue.engine.enqueue(queue.project, APP, many)
    assert refused.value.reason == "disk_full"
    assert list(queue.store.jobs(queue.project)) == [kept.replace("-", "")]
    assert queue.store.wrong_counters() == []

    await _limit_pages(queue, headroom=1_000_000)
    assert len(await queue.engine.enqueue(queue.project, APP, many)) == len(many)


async def test_a_database_that_is_not_there_is_said_to_be_and_found_again(queue: Queue, tmp_path):
    queue.store.path.rename(tmp_path / "away.db")
    engine = queue.store.engine(queue.clock)
    await engine.open()
    early = Queue(engine, queue.store, queue.clock, queue.project)
    with pytest.raises(EngineDown) as refused:
        await early.enqueue()
    assert refused.value.reason == "database_unavailable"
    (tmp_path / "away.db").rename(queue.store.path)
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
    with sqlite3.connect(queue.store.path) as other:
        assert other.execute(
            "SELECT count(*) FROM jobs_admin_job WHERE id = ?", [job_id.replace("-", "")]
        ).fetchone() == (1,)
    other.close()


class _locked:
    """Another process's write transaction, held open."""

    def __init__(self, queue: Queue) -> None:
        self._connection = sqlite3.connect(queue.store.path, isolation_level=None)

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_: object) -> None:
        self._connection.execute("ROLLBACK")
        self._connection.close()


async def _limit_pages(queue: Queue, headroom: int) -> None:
    """Let the writer's file grow by so many pages and no more: what a full disk is to SQLite."""

    def limit(tx) -> None:
        pages = tx._connection.execute("PRAGMA page_count").fetchone()[0]
        tx._connection.execute(f"PRAGMA max_page_count = {pages + headroom}")

    await queue.engine._group.read(limit)  # type: ignore[attr-defined]
