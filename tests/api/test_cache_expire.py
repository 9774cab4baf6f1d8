"""POST /v1/cache/expire"""

import pytest


async def test_a_ttl_is_given_and_taken_and_nothing_else_changes(api):
    await api.post("/v1/cache/set", {"key": "k", "value": {"a": 1}, "metadata": {"m": 1}})
    status, body, headers = await api.post("/v1/cache/expire", {"key": "k", "ttl": 60})
    assert (status, body) == (200, {"success": True})
    assert headers["x-aerodash-revision"]
    entry = (await api.post("/v1/cache/get", {"key": "k"})).json
    assert (entry["value"], entry["metadata"], "expiresAt" in entry) == ({"a": 1}, {"m": 1}, True)
    assert (await api.post("/v1/cache/expire", {"key": "k", "ttl": None})).json == {"success": True}
    assert "expiresAt" not in (await api.post("/v1/cache/get", {"key": "k"})).json


async def test_a_missing_key_is_200_with_false(api):
    status, body, _ = await api.post("/v1/cache/expire", {"key": "never", "ttl": 60})
    assert (status, body) == (200, {"success": False})


@pytest.mark.parametrize("body", [{"key": "k"}, {"key": "k", "ttl": 0}, {"key": "k", "ttl": "60"}])
async def test_a_bad_ttl_is_refused(api, body):
    status, reply, _ = await api.post("/v1/cache/expire", body)
    assert (status, reply["details"]["field"]) == (400, "ttl")
