"""POST /v1/cache/has"""


async def test_has_tells_a_stored_null_from_a_miss(api):
    await api.post("/v1/cache/set", {"key": "k", "value": None})
    assert (await api.post("/v1/cache/has", {"key": "k"})).json == {"exists": True}
    assert (await api.post("/v1/cache/has", {"key": "other"})).json == {"exists": False}
