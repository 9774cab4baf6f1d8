"""POST /v1/cache/set"""

import pytest

from aerodash import keys
from aerodash.auth import Scope
from tests.api.client import ApiClient


async def test_a_write_answers_its_revision_in_body_and_header(api):
    status, body, headers = await api.post("/v1/cache/set", {"key": "k", "value": 1})
    assert (status, set(body)) == (200, {"success", "revision"})
    assert body["success"] is True
    assert headers["x-aerodash-revision"] == body["revision"]


async def test_a_plain_set_clears_the_old_ttl_and_keeps_the_metadata(api):
    await api.post("/v1/cache/set", {"key": "k", "value": 1, "ttl": 60, "metadata": {"m": 1}})
    await api.post("/v1/cache/set", {"key": "k", "value": 2})
    _, body, _ = await api.post("/v1/cache/get", {"key": "k"})
    assert "expiresAt" not in body
    assert (body["value"], body["metadata"]) == (2, {"m": 1})


async def test_empty_metadata_clears_and_null_is_absent(api):
    await api.post("/v1/cache/set", {"key": "k", "value": 1, "metadata": {"m": 1}})
    await api.post("/v1/cache/set", {"key": "k", "value": 1, "metadata": None, "ttl": None})
    assert (await api.post("/v1/cache/get", {"key": "k"})).json["metadata"] == {"m": 1}
    await api.post("/v1/cache/set", b'{"key":"k","value":1,"metadata":{ }}')
    assert "metadata" not in (await api.post("/v1/cache/get", {"key": "k"})).json


async def test_a_refused_condition_is_200_with_the_reason(api):
    missing = {"key": "k", "value": 1, "ifPresent": True}
    assert (await api.post("/v1/cache/set", missing)).json == {"success": False, "reason": "absent"}
    stored = (await api.post("/v1/cache/set", {"key": "k", "value": 1, "ifAbsent": True})).json["revision"]
    again = await api.post("/v1/cache/set", {"key": "k", "value": 2, "ifAbsent": True})
    assert again.status == 200
    assert again.json == {"success": False, "reason": "exists", "revision": stored}
    wrong = (await api.post("/v1/cache/set", {"key": "k", "value": 2, "ifRevision": "0.0"})).json
    assert wrong == {"success": False, "reason": "revision_mismatch", "revision": stored}
    right = (await api.post("/v1/cache/set", {"key": "k", "value": 3, "ifRevision": stored})).json
    assert right["success"] is True
    assert (await api.post("/v1/cache/get", {"key": "k"})).json["value"] == 3


async def test_expiration_ttl_is_another_name_for_ttl(api):
    await api.post("/v1/cache/set", {"key": "k", "value": 1, "expirationTtl": 60.0})
    assert "expiresAt" in (await api.post("/v1/cache/get", {"key": "k"})).json


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ({"ttl": 0}, "invalid_field"),
        ({"ttl": 315_360_001}, "invalid_field"),
        ({"ttl": True}, "invalid_field"),
        ({"ttl": "60"}, "invalid_field"),
        ({"ttl": 1.5}, "invalid_field"),
        ({"ttl": 60, "expirationTtl": 61}, "conflicting_aliases"),
        ({"metadata": "text"}, "invalid_field"),
        ({"metadata": [1]}, "invalid_field"),
        ({"metadata": {"m": "x" * 4096}}, "metadata_too_large"),
        ({"ifAbsent": True, "ifPresent": True}, "conflicting_conditions"),
    ],
)
async def test_a_bad_field_is_refused_and_nothing_is_written(api, extra, reason):
    status, body, _ = await api.post("/v1/cache/set", {"key": "k", "value": 1, **extra})
    assert (status, body["code"], body["details"]["reason"]) == (400, "VALIDATION_ERROR", reason)
    assert (await api.post("/v1/cache/has", {"key": "k"})).json == {"exists": False}


async def test_a_value_is_required(api):
    status, body, _ = await api.post("/v1/cache/set", {"key": "k"})
    assert (status, body["details"]["reason"], body["details"]["field"]) == (400, "missing", "value")


async def test_a_value_over_25_mib_is_refused_and_one_of_25_mib_is_kept(api):
    fits = b'"' + b"x" * (25 * 1024 * 1024 - 2) + b'"'
    assert (await api.post("/v1/cache/set", b'{"key":"k","value":' + fits + b"}")).status == 200
    assert fits in (await api.post("/v1/cache/get", {"key": "k"})).body
    over = await api.post("/v1/cache/set", b'{"key":"k","value":"x' + fits[1:] + b"}")
    assert (over.status, over.json["details"]["reason"]) == (400, "value_too_large")


@pytest.fixture
def reading_api(project) -> ApiClient:
    return ApiClient(keys.mint(project, "reader", [Scope.CACHE_READ])[1])


async def test_a_key_that_may_only_read_is_refused(reading_api):
    status, body, _ = await reading_api.post("/v1/cache/set", {"key": "k", "value": 1})
    assert (status, body["code"]) == (403, "FORBIDDEN")
