"""POST /v1/cache/list"""

import pytest


async def test_an_entry_is_listed_with_name_expiry_and_metadata(api):
    await api.post("/v1/cache/set", {"key": "s:1", "value": 1, "ttl": 3600, "metadata": {"userId": "7"}})
    await api.post("/v1/cache/set", {"key": "s:2", "value": 1})
    status, body, _ = await api.post("/v1/cache/list", {"prefix": "s:"})
    assert (status, set(body), body["list_complete"]) == (200, {"keys", "list_complete"}, True)
    first, second = body["keys"]
    expires_at = (await api.post("/v1/cache/get", {"key": "s:1"})).json["expiresAt"]
    assert set(first) == {"key", "name", "expiration", "metadata", "expiresAt"}
    assert (first["key"], first["name"], first["metadata"]) == ("s:1", "s:1", {"userId": "7"})
    assert type(first["expiration"]) is int
    assert first["expiresAt"] == expires_at
    assert second == {"key": "s:2", "name": "s:2"}


async def test_an_expiry_past_2038_is_in_expires_at_alone(api):
    """The clock of this test runs in 2026 or later: ten years, or twelve by renewal, are past the int32 end in 2038."""
    from cache_admin.api import EXPIRATION_MAX, _instant, _unix_seconds

    assert _unix_seconds(EXPIRATION_MAX * 1000 + 999) == EXPIRATION_MAX
    assert not _unix_seconds((EXPIRATION_MAX + 1) * 1000)
    assert _instant((EXPIRATION_MAX + 1) * 1000) == "2038-01-19T03:14:08.000Z"


async def test_pages_follow_the_cursor_in_byte_order_also_when_entries_go(api):
    names = sorted(["a", "b", "é", "z", "\uffff", "😀", "\x00"], key=str.encode)
    await api.post("/v1/cache/setMany", {"entries": dict.fromkeys(names, 1)})
    seen, cursor = [], None
    while True:
        body = (await api.post("/v1/cache/list", {"limit": 2, "cursor": cursor})).json
        seen += [item["key"] for item in body["keys"]]
        assert body["list_complete"] is ("cursor" not in body)
        if body["list_complete"]:
            break
        cursor = body["cursor"]
        assert isinstance(cursor, str)
        await api.post("/v1/cache/delete", {"key": body["keys"][-1]["key"]})
    assert seen == names


@pytest.mark.parametrize("limit", [0, 1001, "5", True, 1.5])
async def test_a_limit_out_of_bounds_is_refused(api, limit):
    status, body, _ = await api.post("/v1/cache/list", {"limit": limit})
    assert (status, body["details"]["field"]) == (400, "limit")


@pytest.mark.parametrize("cursor", ["!", "é", "Zm9v"])
async def test_a_cursor_that_no_page_of_this_prefix_gave_is_refused(api, cursor):
    status, body, _ = await api.post("/v1/cache/list", {"prefix": "s:", "cursor": cursor})
    assert (status, body["details"]["reason"]) == (400, "invalid_cursor")
