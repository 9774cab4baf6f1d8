"""Bulk steps of an engine: expiry changed for a range or for named keys, entries read and written whole."""

import random

import pytest
import redis.asyncio

from aerodash import embedded
from aerodash.errors import EngineDown
from aerodash.ids import ProjectId
from cache_admin.engine.contract import Change, Entry, Give, NewEntry, NewExpiry
from cache_admin.engine.valkey import ValkeyCache

P = ProjectId(1)
HOUR_MS = 3_600_000
YEAR_MS = 365 * 24 * HOUR_MS


@pytest.fixture
async def now_ms(engine) -> int:
    return await engine.now_ms()


def expiry(change: Change, now_ms: int, ttl_ms: int = HOUR_MS, spread_ms: int = 0) -> NewExpiry:
    return NewExpiry(change, now_ms, now_ms + 10 * YEAR_MS, ttl_ms, spread_ms)


async def moments(engine, project, prefix: str = "") -> dict[str, int | None]:
    page = await engine.list(project, prefix=prefix, limit=1000, give=Give.METADATA)
    return {row.key: row.expires_at_ms for row in page.rows}


async def change_all(engine, project, wanted: NewExpiry, *, limit: int = 250, prefix: str = "") -> int:
    changed, up_to, after = 0, None, None
    while True:
        step = await engine.expire_step(project, prefix, wanted, up_to=up_to, after=after, limit=limit)
        changed, up_to, after = changed + step.changed, step.up_to, step.last
        if after is None:
            return changed


async def test_set_gives_all_the_same_moment_and_keeps_value_and_metadata(engine, project, store, now_ms):
    await engine.set_many(
        project,
        [NewEntry("a:1", b'"x"', None, b'{"m":1}'), NewEntry("a:2", b"2", 60), NewEntry("b", b"3")],
    )
    step = await engine.expire_step(
        project, "a:", expiry(Change.SET, now_ms), up_to=None, after=None, limit=9
    )
    assert (step.changed, step.looked_at, step.last) == (2, 2, None)
    assert await moments(engine, project) == {"a:1": now_ms + HOUR_MS, "a:2": now_ms + HOUR_MS, "b": None}
    entry = await engine.get(project, "a:1")
    assert (entry.value, entry.metadata, entry.revision) == (b'"x"', b'{"m":1}', step.revision)
    assert await store.zcard(f"{{{project}}}:exp") == 2, "the index of expiries moved with them"
    assert await store.pexpiretime(f"{{{project}}}:v:a:1") == now_ms + HOUR_MS


async def test_extend_adds_and_leaves_those_that_never_expire(engine, project, now_ms):
    await engine.set_many(project, [NewEntry("a", b"1", 60), NewEntry("never", b"1")])
    before = await moments(engine, project)
    assert await change_all(engine, project, expiry(Change.EXTEND, now_ms)) == 1
    assert await moments(engine, project) == {"a": before["a"] + HOUR_MS, "never": None}


async def test_extend_ends_at_the_latest_moment(engine, project, now_ms):
    await engine.set(project, NewEntry("a", b"1", 60))
    wanted = NewExpiry(Change.EXTEND, now_ms, now_ms + 90_000, ttl_ms=HOUR_MS)
    assert await change_all(engine, project, wanted) == 1
    assert await moments(engine, project) == {"a": now_ms + 90_000}


async def test_cap_shortens_what_would_live_longer_and_nothing_else(engine, project, now_ms):
    await engine.set_many(
        project, [NewEntry("long", b"1", 7200), NewEntry("never", b"1"), NewEntry("short", b"1", 60)]
    )
    short = (await moments(engine, project))["short"]
    assert await change_all(engine, project, expiry(Change.CAP, now_ms)) == 2
    assert await moments(engine, project) == {
        "long": now_ms + HOUR_MS, "never": now_ms + HOUR_MS, "short": short,
    }  # fmt: skip


async def test_never_takes_expiries_away(engine, project, store, now_ms):
    await engine.set_many(project, [NewEntry("a", b"1", 60), NewEntry("never", b"1")])
    assert await change_all(engine, project, expiry(Change.NEVER, now_ms, ttl_ms=0)) == 1
    assert await moments(engine, project) == {"a": None, "never": None}
    assert await store.zcard(f"{{{project}}}:exp") == 0
    assert await store.pttl(f"{{{project}}}:v:a") == -1


@pytest.mark.parametrize(("change", "early", "late"), [(Change.SET, 0, 1), (Change.CAP, -1, 0)])
async def test_spread_is_even_and_on_the_safe_side(engine, project, now_ms, change, early, late):
    await engine.set_many(project, [NewEntry(f"k{n}", b"1") for n in range(400)])
    spread = HOUR_MS // 2
    assert await change_all(engine, project, expiry(change, now_ms, spread_ms=spread)) == 400
    at = sorted((await moments(engine, project)).values())
    low, high = now_ms + HOUR_MS + early * spread, now_ms + HOUR_MS + late * spread
    assert low <= at[0]
    assert at[-1] <= high
    quarters = [sum(low + n * spread // 4 <= m < low + (n + 1) * spread // 4 for m in at) for n in range(4)]
    assert min(quarters) > 60, quarters


async def test_steps_go_on_where_they_were_and_spare_what_is_newer(engine, project, now_ms):
    await engine.set_many(project, [NewEntry(f"a:{n}", b"1") for n in range(10)])
    wanted = expiry(Change.SET, now_ms)
    first = await engine.expire_step(project, "a:", wanted, up_to=None, after=None, limit=4)
    assert (first.changed, first.looked_at, first.last) == (4, 4, "a:3")
    await engine.set(project, NewEntry("a:5", b"2"))
    second = await engine.expire_step(project, "a:", wanted, up_to=first.up_to, after=first.last, limit=99)
    assert (second.changed, second.looked_at, second.last) == (5, 6, None)
    assert (await moments(engine, project))["a:5"] is None


async def test_a_step_that_is_done_twice_extends_once(engine, project, now_ms):
    await engine.set_many(project, [NewEntry(f"a{n}", b"1", 60) for n in range(5)])
    before = await moments(engine, project)
    wanted = expiry(Change.EXTEND, now_ms)
    asked = await engine.expire_step(project, "", wanted, up_to=None, after=None, limit=0)
    assert (asked.changed, asked.looked_at, asked.last) == (0, 0, None)
    for changed in (5, 0):
        step = await engine.expire_step(project, "", wanted, up_to=asked.up_to, after=None, limit=9)
        assert step.changed == changed
    assert await moments(engine, project) == {key: at + HOUR_MS for key, at in before.items()}


async def test_after_the_store_lost_its_data_nothing_is_changed(engine, project, now_ms):
    await engine.set(project, NewEntry("a", b"1"))
    step = await engine.expire_step(
        project, "", expiry(Change.SET, now_ms), up_to=10_000, after=None, limit=9
    )
    assert (step.changed, step.up_to) == (0, 0)
    assert await moments(engine, project) == {"a": None}


async def test_a_moment_that_has_passed_ends_the_entries_and_the_indexes_follow(engine, project, store):
    await engine.set_many(project, [NewEntry("a", b"1"), NewEntry("b", b"1", 60)])
    now = await engine.now_ms()
    wanted = NewExpiry(Change.SET, now - 2 * HOUR_MS, now + YEAR_MS, ttl_ms=HOUR_MS)
    assert await change_all(engine, project, wanted) == 2
    assert (await engine.count(project)).number == 0
    assert await store.zcard(f"{{{project}}}:idx") == 0


async def test_keys_that_expired_meanwhile_are_passed(engine, project, let_expire, now_ms):
    await engine.set_many(project, [NewEntry("a", b"1", 60), NewEntry("b", b"1")])
    await let_expire(project, "a")
    step = await engine.expire_step(project, "", expiry(Change.SET, now_ms), up_to=None, after=None, limit=9)
    assert (step.changed, step.looked_at) == (1, 2)
    assert await engine.get(project, "a") is None


async def test_named_keys_are_changed_and_removed_and_no_others(engine, project, now_ms):
    odd = "n\0\u202e\U0001f600"
    await engine.set_many(project, [NewEntry(key, b"1") for key in ("a", "b", "c", odd)])
    wanted = expiry(Change.SET, now_ms)
    asked = await engine.flush_step(project, "", up_to=None, after=None, limit=0)
    await engine.set(project, NewEntry("b", b"2"))
    named = {"up_to": asked.up_to, "after": None, "limit": 0}
    step = await engine.expire_step(project, "", wanted, **named, keys=["a", "b", odd, "absent"])
    assert (step.changed, step.looked_at, step.last) == (2, 4, None)
    assert [key for key, at in (await moments(engine, project)).items() if at] == ["a", odd]
    removed = await engine.flush_step(project, "", **named, keys=["a", "b", "c", "absent"])
    assert (removed.removed, removed.looked_at, removed.last) == (1, 4, None), "a and b were written since"
    assert list(await moments(engine, project)) == ["a", "b", odd]


async def test_entries_are_read_whole_in_order_and_by_steps_of_keys_and_bytes(engine, project):
    big = b'"' + b"x" * 3000 + b'"'
    await engine.set_many(
        project,
        [NewEntry("a:1", b"1", 60, b'{"m":1}'), NewEntry("a:2", big), NewEntry("a:3", b"3"), NewEntry("b", b"4")],
    )  # fmt: skip
    whole = await engine.read_step(project, "a:", after=None, limit=9, size_bytes=1_000_000)
    assert (whole.looked_at, whole.last) == (3, None)
    assert list(whole.entries) == await engine.get_many(project, ["a:1", "a:2", "a:3"])
    first = await engine.read_step(project, "a:", after=None, limit=9, size_bytes=2000)
    assert ([e.key for e in first.entries], first.looked_at, first.last) == (["a:1", "a:2"], 2, "a:2")
    rest = await engine.read_step(project, "a:", after=first.last, limit=9, size_bytes=2000)
    assert ([e.key for e in rest.entries], rest.last) == (["a:3"], None)
    by_keys = await engine.read_step(project, "", after=None, limit=2, size_bytes=1_000_000)
    assert ([e.key for e in by_keys.entries], by_keys.last) == (["a:1", "a:2"], "a:2")


async def test_named_entries_are_read_and_reads_count_for_nobody(engine, project, let_expire):
    await engine.set_many(project, [NewEntry("a", b"1"), NewEntry("b", b"2", 60), NewEntry("c", b"3")])
    await let_expire(project, "b")
    before = await engine.stats(project)
    step = await engine.read_step(
        project, "", after=None, limit=0, size_bytes=1_000_000, keys=["c", "b", "absent", "a"]
    )
    assert ([e.key for e in step.entries], step.looked_at, step.last) == (["c", "a"], 4, None)
    cut = await engine.read_step(project, "", after=None, limit=0, size_bytes=1, keys=["c", "a"])
    assert ([e.key for e in cut.entries], cut.looked_at) == (["c"], 1)
    after = await engine.stats(project)
    assert (after.hits, after.misses) == (before.hits, before.misses)


async def test_entries_are_written_with_their_moment_and_metadata(engine, project, now_ms):
    entries = [
        Entry("a", b"[1, 2]", b'{"m":1}', now_ms + HOUR_MS + 7, ""),
        Entry("b", b"12345678901234567890", None, None, ""),
    ]
    await engine.set(project, NewEntry("b", b"0", 60, b'{"old":1}'))
    step = await engine.write_step(project, entries)
    assert (step.written, step.refused, step.expired) == (2, 0, 0)
    read = await engine.read_step(project, "", after=None, limit=9, size_bytes=1_000_000)
    assert [(e.key, e.value, e.metadata, e.expires_at_ms) for e in read.entries] == [
        (e.key, e.value, e.metadata, e.expires_at_ms) for e in entries
    ]
    assert {e.revision for e in read.entries} == {step.revision}
    again = await engine.write_step(project, entries)
    assert again.written == 2
    assert (await engine.count(project)).number == 2


async def test_conditions_and_moments_that_have_passed_leave_entries_out(engine, project, now_ms):
    await engine.set(project, NewEntry("old", b"1"))
    entries = [
        Entry("old", b"2", None, None, ""), Entry("new", b"2", None, None, ""), Entry("new", b"3", None, None, ""),
        Entry("late", b"2", None, now_ms - 1, ""),
    ]  # fmt: skip
    step = await engine.write_step(project, entries, if_present=True)
    assert (step.written, step.refused, step.expired) == (1, 2, 1)
    step = await engine.write_step(project, entries, if_absent=True)
    assert (step.written, step.refused, step.expired) == (1, 2, 1), "the first of two lines wins"
    assert (await engine.get(project, "new")).value == b"2"
    assert await engine.get(project, "late") is None
    refused = await engine.write_step(project, entries[:1], if_absent=True)
    assert refused.revision == step.revision, "nothing was written, so nothing has another revision"


async def test_present_keys_are_counted(engine, project, let_expire):
    await engine.set_many(project, [NewEntry("a", b"1"), NewEntry("b", b"1", 60)])
    await let_expire(project, "b")
    assert await engine.count_present(project, ["a", "b", "absent", "a"]) == 2
    assert await engine.count_present(project, []) == 0


async def test_indexes_agree_with_entries_after_a_mixed_run(engine, project, store):
    """Whatever was done in whatever order: index of expiries, entry's own expiry and its head say one thing."""
    random.seed(6)
    now = await engine.now_ms()
    for _ in range(60):
        keys = random.sample([f"k{n}" for n in range(20)], 5)
        change = random.choice(list(Change))
        await engine.set_many(
            project, [NewEntry(key, b"1", random.choice([None, 500, 9000])) for key in keys]
        )
        await engine.expire_step(
            project, "k1", expiry(change, now, 700_000, 1000), up_to=None, after=None, limit=3
        )
        await engine.expire_step(
            project, "", expiry(change, now, 700_000), up_to=None, after=None, limit=0, keys=keys[:2]
        )
        await engine.write_step(project, [Entry(keys[0], b"2", None, now + 800_000, "")])
        await engine.flush_step(project, "", up_to=None, after=None, limit=0, keys=[keys[4]])
    scores = {
        key.decode(): int(score) for key, score in await store.zrange(f"{{{project}}}:exp", 0, -1, withscores=True)
    }  # fmt: skip
    found = await moments(engine, project)
    assert scores == {key: at for key, at in found.items() if at is not None}
    for key, at in found.items():
        assert await store.pexpiretime(f"{{{project}}}:v:{key}") == (-1 if at is None else at)


async def test_a_full_memory_refuses_steps_that_write_and_lets_removing_and_reading_through(tmp_path_factory):
    server = embedded.start(tmp_path_factory.mktemp("valkey"))
    engine = ValkeyCache(server.url)
    await engine.open()
    client = redis.asyncio.from_url(server.url)
    try:
        await engine.set_many(P, [NewEntry(f"k{n}", b"1") for n in range(10)])
        now = await engine.now_ms()
        await client.config_set("maxmemory", "1mb")
        steps = [
            engine.expire_step(P, "", expiry(Change.SET, now), up_to=None, after=None, limit=9),
            engine.write_step(P, [Entry("new", b"1", None, None, ""), Entry("k1", b"2", None, None, "")]),
        ]
        for step in steps:
            with pytest.raises(EngineDown) as caught:
                await step
            assert caught.value.reason == "out_of_memory"
        read = await engine.read_step(P, "", after=None, limit=99, size_bytes=1_000_000)
        assert [(e.value, e.expires_at_ms) for e in read.entries] == [(b"1", None)] * 10, "all or nothing"
        removed = await engine.flush_step(P, "", up_to=None, after=None, limit=0, keys=["k1", "k2"])
        assert removed.removed == 2
    finally:
        await client.aclose()
        await engine.close()
        server.stop()
