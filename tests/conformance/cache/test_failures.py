"""Valkey away, stopped, paused, restarted, full, or robbed of its scripts."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis.asyncio

from aerodash import embedded
from aerodash.errors import EngineDown
from aerodash.ids import ProjectId
from cache_admin.engine import commands, link
from cache_admin.engine.contract import NewEntry
from cache_admin.engine.valkey import ValkeyCache

P = ProjectId(1)
PATIENCE_S = 60.0
"""How long tests wait for what must come: for ever, as far as a busy machine goes."""


@pytest.fixture
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("valkey")


@pytest.fixture
def server(folder: Path) -> Iterator[embedded.Embedded]:
    server = embedded.start(folder)
    yield server
    if server.process.poll() is None:
        os.kill(server.process.pid, signal.SIGCONT)
        server.stop()


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[ValkeyCache]:
    engine = ValkeyCache(url)
    await engine.open()
    try:
        yield engine
    finally:
        await engine.close()


async def refused_soon(engine: ValkeyCache) -> EngineDown:
    """Within a second, where nothing else keeps the machine busy: the link bears no longer silence."""
    assert link.TIMEOUT_S + link.TICK_S < 1
    with pytest.raises(EngineDown) as caught:
        async with asyncio.timeout(PATIENCE_S):
            await engine.get(P, "k")
    return caught.value


async def until_it_answers(engine: ValkeyCache, key: str = "k") -> object:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await engine.get(P, key)
            except EngineDown:
                await asyncio.sleep(0.02)


async def test_opens_without_a_server_and_refuses_at_once(folder: Path):
    async with opened(f"unix://{folder}/nobody.sock") as engine:
        down = await refused_soon(engine)
        assert (down.status, down.reason, down.retry_after_s) == (503, "engine_down", 1)
        with pytest.raises(EngineDown):
            await engine.set(P, NewEntry("k", b"1"))
        with pytest.raises(EngineDown):
            await engine.count(P)


async def test_comes_back_by_itself_after_a_restart_with_a_new_epoch(folder: Path, server: embedded.Embedded):
    async with opened(server.url) as engine:
        first = await engine.set(P, NewEntry("k", b"1"))
        server.stop()
        await refused_soon(engine)
        again = embedded.start(folder)
        try:
            entry = await until_it_answers(engine)
            assert (entry.value, entry.revision) == (b"1", first.revision)
            second = await engine.set(P, NewEntry("k", b"2"), if_revision=first.revision)
            assert second.done
            assert second.revision.partition(".")[0] != first.revision.partition(".")[0]
            assert int(second.revision.partition(".")[2]) == int(first.revision.partition(".")[2]) + 1
        finally:
            again.stop()


async def test_an_idle_engine_notices_a_restart_before_its_next_command(
    folder: Path, server: embedded.Embedded
):
    async with opened(server.url) as engine:
        await engine.set(P, NewEntry("k", b"1"))
        server.stop()
        again = embedded.start(folder)
        try:
            await until_it_answers(engine)
            assert (await engine.set(P, NewEntry("k", b"2"))).done
        finally:
            again.stop()


async def test_a_killed_server_fails_what_was_under_way(server: embedded.Embedded):
    async with opened(server.url) as engine:
        await engine.set(P, NewEntry("k", b"1"))
        os.kill(server.process.pid, signal.SIGSTOP)
        reads = [asyncio.create_task(engine.get(P, f"k{i}")) for i in range(50)]
        await asyncio.sleep(0.05)
        server.process.kill()
        outcomes = await asyncio.wait_for(asyncio.gather(*reads, return_exceptions=True), PATIENCE_S)
        assert all(isinstance(outcome, EngineDown) for outcome in outcomes)


async def test_a_paused_server_is_given_up_soon_and_found_again(server: embedded.Embedded):
    async with opened(server.url) as engine:
        await engine.set(P, NewEntry("k", b"1"))
        os.kill(server.process.pid, signal.SIGSTOP)
        for _ in range(3):  # while it was up, while connecting again, and while known to be down
            await refused_soon(engine)
        os.kill(server.process.pid, signal.SIGCONT)
        assert (await until_it_answers(engine)).value == b"1"


async def test_scripts_are_loaded_again_when_the_store_has_dropped_them(server: embedded.Embedded):
    async with opened(server.url) as engine:
        await engine.set(P, NewEntry("k", b"1"))
        client = redis.asyncio.from_url(server.url)
        await client.script_flush()
        results = await asyncio.gather(*(engine.increment(P, "n", 1) for _ in range(20)), engine.get(P, "k"))
        await client.aclose()
        assert sorted(int(result.value) for result in results[:-1]) == list(range(1, 21))
        assert results[-1].value == b"1"


async def test_a_full_memory_refuses_writes_whole_and_lets_deletes_through(server: embedded.Embedded):
    async with opened(server.url) as engine:
        await engine.set_many(P, [NewEntry(f"k{i}", b"1") for i in range(10)])
        client = redis.asyncio.from_url(server.url)
        await client.config_set("maxmemory", "1mb")
        with pytest.raises(EngineDown) as caught:
            await engine.set_many(P, [NewEntry(f"new{i}", b"1") for i in range(10)])
        assert caught.value.reason == "out_of_memory"
        assert not await engine.has(P, "new0")
        assert (await engine.get(P, "k1")).value == b"1"
        assert (await engine.delete(P, "k1")).removed
        assert (await engine.count(P)).number == 9
        assert (await engine.flush(P)).number == 9
        await client.config_set("maxmemory", "0")
        await client.aclose()
        assert (await engine.set(P, NewEntry("k", b"1"))).done


async def test_a_full_queue_is_refused_as_overloaded(
    server: embedded.Embedded, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(commands, "WAITING_MAX", 20)
    async with opened(server.url) as engine:
        await engine.set(P, NewEntry("k", b"1"))
        outcomes = await asyncio.gather(*(engine.get(P, "k") for _ in range(50)), return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, EngineDown)]
        assert len(refused) == 30
        assert {(down.reason, down.retry_after_s) for down in refused} == {("overloaded", 1)}
        assert (await engine.get(P, "k")).value == b"1"


async def test_the_reads_of_one_drain_are_one_command(server: embedded.Embedded):
    async with opened(server.url) as engine:
        await engine.set_many(P, [NewEntry(f"k{i}", b"%d" % i) for i in range(100)])
        await engine.get(P, "k0")
        client = redis.asyncio.from_url(server.url)
        before = (await client.info("commandstats"))["cmdstat_mget"]["calls"]
        entries = await asyncio.gather(*(engine.get(P, f"k{i}") for i in range(100)))
        after = (await client.info("commandstats"))["cmdstat_mget"]["calls"]
        await client.aclose()
        assert [entry.value for entry in entries] == [b"%d" % i for i in range(100)]
        assert after - before == 1


async def test_commands_that_wait_go_out_together(server: embedded.Embedded):
    """While one pipeline is in flight, 300 writes gather; they must not take 300 round trips."""
    async with opened(server.url) as engine:
        client = redis.asyncio.from_url(server.url)
        await engine.set(P, NewEntry("k", b"1"))
        before = (await client.info("stats"))["total_reads_processed"]
        await asyncio.gather(*(engine.set(P, NewEntry(f"k{i}", b"1")) for i in range(300)))
        after = (await client.info("stats"))["total_reads_processed"]
        await client.aclose()
        assert after - before < 20


async def test_close_answers_what_is_queued(server: embedded.Embedded):
    engine = ValkeyCache(server.url)
    await engine.open()
    writes = [asyncio.create_task(engine.set(P, NewEntry(f"k{i}", b"1"))) for i in range(100)]
    await asyncio.sleep(0)
    await engine.close()
    assert all(result.done for result in await asyncio.gather(*writes))
    with pytest.raises(EngineDown):
        await asyncio.wait_for(engine.get(P, "k"), PATIENCE_S)
