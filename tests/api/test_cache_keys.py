"""POST /v1/cache/keys"""


async def test_keys_of_a_prefix_in_byte_order(api):
    await api.post("/v1/cache/setMany", {"entries": {"s:b": 1, "s:a": 1, "s;": 1, "r": 1, "s:é": 1}})
    status, body, _ = await api.post("/v1/cache/keys", {"prefix": "s:"})
    assert (status, body) == (200, {"keys": ["s:a", "s:b", "s:é"], "truncated": False})


async def test_a_truncated_answer_has_a_cursor_that_goes_on(api):
    await api.post("/v1/cache/setMany", {"entries": {f"k{i}": 1 for i in range(5)}})
    first = (await api.post("/v1/cache/keys", {"limit": 3})).json
    assert (first["keys"], first["truncated"]) == (["k0", "k1", "k2"], True)
    second = (await api.post("/v1/cache/keys", {"limit": 3, "cursor": first["cursor"]})).json
    assert second == {"keys": ["k3", "k4"], "truncated": False}


async def test_an_empty_project_has_no_keys(api):
    assert (await api.post("/v1/cache/keys", {"prefix": None})).json == {"keys": [], "truncated": False}


async def test_without_a_limit_ten_thousand_come_and_the_rest_is_announced(api):
    for start in range(0, 11_000, 1000):
        await api.post("/v1/cache/setMany", {"entries": {f"k{i:05}": 1 for i in range(start, start + 1000)}})
    body = (await api.post("/v1/cache/keys", {})).json
    assert (len(body["keys"]), body["truncated"]) == (10_000, True)
    rest = (await api.post("/v1/cache/keys", {"cursor": body["cursor"]})).json
    assert (len(rest["keys"]), rest["truncated"]) == (1000, False)
