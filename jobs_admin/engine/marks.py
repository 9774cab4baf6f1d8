"""Where a look for the first row of a queue begins, so that it does not walk through what earlier ones have taken.

In PostgreSQL an index keeps the entries of rows that are gone until nobody can see them any more. While a snapshot is
held (a backup, a long report) they pile up at the front of the index, which is where every look begins: leasing fell
from 12.9 k/s to 4.2 k/s in 25 s. So an engine remembers what was first at its last look, and begins there. What comes
later is due later, unless it was committed late: so a look begins no later than a little before the last one. What this
process makes pending itself takes marks back at once; for what others commit later still, or by another clock, there are
looks that go back further, the more rarely the further. No row is missed for longer than until the next look of
everything.
"""

import threading
import time
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

LANE_LOOKS = ((250, 0), (5_000, 1_000))
"""By how much a job may be committed late and be found by a lease of so often: milliseconds."""

EXPIRY_LOOKS = ((1_000, 0), (60_000, 10_000))
EXPIRY_FULL_EVERY_MS = 60_000

FULL_EVERY_MS = 10_000
"""How often a look begins at the very beginning."""

SHARE = 20
"""A rarer look may take one twentieth of the time, so it waits that many times as long as it took."""


QUEUES = 1_000
"""How many queues are remembered; then all are forgotten."""


type Place = tuple[str, int]
"""A lane of a project: its type and priority."""

EVERYWHERE: Place = ("", 0)
"""Where a queue has no lanes."""


@dataclass(slots=True, eq=False)
class _Queue:
    """What one kind of look sees: a project's lanes of these types, or the leases that expire."""

    marks: dict[Place, tuple[int, int]]
    """What was first in a place, and when that was seen. Nothing: the moment itself."""
    next_looks: list[int]
    lowest: int | None = None
    """The lowest that marks were taken back to while a look is under way."""


class Look:
    """One look at a queue. since: where to begin with a place; found: what was first there."""

    def __init__(self, marks: "Marks", queue: _Queue, now: int, behind_ms: int | None, level: int) -> None:
        self._marks = marks
        self._queue = queue
        self._now = now
        self._behind_ms = behind_ms
        self._level = level
        self._began = time.monotonic()

    def places(self) -> list[tuple[Place, int]]:
        """Each known place with where to begin; none are known to a look of everything."""
        behind = self._behind_ms
        if behind is None:
            return []
        return [(place, min(first, at - behind)) for place, (first, at) in list(self._queue.marks.items())]

    def since(self, place: Place) -> int:
        return dict(self.places()).get(place, 0)

    def done(self, found: Iterable[tuple[Place, int | None]]) -> None:
        """found: places with what was first there; None: nothing yet."""
        self._marks.keep(self._queue, self._now, found)
        took_ms = int((time.monotonic() - self._began) * 1000)
        for level in range(1, self._level + 1):
            every_ms = self._marks.every_ms[level]
            self._queue.next_looks[level] = self._now + max(every_ms, took_ms * SHARE)


class Marks:
    """The marks of all queues of one kind. Used by several threads."""

    def __init__(
        self, looks: tuple[tuple[int, int], ...] = LANE_LOOKS, *, full_every_ms: int = FULL_EVERY_MS
    ) -> None:
        self._behind: list[int | None] = [*(behind for behind, _ in looks), None]
        self.every_ms = [*(every for _, every in looks), full_every_ms]
        self._queues: dict[Hashable, dict[Hashable, _Queue]] = {}
        self._number = 0
        self._lock = threading.Lock()

    def look(self, owner: Hashable, what: Hashable, now: int) -> Look:
        """Begin a look at what an owner has in a queue: only one at a time for each."""
        with self._lock:
            queue = self._queues.get(owner, {}).get(what) or self._new(owner, what)
            # A clock that was put back must not keep a look away for as long.
            due = [
                level
                for level, at in enumerate(queue.next_looks)
                if at <= now or at > now + 100 * self.every_ms[level]
            ]
            level = due[-1]
            queue.lowest = None
            return Look(self, queue, now, self._behind[level], level)

    def lower(self, owner: Hashable, now: int) -> None:
        """Something was added to an owner's queues, at `now` or later: no mark may be behind that."""
        with self._lock:
            for queue in self._queues.get(owner, {}).values():
                queue.lowest = now if queue.lowest is None else min(queue.lowest, now)
                for place, (first, at) in queue.marks.items():
                    if first > now:
                        queue.marks[place] = (now, at)

    def keep(self, queue: _Queue, now: int, found: Iterable[tuple[Place, int | None]]) -> None:
        with self._lock:
            most = now if queue.lowest is None else min(now, queue.lowest)
            for place, first in found:
                queue.marks[place] = (most if first is None else min(most, first), now)

    def _new(self, owner: Hashable, what: Hashable) -> _Queue:
        if self._number >= QUEUES:
            self._queues.clear()
            self._number = 0
        self._number += 1
        queue = self._queues.setdefault(owner, {})[what] = _Queue({}, [0] * len(self.every_ms))
        return queue
