"""The databases that the suite runs against. A new engine is added to STORES and must pass unchanged."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from aerodash.ids import JobId
from jobs_admin.engine import engine as engine_module
from jobs_admin.engine import wakes
from jobs_admin.engine.contract import (
    Enqueued,
    JobEngine,
    LeasedJob,
    LeaseRef,
    Lost,
    NewJob,
    Report,
    RunResult,
    Settled,
    TypeSettings,
    Who,
    WorkerInfo,
)
from tests.conformance.jobs.store import STORES, Clock, Store

ANN = Who("user", "7", "Ann", "console")
APP = Who("key", "1", "key shop", "api")
WORKER = WorkerInfo("w-1", "host-a", 41, "1.0")
OTHER = WorkerInfo("w-2", "host-b", 42, "1.0")
LEASE_S = 30
PATIENCE_S = 60.0
"""How long tests wait for what must come: for ever, as far as a busy machine goes."""


@dataclass
class Queue:
    """One engine and one project, with the suite's defaults filled in."""

    engine: JobEngine
    store: Store
    clock: Clock
    project: int

    async def enqueue(self, type: str = "email", payload: str = "{}", **options: Any) -> JobId:
        return (await self.enqueue_job(type, payload, **options)).job_id

    async def enqueue_job(self, type: str = "email", payload: str = "{}", **options: Any) -> Enqueued:
        """The whole answer, for those who may be a duplicate."""
        job = NewJob(type=type, payload=payload, payload_bytes=len(payload), **options)
        return (await self.engine.enqueue(self.project, APP, [job]))[0]

    async def lease(
        self, limit: int = 1, *, types: list[str] | None = None, worker: WorkerInfo = WORKER, **options
    ):
        leased = await self.engine.lease(
            self.project, worker, types=types, limit=limit, lease_ms=LEASE_S * 1000, **options
        )
        return list(leased.jobs)

    async def leased(self, **options: Any) -> LeasedJob:
        """A new job in a worker's hands."""
        await self.enqueue(**options)
        return (await self.lease())[0]

    async def settle(self, job: LeasedJob, outcome: str = "completed", **options) -> Settled:
        return (
            await self.engine.settle(
                self.project, APP, [RunResult(job.id, job.lease_token, outcome, **options)]
            )
        )[0]

    async def beat(self, job: LeasedJob) -> str:
        leases = [LeaseRef(job.id, job.lease_token)]
        return (await self.engine.heartbeat(self.project, WORKER, leases, lease_ms=LEASE_S * 1000))[0]

    async def cancel(self, job_id: JobId):
        return (await self.engine.cancel(self.project, ANN, [job_id]))[0]

    async def retry(self, *job_ids: JobId, payload: str | None = None):
        return await self.engine.retry(self.project, ANN, job_ids, payload=payload)

    async def expire(self) -> None:
        """Let every lease run out, and sweep."""
        self.clock.move(LEASE_S)
        await self.engine.sweep(limit=100)

    async def report(self, job: LeasedJob, **options: Any) -> str:
        return (await self.engine.report(self.project, [Report(job.id, job.lease_token, **options)]))[0]

    async def lost(self, worker: WorkerInfo = WORKER, **options: Any) -> list[JobId]:
        return await self.engine.worker_lost(self.project, Lost(worker.id, **options))

    async def configure(self, type: str = "email", **settings: Any) -> None:
        await self.engine.configure(self.project, type, TypeSettings(**settings))

    async def ended(self, outcome: str = "completed", **options: Any) -> JobId:
        """A new job that has run and is over."""
        job = await self.leased(**options)
        await self.settle(job, outcome, final=outcome == "failed")
        return job.id

    async def prune(self, limit: int = 1_000, **retention_s: float) -> list[JobId]:
        """Delete what ended so many seconds ago, until nothing more is said to be there; those that are gone."""
        self.store.pruned = True
        kept = {status: int(seconds * 1000) for status, seconds in retention_s.items()}
        gone: list[JobId] = []
        while True:
            swept = await self.engine.prune(kept, limit=limit)
            gone += swept.changed.get(self.project, [])
            if not swept.more:
                return gone

    def status(self, job_id: JobId) -> str:
        return self.store.job(job_id)["status"]

    def outcomes(self, job_id: JobId) -> list[str]:
        return [attempt["outcome"] for attempt in self.store.attempts(job_id)]

    def timeline(self, job_id: JobId) -> list[str]:
        return [event["kind"] for event in self.store.events(job_id)]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path) -> Iterator[Store]:
    store = STORES[request.param](tmp_path)
    yield store
    # Whatever a test did: the counters moved with the jobs.
    assert store.wrong_counters() == []
    store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def engine(store: Store, clock: Clock) -> AsyncIterator[JobEngine]:
    engine = store.engine(clock)
    await engine.open()
    yield engine
    await engine.close()


@pytest.fixture
def queue(engine: JobEngine, store: Store, clock: Clock) -> Queue:
    return Queue(engine, store, clock, store.new_project())


@pytest.fixture
def only_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for work does not look by itself, and a wake is not given up for being slow."""
    monkeypatch.setattr(engine_module, "POLL_S", 3600.0)
    monkeypatch.setattr(wakes, "SEND_TIMEOUT_S", PATIENCE_S)


async def waiting(queue: Queue, **options: Any) -> asyncio.Task[list[LeasedJob]]:
    """A lease that waits for longer than any test does."""
    task = asyncio.create_task(queue.lease(wait_s=10 * PATIENCE_S, **options))
    await asyncio.sleep(0.1)
    assert not task.done()
    return task


async def is_served(task: asyncio.Task[list[LeasedJob]]) -> bool:
    """Whether a waiting lease gets one job; it gets it soon, or never."""
    return len(await asyncio.wait_for(task, PATIENCE_S)) == 1


@pytest.fixture
async def elsewhere(queue: Queue) -> AsyncIterator[Queue]:
    """The same project through another engine, as from another process."""
    engine = queue.store.engine(queue.clock)
    await engine.open()
    yield Queue(engine, queue.store, queue.clock, queue.project)
    await engine.close()
