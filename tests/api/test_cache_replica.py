"""Reads that a replica answers, through the API: what a caller's X-Aerodash-Revision is for."""

import asyncio
from collections.abc import Iterator

import pytest

from aerodash import engines
from cache_admin.engine.valkey import ValkeyCache
from tests import cache_servers
from tests.cache_servers import Process

PATIENCE_S = 60


@pytest.fixture
def replica() -> Iterator[Process]:
    """A replica whose primary and itself are this process's cache meanwhile."""
    with (
        cache_servers.valkey("--repl-diskless-sync-delay", "0") as primary,
        cache_servers.valkey() as replica,
    ):
        cache_servers.follow(primary, replica)
        engine = ValkeyCache(primary.url, replica_url=replica.url)
        engines.run(engine.open())
        with engines.replaced("cache", engine):
            yield replica
        engines.run(engine.close())


async def test_a_caller_reads_its_own_writes_by_header(api, replica):
    async def value(**headers: str) -> object:
        return (await api.post("/v1/cache/get", {"key": "k"}, headers=headers)).json["value"]

    old = await api.post("/v1/cache/set", {"key": "k", "value": "old"})
    async with asyncio.timeout(PATIENCE_S):
        while engines.get("cache")._replica.served == 0 or await value() != "old":
            await value()
    cache_servers.hold_back(replica)
    new = await api.post("/v1/cache/set", {"key": "k", "value": "new"})
    seen = {"X-Aerodash-Revision": new.headers["x-aerodash-revision"]}
    assert await value() == "old", "the replica answers who does not say what they have seen"
    assert await value(**seen) == "new"
    many = await api.post("/v1/cache/getMany", {"keys": ["k"]}, headers=seen)
    assert many.json["values"] == {"k": "new"}
    assert await value(**{"X-Aerodash-Revision": old.headers["x-aerodash-revision"]}) == "old"
    assert await value(**{"X-Aerodash-Revision": "nonsense"}) == "new"

    ready = await api.request("GET", "/readyz")
    assert ready.status == 200
    told = ready.json["replicas"]["cache"]
    assert (told["answers"], told["follows"], told["behind"]) == (True, False, 3)
    assert told["lagBytes"] > 0


async def test_the_console_and_has_ask_the_primary(api, replica, actor, project_id):
    from cache_admin import queries

    cache_servers.hold_back(replica)
    await api.post("/v1/cache/set", {"key": "fresh", "value": 1})
    assert (await api.post("/v1/cache/has", {"key": "fresh"})).json["exists"] is True
    assert (await queries.get(project_id, actor, key="fresh")).value == b"1"
