"""Runs sync handlers, each on a thread."""

import inspect
import logging
import queue
import time
from collections.abc import Callable, Mapping, Sequence

from aerodash_sdk.core.work import Settlement
from aerodash_sdk.worker import job as jobs
from aerodash_sdk.worker import outcomes
from aerodash_sdk.worker.lane import Lane
from aerodash_sdk.worker.leases import Held, Leases
from aerodash_sdk.worker.loop import Loop
from aerodash_sdk.worker.middleware import Handler
from aerodash_sdk.worker.part import Part
from aerodash_sdk.worker.runs import Runs
from aerodash_sdk.worker.slots import Slots

log = logging.getLogger("aerodash.worker")


class ThreadLane(Lane):
    """`concurrency` threads that take from one queue."""

    def __init__(
        self,
        leases: Leases,
        runs: Runs,
        handlers: Mapping[str, Handler],
        *,
        concurrency: int,
        prefetch: int | None,
        slots: Slots | None,
        loop: Loop,
        on_fault: Callable[[], None],
    ) -> None:
        super().__init__(leases, [*handlers], concurrency=concurrency, prefetch=prefetch)
        self._runs = runs
        self._handlers = handlers
        self._slots = slots
        self._loop = loop
        self._jobs: queue.SimpleQueue[Held | None] = queue.SimpleQueue()
        self._runners = [_Runner(number, self._run_jobs, on_fault) for number in range(concurrency)]

    def start(self) -> None:
        for runner in self._runners:
            runner.start()

    def submit(self, some: Sequence[Held]) -> None:
        for held in some:
            self._jobs.put(held)

    def take_waiting(self) -> list[Held]:
        taken: list[Held] = []
        while True:
            try:
                held = self._jobs.get_nowait()
            except queue.Empty:
                return taken
            if held is not None:
                taken.append(held)

    def waiting(self) -> int:
        return self._jobs.qsize()

    def running(self) -> int:
        return sum([runner.held is not None for runner in self._runners])

    def cancel(self, held: Held) -> None:
        """A thread cannot be interrupted: its handler sees job.cancelled, which is set already."""

    def stop(self) -> None:
        for _ in self._runners:
            self._jobs.put(None)

    def overdue(self, held: Held) -> None:
        """End a run that is over its time limit: what its thread still does counts no more."""
        where = outcomes.stack_of_thread(self._ident(held))
        if self._runs.decide(held, outcomes.overdue(held.leased.id, held.token, held.limit_s, where)):
            log.warning("%s: still runs after its limit of %s s; its handler is told", held, held.limit_s)
        held.job.withdraw()

    def stuck(self, held: Held) -> None:
        """Its run has ended already; the thread cannot be."""

    def _ident(self, held: Held) -> int | None:
        return next((runner.ident for runner in self._runners if runner.held is held), None)

    def _run_jobs(self, runner: "_Runner") -> None:
        get, monotonic, runs, slots, number = (
            self._jobs.get,
            time.monotonic,
            self._runs,
            self._slots,
            runner.number,
        )
        while (held := get()) is not None:
            began = monotonic()
            runner.held = held
            held.begun_at = began
            self.begun(began)
            if slots is not None:
                slots.begin(number, held.leased.id)
            settlement = self._outcome(held) if runs.begin(held, self.overdue) else None
            held.returned = True
            if slots is not None:
                slots.end(number)
            runner.held = None
            if settlement is not None:
                runs.decide(held, settlement)
            self.freed(monotonic() - began)

    def _outcome(self, held: Held) -> Settlement:
        leased = held.leased
        jobs.enter(held.job)
        try:
            result = self._handlers[leased.type](held.job)
            if result is not None and inspect.iscoroutine(result):
                result = self._loop.run(result)
        except BaseException as exc:
            log.debug("%s: raised", held, exc_info=True)
            return outcomes.failed(leased.id, leased.lease_token, exc)
        return outcomes.completed(leased.id, leased.lease_token, result)


class _Runner(Part):
    """held: what it runs just now."""

    def __init__(self, number: int, work: Callable[["_Runner"], None], on_fault: Callable[[], None]) -> None:
        super().__init__(f"job-{number + 1}", lambda: work(self), on_fault)
        self.number = number
        self.held: Held | None = None
