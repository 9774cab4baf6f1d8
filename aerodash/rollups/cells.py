"""What one bucket holds, and how two of them are put together. Times are counted in a histogram.

A histogram counts whole milliseconds in buckets that are exact below 32 and a sixteenth of their power of two wide
above, so that a quantile lies within RELATIVE_ERROR of an observed value, whatever was merged. Merging only adds.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

RELATIVE_ERROR = 1 / 32
LONGEST_MS = 2**43 - 1
"""About 278 years; what is longer counts as this."""

_EXACT_BITS = 5
_SPLIT_BITS = _EXACT_BITS - 1
_COUNT_MOST = 2**32 - 1


@dataclass(slots=True)
class Cell:
    """count: how many events, samples or times. total, least, most: of gauges and times. times: place -> how many."""

    count: int = 0
    total: float = 0.0
    least: float | None = None
    most: float | None = None
    times: dict[int, int] = field(default_factory=dict)

    def observe(self, value: float) -> None:
        """One sample of a gauge."""
        self.add(Cell(1, value, value, value))

    def time(self, ms: int) -> None:
        """One time. Negative ones count as 0: clocks differ."""
        ms = min(max(ms, 0), LONGEST_MS)
        self.count += 1
        self.total += ms
        if self.least is None or ms < self.least:
            self.least = ms
        if self.most is None or ms > self.most:
            self.most = ms
        # Inline, because this runs twice for every job.
        shift = ms.bit_length() - _EXACT_BITS
        where = (shift << _SPLIT_BITS) + (ms >> shift) if shift > 0 else ms
        self.times[where] = self.times.get(where, 0) + 1

    def add(self, other: "Cell") -> None:
        self.count += other.count
        self.total += other.total
        if other.least is not None:
            self.least = other.least if self.least is None else min(self.least, other.least)
        if other.most is not None:
            self.most = other.most if self.most is None else max(self.most, other.most)
        if self.times:
            add_times(self.times, other.times)
        else:
            self.times = dict(other.times)

    def quantiles(self, qs: Sequence[float]) -> list[float]:
        """The times below which these parts of all lie, in ms; none are empty. qs: 0..1."""
        found = quantiles(self.times, qs)
        low, high = self.least, self.most
        if low is None or high is None:
            return found
        return [min(max(one, low), high) for one in found]


def bounds(place: int) -> tuple[int, int]:
    """The shortest and the longest time of a bucket, both included."""
    shift = max((place >> _SPLIT_BITS) - 1, 0)
    low = (place - (shift << _SPLIT_BITS)) << shift
    return low, low + (1 << shift) - 1


def add_times(to: dict[int, int], more: Mapping[int, int]) -> None:
    for where, count in more.items():
        to[where] = to.get(where, 0) + count


def quantiles(times: Mapping[int, int], qs: Sequence[float]) -> list[float]:
    """By nearest rank: the middle of the bucket in which that time lies. Raises ValueError if there is none."""
    ordered = sorted(times.items())
    number = sum(times.values())
    if not number:
        raise ValueError("There are no times.")
    found: dict[float, float] = {}
    passed, at = 0, iter(ordered)
    where = 0
    for q in sorted(set(qs)):
        rank = min(max(math.ceil(q * number - 1e-9), 1), number)
        while passed < rank:
            where, count = next(at)
            passed += count
        low, high = bounds(where)
        found[q] = (low + high) / 2
    return [found[q] for q in qs]


def pack(times: Mapping[int, int]) -> bytes:
    """Six bytes for each bucket that has something: all the places in order, then their counts."""
    places = sorted(times)
    counts = [
        min(times[where], _COUNT_MOST) for where in places
    ]  # 4 thousand million in an hour: never reached
    return struct.pack(f"<{len(places)}H{len(places)}I", *places, *counts)


def unpack(packed: bytes) -> dict[int, int]:
    number = len(packed) // 6
    values = struct.unpack(f"<{number}H{number}I", packed)
    return dict(zip(values[:number], values[number:], strict=True))
