"""Instants as programs read them: RFC 3339 in UTC with milliseconds. One form for every door.

Whole milliseconds since the epoch are what engines keep; an aware datetime is what people's pages work with.
"""

import functools
import time
from datetime import UTC, datetime, timedelta

LAST_MS = 253_402_300_799_999
"""The end of the year 9999: no calendar of Python's goes further."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


@functools.lru_cache(maxsize=8192)
def text(at_ms: int) -> str:
    """2026-07-05T08:09:10.123Z. For the years 1 to 9999; raises OverflowError for any other.

    Kept for a while: of a thousand jobs in one reply, all began at the same instant.
    """
    seconds, ms = divmod(at_ms, 1000)
    return f"{_second(seconds)}.{ms:03}Z"


def text_of(at: datetime) -> str:
    """The same of an aware datetime; what is finer than a millisecond goes."""
    return text(ms_of(at))


def ms_of(at: datetime) -> int:
    """Whole milliseconds since the epoch, exactly: a float's seconds would be off by one here and there."""
    return (at - _EPOCH) // _MS


def of_ms(at_ms: int) -> datetime:
    """The aware datetime of so many milliseconds since the epoch; ms_of goes back."""
    return _EPOCH + timedelta(milliseconds=at_ms)


def now_ms() -> int:
    """The time by this machine's clock."""
    return time.time_ns() // 1_000_000


@functools.lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    """Instants that differ are still of the same few seconds."""
    return (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()
