"""POST /v1/cache/flush"""


async def test_a_prefix_is_flushed_and_the_rest_stays(api):
    await api.post(
        "/v1/cache/setMany", {"entries": {"s:1": 1, "s:2": 1, "s;": 1, "flag:x": {"enabled": True}}}
    )
    status, body, headers = await api.post("/v1/cache/flush", {"prefix": "s:"})
    assert (status, body) == (200, {"success": True, "deleted": 2})
    assert headers["x-aerodash-revision"]
    assert (await api.post("/v1/cache/keys", {})).json["keys"] == ["flag:x", "s;"]


async def test_without_a_prefix_everything_goes_flags_too(api):
    await api.post("/v1/cache/setMany", {"entries": {"a": 1, "flag:x": {"enabled": True}}})
    assert (await api.post("/v1/cache/flush", {})).json == {"success": True, "deleted": 2}
    assert (await api.post("/v1/cache/flush", {"prefix": None})).json == {"success": True, "deleted": 0}
