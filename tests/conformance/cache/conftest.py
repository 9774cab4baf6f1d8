"""The engines that the suite runs against: what VALKEY_URL may name. Each must pass unchanged.

Servers start once a session, when first asked for. Redis has TLS and a user with the least rights; where it cannot be
had its tests fail, rather than skip: what was not tested must not look tested.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

import pytest
import redis.asyncio
from django.conf import settings
from redis.crc import key_slot

from aerodash.errors import EngineDown
from aerodash.ids import ProjectId
from cache_admin.engine.contract import CacheEngine
from cache_admin.engine.valkey import ValkeyCache
from tests import cache_servers

ENGINES = ["valkey", "redis", "cluster"]

# Far from the numbers that the database gives: these projects exist in the engine only.
_projects = itertools.count(10_000_000)


@dataclass(frozen=True)
class Server:
    """url: for an engine. admin: the same with every right. cluster: the cluster, if it is one."""

    url: str
    admin: str = ""
    cluster: cache_servers.Cluster | None = None

    def client(self, project: ProjectId) -> redis.asyncio.Redis:
        """The store itself, in a cluster the node that the project is on, for what an engine does not do."""
        if self.cluster is None:
            return redis.asyncio.from_url(self.admin)
        return redis.asyncio.from_url(self.cluster.owner(key_slot(b"%d" % project)).url)


def new_project() -> ProjectId:
    return ProjectId(next(_projects))


@pytest.fixture(scope="session")
def redis_server() -> Iterator[cache_servers.Redis]:
    with cache_servers.redis_with_tls() as server:
        yield server


@pytest.fixture(scope="session")
def cluster() -> Iterator[cache_servers.Cluster]:
    with cache_servers.cluster() as cluster:
        yield cluster


@pytest.fixture(params=ENGINES)
def server(request: pytest.FixtureRequest) -> Server:
    match request.param:
        case "valkey":
            return Server(settings.VALKEY_URL, settings.VALKEY_URL)
        case "redis":
            found = request.getfixturevalue("redis_server")
            return Server(found.url, found.admin)
        case _:
            found = request.getfixturevalue("cluster")
            return Server(found.url, cluster=found)


@pytest.fixture
async def engine(server: Server) -> AsyncIterator[CacheEngine]:
    engine = ValkeyCache(server.url)
    await engine.open()
    await until_it_answers(engine)
    yield engine
    await engine.close()


async def until_it_answers(engine: CacheEngine) -> None:
    """A busy machine may need more than one attempt to connect."""
    async with asyncio.timeout(60):
        while True:
            try:
                await engine.check()
                await engine.count(ProjectId(1))  # by the other connection
                return
            except EngineDown:
                await asyncio.sleep(0.02)


@pytest.fixture
def project() -> ProjectId:
    return new_project()


@pytest.fixture
async def store(server: Server, project: ProjectId) -> AsyncIterator[redis.asyncio.Redis]:
    """The store behind the engine, for what no verb can do: let time pass, look at the indexes."""
    client = server.client(project)
    yield client
    await client.aclose()


@pytest.fixture
def let_expire(store: redis.asyncio.Redis) -> Callable[..., Awaitable[None]]:
    """Make entries' time be over, as if it had passed: the store drops them, the indexes do not know yet."""

    async def let_expire(project: ProjectId, *keys: str) -> None:
        await pass_time(store, project, keys)

    return let_expire


async def pass_time(store: redis.asyncio.Redis, project: ProjectId, keys: tuple[str, ...]) -> None:
    async with store.pipeline(transaction=True) as pipe:
        for key in keys:
            pipe.pexpireat(f"{{{project}}}:v:{key}", 1)
            pipe.zadd(f"{{{project}}}:exp", {key: 1}, xx=True)
        await pipe.execute()
