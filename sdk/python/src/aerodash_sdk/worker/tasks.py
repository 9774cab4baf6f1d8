"""Runs async handlers, each as a task of one event loop."""

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aerodash_sdk.core.work import Settlement
from aerodash_sdk.worker import job as jobs
from aerodash_sdk.worker import outcomes
from aerodash_sdk.worker.lane import Lane
from aerodash_sdk.worker.leases import Held, Leases
from aerodash_sdk.worker.loop import Loop
from aerodash_sdk.worker.middleware import Handler
from aerodash_sdk.worker.runs import Runs
from aerodash_sdk.worker.slots import Slots

# So many tasks begin before the loop looks after others: a run of short ones ends where it begins.
_AT_ONCE = 50
CLEAN_UP_S = 2.0

log = logging.getLogger("aerodash.worker")


@dataclass(slots=True, eq=False)
class _Run:
    """A run under way. over_s: the time limit that it was cancelled for."""

    held: Held
    slot: int
    task: asyncio.Task[None] | None = None
    coroutine: Coroutine[Any, Any, Any] | None = None
    over_s: float | None = None
    hung_at: str = ""


class TaskLane(Lane):
    """At most `concurrency` tasks at once. All but `submit`, `cancel` and `overdue` happens on the loop's thread."""

    def __init__(
        self,
        leases: Leases,
        runs: Runs,
        handlers: Mapping[str, Handler],
        *,
        concurrency: int,
        prefetch: int | None,
        slots: Slots | None,
        first_slot: int,
        loop: Loop,
    ) -> None:
        super().__init__(leases, [*handlers], concurrency=concurrency, prefetch=prefetch)
        self._runs = runs
        self._handlers = handlers
        self._slots = slots
        self._thread = loop
        self._waiting: deque[Held] = deque()
        self._running: dict[Held, _Run] = {}
        self._free = [*range(first_slot, first_slot + concurrency)]
        self._pumping = False

    def start(self) -> None:
        self._loop = self._thread.get()

    def submit(self, some: Sequence[Held]) -> None:
        self._waiting.extend(some)
        self._post(self._pump)

    def take_waiting(self) -> list[Held]:
        taken: list[Held] = []
        while self._waiting:
            try:
                taken.append(self._waiting.popleft())
            except IndexError:  # the loop took the last one meanwhile
                break
        return taken

    def waiting(self) -> int:
        return len(self._waiting)

    def running(self) -> int:
        return len(self._running)

    def cancel(self, held: Held) -> None:
        self._post(self._cancel, held, None)
        self._runs.cancelled(held, self._where)

    def overdue(self, held: Held) -> None:
        """Cancel a run that is over its time limit."""
        self._post(self._cancel, held, held.limit_s)

    def stuck(self, held: Held) -> None:
        """End a run that outlived its time limit and its cancellation."""
        where = self._where(held)
        self._runs.decide(held, outcomes.overdue(held.leased.id, held.token, held.limit_s, where))

    def stop(self) -> None:
        """Wait a little for the tasks that were cancelled to clean up."""
        deadline = time.monotonic() + CLEAN_UP_S
        while self._running and time.monotonic() < deadline:
            time.sleep(0.01)

    def _post[*A](self, function: Callable[[*A], object], *arguments: *A) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and its tasks with it
            self._loop.call_soon_threadsafe(function, *arguments)

    def _where(self, held: Held) -> str:
        """Where a run is: what blocks the loop, or what the task awaits."""
        answered = threading.Event()
        self._post(answered.set)
        if not answered.wait(0.5):
            return outcomes.stack_of_thread(self._thread.ident)
        run = self._running.get(held)
        return outcomes.stack_of_coroutine(run.coroutine) if run is not None else ""

    def _pump(self) -> None:
        """Begin as many jobs as there is room for."""
        if self._pumping:
            return  # a task that began and ended at once called it
        self._pumping = True
        try:
            for _ in range(_AT_ONCE):
                if not self._free:
                    return
                try:
                    held = self._waiting.popleft()
                except IndexError:
                    return
                run = _Run(held, self._free.pop())
                self._running[held] = run
                task: asyncio.Task[None] = asyncio.Task(
                    self._run(run), loop=self._loop, eager_start=True, name=str(held)
                )
                run.task = task
            self._loop.call_soon(self._pump)
        finally:
            self._pumping = False

    async def _run(self, run: _Run) -> None:
        held = run.held
        began = held.begun_at = time.monotonic()
        self.begun(began)
        if self._slots is not None:
            self._slots.begin(run.slot, held.leased.id)
        settlement = await self._outcome(run) if self._runs.begin(held, self.overdue) else None
        held.returned = True
        if self._slots is not None:
            self._slots.end(run.slot)
        self._running.pop(held, None)
        self._free.append(run.slot)
        if settlement is not None:
            self._runs.decide(held, settlement)
        self.freed(time.monotonic() - began)
        if self._waiting:
            self._pump()

    async def _outcome(self, run: _Run) -> Settlement:
        leased, job = run.held.leased, run.held.job
        jobs.enter(job)
        raised: BaseException | None = None
        result: Any = None
        try:
            run.coroutine = self._handlers[leased.type](job)
            result = await run.coroutine
        except BaseException as exc:
            log.debug("%s: raised", run.held, exc_info=True)
            raised = exc
        if run.over_s is not None:
            where = outcomes.traceback_of(raised) if raised is not None else run.hung_at
            return outcomes.overdue(leased.id, leased.lease_token, run.over_s, where)
        if raised is None:
            return outcomes.completed(leased.id, leased.lease_token, result)
        if job.cancelled and outcomes.is_cancellation(raised):
            return outcomes.cancelled(leased.id, leased.lease_token, outcomes.traceback_of(raised))
        return outcomes.failed(leased.id, leased.lease_token, raised)

    def _cancel(self, held: Held, limit_s: float | None) -> None:
        run = self._running.get(held)
        if run is None or run.task is None:
            return
        if limit_s is not None:
            run.over_s = limit_s
            run.hung_at = outcomes.stack_of_coroutine(run.coroutine)
            log.warning("%s: still runs after its limit of %g s and is cancelled", run.held, limit_s)
            run.held.job.withdraw()
        run.task.cancel()
