"""What needs a person, in sentences, the worst first; each names its figures and leads to its cause.

Pure: facts in, sentences out. A part that could not be read is itself a sentence.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

from aerodash.console.overview.cache import CacheNow
from aerodash.console.overview.house import HouseNow
from aerodash.console.overview.outcomes import Failing, Outcomes
from aerodash.console.overview.queue import LostWorker, QueueNow, Waiting
from aerodash.errors import AeroDashError

OLD = timedelta(minutes=2)
"""A due job that waits longer is late, whatever it waits for."""
NAMED = 3
"""Paused types, lost workers and schedules at fault that have a sentence of their own; the others share one."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a sentence. form: "" (text), "name" (of a thing), "ago", "since" (counting up), "clock", "code"."""

    text: str = ""
    form: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that needs a person. id: the same as long as it is the same thing. tone: "bad" or "warn".

    action, url: the button that leads to its cause.
    """

    id: str
    tone: str
    icon: str
    parts: tuple[Part, ...]
    action: str
    url: str


@dataclass(frozen=True, slots=True)
class Known:
    """What could be read for this person. None: she may not see it. An error: why it could not be read."""

    house: HouseNow | AeroDashError
    queue: QueueNow | AeroDashError | None
    outcomes: Outcomes | AeroDashError | None
    cache: CacheNow | AeroDashError | None


def issues(known: Known, home: str, now: datetime) -> list[Issue]:
    """The worst first. home: the project's address, "/p/shop"."""
    found = [*_of_all(known, home, now)]
    return sorted(found, key=lambda issue: issue.tone != "bad")  # stable: the order below holds within a tone


def _of_all(known: Known, home: str, now: datetime) -> Iterator[Issue]:
    if isinstance(known.cache, AeroDashError):
        yield Issue(
            "cache-away", "bad", "database-off",
            (_name("The cache"), Part(f" cannot be read: {known.cache.message}")),
            "See the engine", f"{home}/engine",
        )  # fmt: skip
    if isinstance(known.queue, AeroDashError):
        yield Issue(
            "queue-away", "bad", "database-off",
            (_name("The queue"), Part(f" cannot be read: {known.queue.message}")),
            "Check the parts", "/readyz",
        )  # fmt: skip
    if isinstance(known.house, HouseNow):
        yield from _of_house(known.house, home)
    queue = known.queue if isinstance(known.queue, QueueNow) else None
    if queue is not None:
        yield from _of_workers(queue, home)
    if isinstance(known.outcomes, Outcomes):
        yield from (_failing(one, home) for one in known.outcomes.failing)
    if queue is not None:
        yield from _of_queue(queue, home, now)
    if isinstance(known.cache, CacheNow):
        yield from _of_engine(known.cache, home)


def _of_house(house: HouseNow, home: str) -> Iterator[Issue]:
    if not house.has_keeper:
        when = (Part(" since "), _ago(house.lapsed_at)) if house.lapsed_at else (Part(": none ever ran"),)
        yield Issue(
            "keeper", "bad", "heartbeat",
            (
                _name("Nobody keeps house"), *when,
                Part(". Jobs of dead workers stay with them, schedules do not fire, long work does not go on, and "
                     "the charts stand still. Start it with "), Part("aerodash keeper", "code"), Part("."),
            ),
            "See what waits", f"{home}/operations?show=open",
        )  # fmt: skip
    if house.feed_is_down:
        yield Issue(
            "feed", "warn", "access-point-off",
            (_name("Live updates are interrupted"), Part(": pages look again every few seconds instead.")),
            "Check the parts", "/readyz",
        )  # fmt: skip


def _of_workers(queue: QueueNow, home: str) -> Iterator[Issue]:
    """That nobody works at all; which of the workers are missing comes later."""
    workers, longest = queue.workers, queue.waiting[:1]
    if workers.alive or not longest:
        return
    heard: tuple[Part, ...] = (Part(". No worker has ever asked for a job here."),)
    if workers.last_heard_at is not None:
        heard = (Part(". The last one was heard "), _ago(workers.last_heard_at), Part("."))
    yield Issue(
        "no-worker", "bad", "server-off",
        (
            _name("No worker is alive"), Part(f", and {_jobs(queue.due.number, least=not queue.due.is_exact)} "
            f"{'is' if queue.due.number == 1 else 'are'} due, the oldest for "), _since(longest[0].due_at), *heard,
        ),
        "See the workers", f"{home}/workers",
    )  # fmt: skip


def _failing(one: Failing, home: str) -> Issue:
    habit = f"; its baseline is {_percent(one.habit.rate)}" if one.habit else ""
    began = (Part(" since "), Part(form="clock", at=one.since)) if one.since else ()
    counted = f". {_jobs(one.failed)} failed for good in the last hour." if one.failed else ""
    if not one.failed:
        counted = f". {one.failures:,} run{_s(one.failures)} failed, and will be tried again."
    status = "failed" if one.failed else "retrying"
    return Issue(
        f"failing-{one.type}", "bad" if one.is_bad else "warn", "circle-x",
        (_name(one.type), Part(f" fails {_percent(one.rate)} of its runs"), *began, Part(f"{habit}{counted}")),
        "See the failed jobs" if one.failed else "See the retries",
        f"{home}/jobs?{urlencode({'status': status, 'type': one.type})}",
    )  # fmt: skip


def _of_queue(queue: QueueNow, home: str, now: datetime) -> Iterator[Issue]:
    if queue.workers.alive:
        for one in queue.waiting:
            if (issue := _waiting(one, queue.workers.alive, home, now)) is not None:
                yield issue
    yield from _lost(queue, home)
    yield from _paused(queue, home)
    yield from _schedules(queue, home)


def _waiting(one: Waiting, alive: int, home: str, now: datetime) -> Issue | None:
    """That the oldest due job of a type waits too long, and what for. Where nothing of it runs, half a minute is enough."""
    is_old = now - one.due_at >= OLD
    held = one.running or one.has_rate
    if held and not is_old:
        return None
    waits = f"{_jobs(one.pending)} wait{'s' if one.pending == 1 else ''}"
    begin = (_name(one.type), Part(": the oldest due job has waited "), _since(one.due_at))
    limit = " (limit 2 min)" if is_old else ""
    if one.most is not None and one.running >= one.most:
        cause = f"{limit}. All {one.most:,} of its {one.most:,} permitted runs are busy, and {waits}."
        if one.most == 1:
            cause = f"{limit}. Its only permitted run is busy, and {waits}."
    elif one.running:
        run = "runs" if one.running == 1 else "run"
        cause = f"{limit}. {one.running:,} of its type {run} now, and {waits}: workers do not keep up."
    elif one.has_rate:
        cause = f"{limit}. Its type may start only so often, and {waits}."
    else:
        take = "does it take it" if alive == 1 else "does one of them take it"
        cause = f"{limit}, and none of its type runs. {_workers(alive)}: {take}?"
    return Issue(
        f"waiting-{one.type}", "bad" if is_old and not held else "warn", "clock-exclamation",
        (*begin, Part(cause)), "See why it waits", f"{home}/jobs/{one.job_id}",
    )  # fmt: skip


def _lost(queue: QueueNow, home: str) -> Iterator[Issue]:
    lost = queue.workers.lost
    if len(lost) > NAMED:
        yield Issue(
            "lost-many", "warn", "plug-connected-x",
            (
                _name(f"{len(lost):,} workers"), Part(" were lost in the last 15 min; the last one, "),
                _name(lost[0].name), Part(", "), _ago(lost[0].lost_at), Part(f"{_reason(lost[0].reason)}."),
            ),
            "See the workers", f"{home}/workers?state=lost",
        )  # fmt: skip
        return
    for one in lost:
        yield Issue(
            f"lost-{one.id}", "warn", "plug-connected-x",
            (
                _name(one.name), Part(" was lost "), _ago(one.lost_at),
                Part(f"{_reason(one.reason)}.{_leases(one)}"),
            ),
            "See the worker", f"{home}/workers/{quote(one.id, safe='')}",
        )  # fmt: skip


def _leases(one: LostWorker) -> str:
    """What became of the jobs that it held."""
    if one.holds:
        return f" {_jobs(one.holds)} of it wait{'s' if one.holds == 1 else ''} for {'its' if one.holds == 1 else 'their'} lease to run out."
    if one.ran_out:
        return (
            f" {one.ran_out:,} of its leases ran out." if one.ran_out > 1 else " One of its leases ran out."
        )
    return ""


def _paused(queue: QueueNow, home: str) -> Iterator[Issue]:
    for one in queue.paused[:NAMED]:
        by = f" by {one.pause.by}" if one.pause.by else ""
        why = f": “{one.pause.reason}”" if one.pause.reason else ""
        yield Issue(
            f"paused-{one.name}", "warn", "player-pause",
            (
                _name(one.name), Part(f" was paused{by} "), _ago(one.pause.at),
                Part(f"{why}. {one.pending:,} pending job{_s(one.pending)} wait{'s' if one.pending == 1 else ''} for it."),
            ),
            "See the type", f"{home}/types/{quote(one.name, safe='')}",
        )  # fmt: skip
    if rest := queue.paused[NAMED:]:
        names = ", ".join(one.name for one in rest[:NAMED]) + (", …" if len(rest) > NAMED else "")
        yield Issue(
            "paused-more", "warn", "player-pause",
            (
                _name(f"{len(rest):,} more type{_s(len(rest))}"),
                Part(f" {'is' if len(rest) == 1 else 'are'} paused with {_jobs(sum(one.pending for one in rest))} "
                     f"waiting: {names}."),
            ),
            "See the types", f"{home}/types?state=paused",
        )  # fmt: skip


def _schedules(queue: QueueNow, home: str) -> Iterator[Issue]:
    for one in queue.schedules[:NAMED]:
        yield Issue(
            f"schedule-{one.name}", "warn", "calendar-exclamation",
            (Part("Schedule "), _name(one.name), Part(f" enqueues no {one.type}: {one.fault.rstrip('.')}.")),
            "See the schedule", f"{home}/schedules/{quote(one.name, safe='')}",
        )  # fmt: skip
    if rest := queue.schedules[NAMED:]:
        yield Issue(
            "schedules-more", "warn", "calendar-exclamation",
            (_name(f"{len(rest):,} more schedule{_s(len(rest))}"), Part(f" {'is' if len(rest) == 1 else 'are'} at fault.")),
            "See the schedules", f"{home}/schedules?show=faulty",
        )  # fmt: skip


def _of_engine(cache: CacheNow, home: str) -> Iterator[Issue]:
    for number, one in enumerate(cache.concerns):
        more = " ".join(filter(None, (one.so, one.do)))
        yield Issue(
            f"engine-{number}", "bad" if one.is_bad else "warn", "database",
            (_name("Cache engine:"), Part(f" {one.what} {more}".rstrip())), "See the engine", f"{home}/engine",
        )  # fmt: skip


def _name(text: str) -> Part:
    return Part(text, "name")


def _ago(at: datetime | None) -> Part:
    return Part(form="ago", at=at)


def _since(at: datetime) -> Part:
    return Part(form="since", at=at)


def _jobs(number: int, *, least: bool = False) -> str:
    return f"{'at least ' if least else ''}{number:,} job{_s(number)}"


def _reason(text: str) -> str:
    line = text.partition("\n")[0][:200].rstrip(".")
    return f": {line}" if line else ""


def _workers(number: int) -> str:
    return f"{number:,} worker{' is' if number == 1 else 's are'} alive"


def _s(number: int) -> str:
    return "" if number == 1 else "s"


def _percent(rate: float) -> str:
    percent = 100 * rate
    return f"{percent:.0f} %" if percent >= 99.95 or percent == 0 else f"{percent:.1f} %"


def words(number: int) -> str:
    """What stands beside the page's title: "3 things need a person"."""
    if not number:
        return "nothing needs a person"
    return "1 thing needs a person" if number == 1 else f"{number:,} things need a person"
