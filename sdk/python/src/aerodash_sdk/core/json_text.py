"""JSON as the API wants it.

The standard library's encoder, because it refuses what faster ones change in silence (msgspec and orjson write
NaN as null) and takes integers of any size.
"""

import json
from typing import Any

from aerodash_sdk.core.errors import BadReply, InvalidInput


def encode(value: object) -> bytes:
    """Compact UTF-8 JSON. Raises InvalidInput for what JSON cannot carry: NaN, lone surrogates, other types."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise InvalidInput(f"This cannot be sent as JSON: {exc}", details={"reason": "not_json"}) from exc


def decode(text: bytes | memoryview) -> Any:
    """A value from JSON text, as the server checked it when it took it."""
    return json.loads(bytes(text))


def decode_object(text: bytes, status: int) -> dict[str, Any]:
    """A reply's JSON object. Raises BadReply if it is anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as exc:
        start = text[:80].decode("utf-8", "replace")
        raise BadReply(
            f"The reply (status {status}) is not JSON; it begins {start!r}.", status=status
        ) from exc
    if not isinstance(value, dict):
        raise BadReply(f"The reply (status {status}) is not a JSON object.", status=status)
    return value
