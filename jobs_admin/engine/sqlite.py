"""The job engine on SQLite: one writing thread per process, group commit, WAL, an fsync before every answer."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import ClassVar
from urllib.parse import quote

import uuid_utils

from aerodash.errors import EngineDown
from aerodash.ids import JobId, ProjectId
from jobs_admin.engine import statements
from jobs_admin.engine.contract import (
    Beat,
    Cancelled,
    Clock,
    Drift,
    JobEngine,
    Leased,
    LeaseRef,
    NewJob,
    Retried,
    RunResult,
    Settled,
    Swept,
    Who,
    WorkerInfo,
)
from jobs_admin.engine.grouping import WAITING_MAX, GroupCommit, Transaction
from jobs_admin.engine.sqlite_steps import cancel, enqueue, lease, retry, settle, sweep
from jobs_admin.engine.wakes import Wakes

POLL_S = 1.0
"""How long a waiting lease sleeps at most: the fallback for a wake that did not arrive."""

BUSY_TIMEOUT_MS = 5_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class SqliteEngine(JobEngine):
    """See JobEngine. Several processes may open the same file; SQLite lets one of them write at a time."""

    skips_locked_rows: ClassVar[bool] = False

    def __init__(
        self,
        path: str,
        *,
        valkey_url: str,
        clock: Clock = now_ms,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        """path: the database file, already migrated. waiting_max: callers that may wait before others are refused."""
        self._path = path
        self._clock = clock
        self._busy_timeout_ms = busy_timeout_ms
        self._wakes = Wakes(valkey_url)
        self._group = GroupCommit(
            self._connect, statements.load("sqlite"), on_due=self._wakes.wake, waiting_max=waiting_max
        )
        self._ending = False

    async def open(self) -> None:
        self._wakes.open()
        self._group.open()

    async def check(self) -> None:
        await self._group.read(lambda tx: tx.rows("paused", project=0))

    async def drain(self) -> None:
        self._ending = True
        self._wakes.wake_everybody_here()

    async def close(self) -> None:
        await self.drain()
        await self._wakes.close()
        await self._group.close()

    async def enqueue(self, project: ProjectId, who: Who, jobs: Sequence[NewJob]) -> list[JobId]:
        ids = [uuid_utils.uuid7() for _ in jobs]
        rows = [(id.hex, job) for id, job in zip(ids, jobs, strict=True)]
        await self._group.write(
            lambda tx: enqueue.enqueue(tx, self._clock(), project, who, rows),
            jobs=len(jobs),
            size_bytes=sum(job.payload_bytes for job in jobs),
        )
        return [JobId(str(id)) for id in ids]

    async def lease(
        self,
        project: ProjectId,
        worker: WorkerInfo,
        *,
        types: Sequence[str] | None,
        limit: int,
        lease_ms: int,
        wait_s: float = 0,
        is_connected: Callable[[], bool] = lambda: True,
    ) -> Leased:
        def work(tx: Transaction) -> Leased:
            if not is_connected():
                return Leased(())
            return lease.lease(tx, self._clock(), project, worker, types, limit, lease_ms)

        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while True:
            with self._wakes.waiting(project) as woken:
                leased = await self._deliverable(project, work, limit, is_connected)
                left_s = deadline - loop.time()
                if leased.jobs or left_s <= 0 or self._ending or not is_connected():
                    return leased
                if leased.next_due_at_ms is not None:
                    left_s = min(left_s, max(leased.next_due_at_ms - self._clock(), 1) / 1000)
                await _wait(woken, min(left_s, POLL_S))
                if self._ending:
                    return Leased(())

    async def _deliverable(
        self,
        project: ProjectId,
        work: Callable[[Transaction], Leased],
        limit: int,
        is_connected: Callable[[], bool],
    ) -> Leased:
        """Lease, and give back at once what the caller is not there to take."""
        commit = self._group.write(work, jobs=limit)
        try:
            leased = await asyncio.shield(commit)
        except asyncio.CancelledError:
            commit.add_done_callback(lambda done: self._give_back(project, done))
            raise
        if leased.jobs and not is_connected():
            self._give_back(project, commit)
            return Leased(())
        return leased

    def _give_back(self, project: ProjectId, commit: asyncio.Future[Leased]) -> None:
        if commit.cancelled() or commit.exception() is not None or not commit.result().jobs:
            return
        leases = [LeaseRef(job.id, job.lease_token) for job in commit.result().jobs]
        # If even this is refused, the leases run out by themselves.
        with contextlib.suppress(EngineDown):
            given_back = self._group.write(lambda tx: settle.release(tx, self._clock(), project, leases))
            given_back.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def heartbeat(
        self, project: ProjectId, worker: WorkerInfo, leases: Sequence[LeaseRef], *, lease_ms: int
    ) -> list[Beat]:
        return await self._group.write(
            lambda tx: lease.heartbeat(tx, self._clock(), project, worker, leases, lease_ms), jobs=len(leases)
        )

    async def settle(self, project: ProjectId, who: Who, results: Sequence[RunResult]) -> list[Settled]:
        return await self._group.write(
            lambda tx: settle.settle(tx, self._clock(), project, who, results),
            jobs=len(results),
            size_bytes=sum(len(sent.result) + len(sent.traceback) for sent in results),
        )

    async def cancel(self, project: ProjectId, who: Who, job_id: JobId) -> Cancelled:
        return await self._group.write(lambda tx: cancel.cancel(tx, self._clock(), project, who, job_id))

    async def retry(
        self, project: ProjectId, who: Who, job_ids: Sequence[JobId], *, payload: str | None = None
    ) -> Retried:
        return await self._group.write(
            lambda tx: retry.retry(tx, self._clock(), project, who, job_ids, payload)
        )

    async def sweep(self, *, limit: int) -> Swept:
        # Looks before it takes the write lock: this runs twice a second, and mostly nothing has expired.
        if not await self._group.read(lambda tx: tx.rows("expired", now=self._clock(), limit=1)):
            return Swept()
        return await self._group.write(lambda tx: sweep.sweep(tx, self._clock(), limit))

    async def reconcile(self) -> list[Drift]:
        found = [Drift(*row) for row in await self._group.read(lambda tx: tx.rows("drift"))]
        if found:
            await self._group.write(lambda tx: _correct(tx, found))
        return found

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(self._path)}?mode=rw",  # never makes an empty file where there is no database
            uri=True,
            isolation_level=None,
            timeout=self._busy_timeout_ms / 1000,
            check_same_thread=False,
            cached_statements=256,
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -65536")
        return connection


def _correct(tx: Transaction, drifts: Sequence[Drift]) -> None:
    """By the difference, not to the number: jobs may have moved since it was counted."""
    for drift in drifts:
        tx.move(drift.project, drift.type, None, drift.status, drift.actual - drift.counted)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
