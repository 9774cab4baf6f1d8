"""What the cache takes, without a cache."""

import msgspec
import pytest

from aerodash.errors import InvalidInput
from cache_admin import bounds


@pytest.mark.parametrize("key", ["a", "\x00", "a/b", "é" * 512, "😀" * 256, "x" * 1024])
def test_a_key_of_up_to_1024_bytes_is_taken(key: str) -> None:
    bounds.check_key(key)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "empty_key"),
        ("x" * 1025, "key_too_long"),
        ("é" * 513, "key_too_long"),
        ("\ud83d", "invalid_field"),
    ],
)
def test_other_keys_are_refused_with_a_reason(key: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        bounds.check_key(key)
    assert caught.value.reason == reason


@pytest.mark.parametrize("key", ["a", "\x00", "é", "😀:1", "x" * 1024])
def test_a_cursor_leads_back_to_its_key(key: str) -> None:
    cursor = bounds.to_cursor(key)
    assert cursor.isascii()
    assert "=" not in cursor
    assert bounds.from_cursor(cursor, prefix="") == key


@pytest.mark.parametrize("cursor", ["!!", "é", "a", "_w"])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        bounds.from_cursor(cursor, prefix="")
    assert caught.value.reason == "invalid_cursor"


def test_an_empty_cursor_is_none() -> None:
    assert bounds.from_cursor("", prefix="a") is None
    assert bounds.from_cursor(None, prefix="a") is None


@pytest.mark.parametrize("text", [b"{}", b"{ }", b"\n{\t}"])
def test_empty_metadata_has_one_spelling(text: bytes) -> None:
    assert bounds.metadata_text(text) == bounds.NO_METADATA


def test_a_raw_value_was_checked_before_and_bytes_are_checked_here() -> None:
    assert bounds.value_text(msgspec.Raw(b"1.50")) == b"1.50"
    assert bounds.value_text(b" 1.50 ") == b"1.50"
    with pytest.raises(InvalidInput):
        bounds.value_text(b"1.50.1")


@pytest.mark.parametrize("ttl_s", [0, -1, 315_360_001])
def test_a_ttl_out_of_bounds_is_refused(ttl_s: int) -> None:
    with pytest.raises(InvalidInput):
        bounds.check_ttl(ttl_s)
