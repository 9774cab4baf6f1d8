"""The keeper: one process at a time has the lease, and its tasks run for as long as it has."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest
from django.db import connections
from django.db.models.functions import Now

from aerodash import engines
from aerodash.errors import EngineDown
from aerodash.keeper import lease, process
from aerodash.keeper.process import Keeper, Task
from aerodash.models import KeeperLease


@pytest.fixture(autouse=True)
def _nobody_has_the_lease():
    KeeperLease.objects.all().delete()


def _expire() -> None:
    KeeperLease.objects.update(expires_at=Now() - timedelta(seconds=1))


def test_the_first_takes_the_lease_and_a_second_is_refused():
    assert lease.hold("a", None) == 1
    assert lease.hold("b", None) is None


def test_the_holder_renews_under_the_same_fence():
    fence = lease.hold("a", None)
    before = KeeperLease.objects.get().expires_at
    assert lease.hold("a", fence) == fence
    assert KeeperLease.objects.get().expires_at >= before


def test_an_expired_lease_goes_to_the_next_under_a_higher_fence():
    old = lease.hold("a", None)
    _expire()
    new = lease.hold("b", None)
    assert (old, new) == (1, 2)
    assert lease.hold("a", old) is None


def test_a_holder_that_lost_it_meanwhile_notices_even_if_it_gets_it_back():
    first = lease.hold("a", None)
    _expire()
    lease.hold("b", None)
    _expire()
    assert lease.hold("a", first) == 3


def test_a_lease_given_up_is_free_at_once_and_only_by_its_holder():
    fence = lease.hold("a", None)
    assert fence is not None
    lease.give_up("b", fence)
    assert lease.hold("b", None) is None
    lease.give_up("a", fence)
    assert lease.hold("b", None) == 2


class _Running:
    """Keepers on the engine loop, each with a task that counts its runs."""

    def __init__(self) -> None:
        self.runs: dict[str, int] = {}
        self._started: list[tuple[Keeper, asyncio.Future[None]]] = []

    def start(self, name: str, *more: Task) -> tuple[Keeper, asyncio.Future[None]]:
        async def count() -> None:
            self.runs[name] = self.runs.get(name, 0) + 1

        keeper = Keeper([(f"count.{name}", 0.01, count), *more])
        future = asyncio.wrap_future(engines.submit(keeper.run()))
        self._started.append((keeper, future))
        return self._started[-1]

    async def stop(self) -> None:
        for keeper, future in self._started:
            keeper.stop()
            with contextlib.suppress(asyncio.CancelledError):
                await future


@pytest.fixture
async def running() -> AsyncIterator[_Running]:
    made = _Running()
    yield made
    await made.stop()


async def _until(condition: Callable[[], bool], within_s: float = 60) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s
        await asyncio.sleep(0.01)


async def test_tasks_run_in_one_of_two_and_pass_on_when_it_stops(running: _Running):
    first, ended = running.start("first")
    await _until(lambda: running.runs.get("first", 0) > 2)
    running.start("second")
    await _until(lambda: running.runs["first"] > 50)
    assert "second" not in running.runs

    first.stop()
    await ended
    runs = running.runs["first"]
    assert not await asyncio.to_thread(_holds_it, first), "the lease was given back at once"
    await _until(lambda: running.runs.get("second", 0) > 2)
    assert running.runs["first"] == runs


def _holds_it(keeper: Keeper) -> bool:
    held = KeeperLease.objects.filter(holder=keeper.holder, expires_at__gt=Now()).exists()
    connections.close_all()  # this thread's own
    return held


async def test_a_keeper_that_was_killed_is_replaced(running: _Running):
    assert lease.LASTS_S + lease.RENEW_S < 5, "within five seconds, where nothing else keeps the machine busy"
    _, killed = running.start("killed")
    await _until(lambda: running.runs.get("killed", 0) > 2)
    running.start("next")
    killed.cancel()  # as kill -9 would: the lease is not given back
    await _until(lambda: running.runs.get("next", 0) > 0)


async def test_a_keeper_that_lost_its_lease_stops_its_tasks(running: _Running):
    running.start("slow")
    await _until(lambda: running.runs.get("slow", 0) > 2)
    await asyncio.to_thread(_take_it)
    await _until(lambda: _stands_still(running))


def _take_it() -> None:
    _expire()
    until = Now() + timedelta(seconds=60)
    KeeperLease.objects.update(holder="another", fence=99, expires_at=until)
    connections.close_all()  # this thread's own


_seen: list[int] = []


def _stands_still(running: _Running) -> bool:
    """Whether the count has not moved for 50 looks."""
    _seen.append(running.runs["slow"])
    return len(_seen) > 50 and _seen[-50] == _seen[-1]


async def test_a_failing_task_is_logged_once_and_does_not_stop_the_others(
    running: _Running, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(process, "LONGEST_PAUSE_S", 0.02)
    attempts = 0

    async def fail() -> None:
        nonlocal attempts
        attempts += 1
        raise EngineDown("Valkey cannot be reached." if attempts < 20 else "Another reason.")

    failing: Callable[[], Awaitable[object]] = fail
    with caplog.at_level(logging.WARNING, logger="aerodash.keeper"):
        running.start("well", ("always.fails", 0.01, failing))
        await _until(lambda: attempts > 30 and running.runs.get("well", 0) > 30)
    said = [record.getMessage() for record in caplog.records if "always.fails" in record.getMessage()]
    assert said == [
        "always.fails failed: EngineDown: Valkey cannot be reached.",
        "always.fails failed: EngineDown: Another reason.",
    ]


def test_both_apps_have_tasks():
    names = [name for name, _, _ in process.tasks()]
    assert any(name.startswith("cache.") for name in names)
    assert any(name.startswith("jobs.") for name in names)
    assert len(names) == len(set(names))
