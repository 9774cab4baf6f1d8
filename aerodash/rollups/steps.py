"""Steps of time: which there are, how long they are kept, and which of them answer a question about a range.

All instants here are whole seconds since the epoch, and a bucket of a step begins at a multiple of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Resolution:
    """Buckets of step_s, kept for kept_s."""

    step_s: int
    kept_s: int

    def knows(self, at_s: int, now_s: int) -> bool:
        """Whether what happened then is still kept."""
        return at_s >= now_s - self.kept_s


RESOLUTIONS = (Resolution(10, 3 * 3_600), Resolution(60, 3 * DAY_S), Resolution(3_600, 400 * DAY_S))
"""The finest first; each one's step is a multiple of the one's before."""

FINEST_S = RESOLUTIONS[0].step_s
LONGEST_S = RESOLUTIONS[-1].kept_s

ASKED_WITHIN_S = 5
"""So long buckets can be asked for after they are no longer kept; each step is pruned one step later still."""

POINTS_MOST = 1_100
SHOWN_S = (10, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400)
"""The steps that a series may have: people read them off an axis."""


@dataclass(frozen=True, slots=True)
class Tile:
    """The buckets of one step from start_s (included) to end_s (excluded)."""

    step_s: int
    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class Choice:
    """A series from start_s (included) to end_s (excluded) in steps of shown_s, read from buckets of kept_s."""

    start_s: int
    end_s: int
    shown_s: int
    kept_s: int

    def starts(self) -> list[int]:
        """Where each step begins."""
        return list(range(self.start_s, self.end_s, self.shown_s))

    def tile(self) -> Tile:
        """The buckets that it is read from."""
        return Tile(self.kept_s, self.start_s, self.end_s)


def choose(start_s: int, end_s: int, now_s: int, at_least_s: int = 0) -> Choice:
    """The finest steps that reach back to the start, are no more than POINTS_MOST, and last at_least_s."""
    # A page asks for "the last 3 h" several times, and a second passes: all its lines must have the same steps.
    finest = next((one for one in RESOLUTIONS if one.knows(start_s + ASKED_WITHIN_S, now_s)), RESOLUTIONS[-1])
    least = max(finest.step_s, at_least_s, -(-(end_s - start_s) // (POINTS_MOST - 1)))
    shown_s = next((step for step in SHOWN_S if step >= least), SHOWN_S[-1])
    kept_s = max(
        one.step_s for one in RESOLUTIONS if one.step_s >= finest.step_s and shown_s % one.step_s == 0
    )
    return Choice(floor(start_s, shown_s), ceil(end_s, shown_s), shown_s, kept_s)


def tiles(start_s: int, end_s: int, now_s: int) -> list[Tile]:
    """As few buckets as cover a range once: the longest in its middle, shorter ones at its edges.

    Where the shorter ones are no longer kept, the range is rounded outwards to the longer ones.
    """
    return _tiles(start_s, end_s, now_s, RESOLUTIONS[::-1])


def _tiles(start_s: int, end_s: int, now_s: int, levels: Sequence[Resolution]) -> list[Tile]:
    level, *finer = levels
    step_s = level.step_s

    def edge(begin_s: int, until_s: int) -> list[Tile]:
        if begin_s >= until_s:
            return []
        if finer and finer[0].knows(begin_s, now_s):
            return _tiles(begin_s, until_s, now_s, finer)
        return [Tile(step_s, floor(begin_s, step_s), ceil(until_s, step_s))]

    first, last = ceil(start_s, step_s), floor(end_s, step_s)
    if first >= last:
        return edge(start_s, end_s)
    return [*edge(start_s, first), Tile(step_s, first, last), *edge(last, end_s)]


def floor(at_s: int, step_s: int) -> int:
    return at_s - at_s % step_s


def ceil(at_s: int, step_s: int) -> int:
    return -(-at_s // step_s) * step_s
