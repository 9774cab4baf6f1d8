"""POST /v1/cache/getMany"""

from aerodash import limits


async def test_results_are_in_request_order_with_misses_and_values_by_key(api):
    await api.post("/v1/cache/set", {"key": "a", "value": {"n": 1}})
    await api.post("/v1/cache/set", {"key": "b", "value": None})
    status, body, _ = await api.post("/v1/cache/getMany", {"keys": ["b", "miss", "a", "b"]})
    assert status == 200
    assert body["results"] == [
        {"key": "b", "value": None, "exists": True},
        {"key": "miss", "value": None, "exists": False},
        {"key": "a", "value": {"n": 1}, "exists": True},
        {"key": "b", "value": None, "exists": True},
    ]
    assert body["values"] == {"b": None, "miss": None, "a": {"n": 1}}


async def test_no_keys_is_no_results(api):
    assert (await api.post("/v1/cache/getMany", {"keys": []})).json == {"results": [], "values": {}}


async def test_a_thousand_keys_are_read_and_one_more_is_refused(api):
    keys = [f"k{i}" for i in range(1000)]
    assert len((await api.post("/v1/cache/getMany", {"keys": keys})).json["results"]) == 1000
    status, body, _ = await api.post("/v1/cache/getMany", {"keys": [*keys, "x"]})
    assert (status, body["details"]["reason"], body["details"]["limit"]) == (400, "too_many", 1000)


async def test_a_bad_key_among_them_is_named(api):
    status, body, _ = await api.post("/v1/cache/getMany", {"keys": ["a", ""]})
    assert (status, body["details"]["field"]) == (400, "keys[1]")


async def test_more_value_than_an_answer_should_hold_is_refused(api, monkeypatch):
    monkeypatch.setattr(limits, "GET_MANY_BYTES", 1000)
    await api.post("/v1/cache/set", {"key": "a", "value": "x" * 398})
    assert (await api.post("/v1/cache/getMany", {"keys": ["a", "a"]})).status == 200
    status, body, _ = await api.post("/v1/cache/getMany", {"keys": ["a", "a", "a"]})
    assert (status, body["details"]) == (400, {"reason": "reply_too_large", "field": "keys", "limit": 1000})
