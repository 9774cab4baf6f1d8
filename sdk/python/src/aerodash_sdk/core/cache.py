"""The cache's calls. Source of paths, fields and bounds: the wire contract, section 3."""

from collections.abc import Iterable, Mapping
from typing import Any

from aerodash_sdk.core.errors import Stopped
from aerodash_sdk.core.json_text import encode
from aerodash_sdk.core.records import Entry, ListedKey, Page
from aerodash_sdk.core.request import Repeat, Request, request


def get(key: str) -> Request[Entry | None]:
    return request("/cache/get", lambda reply: Entry.read(key, reply), key=key)


def set(key: str, value: object, *, ttl: int | None, metadata: Mapping[str, object] | None) -> Request[None]:
    body = {"key": key, "value": value, **_present(ttl=ttl, metadata=metadata)}
    return Request("/cache/set", encode(body), _nothing)


def has(key: str) -> Request[bool]:
    return request("/cache/has", lambda reply: _bool(reply["exists"]), key=key)


def delete(key: str) -> Request[None]:
    return request("/cache/delete", _nothing, key=key)


def get_many(keys: Iterable[str]) -> Request[dict[str, Any]]:
    return request("/cache/getMany", lambda reply: _mapping(reply["values"]), keys=[*keys])


def set_many(
    entries: Mapping[str, object], *, ttl: int | None, metadata: Mapping[str, object] | None
) -> Request[None]:
    return request("/cache/setMany", _nothing, entries={**entries}, ttl=ttl, metadata=metadata)


def delete_many(keys: Iterable[str]) -> Request[int]:
    return request(
        "/cache/deleteMany", lambda reply: int(reply["deleted"]), repeat=Repeat.IF_UNSENT, keys=[*keys]
    )


def keys(prefix: str, *, cursor: str | None) -> Request[Page[str]]:
    return request(
        "/cache/keys",
        lambda reply: Page(
            [str(key) for key in reply["keys"]], reply.get("cursor") if reply["truncated"] else None
        ),
        prefix=prefix or None,
        cursor=cursor,
    )


def list_page(prefix: str, *, limit: int, cursor: str | None) -> Request[Page[ListedKey]]:
    return request(
        "/cache/list",
        lambda reply: Page(
            [ListedKey.read(item) for item in reply["keys"]],
            None if reply["list_complete"] else reply["cursor"],
        ),
        prefix=prefix or None,
        limit=limit,
        cursor=cursor,
    )


def increment(key: str, amount: int, *, initial_value: int | None, ttl: int | None) -> Request[int]:
    return request(
        "/cache/increment",
        lambda reply: int(reply["value"]),
        repeat=Repeat.IF_UNSENT,
        key=key,
        amount=amount,
        initialValue=initial_value,
        ttl=ttl,
    )


def expire(key: str, ttl: int | None) -> Request[bool]:
    return Request("/cache/expire", encode({"key": key, "ttl": ttl}), lambda reply: _bool(reply["success"]))


def flush(prefix: str) -> Request[int]:
    # Never twice: a second one would also take what was written after the first.
    return request("/cache/flush", _flushed, repeat=Repeat.IF_UNSENT, prefix=prefix or None)


def _present(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _nothing(reply: dict[str, Any]) -> None:
    if reply["success"] is not True:
        raise ValueError("success is not true")


def _flushed(reply: dict[str, Any]) -> int:
    deleted = int(reply["deleted"])
    if reply["success"] is not True:
        raise Stopped(
            f"The flush was stopped after {deleted} entries.", status=200, details={"deleted": deleted}
        )
    return deleted


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is not true or false")
    return value


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value
