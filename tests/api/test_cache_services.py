"""What every door to the cache's writes shares: rights, bounds, change facts, the kept ttl."""

import asyncio

import pytest
from channels.layers import get_channel_layer

from aerodash.errors import InvalidInput, NotAllowed
from aerodash.realtime import topics
from cache_admin import queries, services


@pytest.fixture
async def facts(project_id):
    """Waits for the next change fact of a topic."""
    layer = get_channel_layer()
    channels = {}
    for topic in (topics.CACHE, topics.FLAGS):
        channels[topic] = await layer.new_channel()
        await layer.group_add(topics.group(project_id, topic), channels[topic])

    async def next_fact(topic: str) -> dict:
        return await asyncio.wait_for(layer.receive(channels[topic]), 60)

    return next_fact


WRITES = {
    "set_entry": {"key": "k", "value": b"1"},
    "set_many": {"entries": [("k", b"1", None, None)]},
    "delete": {"key": "k"},
    "delete_many": {"keys": ["k"]},
    "expire": {"key": "k", "ttl_s": 1},
    "increment": {"key": "k"},
    "flush": {},
}


@pytest.mark.parametrize("verb", WRITES)
async def test_a_reader_may_not_write(project_id, reader, verb):
    with pytest.raises(NotAllowed):
        await getattr(services, verb)(project_id, reader, **WRITES[verb])


async def test_a_write_tells_the_pages_which_key_changed(project_id, actor, facts):
    await services.set_entry(project_id, actor, key="a:1", value=b"1")
    assert (await facts(topics.CACHE))["ids"] == ["a:1"]


@pytest.mark.parametrize("verb", ["set_entry", "set_many", "expire", "increment", "delete", "delete_many"])
async def test_every_write_to_a_flag_key_tells_the_flags_page(project_id, actor, facts, verb):
    await services.set_entry(project_id, actor, key="flag:new-ui", value=b"1")
    await facts(topics.FLAGS)
    arguments = {
        "set_entry": {"key": "flag:new-ui", "value": b"2"},
        "set_many": {"entries": [("other", b"1", None, None), ("flag:new-ui", b"1", None, None)]},
        "expire": {"key": "flag:new-ui", "ttl_s": 60},
        "increment": {"key": "flag:new-ui"},
        "delete": {"key": "flag:new-ui"},
        "delete_many": {"keys": ["other", "flag:new-ui"]},
    }[verb]
    await getattr(services, verb)(project_id, actor, **arguments)
    assert (await facts(topics.FLAGS))["ids"] == ["flag:new-ui"]


@pytest.mark.parametrize("prefix", [None, "fl", "flag:", "flag:new"])
async def test_a_flush_that_may_reach_flags_tells_both_pages_that_many_changed(
    project_id, actor, facts, prefix
):
    await services.set_entry(project_id, actor, key="flag:new-ui", value=b"1")
    await facts(topics.FLAGS)
    await facts(topics.CACHE)
    assert (await services.flush(project_id, actor, prefix=prefix)).number == 1
    assert (await facts(topics.FLAGS))["ids"] == "many"
    assert (await facts(topics.CACHE))["ids"] == "many"


async def test_a_write_of_more_than_a_hundred_keys_names_none(project_id, actor, facts):
    await services.set_many(project_id, actor, entries=[(f"k{i}", b"1", None, None) for i in range(101)])
    assert (await facts(topics.CACHE))["ids"] == "many"


async def test_a_save_from_the_console_keeps_the_ttl(project_id, actor):
    await services.set_entry(project_id, actor, key="k", value=b"1", ttl_s=60)
    before = await queries.get(project_id, actor, key="k")
    await services.set_entry(project_id, actor, key="k", value=b"2", keep_ttl=True)
    after = await queries.get(project_id, actor, key="k")
    assert (after.value, after.expires_at_ms) == (b"2", before.expires_at_ms)


@pytest.mark.parametrize("text", [b"", b"{", b"NaN", b"'a'", b"1 2", b'"\xff"', b'"\\ud800"', b"1e999"])
async def test_text_that_is_no_json_is_refused_at_every_door(project_id, actor, text):
    with pytest.raises(InvalidInput) as caught:
        await services.set_entry(project_id, actor, key="k", value=text)
    assert caught.value.details["field"] == "value"
    assert not await queries.has(project_id, actor, key="k")


async def test_space_around_a_value_is_not_kept(project_id, actor):
    await services.set_entry(project_id, actor, key="n", value=b" 41\n")
    assert (await services.increment(project_id, actor, key="n")).value == b"42"


async def test_a_lone_surrogate_is_no_key(project_id, actor):
    with pytest.raises(InvalidInput):
        await queries.get(project_id, actor, key="\ud800")
