"""POST /v1/cache/setMany"""

import pytest


async def test_a_list_of_entries_each_with_its_own_ttl_and_metadata(api):
    entries = [{"key": "a", "value": None, "ttl": 60}, {"key": "b", "value": "é", "metadata": {"m": 1}}]
    status, body, headers = await api.post("/v1/cache/setMany", {"entries": entries})
    assert (status, body) == (200, {"success": True, "count": 2})
    a = (await api.post("/v1/cache/get", {"key": "a"})).json
    b = (await api.post("/v1/cache/get", {"key": "b"})).json
    assert (a["value"], "expiresAt" in a) == (None, True)
    assert (b["value"], b["metadata"], "expiresAt" in b) == ("é", {"m": 1}, False)
    assert a["revision"] == b["revision"] == headers["x-aerodash-revision"]


async def test_an_object_of_values_takes_the_top_level_ttl_and_metadata(api):
    body = b'{"entries":{"a":1.50,"b":{"x": 1}},"ttl":60,"metadata":{"m":1}}'
    assert (await api.post("/v1/cache/setMany", body)).json == {"success": True, "count": 2}
    reply = await api.post("/v1/cache/get", {"key": "a"})
    assert b'"value":1.50' in reply.body
    assert (reply.json["metadata"], "expiresAt" in reply.json) == ({"m": 1}, True)


async def test_aliases_and_unknown_fields_work_inside_entries(api):
    await api.post(
        "/v1/cache/setMany", {"entries": [{"key": "a", "value": 1, "expirationTtl": 60.0, "color": "red"}]}
    )
    assert "expiresAt" in (await api.post("/v1/cache/get", {"key": "a"})).json


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"key": "", "value": 1}, "entries[1].key"),
        ({"key": "b"}, "entries[1].value"),
        ({"key": "b", "value": 1, "ttl": 0}, "entries[1].ttl"),
        ({"key": "b", "value": 1, "metadata": 5}, "entries[1].metadata"),
    ],
)
async def test_one_bad_entry_writes_none(api, bad, field):
    status, body, _ = await api.post("/v1/cache/setMany", {"entries": [{"key": "a", "value": 1}, bad]})
    assert (status, body["details"]["field"]) == (400, field)
    assert (await api.post("/v1/cache/has", {"key": "a"})).json == {"exists": False}


async def test_more_than_a_thousand_are_refused(api):
    status, body, _ = await api.post("/v1/cache/setMany", {"entries": {f"k{i}": i for i in range(1001)}})
    assert (status, body["details"]["reason"]) == (400, "too_many")
