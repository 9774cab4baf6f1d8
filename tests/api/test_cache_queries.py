"""What the console's pages read: entries by page in both directions, the tree, counts; and the keeper's purge."""

import pytest
import redis
from django.conf import settings

from aerodash.errors import InvalidInput
from cache_admin import keeper, queries, services


async def fill(project_id, actor, *keys: str) -> None:
    await services.set_many(project_id, actor, entries=[(key, b'"v"', None, None) for key in keys])


def keys_of(page: queries.EntryPage) -> list[str]:
    return [row.key for row in page.entries]


async def test_entries_page_forth_and_back(project_id, actor):
    await fill(project_id, actor, *(f"k{i}" for i in range(7)))
    first = await queries.list_entries(project_id, actor, limit=3)
    assert (keys_of(first), first.previous_cursor) == (["k0", "k1", "k2"], None)
    second = await queries.list_entries(project_id, actor, limit=3, cursor=first.next_cursor)
    assert keys_of(second) == ["k3", "k4", "k5"]
    third = await queries.list_entries(project_id, actor, limit=3, cursor=second.next_cursor)
    assert (keys_of(third), third.next_cursor) == (["k6"], None)
    back = await queries.list_entries(project_id, actor, limit=3, cursor=third.previous_cursor, reverse=True)
    assert keys_of(back) == ["k3", "k4", "k5"]
    assert back.next_cursor == second.next_cursor
    start = await queries.list_entries(project_id, actor, limit=3, cursor=back.previous_cursor, reverse=True)
    assert (keys_of(start), start.previous_cursor) == (["k0", "k1", "k2"], None)


async def test_going_back_before_what_was_deleted_shows_the_first_page(project_id, actor):
    await fill(project_id, actor, *(f"k{i}" for i in range(6)))
    first = await queries.list_entries(project_id, actor, limit=3)
    second = await queries.list_entries(project_id, actor, limit=3, cursor=first.next_cursor)
    await services.delete_many(project_id, actor, keys=["k0", "k1", "k2"])
    page = await queries.list_entries(project_id, actor, limit=3, cursor=second.previous_cursor, reverse=True)
    assert (keys_of(page), page.previous_cursor, page.next_cursor) == (["k3", "k4", "k5"], None, None)


async def test_an_empty_last_page_leads_back(project_id, actor):
    await fill(project_id, actor, *(f"k{i}" for i in range(4)))
    first = await queries.list_entries(project_id, actor, limit=3)
    await services.delete(project_id, actor, key="k3")
    page = await queries.list_entries(project_id, actor, limit=3, cursor=first.next_cursor)
    assert keys_of(page) == []
    back = await queries.list_entries(project_id, actor, limit=3, cursor=page.previous_cursor, reverse=True)
    assert keys_of(back) == ["k0", "k1"]  # what lies before the cursor, which names k2


async def test_tree_pages_and_totals(project_id, actor):
    await fill(project_id, actor, "user:1:a", "user:1:b", "user:2", "order:9", "alone", "user", "zed")
    top = await queries.tree(project_id, actor)
    assert [(f.prefix, f.name, f.count) for f in top.folders] == [
        ("order:", "order", 1),
        ("user:", "user", 3),
    ]
    assert (top.keys, top.after) == (("alone", "user", "zed"), None)
    assert (top.total.number, top.total.exact) == (7, True)
    page = await queries.tree(project_id, actor, limit=2)
    assert ([f.name for f in page.folders], page.keys) == (["order"], ("alone",))
    rest = await queries.tree(project_id, actor, limit=200, after=page.after)
    assert ([f.name for f in rest.folders], rest.keys, rest.after) == (["user"], ("user", "zed"), None)
    below = await queries.tree(project_id, actor, prefix="user:")
    assert [(f.prefix, f.name, f.count) for f in below.folders] == [("user:1:", "1", 2)]
    assert (below.keys, below.total.number) == (("user:2",), 3)


async def test_counts_by_prefix(project_id, actor):
    await fill(project_id, actor, "a:1", "a:2", "a;", "b")
    for prefix, number in [("", 4), ("a", 3), ("a:", 2), ("none", 0)]:
        count = await queries.count(project_id, actor, prefix=prefix)
        assert (count.number, count.exact) == (number, True)


async def test_a_cursor_of_another_prefix_is_refused(project_id, actor):
    await fill(project_id, actor, "a:1", "a:2", "b")
    cursor = (await queries.list_entries(project_id, actor, prefix="a:", limit=1)).next_cursor
    with pytest.raises(InvalidInput):
        await queries.list_entries(project_id, actor, prefix="b", cursor=cursor)


async def test_the_keeper_takes_expired_keys_out_of_every_project(project_id, actor):
    await services.set_entry(project_id, actor, key="k", value=b"1", ttl_s=60)
    with redis.Redis.from_url(settings.VALKEY_URL) as store:
        store.pexpireat(f"{{{project_id}}}:v:k", 1)
        store.zadd(f"{{{project_id}}}:exp", {"k": 1})
        assert store.zcard(f"{{{project_id}}}:idx") == 1
        assert "cache.purge_due" in [task[0] for task in keeper.TASKS]
        assert await keeper.TASKS[0][2]() is True
        assert store.zcard(f"{{{project_id}}}:idx") == 0
        assert store.zcard(f"{{{project_id}}}:exp") == 0
