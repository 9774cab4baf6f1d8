"""Reads by a replica: plain readers get what it has, readers with a revision never anything older."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from cache_admin.engine.contract import NewEntry
from cache_admin.engine.valkey import ValkeyCache
from tests import cache_servers
from tests.cache_servers import Process, follow, hold_back

PATIENCE_S = 60


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Process, Process]]:
    """A primary and a replica of it."""
    with (
        cache_servers.valkey("--repl-diskless-sync-delay", "0") as primary,
        cache_servers.valkey("--repl-timeout", "60", keep=True) as replica,
    ):
        yield primary, replica


@pytest.fixture
def primary(pair: tuple[Process, Process]) -> Process:
    return pair[0]


@pytest.fixture
def replica(pair: tuple[Process, Process]) -> Process:
    """In step with the primary, whatever the test before did to it."""
    primary, replica = pair
    follow(primary, replica)
    return replica


def reads(server: Process) -> int:
    told = str(server.ask("INFO", "commandstats"))
    return int(told.partition("cmdstat_mget:calls=")[2].partition(",")[0] or 0)


@pytest.fixture
async def engine(primary: Process, replica: Process) -> AsyncIterator[ValkeyCache]:
    async with opened(primary.url, replica.url) as engine:
        yield engine


@contextlib.asynccontextmanager
async def opened(url: str, replica_url: str) -> AsyncIterator[ValkeyCache]:
    engine = ValkeyCache(url, replica_url=replica_url)
    await engine.open()
    try:
        await until(lambda: engine._replica.is_up)
        yield engine
    finally:
        await engine.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what it looks at is not ours to signal
            await asyncio.sleep(0.01)


async def test_plain_readers_are_served_by_the_replica_alone(engine, project, primary, replica):
    await engine.set_many(project, [NewEntry("k", b"1"), NewEntry("l", b"2", 60, b'{"m":1}')])
    primary.ask("WAIT", 1, 10_000)
    before = reads(primary), reads(replica)
    for _ in range(20):
        assert (await engine.get(project, "k", seen="")).value == b"1"
    entries = await engine.get_many(project, ["l", "absent"], seen="")
    assert [entry and entry.value for entry in entries] == [b"2", None]
    assert entries[0] == (await engine.get_many(project, ["l"]))[0]
    assert reads(primary) - before[0] == 1, "the last one asked for the newest"
    assert reads(replica) - before[1] == 21


async def test_a_reader_with_a_revision_never_sees_what_is_older(engine, project, primary, replica):
    await engine.set(project, NewEntry("k", b"0"))
    primary.ask("WAIT", 1, 10_000)
    hold_back(replica)
    for number in range(1, 30):
        written = await engine.set(project, NewEntry("k", b"%d" % number))
        assert (await engine.get(project, "k", seen="")).value == b"0", "held back"
        assert (await engine.get(project, "k", seen=written.revision)).value == b"%d" % number
        assert (await engine.get_many(project, ["k"], seen=written.revision))[0].value == b"%d" % number
    assert engine._replica.behind == 58
    follow(primary, replica)
    before = reads(primary)
    assert (await engine.get(project, "k", seen=written.revision)).value == b"29"
    assert reads(primary) == before, "it has caught up"


async def test_what_a_replica_may_answer_goes_by_the_projects_own_revision(engine, project, primary, replica):
    other = type(project)(project + 1_000_000)
    first = await engine.set(project, NewEntry("k", b"1"))
    await engine.set(other, NewEntry("k", b"1"))
    primary.ask("WAIT", 1, 10_000)
    hold_back(replica)
    await engine.set(other, NewEntry("k", b"2"))
    before = reads(primary)
    assert (await engine.get(project, "k", seen=first.revision)).value == b"1"
    assert reads(primary) == before
    epoch, _, n = first.revision.partition(".")
    for seen in (
        f"{epoch}.{int(n) + 1}",
        f"ffffffff.{n}",
        "nonsense",
        f"{epoch}.",
        f"{epoch}.x",
        f"{epoch}.-1",
    ):
        behind = engine._replica.behind
        assert (await engine.get(project, "k", seen=seen)).value == b"1"
        assert engine._replica.behind == behind + 1, seen


async def test_under_load_no_reader_goes_back(engine, project, primary, replica):
    """Replication runs, stops and goes on, while each caller reads what it has just written."""
    done = asyncio.Event()

    async def caller(name: str) -> int:
        number = 0
        while not done.is_set():
            number += 1
            written = await engine.set(project, NewEntry(name, b"%d" % number))
            entry = await engine.get(project, name, seen=written.revision)
            assert entry.value == b"%d" % number
        return number

    callers = [asyncio.create_task(caller(f"k{i}")) for i in range(8)]
    for _ in range(3):
        await asyncio.to_thread(hold_back, replica)
        mark = engine._replica.behind
        await until(lambda mark=mark: engine._replica.behind > mark + 50)
        await asyncio.to_thread(follow, primary, replica)
        mark = engine._replica.served
        await until(lambda mark=mark: engine._replica.served > mark)
    done.set()
    assert min(await asyncio.gather(*callers)) > 10


async def test_a_replica_that_stops_answering_costs_no_error_and_is_left_out(engine, project, replica):
    written = await engine.set(project, NewEntry("k", b"1"))
    os.kill(replica.pid, signal.SIGSTOP)
    try:
        entries = await asyncio.gather(*(engine.get(project, "k", seen="") for _ in range(30)))
        assert {entry.value for entry in entries} == {b"1"}
        assert not engine._replica.is_up, "known to be silent, so nobody waits for it any more"
        away = engine._replica.away
        for seen in ["", written.revision] * 10:
            assert (await engine.get(project, "k", seen=seen)).value == b"1"
        assert engine._replica.away == away + 20
        assert (await engine.replica_state()).answers is False
    finally:
        os.kill(replica.pid, signal.SIGCONT)
    await until(lambda: engine._replica.is_up)
    served = engine._replica.served
    assert (await engine.get(project, "k", seen="")).value == b"1"
    assert engine._replica.served == served + 1


async def test_a_replica_that_is_killed_costs_no_error_and_is_used_again_after_its_restart(
    engine, project, primary, replica
):
    await engine.set(project, NewEntry("k", b"1"))
    primary.ask("WAIT", 1, 10_000)
    replica.kill()
    for _ in range(10):
        assert (await engine.get(project, "k", seen="")).value == b"1"
    replica.start()
    replica.wait()
    follow(primary, replica)
    await until(lambda: engine._replica.is_up)
    before = reads(replica)
    assert (await engine.get(project, "k", seen="")).value == b"1"
    assert reads(replica) == before + 1


async def test_a_primary_that_is_away_leaves_plain_readers_the_replica(project):
    with (
        cache_servers.valkey("--repl-diskless-sync-delay", "0") as primary,
        cache_servers.valkey() as replica,
    ):
        follow(primary, replica)
        async with opened(primary.url, replica.url) as engine:
            written = await engine.set(project, NewEntry("k", b"1"))
            primary.ask("WAIT", 1, 10_000)
            primary.kill()
            assert (await engine.get(project, "k", seen="")).value == b"1"
            assert (await engine.get(project, "k", seen=written.revision)).value == b"1"


async def test_how_far_it_is_behind_is_told(engine, project, primary, replica):
    state = await engine.replica_state()
    assert (state.answers, state.follows) == (True, True)
    hold_back(replica)
    for number in range(20):
        await engine.set(project, NewEntry(f"k{number}", b'"' + b"x" * 1000 + b'"'))
    state = await engine.replica_state()
    assert (state.answers, state.follows) == (True, False)
    assert state.lag_bytes > 20_000
