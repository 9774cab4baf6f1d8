"""The feed's sender: first fact at once, the rest merged, and a lost channel layer that costs no write."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from aerodash.ids import ProjectId
from aerodash.realtime.publish import IDS_MAX, Feed, publish

SHOP, OTHER = ProjectId(1), ProjectId(2)


class Wire:
    """Takes what the feed sends; `lost` makes it fail as a lost Valkey does."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict]] = []
        self.lost = False
        self._came = asyncio.Condition()

    async def send(self, group: str, fact: dict) -> None:
        if self.lost:
            raise RedisConnectionError("away")
        async with self._came:
            self.sent.append((group, fact))
            self._came.notify_all()

    @property
    def facts(self) -> list[dict]:
        return [fact for _, fact in self.sent]

    async def until(self, count: int) -> None:
        async with asyncio.timeout(30), self._came:
            await self._came.wait_for(lambda: len(self.sent) >= count)


@contextlib.asynccontextmanager
async def opened(wire: Wire, interval_s: float = 0.05) -> AsyncIterator[Feed]:
    feed = Feed(wire.send, interval_s=interval_s, retry_s=0.01)
    await feed.open()
    try:
        yield feed
    finally:
        await feed.close()


async def test_first_fact_leaves_at_once() -> None:
    wire = Wire()
    async with opened(wire, interval_s=60) as feed:
        feed.publish(SHOP, "jobs", ["a"])
        await wire.until(1)

    group, fact = wire.sent[0]
    assert group == "project.1.jobs"
    assert (fact["type"], fact["topic"], fact["ids"], fact["seq"]) == ("change", "jobs", ["a"], 1)


async def test_facts_of_the_interval_are_merged_into_one() -> None:
    wire = Wire()
    async with opened(wire) as feed:
        feed.publish(SHOP, "jobs", ["a"])
        await wire.until(1)
        for job_id in ("b", "c", "b"):
            feed.publish(SHOP, "jobs", [job_id])
        assert len(wire.sent) == 1
        await wire.until(2)

    assert [fact["ids"] for fact in wire.facts] == [["a"], ["b", "c"]]
    assert [fact["seq"] for fact in wire.facts] == [1, 2]


async def test_projects_and_topics_do_not_wait_for_each_other() -> None:
    wire = Wire()
    async with opened(wire, interval_s=60) as feed:
        feed.publish(SHOP, "jobs", ["a"])
        feed.publish(SHOP, "cache", ["k"])
        feed.publish(OTHER, "jobs", ["b"])
        await wire.until(3)

    assert {group for group, _ in wire.sent} == {"project.1.jobs", "project.1.cache", "project.2.jobs"}
    assert {fact["seq"] for fact in wire.facts} == {1}


async def test_too_many_ids_become_many_and_so_does_no_id() -> None:
    wire = Wire()
    async with opened(wire) as feed:
        feed.publish(SHOP, "jobs", [str(number) for number in range(IDS_MAX + 1)])
        await wire.until(1)
        feed.publish(SHOP, "jobs", ["a"])
        feed.publish(SHOP, "jobs")
        await wire.until(2)

    assert [fact["ids"] for fact in wire.facts] == ["many", "many"]


async def test_lost_channel_layer_is_logged_once_and_caught_up_by_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    wire = Wire()
    async with opened(wire, interval_s=0.001) as feed:
        wire.lost = True
        with caplog.at_level(logging.WARNING):
            for job_id in ("a", "b"):
                feed.publish(SHOP, "jobs", [job_id])
                await asyncio.sleep(0.02)
            assert feed.degraded
            wire.lost = False
            await wire.until(1)

    assert not feed.degraded
    assert wire.facts[0]["ids"] == "many"
    assert wire.facts[0]["seq"] > 1
    assert [record.message.split(",")[0] for record in caplog.records] == [
        "Live updates are interrupted",
        "Live updates are back.",
    ]


async def test_close_does_not_wait_for_a_lost_channel_layer() -> None:
    wire = Wire()
    wire.lost = True
    feed = Feed(wire.send, interval_s=0.001, retry_s=60)
    await feed.open()
    feed.publish(SHOP, "jobs", ["a"])
    await asyncio.sleep(0.01)

    await asyncio.wait_for(feed.close(), 30)

    assert wire.sent == []


async def test_close_sends_what_waits() -> None:
    wire = Wire()
    feed = Feed(wire.send, interval_s=60)
    await feed.open()
    feed.publish(SHOP, "jobs", ["a"])
    await wire.until(1)
    feed.publish(SHOP, "jobs", ["b"])

    await asyncio.wait_for(feed.close(), 30)

    assert [fact["ids"] for fact in wire.facts] == [["a"], ["b"]]


async def test_publish_from_another_thread_arrives() -> None:
    wire = Wire()
    async with opened(wire) as feed:
        await asyncio.to_thread(feed.publish, SHOP, "jobs", ["a"])
        await wire.until(1)

    assert wire.facts[0]["ids"] == ["a"]


def test_publish_without_an_engine_loop_is_no_error() -> None:
    from aerodash import engines

    with engines.replaced("feed", None):
        publish(SHOP, "jobs", ["a"])
