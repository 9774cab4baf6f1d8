"""Redis over TLS, as a user who may do what the guide lists and nothing else. The rest of the suite runs so as well."""

import asyncio

import pytest
import redis

from aerodash.errors import EngineDown
from cache_admin.engine.contract import NewEntry
from cache_admin.engine.valkey import ValkeyCache
from jobs_admin.engine.wakes import CHANNEL
from tests.cache_servers import Redis

PATIENCE_S = 60


async def until_told(words: str, url: str, project) -> None:
    """Return once callers are told this: on a busy machine the first attempts may end before there is an answer."""
    engine = ValkeyCache(url)
    await engine.open()
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with pytest.raises(EngineDown) as caught:
                    await engine.get(project, "k")
                if caught.value.message == words:
                    return
                await asyncio.sleep(0.02)
    finally:
        await engine.close()


def test_live_updates_and_wakes_pass_and_nothing_else_does(redis_server: Redis):
    with redis.Redis.from_url(redis_server.url) as client, client.pubsub() as listener:
        listener.subscribe(CHANNEL, "aerodash__group__x", "aerodash.specific.y")
        assert client.publish(CHANNEL, "1") == 1
        assert client.publish("aerodash__group__x", "1") == 1
        listener.unsubscribe()
        for refused in (
            lambda: client.publish("others", "1"),
            lambda: client.get("k"),
            lambda: client.keys("*"),
            lambda: client.flushdb(),
            lambda: client.config_set("maxmemory", "1"),
            lambda: client.delete("{1}:idx"),
            lambda: client.script_flush(),
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                refused()


async def test_a_wrong_password_is_told_without_it(redis_server: Redis, project):
    _, _, ending = redis_server.url.partition("@")
    url = f"rediss://aerodash:wrong-secret@{ending}"
    await until_told("Valkey refuses the user or password that AeroDash has.", url, project)


async def test_a_certificate_that_nobody_vouches_for_is_refused(redis_server: Redis, project):
    url, _, _ = redis_server.url.partition("?")
    await until_told("Valkey cannot be reached.", url, project)


async def test_a_right_that_is_missing_is_told_and_passes_once_it_is_given(redis_server: Redis, project):
    engine = ValkeyCache(redis_server.url)
    await engine.open()
    with redis.Redis.from_url(redis_server.admin) as admin:
        await engine.set(project, NewEntry("k", b"1"))
        admin.acl_setuser("aerodash", commands=["-mget"], enabled=True)
        try:
            with pytest.raises(EngineDown) as caught:
                await engine.get(project, "k")
            assert caught.value.reason == "no_permission"
        finally:
            admin.acl_setuser("aerodash", commands=["+mget"], enabled=True)
        assert (await engine.get(project, "k")).value == b"1"
    await engine.close()
