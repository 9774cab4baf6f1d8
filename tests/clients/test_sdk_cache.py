"""Our Python client's cache verbs against the live server."""

from datetime import UTC, datetime, timedelta

import pytest
from aerodash_sdk import Client
from aerodash_sdk.core.errors import InvalidInput, NotAuthenticated


def test_values_come_back_as_they_went(client: Client) -> None:
    for value in ({"name": "Zoë", "n": 10**30, "x": [None, True, 1.5]}, "text", 0, False, None, []):
        client.cache.set("value", value)
        assert client.cache.get("value") == value
        assert client.cache.has("value")


def test_missing_key_is_none(client: Client) -> None:
    assert client.cache.get("nobody") is None
    assert client.cache.get_entry("nobody") is None
    assert not client.cache.has("nobody")
    assert not client.cache.expire("nobody", 60)
    client.cache.delete("nobody")


def test_entry_has_metadata_expiry_and_revision(client: Client) -> None:
    client.cache.set("session:1", {"user": 1}, ttl=60, metadata={"device": "mobile"})
    entry = client.cache.get_entry("session:1")
    assert entry.metadata == {"device": "mobile"}
    assert timedelta(seconds=50) < entry.expires_at - datetime.now(UTC) <= timedelta(seconds=61)
    assert entry.revision
    client.cache.expire("session:1", None)
    assert client.cache.get_entry("session:1").expires_at is None


def test_set_without_metadata_keeps_it_and_an_empty_one_clears_it(client: Client) -> None:
    client.cache.set("session:1", 1, metadata={"device": "mobile"})
    client.cache.set("session:1", 2)
    assert client.cache.get_entry("session:1").metadata == {"device": "mobile"}
    client.cache.set("session:1", 3, metadata={})
    assert not client.cache.get_entry("session:1").metadata


def test_many_keys_in_one_call(client: Client) -> None:
    client.cache.set_many({"user:1": "Alice", "user:2": None}, ttl=60)
    assert client.cache.get_many(["user:1", "user:2", "user:3"]) == {
        "user:1": "Alice",
        "user:2": None,
        "user:3": None,
    }
    assert client.cache.get_entry("user:1").expires_at is not None
    assert client.cache.delete_many(["user:1", "user:3"]) == 1
    assert client.cache.keys() == ["user:2"]


def test_listing_goes_through_every_page(client: Client) -> None:
    names = [f"item:{number:04}" for number in range(25)]
    client.cache.set_many(dict.fromkeys(names, 1), metadata={"kind": "item"})
    client.cache.set("other", 1)
    assert client.cache.keys("item:") == names
    assert [listed.key for listed in client.cache.iterate("item:", page_size=10)] == names
    assert [listed.key for listed in client.cache.list("item:", limit=3)] == names[:3]
    assert len(client.cache.list()) == 26
    assert client.cache.list("item:", limit=1)[0].metadata == {"kind": "item"}
    assert client.cache.flush("item:") == 25
    assert client.cache.keys() == ["other"]


def test_counter_counts(client: Client) -> None:
    assert client.cache.increment("views") == 1
    assert client.cache.increment("views", 5) == 6
    assert client.cache.increment("views", -7) == -1
    assert client.cache.increment("stock", -1, initial_value=100, ttl=60) == 99
    client.cache.set("word", "x")
    with pytest.raises(InvalidInput) as refusal:
        client.cache.increment("word")
    assert refusal.value.reason == "not_an_integer"


def test_refusals_name_their_reason(client: Client, live_server_url: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        client.cache.set("key", 1, ttl=0)
    assert refusal.value.details["field"] == "ttl"
    with Client(live_server_url, "ac_secret_unknown") as stranger, pytest.raises(NotAuthenticated):
        stranger.cache.get("key")
