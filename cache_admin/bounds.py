"""What the cache takes: keys, values, metadata, ttls and cursors, checked the same for every door.

Source: wire contract, section 9.
"""

import base64
import binascii
from collections.abc import Sequence

import msgspec

from aerodash import limits
from aerodash.errors import InvalidInput

NO_METADATA = b"{}"

type JsonText = bytes | msgspec.Raw
"""JSON text. A Raw was checked where it was decoded; bytes are checked here."""


def check_key(key: str, *, field: str = "key") -> None:
    """1 to 1024 bytes of UTF-8; any character is allowed, NUL too."""
    size = _size_bytes(key, field)
    if size == 0:
        raise InvalidInput(f"{field} must not be empty.", reason="empty_key", field=field)
    if size > limits.KEY_BYTES:
        raise InvalidInput(
            f"{field} is {size} bytes of UTF-8, over the limit of {limits.KEY_BYTES}.",
            reason="key_too_long", field=field, limit=limits.KEY_BYTES,
        )  # fmt: skip


def check_keys(keys: Sequence[str], *, limit: int) -> None:
    if len(keys) > limit:
        raise InvalidInput(
            f"keys has {len(keys)} items, over the limit of {limit}.",
            reason="too_many",
            field="keys",
            limit=limit,
        )
    for number, key in enumerate(keys):
        check_key(key, field=f"keys[{number}]")


def check_prefix(prefix: str) -> None:
    """Up to 1024 bytes of UTF-8; empty means every key."""
    if _size_bytes(prefix, "prefix") > limits.KEY_BYTES:
        raise InvalidInput(
            f"prefix is over the limit of {limits.KEY_BYTES} bytes of UTF-8.",
            reason="key_too_long", field="prefix", limit=limits.KEY_BYTES,
        )  # fmt: skip


def check_limit(limit: int, *, most: int) -> None:
    if not 1 <= limit <= most:
        raise InvalidInput(
            f"limit must be between 1 and {most}.", reason="out_of_range", field="limit", limit=most
        )


def check_ttl(ttl_s: int | None, *, field: str = "ttl") -> None:
    """Whole seconds from 1 to ten years; None means never."""
    if ttl_s is not None and not 1 <= ttl_s <= limits.TTL_MAX_S:
        raise InvalidInput(
            f"{field} must be between 1 and {limits.TTL_MAX_S} seconds.", reason="out_of_range", field=field
        )


def check_counter(number: int, *, field: str) -> None:
    if not limits.COUNTER_MIN <= number <= limits.COUNTER_MAX:
        raise InvalidInput(
            f"{field} must be an integer of 64 bits with sign.", reason="out_of_range", field=field
        )


def value_text(value: JsonText, *, field: str = "value") -> bytes:
    """The value's JSON text, byte for byte. Raises InvalidInput if it is none or over 25 MiB."""
    text = bytes(value)
    if len(text) > limits.VALUE_BYTES:
        raise InvalidInput(
            f"{field} is {len(text)} bytes of JSON, over the limit of {limits.VALUE_BYTES}.",
            reason="value_too_large", field=field, limit=limits.VALUE_BYTES,
        )  # fmt: skip
    if not isinstance(value, msgspec.Raw):
        _json(text, field)
        text = text.strip(b" \t\r\n")
    return text


def metadata_text(metadata: JsonText | None, *, field: str = "metadata") -> bytes | None:
    """The metadata's JSON text; `{}` for an empty object however it is spaced; None for None.

    Raises InvalidInput if it is no JSON object or over 4 KiB.
    """
    if metadata is None:
        return None
    text = bytes(metadata)
    if len(text) > limits.METADATA_BYTES:
        raise InvalidInput(
            f"{field} is {len(text)} bytes of JSON, over the limit of {limits.METADATA_BYTES}.",
            reason="metadata_too_large", field=field, limit=limits.METADATA_BYTES,
        )  # fmt: skip
    decoded = _json(text, field)
    if not isinstance(decoded, dict):
        raise InvalidInput(f"{field} must be a JSON object.", reason="invalid_field", field=field)
    return text.strip(b" \t\r\n") if decoded else NO_METADATA


def to_cursor(key: str) -> str:
    """An opaque cursor that means "behind this key"."""
    return base64.urlsafe_b64encode(key.encode()).rstrip(b"=").decode("ascii")


def from_cursor(cursor: str | None, *, prefix: str) -> str | None:
    """The key that a cursor stands for. Raises InvalidInput for one that was not made for this prefix."""
    if not cursor:
        return None
    try:
        raw = base64.b64decode(
            cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True
        )
        key = raw.decode()
    except (UnicodeError, binascii.Error):
        raise InvalidInput(
            "cursor is not one that a listing gave.", reason="invalid_cursor", field="cursor"
        ) from None
    if not key.startswith(prefix):
        raise InvalidInput("cursor belongs to another prefix.", reason="invalid_cursor", field="cursor")
    return key


def _size_bytes(text: str, field: str) -> int:
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise InvalidInput(
            f"{field} is not valid Unicode text.", reason="invalid_field", field=field
        ) from None


def _json(text: bytes, field: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidInput(f"{field} is not valid JSON.", reason="invalid_json", field=field) from None
