"""When a schedule's slots are: of a cron line in a time zone, or every so often. Pure.

A cron line means what it means to Debian's cron, summer time included (cronsim's rules, docs/decisions/0009): a fixed
time that the clocks skip comes when they have jumped, one that they repeat comes once, and a line with `*` in its
minutes or hours goes by what the clock shows. Instants are milliseconds since the epoch.
"""

import itertools
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cache

from cronsim import CronSim, CronSimError

from aerodash.errors import InvalidInput

EARLY_MS = 1_000
"""How long before its slot a job may be enqueued, due at the slot: then it starts on time however the keeper ticks."""

ON_TIME_MS = 60_000
"""A slot that is found later than this was missed. Another keeper takes over within seconds."""

SLOTS_AT_ONCE = 1_000
"""Of one schedule. What is due beyond them comes with the next look."""

FIELDS = ("minute", "hour", "day-of-month", "month", "day-of-week")


@dataclass(frozen=True, slots=True)
class Timing:
    """Either a cron line in a time zone, or every_ms counted from anchor_ms."""

    cron: str = ""
    timezone: str = "UTC"
    every_ms: int | None = None
    anchor_ms: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """Slots to enqueue now, and the one to look for next; None: there is none any more."""

    slots: tuple[int, ...]
    next_at_ms: int | None


def check(cron: str, timezone: str, *, now_ms: int) -> None:
    """Refuse a time zone that nobody knows, and a cron line that is none or that no day ever matches.

    Raises InvalidInput (unknown_timezone, invalid_cron) with a sentence about what is wrong.
    """
    check_timezone(timezone)
    _check_line(cron)
    if next(following(Timing(cron, timezone), now_ms), None) is None:
        raise _never(cron)


def check_timezone(timezone: str) -> None:
    """Raises InvalidInput (unknown_timezone)."""
    if timezone != "UTC" and timezone not in _known_zones():
        raise InvalidInput(
            f"{timezone!r} is not a time zone of the IANA database, such as Europe/Berlin.",
            reason="unknown_timezone",
            field="timezone",
        )


def following(timing: Timing, after_ms: int) -> Iterator[int]:
    """The slots after an instant, one after another, each once. Ends where a line has no match for 50 years."""
    if timing.every_ms is not None:
        passed = (after_ms - timing.anchor_ms) // timing.every_ms
        return itertools.count(timing.anchor_ms + (passed + 1) * timing.every_ms, timing.every_ms)
    return _following(timing.cron, _zone(timing.timezone), after_ms)


def due(timing: Timing, missed: str, next_at_ms: int, now_ms: int, *, most: int = SLOTS_AT_ONCE) -> Due:
    """What to do at now_ms about a schedule whose next slot is, or was, at next_at_ms.

    Slots up to EARLY_MS ahead and ON_TIME_MS back are enqueued, whatever `missed` is. Of older ones "skip" takes none,
    "all" each, and "one" the first, unless one that is on time makes up for them. At most so many of them.
    """
    on_time_from = now_ms - ON_TIME_MS
    first: int | None = next_at_ms
    if next_at_ms < on_time_from and missed != "all":
        first = next(following(timing, on_time_from - 1), None)
    slots: list[int] = []
    coming = iter(()) if first is None else itertools.chain([first], following(timing, first))
    then = next(coming, None)
    while then is not None and then <= now_ms + EARLY_MS and len(slots) < most:
        slots.append(then)
        then = next(coming, None)
    if not slots and missed == "one" and next_at_ms < on_time_from:
        slots = [next_at_ms]
    return Due(tuple(slots), then)


def _following(line: str, zone: tzinfo, after_ms: int) -> Iterator[int]:
    last_ms = after_ms
    for at in CronSim(line, datetime.fromtimestamp(after_ms // 1000, zone)):
        at_ms = int(at.timestamp()) * 1000
        # In the hour that the clocks repeat it goes back to the first pass, and where they jump over midnight it says
        # a time that no clock shows; several skipped times come at one instant.
        if at_ms > last_ms and datetime.fromtimestamp(at_ms // 1000, zone).replace(tzinfo=None) == at.replace(
            tzinfo=None
        ):
            yield at_ms
            last_ms = at_ms


def _check_line(line: str) -> None:
    fields = line.split()
    if len(fields) != len(FIELDS):
        raise InvalidInput(
            f"cron must have five fields ({', '.join(FIELDS)}); {line!r} has {len(fields)}.",
            reason="invalid_cron",
            field="cron",
        )
    for number, name in enumerate(FIELDS):
        # Each field by itself: of a whole line cronsim does not say whether a day is no number or too high for the month.
        alone = ["*"] * len(FIELDS)
        alone[number] = fields[number]
        if not _is_line(" ".join(alone)):
            raise InvalidInput(
                f"cron: {fields[number]!r} is not a valid {name} field.", reason="invalid_cron", field="cron"
            )
    if not _is_line(line):
        raise _never(line)


def _is_line(line: str) -> bool:
    try:
        CronSim(line, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError:
        return False
    return line.isascii()  # upper-case forms of some other letters are ASCII ones


def _never(line: str) -> InvalidInput:
    return InvalidInput(
        f"cron: no day of the next 50 years matches {line!r}.", reason="invalid_cron", field="cron"
    )


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else zoneinfo.ZoneInfo(name)


@cache
def _known_zones() -> frozenset[str]:
    # localtime is a file beside the zones: of this machine, and another keeper's may differ.
    return frozenset(zoneinfo.available_timezones()) - {"localtime"}
