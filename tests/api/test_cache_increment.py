"""POST /v1/cache/increment"""

import pytest


async def test_a_counter_starts_at_its_initial_value_and_one(api):
    assert (await api.post("/v1/cache/increment", {"key": "n"})).json == {"value": 1}
    assert (await api.post("/v1/cache/increment", {"key": "n", "amount": -3})).json == {"value": -2}
    made = await api.post("/v1/cache/increment", {"key": "m", "initial_value": 10, "amount": 5})
    assert (made.status, made.json) == (200, {"value": 15})
    assert made.headers["x-aerodash-revision"]


async def test_the_ttl_is_taken_when_the_counter_is_made_and_kept_after(api):
    await api.post("/v1/cache/increment", {"key": "n", "ttl": 60})
    first = (await api.post("/v1/cache/get", {"key": "n"})).json["expiresAt"]
    await api.post("/v1/cache/increment", {"key": "n", "ttl": 3600})
    assert (await api.post("/v1/cache/get", {"key": "n"})).json["expiresAt"] == first


async def test_digits_past_a_doubles_are_exact(api):
    await api.post("/v1/cache/set", b'{"key":"n","value":9007199254740993}')
    assert (
        await api.post("/v1/cache/increment", {"key": "n", "amount": 2})
    ).body == b'{"value":9007199254740995}'


@pytest.mark.parametrize(
    ("stored", "amount", "reason"),
    [
        (b'"5"', 1, "not_an_integer"),
        (b"1.0", 1, "not_an_integer"),
        (b"null", 1, "not_an_integer"),
        (b"9223372036854775808", 1, "not_an_integer"),
        (b"9223372036854775807", 1, "counter_overflow"),
        (b"-9223372036854775808", -1, "counter_overflow"),
    ],
)
async def test_what_cannot_be_counted_is_refused_and_stays(api, stored, amount, reason):
    await api.post("/v1/cache/set", b'{"key":"n","value":' + stored + b"}")
    before = (await api.post("/v1/cache/get", {"key": "n"})).body
    status, body, _ = await api.post("/v1/cache/increment", {"key": "n", "amount": amount})
    assert (status, body["code"], body["details"]["reason"]) == (400, "VALIDATION_ERROR", reason)
    assert (await api.post("/v1/cache/get", {"key": "n"})).body == before


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"amount": 2**63}, "out_of_range"),
        ({"initialValue": -(2**63) - 1}, "out_of_range"),
        ({"amount": 1, "initialValue": 2**63 - 1}, "counter_overflow"),
        ({"amount": True}, "invalid_field"),
        ({"amount": 1.5}, "invalid_field"),
        ({"initialValue": 1, "initial_value": 2}, "conflicting_aliases"),
    ],
)
async def test_a_bad_request_makes_no_counter(api, body, reason):
    status, reply, _ = await api.post("/v1/cache/increment", {"key": "n", **body})
    assert (status, reply["details"]["reason"]) == (400, reason)
    assert (await api.post("/v1/cache/has", {"key": "n"})).json == {"exists": False}
