"""What people are shown of the store itself: an entry's beginning, samples, health, slow commands."""

import asyncio

import pytest
import redis

from aerodash.errors import EngineDown
from aerodash.ids import ProjectId
from cache_admin.engine import vitals
from cache_admin.engine.contract import NewEntry
from cache_admin.engine.valkey import SAMPLE_STEP, ValkeyCache
from tests import cache_servers
from tests.cache_servers import Redis, follow, valkey
from tests.conformance.cache.conftest import until_it_answers


async def test_a_peek_gives_the_beginning_and_the_whole_size(engine, project):
    await engine.set(project, NewEntry("k:é", b'"0123456789"', 60, b'{"m":1}'))
    before = await engine.stats(project)
    row = await engine.peek(project, "k:é", limit_bytes=4)
    assert (row.key, row.preview, row.metadata, row.size_bytes) == ("k:é", b'"012', b'{"m":1}', 12 + 7)
    entry = await engine.get(project, "k:é")
    assert (row.revision, row.expires_at_ms) == (entry.revision, entry.expires_at_ms)
    assert (await engine.stats(project)).hits == before.hits + 1, "a peek is nobody's read"


async def test_a_peek_finds_the_key_itself_and_no_longer_one(engine, project):
    await engine.set(project, NewEntry("kk", b"1"))
    assert await engine.peek(project, "k", limit_bytes=4) is None


async def test_a_peek_of_what_expired_is_none(engine, project, let_expire):
    await engine.set(project, NewEntry("k", b"1", 60))
    await let_expire(project, "k")
    assert await engine.peek(project, "k", limit_bytes=4) is None
    assert (await engine.count(project)).number == 0


async def test_the_store_says_what_an_entry_takes(engine, project):
    await engine.set(project, NewEntry("k", b'"' + b"x" * 10_000 + b'"'))
    assert 10_000 < await engine.memory_bytes(project, "k") < 30_000
    assert await engine.memory_bytes(project, "absent") is None


async def test_a_sample_of_few_keys_is_all_of_them(engine, project):
    for number in range(5):
        await engine.set(project, NewEntry(f"a:{number}", b"1" * (number + 1), None, b'{"m":1}'))
    await engine.set(project, NewEntry("b:0", b"1"))
    await engine.set(project, NewEntry("z", b"123"))
    a, empty, z, absent = await engine.sample(project, ["a:", "c:"], each=5, keys=["z", "y"])
    assert (a.count, a.keys) == (5, tuple((f"a:{n}", n + 1 + 7) for n in range(5)))
    assert (empty.count, empty.keys) == (0, ())
    assert (z.count, z.keys) == (1, (("z", 3),))
    assert (absent.count, absent.keys) == (0, ())


async def test_a_sample_is_from_all_over_its_folder(engine, project):
    """One key of each tenth."""
    entries = [NewEntry(f"{folder}:{n:04}", b"1") for folder in "abc" for n in range(1000)]
    for start in range(0, len(entries), 1000):
        await engine.set_many(project, entries[start : start + 1000])
    every, b = await engine.sample(project, ["", "b:"], each=10)
    assert (every.count, b.count) == (3000, 1000)
    assert [("abc".index(key[0]) * 1000 + int(key[2:])) // 300 for key, _ in every.keys] == list(range(10))
    assert [int(key.removeprefix("b:")) // 100 for key, _ in b.keys] == list(range(10))
    assert {int(key[2:]) % 100 for key, _ in b.keys} != {50}


async def test_a_large_sample_goes_in_steps_and_covers_the_same(engine, project):
    await engine.set_many(project, [NewEntry(f"k:{n:04}", b"1") for n in range(1000)])
    for each in (2 * SAMPLE_STEP, 2 * SAMPLE_STEP + 10):
        [sample] = await engine.sample(project, ["k:"], each=each)
        keys = [key for key, _ in sample.keys]
        assert (len(keys), keys) == (each, sorted(set(keys)))
    [sample] = await engine.sample(project, ["k:"], each=8 * SAMPLE_STEP)
    assert len(sample.keys) == 1000, "fewer keys than were asked for: all of them"


async def test_a_sample_has_expired_keys_as_nothing(engine, project, let_expire):
    await engine.set(project, NewEntry("a:1", b"12345", 60))
    await let_expire(project, "a:1")
    [sample] = await engine.sample(project, ["a:"], each=4)
    assert sample.keys == (("a:1", 0),)


async def test_all_servers_tell_how_they_are(engine, server):
    told = await engine.vitals()
    assert told.is_cluster == (server.cluster is not None)
    assert len(told.nodes) == (3 if server.cluster else 1)
    assert sum(node.slots for node in told.nodes) == (16384 if server.cluster else 0)
    assert (told.lost, told.slots_missing) == ((), 0)
    for node in told.nodes:
        assert node.product in {"Valkey", "Redis"}
        assert int(node.version.split(".")[0]) >= 7
        assert node.is_primary
        assert 0 < node.memory.used_bytes <= node.memory.peak_bytes
        assert node.memory.policy == "noeviction"
        assert node.memory.bound_bytes > 0
        assert node.clients > 0 < node.clients_max
        assert (node.evicted, node.rejected) == (0, 0)
        assert node.run_id


async def test_slow_commands_are_named_by_our_scripts_and_never_with_values(engine, project, server):
    with_rights = [node.url for node in server.cluster.nodes] if server.cluster else [server.admin]
    for url in with_rights:
        with redis.Redis.from_url(url) as admin:
            admin.config_set("slowlog-log-slower-than", 0)
    try:
        await engine.set(project, NewEntry("s:secret", b'"the value itself"'))
        await engine.get(project, "s:secret")
        await engine.count(project, "s:")
        found = [one for one in await engine.slow_commands(limit=100) if one.project == project]
    finally:
        for url in with_rights:
            with redis.Redis.from_url(url) as admin:
                admin.config_set("slowlog-log-slower-than", 10_000)
                admin.slowlog_reset()
    assert {(one.name, one.key) for one in found} >= {
        ("script set", "s:secret"), ("mget", "s:secret"), ("script count", None),
    }  # fmt: skip
    assert "the value" not in repr(found)


async def test_refused_looks_say_so_and_all_else_works(redis_server: Redis, project):
    engine = ValkeyCache(redis_server.url)
    await engine.open()
    with redis.Redis.from_url(redis_server.admin) as admin:
        await engine.set(project, NewEntry("k", b"1"))
        admin.acl_setuser("aerodash", commands=["-slowlog|get", "-memory|usage"], enabled=True)
        try:
            for look in (engine.slow_commands(limit=5), engine.memory_bytes(project, "k")):
                with pytest.raises(EngineDown) as caught:
                    await look
                assert caught.value.reason == "no_permission"
            assert (await engine.vitals()).nodes
        finally:
            admin.acl_setuser("aerodash", commands=["+slowlog|get", "+memory|usage"], enabled=True)
    await engine.close()


async def test_a_primary_tells_of_its_replicas():
    with valkey() as primary, valkey() as replica:
        follow(primary, replica)
        engine = ValkeyCache(primary.url)
        await engine.open()
        [node] = (await engine.vitals()).nodes
        await engine.close()
        assert [(one.address, one.is_online) for one in node.replicas] == [
            (f"127.0.0.1:{replica.port}", True)
        ]


async def test_a_lost_node_is_told_and_the_others_still_tell():
    with cache_servers.cluster() as own:
        engine = ValkeyCache(own.url)
        await engine.open()
        await until_it_answers(engine)
        lost = own.nodes[0]
        lost.kill()
        async with asyncio.timeout(60):
            while not (told := await engine.vitals()).lost:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await engine.slow_commands(limit=5)
        await engine.close()
        assert [one.address for one in told.lost] == [lost.address]
        assert {node.address for node in told.nodes} == {node.address for node in own.nodes[1:]}


# What is read from a server's words


@pytest.mark.parametrize(
    ("arguments", "name", "project", "key"),
    [
        ([b"MGET", b"{7}:v:a", b"{7}:v:b"], "mget", 7, "a"),
        ([b"EXISTS", b"{7}:v:a:b"], "exists", 7, "a:b"),
        ([b"INFO", b"server"], "info", None, None),
        ([b"SCRIPT", b"LOAD", b"text"], "script load", None, None),
        ([b"PUBLISH", b"channel", b"{7}:v:secret"], "publish", None, None),
        ([b"EVALSHA", b"0" * 40, b"1", b"{7}:idx", b"{8}:v:x"], "", 7, None),
        ([b"SET", b"{7}:v:a", b"secret"], "set", 7, "a"),
        ([b"GET", b"{7}:v:" + b"x" * 100 + b"... (924 more bytes)"], "get", 7, None),
        ([b"\xffwhat somebody sent", b"x"], "unknown", None, None),
        ([], "unknown", None, None),
    ],
)  # fmt: skip
def test_a_slow_command_is_told_by_its_name_and_one_key(arguments, name, project, key):
    one = vitals.slow_command([1, 1773831871, 12_345, arguments, b"127.0.0.1:1", b"aerodash"])
    assert (one.name, one.project, one.key) == (name, project if project is None else ProjectId(project), key)
