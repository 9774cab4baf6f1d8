"""Calls something at a later time unless the run it is about has ended: time limits and grace times."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable

from aerodash_sdk.worker.leases import Held
from aerodash_sdk.worker.part import Part

# Entries of runs that ended early are dropped when there are this many more of them than at the last look.
_SWEEP_AT = 1000

type _Entry = tuple[float, int, Held, Callable[[Held], None]]


class Timers:
    """A thread of its own, for a blocked event loop or a handler that holds on must not hold up the rest.

    tick: called every tick_s besides.
    """

    def __init__(self, *, tick: Callable[[], None], tick_s: float, on_fault: Callable[[], None]) -> None:
        self._tick = tick
        self._tick_s = tick_s
        self._entries: list[_Entry] = []
        self._numbers = itertools.count()
        self._sweep_at = _SWEEP_AT
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = Part("timers", self._run, on_fault)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def after(self, seconds: float, held: Held, action: Callable[[Held], None]) -> None:
        """Call action(held), which must not block, unless the handler has returned by then."""
        at = time.monotonic() + seconds
        with self._changed:
            heapq.heappush(self._entries, (at, next(self._numbers), held, action))
            if len(self._entries) > self._sweep_at:
                self._entries = [entry for entry in self._entries if not entry[2].returned]
                heapq.heapify(self._entries)
                self._sweep_at = 2 * len(self._entries) + _SWEEP_AT
            if self._entries[0][0] == at:
                self._changed.notify()

    def _run(self) -> None:
        next_tick = time.monotonic()
        while True:
            now = time.monotonic()
            if now >= next_tick:
                self._tick()
                next_tick = now + self._tick_s
            with self._changed:
                if self._stopped:
                    return
                due = self._due(now)
                if not due:
                    until = min([next_tick, *(entry[0] for entry in self._entries[:1])])
                    self._changed.wait(max(0.0, until - now))
            for _, _, held, action in due:
                if not held.returned:
                    action(held)

    def _due(self, now: float) -> list[_Entry]:
        due = []
        while self._entries and self._entries[0][0] <= now:
            due.append(heapq.heappop(self._entries))
        return due
