"""The job engine over SQL: verbs go to writing threads that group them, and leases wait to be woken.

What a dialect adds is its connection and how it runs named statements; the steps are the same for all.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import uuid_utils

from aerodash.errors import EngineDown
from aerodash.ids import JobId, ProjectId
from jobs_admin.engine.contract import (
    Beat,
    Cancelled,
    Clock,
    Drift,
    Enqueued,
    Finished,
    Heard,
    JobEngine,
    Leased,
    LeaseRef,
    Lost,
    NewJob,
    Report,
    Retried,
    RunNow,
    RunResult,
    Settled,
    Swept,
    TypeSettings,
    Who,
    WorkerInfo,
)
from jobs_admin.engine.grouping import WAITING_MAX, Dialect, GroupCommit
from jobs_admin.engine.steps.calls import (
    BeatCall,
    CancelCall,
    EnqueueCall,
    LeaseCall,
    LostCall,
    PauseCall,
    ReportCall,
    RetryCall,
    RunNowCall,
    SettingsCall,
    SettleCall,
)
from jobs_admin.engine.steps.registry import STEPS
from jobs_admin.engine.wakes import Wakes

POLL_S = 1.0
"""How long a waiting lease sleeps at most: the fallback for a wake that did not arrive."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class SqlEngine(JobEngine):
    """See JobEngine."""

    # To count all jobs takes seconds where there are millions: nobody waits behind that.
    LANES: Mapping[str, Sequence[str]] = {"looks": ("drift",), "all": ()}
    """Writing threads by name, with the verbs that each takes; the last takes what no other does."""

    def __init__(
        self, dialect: Dialect, *, valkey_url: str, clock: Clock = now_ms, waiting_max: int = WAITING_MAX
    ) -> None:
        self._clock = clock
        self._wakes = Wakes(valkey_url)
        self._writers = {
            lane: GroupCommit(
                dialect,
                STEPS,
                clock,
                on_commit=self._after_commit,
                on_figures=lambda figures: self.on_figures(figures),
                name=f"jobs-writer-{lane}",
                waiting_max=waiting_max,
            )
            for lane in self.LANES
        }
        lane_of = {verb: lane for lane, verbs in self.LANES.items() for verb in verbs}
        *_, rest = self.LANES
        self._writer_of = {verb: self._writers[lane_of.get(verb, rest)] for verb in STEPS}
        self._ending = False
        self.on_finished = lambda _: None
        self.on_figures = lambda _: None

    async def open(self) -> None:
        self._wakes.open()
        for writer in self._writers.values():
            writer.open()

    async def check(self) -> None:
        await self.call("check", None)

    async def drain(self) -> None:
        self._ending = True
        self._wakes.wake_everybody_here()

    async def close(self) -> None:
        await self.drain()
        await self._wakes.close()
        for writer in self._writers.values():
            await writer.close()

    async def call(self, step: str, call: Any, *, jobs: int = 1, size_bytes: int = 0) -> Any:
        return await self._writer_of[step].call(step, call, jobs=jobs, size_bytes=size_bytes)

    async def enqueue(self, project: ProjectId, who: Who, jobs: Sequence[NewJob]) -> list[Enqueued]:
        # Made here and in order, so that the ids of one call follow each other.
        ids = [str(uuid_utils.uuid7()) for _ in jobs]
        answers: list[Enqueued] = await self.call(
            "enqueue",
            EnqueueCall(project, who, ids, jobs),
            jobs=len(jobs),
            size_bytes=sum(job.payload_bytes for job in jobs),
        )
        return answers

    async def lease(
        self,
        project: ProjectId,
        worker: WorkerInfo,
        *,
        types: Sequence[str] | None,
        limit: int,
        lease_ms: int | None,
        wait_s: float = 0,
        is_connected: Callable[[], bool] = lambda: True,
    ) -> Leased:
        wanted = None if types is None else tuple(sorted(set(types)))
        call = LeaseCall(project, worker, wanted, limit, lease_ms, is_connected)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while True:
            with self._wakes.waiting(project) as woken:
                leased = await self._deliverable(call)
                left_s = deadline - loop.time()
                if leased.jobs or left_s <= 0 or self._ending or not is_connected():
                    return leased
                if leased.next_due_at_ms is not None:
                    left_s = min(left_s, max(leased.next_due_at_ms - self._clock(), 1) / 1000)
                await _wait(woken, min(left_s, POLL_S))
                if self._ending:
                    return Leased(())

    async def _deliverable(self, call: LeaseCall) -> Leased:
        """Lease, and give back at once what the caller is not there to take."""
        commit: asyncio.Future[Leased] = self._writer_of["lease"].call("lease", call, jobs=call.limit)
        try:
            leased = await asyncio.shield(commit)
        except asyncio.CancelledError:
            commit.add_done_callback(lambda done: self._give_back(call.project, done))
            raise
        if leased.jobs and not call.is_connected():
            self._give_back(call.project, commit)
            return Leased(())
        return leased

    def _give_back(self, project: ProjectId, commit: asyncio.Future[Leased]) -> None:
        if commit.cancelled() or commit.exception() is not None or not commit.result().jobs:
            return
        leases = [RunResult(job.id, job.lease_token, "released") for job in commit.result().jobs]
        # If even this is refused, the leases run out by themselves.
        with contextlib.suppress(EngineDown):
            call = SettleCall(project, UNDELIVERED, leases)
            given_back = self._writer_of["settle"].call("settle", call, jobs=len(leases))
            given_back.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def heartbeat(
        self, project: ProjectId, worker: WorkerInfo, leases: Sequence[LeaseRef], *, lease_ms: int | None
    ) -> list[Beat]:
        beats: list[Beat] = await self.call(
            "heartbeat", BeatCall(project, worker, leases, lease_ms), jobs=len(leases)
        )
        return beats

    async def settle(self, project: ProjectId, who: Who, results: Sequence[RunResult]) -> list[Settled]:
        settled: list[Settled] = await self.call(
            "settle",
            SettleCall(project, who, results),
            jobs=len(results),
            size_bytes=sum(len(sent.result) + len(sent.traceback) for sent in results),
        )
        return settled

    async def report(self, project: ProjectId, reports: Sequence[Report]) -> list[Heard]:
        heard: list[Heard] = await self.call(
            "report",
            ReportCall(project, reports),
            jobs=len(reports) + sum(len(report.logs) for report in reports),
            size_bytes=sum(len(line.message) for report in reports for line in report.logs),
        )
        return heard

    async def worker_lost(self, project: ProjectId, lost: Lost) -> list[JobId]:
        ended: list[JobId] = await self.call("worker_lost", LostCall(project, lost))
        return ended

    async def cancel(self, project: ProjectId, who: Who, job_ids: Sequence[JobId]) -> list[Cancelled]:
        done: list[Cancelled] = await self.call(
            "cancel", CancelCall(project, who, job_ids), jobs=len(job_ids)
        )
        return done

    async def retry(
        self, project: ProjectId, who: Who, job_ids: Sequence[JobId], *, payload: str | None = None
    ) -> Retried:
        done: Retried = await self.call("retry", RetryCall(project, who, job_ids, payload), jobs=len(job_ids))
        return done

    async def run_now(self, project: ProjectId, who: Who, job_ids: Sequence[JobId]) -> RunNow:
        done: RunNow = await self.call("run_now", RunNowCall(project, who, job_ids), jobs=len(job_ids))
        return done

    async def pause(self, project: ProjectId, who: Who, type: str, reason: str) -> None:
        await self.call("pause", PauseCall(project, type, who.label, reason))

    async def resume(self, project: ProjectId, type: str) -> None:
        await self.call("resume", PauseCall(project, type))

    async def configure(self, project: ProjectId, type: str, settings: TypeSettings) -> None:
        await self.call("configure", SettingsCall(project, type, settings))

    async def sweep(self, *, limit: int) -> Swept:
        # Looks before it takes the write lock: this runs twice a second, and mostly nothing has expired.
        if not await self.call("is_anything_expired", None):
            return Swept()
        swept: Swept = await self.call("sweep", limit)
        return swept

    async def prune(self, retention: Mapping[str, int], *, limit: int) -> Swept:
        pruned: Swept = await self.call("prune", (retention, limit), jobs=limit)
        return pruned

    async def fold(self) -> None:
        await self.call("fold", None)

    async def reconcile(self) -> list[Drift]:
        # Counted without the write lock, and corrected by the difference: jobs may have moved since.
        drifts: list[Drift] = await self.call("drift", None)
        if drifts:
            await self.call("correct", drifts)
        return drifts

    def _after_commit(self, due: set[int], ended: set[str]) -> None:
        if due:
            self._wakes.wake(due)
        if ended:
            # In a transaction of its own, which sees what others committed meanwhile; the keeper finds what is missed.
            with contextlib.suppress(EngineDown):
                finishing = self._writer_of["finish_batches"].call("finish_batches", ended)
                finishing.add_done_callback(self._say_finished)

    def _say_finished(self, done: asyncio.Future[list[Finished]]) -> None:
        if not done.cancelled() and done.exception() is None:
            for batch in done.result():
                self.on_finished(batch)


UNDELIVERED = Who("system", "system", "AeroDash", "api")


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
