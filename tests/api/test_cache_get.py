"""POST /v1/cache/get"""

import re

import pytest


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
