"""POST /v1/cache/get"""

import re

import pytest

from cache_admin import api as cache_api
from cache_admin import queries


async def test_a_stored_value_comes_back_as_it_was_written(api):
    body = b'{"key":"k","value":{ "n": 1.50, "big":123456789012345678901234567890, "s":"\\u00e9" }}'
    await api.post("/v1/cache/set", body)
    reply = await api.post("/v1/cache/get", {"key": "k"})
    assert reply.status == 200
    assert b'"value":{ "n": 1.50, "big":123456789012345678901234567890, "s":"\\u00e9" }' in reply.body
    assert reply.json["exists"] is True
    assert set(reply.json) == {"value", "exists", "revision"}


async def test_a_miss_is_200_with_null_and_nothing_else(api):
    status, body, _ = await api.post("/v1/cache/get", {"key": "missing"})
    assert (status, body) == (200, {"value": None, "exists": False})


async def test_a_stored_null_exists(api):
    await api.post("/v1/cache/set", {"key": "k", "value": None})
    _, body, _ = await api.post("/v1/cache/get", {"key": "k"})
    assert (body["value"], body["exists"]) == (None, True)


async def test_metadata_and_expiry_come_along(api):
    await api.post("/v1/cache/set", {"key": "k", "value": 1, "ttl": 60, "metadata": {"userId": "123"}})
    _, body, headers = await api.post("/v1/cache/get", {"key": "k"})
    assert body["metadata"] == {"userId": "123"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["expiresAt"])
    assert headers["x-aerodash-revision"] == body["revision"]


async def test_any_character_may_stand_in_a_key(api):
    for key in ["a/b c", "\x00", "😀", "é" * 512, '"\\']:
        await api.post("/v1/cache/set", {"key": key, "value": key})
        _, body, _ = await api.post("/v1/cache/get", {"key": key})
        assert body["value"] == key


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "key"),
        ({"key": None}, "key"),
        ({"key": 5}, "key"),
        ({"key": ""}, "key"),
        ({"key": "x" * 1025}, "key"),
        ({"key": "é" * 513}, "key"),
    ],
)
async def test_a_bad_key_is_refused(api, body, field):
    status, reply, _ = await api.post("/v1/cache/get", body)
    assert (status, reply["code"], reply["details"]["field"]) == (400, "VALIDATION_ERROR", field)


async def test_with_ttl_says_how_many_seconds_are_left(lane):
    await lane.post("/v1/cache/set", {"key": "k", "value": 1, "ttl": 3600})
    for name in ("withTtl", "with_ttl"):
        body = (await lane.post("/v1/cache/get", {"key": "k", name: True})).json
        assert set(body) == {"value", "exists", "expiresAt", "ttl", "revision"}
        assert 3500 < body["ttl"] <= 3600
        assert type(body["ttl"]) is int
    assert "ttl" not in (await lane.post("/v1/cache/get", {"key": "k"})).json
    assert "ttl" not in (await lane.post("/v1/cache/get", {"key": "k", "withTtl": False})).json


async def test_with_ttl_of_what_never_expires_or_is_not_there_there_is_none(lane):
    await lane.post("/v1/cache/set", {"key": "k", "value": 1})
    assert "ttl" not in (await lane.post("/v1/cache/get", {"key": "k", "withTtl": True})).json
    miss = (await lane.post("/v1/cache/get", {"key": "none", "withTtl": True})).json
    assert miss == {"value": None, "exists": False}


@pytest.mark.parametrize(
    ("now_ms", "left"), [(1000, 4), (1001, 4), (1999, 4), (2000, 3), (4999, 1), (5000, 1), (9000, 1)]
)
async def test_a_begun_second_counts_and_the_last_one_is_one(monkeypatch, now_ms, left):
    async def now() -> int:
        return now_ms

    monkeypatch.setattr(queries, "now_ms", now)
    assert await cache_api._seconds_left(5000) == left
