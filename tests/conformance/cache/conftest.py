"""The engines that the suite runs against. A new engine is added to ENGINES and must pass unchanged."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import redis.asyncio
from django.conf import settings

from aerodash.ids import ProjectId
from cache_admin.engine.contract import CacheEngine
from cache_admin.engine.valkey import ValkeyCache

ENGINES = ["valkey"]

# Far from the numbers that the database gives: these projects exist in the engine only.
_projects = itertools.count(10_000_000)


def new_project() -> ProjectId:
    return ProjectId(next(_projects))


@pytest.fixture(params=ENGINES)
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[CacheEngine]:
    engine = {"valkey": ValkeyCache}[request.param](settings.VALKEY_URL)
    await engine.open()
    yield engine
    await engine.close()


@pytest.fixture
def project() -> ProjectId:
    return new_project()


@pytest.fixture
async def store() -> AsyncIterator[redis.asyncio.Redis]:
    """The store behind the engine, for what no verb can do: let time pass, look at the indexes."""
    client = redis.asyncio.from_url(settings.VALKEY_URL)
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
            pipe.pexpireat(f"{{{project}}}:e:{key}", 1)
            pipe.zadd(f"{{{project}}}:exp", {key: 1}, xx=True)
        await pipe.execute()
