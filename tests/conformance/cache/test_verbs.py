"""What the state machine cannot see: instants, concurrency, clocks, large sets, bytes."""

import asyncio
import time

import pytest

from cache_admin.engine.contract import Give, NewEntry


async def test_values_come_back_byte_for_byte(engine, project):
    for text in [
        b"123456789012345678901234567890.10",
        b'"\\u00e9\\/"',
        b'{ "a" :\t1}',
        b'"\x00"',
        b"-0",
        b"1E5",
    ]:
        await engine.set(project, NewEntry("k", text))
        assert (await engine.get(project, "k")).value == text


async def test_projects_do_not_see_each_other(engine, project):
    other = type(project)(project + 1_000_000)
    await engine.set(project, NewEntry("k", b"1"))
    await engine.set(other, NewEntry("k", b"2"))
    assert (await engine.flush(other)).number == 1
    assert (await engine.get(project, "k")).value == b"1"
    assert not await engine.has(other, "k")


async def test_concurrent_increments_lose_nothing(engine, project):
    answers = await asyncio.gather(*(engine.increment(project, "n", 1) for _ in range(500)))
    assert sorted(int(answer.value) for answer in answers) == list(range(1, 501))


async def test_a_counter_near_the_end_of_a_double_is_exact(engine, project):
    await engine.set(project, NewEntry("n", b"9007199254740993"))
    assert (await engine.increment(project, "n", 2)).value == b"9007199254740995"


async def test_of_concurrent_compare_and_sets_one_wins(engine, project):
    first = await engine.set(project, NewEntry("k", b"0"))
    results = await asyncio.gather(
        *(engine.set(project, NewEntry("k", b"%d" % i), if_revision=first.revision) for i in range(50))
    )
    won = [result for result in results if result.done]
    assert len(won) == 1
    assert {result.reason for result in results if not result.done} == {"revision_mismatch"}
    assert (await engine.get(project, "k")).revision == won[0].revision


async def test_of_concurrent_creations_one_wins(engine, project):
    results = await asyncio.gather(
        *(engine.set(project, NewEntry("k", b"1"), if_absent=True) for _ in range(50))
    )
    assert sum(result.done for result in results) == 1


async def test_a_ttl_is_counted_on_the_engines_clock(engine, project):
    before = await engine.now_ms()
    await engine.set(project, NewEntry("k", b"1", ttl_s=60))
    after = await engine.now_ms()
    assert before + 60_000 <= (await engine.get(project, "k")).expires_at_ms <= after + 60_000


async def test_the_store_itself_drops_an_entry_at_its_time(engine, project, store):
    await engine.set(project, NewEntry("k", b"1", ttl_s=60))
    native = await store.pexpiretime(f"{{{project}}}:v:k")
    assert native == (await engine.get(project, "k")).expires_at_ms
    await engine.expire(project, "k", None)
    assert await store.pexpiretime(f"{{{project}}}:v:k") == -1


async def test_an_expired_entry_is_absent_for_every_verb(engine, project, let_expire):
    names = ["get", "set", "delete", "expire", "increment", "list"]
    await engine.set_many(project, [NewEntry(name, b"7", 60, b'{"old":1}') for name in names])
    await let_expire(project, *names)
    assert await engine.get(project, "get") is None
    assert (await engine.set(project, NewEntry("set", b"1"), if_present=True)).reason == "absent"
    assert not (await engine.delete(project, "delete")).removed
    assert not (await engine.expire(project, "expire", 60)).done
    assert (await engine.increment(project, "increment", 1)).value == b"1"
    assert (await engine.get(project, "increment")).metadata is None
    assert [row.key for row in (await engine.list(project, limit=10, give=Give.KEYS)).rows] == ["increment"]
    assert (await engine.count(project)).number == 1


async def test_an_entry_written_again_after_its_time_outlives_the_old_expiry(engine, project, let_expire):
    await engine.set(project, NewEntry("k", b"1", ttl_s=60))
    await let_expire(project, "k")
    await engine.set(project, NewEntry("k", b"2"))
    assert await engine.purge(project, budget_s=1)
    assert (await engine.get(project, "k")).value == b"2"
    assert (await engine.count(project)).number == 1


async def test_a_listing_heals_the_indexes(engine, project, store, let_expire):
    await engine.set_many(project, [NewEntry(f"k{i}", b"1", 60) for i in range(20)])
    await let_expire(project, *(f"k{i}" for i in range(1, 19)))
    assert len((await engine.list(project, limit=10, give=Give.METADATA)).rows) == 2
    assert await store.zcard(f"{{{project}}}:idx") == 2
    assert await store.zcard(f"{{{project}}}:exp") == 2


async def test_count_after_a_flood_of_expiries_is_exact_or_says_that_it_is_not(engine, project, let_expire):
    for start in range(0, 5000, 1000):
        await engine.set_many(project, [NewEntry(f"k{i}", b"1", 60) for i in range(start, start + 1000)])
    await engine.set(project, NewEntry("stays", b"1"))
    await let_expire(project, *(f"k{i}" for i in range(5000)))
    count = await engine.count(project)
    assert count.number == 1 if count.exact else count.number >= 1
    while not await engine.purge(project, budget_s=1):
        pass
    count = await engine.count(project)
    assert (count.number, count.exact) == (1, True)


async def test_pages_stay_good_while_entries_are_deleted(engine, project):
    await engine.set_many(project, [NewEntry(f"k{i:02}", b"1") for i in range(20)])
    first = await engine.list(project, limit=5, give=Give.KEYS)
    await engine.delete_many(project, [row.key for row in first.rows])
    second = await engine.list(project, after=first.rows[-1].key, limit=5, give=Give.KEYS)
    assert [row.key for row in second.rows] == [f"k{i:02}" for i in range(5, 10)]


async def test_a_listing_longer_than_one_step_is_whole(engine, project):
    names = [f"k{i:05}" for i in range(3500)]
    for start in range(0, 3500, 1000):
        await engine.set_many(project, [NewEntry(name, b"1") for name in names[start : start + 1000]])
    page = await engine.list(project, limit=3400, give=Give.KEYS)
    assert ([row.key for row in page.rows], page.more) == (names[:3400], True)
    page = await engine.list(project, limit=3500, give=Give.KEYS)
    assert ([row.key for row in page.rows], page.more) == (names, False)


async def test_a_preview_is_cut_and_sizes_are_told(engine, project):
    await engine.set(project, NewEntry("k", b'"' + b"x" * 1000 + b'"', metadata=b'{"m":1}'))
    await engine.set(project, NewEntry("large", b'"' + b"x" * 2_000_000 + b'"'))
    rows = (await engine.list(project, limit=2, give=Give.PREVIEW)).rows
    assert (rows[0].preview, rows[0].size_bytes) == (b'"' + b"x" * 199, 1009)
    assert (rows[1].preview, rows[1].size_bytes) == (b'"' + b"x" * 199, 2_000_002)


async def test_large_values_pass_whole(engine, project):
    value = b'"' + b"abcdefghijk" * 800_000 + b'"'
    await engine.set(project, NewEntry("k", value))
    assert (await engine.get(project, "k")).value == value


async def test_flush_leaves_what_is_written_after_the_call(engine, project):
    for start in range(0, 4000, 1000):
        await engine.set_many(project, [NewEntry(f"old{i}", b"1") for i in range(start, start + 1000)])
    flush = asyncio.create_task(engine.flush(project))
    await asyncio.sleep(0)  # its call is queued before the next write
    await asyncio.sleep(0)
    written = []
    while not flush.done():
        key = f"old{len(written)}z"
        await engine.set(project, NewEntry(key, b"2"))
        written.append(key)
    removed = (await flush).number
    left = {row.key for row in (await engine.list(project, limit=10_000, give=Give.KEYS)).rows}
    # The first write may have come before the flush read the revision; everything after it is newer.
    assert left | {written[0]} == set(written)
    assert removed == 4000 + len(written) - len(left)


async def test_flush_runs_to_its_end_when_the_caller_leaves(engine, project):
    for start in range(0, 4000, 1000):
        await engine.set_many(project, [NewEntry(f"k{i}", b"1") for i in range(start, start + 1000)])
    flush = asyncio.create_task(engine.flush(project))
    await asyncio.sleep(0)
    flush.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flush
    async with asyncio.timeout(60):
        while (await engine.count(project)).number:
            pass


async def test_set_many_is_one_instant(engine, project):
    keys = [f"k{i}" for i in range(200)]
    await engine.set_many(project, [NewEntry(key, b"0") for key in keys])

    async def write() -> None:
        for number in range(1, 30):
            await engine.set_many(project, [NewEntry(key, b"%d" % number) for key in keys])

    writer = asyncio.create_task(write())
    while not writer.done():
        values = {entry.value for entry in await engine.get_many(project, keys)}
        assert len(values) == 1
    await writer


async def test_delete_many_above_a_thousand_removes_all(engine, project):
    keys = [f"k{i}" for i in range(2600)]
    for start in range(0, 2600, 1000):
        await engine.set_many(project, [NewEntry(key, b"1") for key in keys[start : start + 1000]])
    assert (await engine.delete_many(project, [*keys, "never"])).number == 2600
    assert (await engine.count(project)).number == 0


async def test_a_folder_is_counted_whole_however_large(engine, project):
    for start in range(0, 3000, 1000):
        await engine.set_many(project, [NewEntry(f"big:{i}:x", b"1") for i in range(start, start + 1000)])
    await engine.set_many(project, [NewEntry("alone", b"1"), NewEntry("zoo:1", b"1")])
    level = await engine.tree(project, limit=200)
    assert [(folder.name, folder.count) for folder in level.folders] == [("big", 3000), ("zoo", 1)]
    assert level.keys == ("alone",)
    assert (level.total.number, level.last) == (3002, None)


async def test_a_process_too_busy_to_listen_does_not_blame_the_store(engine, project):
    await engine.set(project, NewEntry("k", b"1"))
    read = asyncio.create_task(engine.get(project, "k"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    time.sleep(1.2)  # noqa: ASYNC251 - the loop stands still, as under a long garbage collection
    assert (await read).value == b"1"


async def test_a_prefix_reaches_to_the_last_character_of_unicode(engine, project):
    await engine.set_many(project, [NewEntry(key, b"1") for key in ["a:", "a:\U0010ffff", "a;", "a"]])
    assert (await engine.count(project, "a:")).number == 2
    rows = (await engine.list(project, prefix="a:", limit=9, give=Give.KEYS)).rows
    assert [row.key for row in rows] == ["a:", "a:\U0010ffff"]
    assert (await engine.flush(project, "a:")).number == 2


async def test_counters_tell_what_was_done(engine, project, let_expire):
    await engine.set(project, NewEntry("a", b"12345", metadata=b'{"m":1}'))
    await engine.set(project, NewEntry("a", b"1"), if_absent=True)
    await engine.set_many(project, [NewEntry("b", b"1", 60), NewEntry("c", b"22", 60)])
    await engine.increment(project, "n", 41)
    await engine.expire(project, "a", 60)
    await engine.expire(project, "none", 60)
    await engine.get(project, "a")
    await engine.get_many(project, ["a", "b", "none"])
    await engine.has(project, "none")
    await engine.delete(project, "a")
    await engine.delete(project, "a")
    await engine.delete_many(project, ["n", "none"])
    await let_expire(project, "b", "c")
    await engine.purge(project, budget_s=1)
    stats = await engine.stats(project)
    assert (stats.hits, stats.misses, stats.writes, stats.bytes_written, stats.expired) == (3, 2, 7, 17, 2)
    assert len(stats.a_second) == 60
    async with asyncio.timeout(10):  # the second in which it happened is told once it is over
        while sum((stats := await engine.stats(project)).a_second) < 12:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (stats.recent_hits, stats.recent_misses) == (3, 2)


async def test_a_listing_heals_what_somebody_deleted_by_hand(engine, project, store):
    await engine.set_many(project, [NewEntry(f"k{i}", b"1", 60 if i % 2 else None) for i in range(10)])
    for i in (2, 3):
        await store.delete(f"{{{project}}}:v:k{i}")
    rows = (await engine.list(project, limit=10, give=Give.PREVIEW)).rows
    assert len(rows) == 8
    assert (await engine.count(project)).number == 8
    await store.delete(f"{{{project}}}:v:k4")
    assert not (await engine.delete(project, "k4")).removed
    await store.delete(f"{{{project}}}:v:k5")
    assert (await engine.flush(project)).number == 6
    assert (await engine.count(project)).number == 0
    assert await store.zcard(f"{{{project}}}:exp") == 0


async def test_a_written_over_entry_that_was_lost_is_counted_once(engine, project, store):
    await engine.set(project, NewEntry("k", b"1", 60))
    await store.delete(f"{{{project}}}:v:k")
    await engine.set(project, NewEntry("k", b"2"))
    assert (await engine.count(project)).number == 1
    assert await store.zcard(f"{{{project}}}:exp") == 0


@pytest.mark.parametrize(
    ("stored", "amount", "after"),
    [
        (b"-0", 0, b"0"), (b"0", -1, b"-1"), (b"-1", 1, b"0"), (b"1", -2, b"-1"), (b"-5", 7, b"2"),
        (b"999999999", 1, b"1000000000"), (b"1000000000", -1, b"999999999"), (b"-1000000000", 1, b"-999999999"),
        (b"1000000005", -1000000007, b"-2"), (b"-1000000005", 1000000007, b"2"),
        (b"9007199254740993", 2, b"9007199254740995"),
        (b"9223372036854775806", 1, b"9223372036854775807"),
        (b"-9223372036854775807", -1, b"-9223372036854775808"),
        (b"9223372036854775807", -(2**63), b"-1"), (b"-9223372036854775808", 2**63 - 1, b"-1"),
        (b"9223372036854775807", 1, "counter_overflow"), (b"-9223372036854775808", -1, "counter_overflow"),
        (b"9223372036854775808", 0, "not_an_integer"), (b"-9223372036854775809", 1, "not_an_integer"),
        (b"12345678901234567890123", 1, "not_an_integer"), (b"1.0", 1, "not_an_integer"),
        (b"1e3", 1, "not_an_integer"), (b'"1"', 1, "not_an_integer"), (b"null", 1, "not_an_integer"),
    ],
)  # fmt: skip
async def test_increments_are_exact_to_the_ends_of_int64(engine, project, stored, amount, after):
    await engine.set(project, NewEntry("n", stored, 60, b'{"m":1}'))
    before = await engine.get(project, "n")
    result = await engine.increment(project, "n", amount, ttl_s=5)
    entry = await engine.get(project, "n")
    assert (result.value or result.reason) == after
    assert entry.value == (stored if result.reason else after)
    assert (entry.metadata, entry.expires_at_ms) == (before.metadata, before.expires_at_ms)
    assert (entry.revision == before.revision) == (result.reason is not None)


async def test_metadata_of_four_kib_stays_through_every_verb(engine, project):
    large = b'{"m":"' + b"x" * 4088 + b'"}'
    await engine.set(project, NewEntry("k", b"7", metadata=large))
    await engine.expire(project, "k", 60)
    await engine.increment(project, "k", 1)
    await engine.set(project, NewEntry("k", b"9"), keep_ttl=True)
    entry = await engine.get(project, "k")
    assert (entry.value, entry.metadata) == (b"9", large)
    assert entry.expires_at_ms is not None
    row = (await engine.list(project, limit=1, give=Give.PREVIEW)).rows[0]
    assert (row.preview, row.metadata, row.size_bytes) == (b"9", large, 4097)
    await engine.set(project, NewEntry("k", b"10", metadata=b"{}"))
    assert (await engine.get(project, "k")).metadata is None


async def test_flush_in_steps_goes_on_where_it_was_and_spares_what_is_newer(engine, project):
    await engine.set_many(project, [NewEntry(f"a:{i}", b"1") for i in range(10)])
    await engine.set(project, NewEntry("b", b"1"))
    first = await engine.flush_step(project, "a:", up_to=None, after=None, limit=4)
    assert (first.removed, first.looked_at, first.last) == (4, 4, "a:3")
    await engine.set(project, NewEntry("a:5", b"2"))
    again = await engine.flush_step(project, "a:", up_to=first.up_to, after=None, limit=4)
    assert (again.removed, again.last) == (3, "a:7")
    last = await engine.flush_step(project, "a:", up_to=first.up_to, after=again.last, limit=4)
    assert (last.removed, last.looked_at, last.last) == (2, 2, None)
    assert [row.key for row in (await engine.list(project, limit=9, give=Give.KEYS)).rows] == ["a:5", "b"]
