"""POST /v1/cache/deleteMany"""


async def test_count_is_what_was_asked_and_deleted_what_was_there(api):
    await api.post("/v1/cache/setMany", {"entries": {"a": 1, "b": 2, "c": 3}})
    status, body, headers = await api.post("/v1/cache/deleteMany", {"keys": ["a", "b", "never"]})
    assert (status, body) == (200, {"success": True, "count": 3, "deleted": 2})
    assert headers["x-aerodash-revision"]
    assert (await api.post("/v1/cache/keys", {})).json["keys"] == ["c"]


async def test_ten_thousand_keys_are_taken_and_one_more_is_refused(api):
    await api.post("/v1/cache/setMany", {"entries": {f"k{i}": i for i in range(1000)}})
    keys = [f"k{i}" for i in range(10_000)]
    assert (await api.post("/v1/cache/deleteMany", {"keys": keys})).json["deleted"] == 1000
    status, body, _ = await api.post("/v1/cache/deleteMany", {"keys": [*keys, "x"]})
    assert (status, body["details"]["reason"]) == (400, "too_many")
