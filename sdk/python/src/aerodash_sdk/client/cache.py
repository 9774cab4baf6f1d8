"""The cache's verbs, as a client offers them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aerodash_sdk.client.call import Call
from aerodash_sdk.core import cache as cache_calls
from aerodash_sdk.core.records import Entry, ListedKey

LIST_PAGE = 1000

type ListedKeys = list[ListedKey]


class Cache:
    """The cache's verbs. A key is 1 to 1024 bytes of UTF-8, a value any JSON, a ttl whole seconds."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def get(self, key: str) -> Any:
        """The value, or None if there is none. A stored null also reads None: get_entry tells them apart."""
        entry = self.get_entry(key)
        return entry.value if entry is not None else None

    def get_entry(self, key: str) -> Entry | None:
        """The entry with its metadata, expiry and revision; None if absent or expired."""
        entry: Entry | None = self._call(cache_calls.get(key))
        return entry

    def set(
        self, key: str, value: object, *, ttl: int | None = None, metadata: Mapping[str, object] | None = None
    ) -> None:
        """Store a value. ttl: None means that it never expires, also if it did before.

        metadata: None keeps what is stored with the key, {} clears it.
        """
        self._call(cache_calls.set(key, value, ttl=ttl, metadata=metadata))

    def has(self, key: str) -> bool:
        """Whether there is an unexpired entry."""
        return bool(self._call(cache_calls.has(key)))

    def delete(self, key: str) -> None:
        """Remove an entry; one that is gone already is no error."""
        self._call(cache_calls.delete(key))

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Up to 1000 values in one round trip, by key; None for those that are absent."""
        values: dict[str, Any] = self._call(cache_calls.get_many(keys))
        return values

    def set_many(
        self,
        entries: Mapping[str, object],
        *,
        ttl: int | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Store up to 1000 values, all or none, with one ttl and metadata for all (as `set` takes them)."""
        self._call(cache_calls.set_many(entries, ttl=ttl, metadata=metadata))

    def delete_many(self, keys: Iterable[str]) -> int:
        """Remove up to 10 000 entries, all or none up to 1000. Returns how many there were."""
        return int(self._call(cache_calls.delete_many(keys)))

    def keys(self, prefix: str = "") -> list[str]:
        """Every key that begins with prefix, in UTF-8 byte order; asks page by page until all are here."""
        keys: list[str] = []
        cursor = None
        while True:
            page = self._call(cache_calls.keys(prefix, cursor=cursor))
            keys += page.items
            cursor = page.cursor
            if cursor is None:
                return keys

    def iterate(self, prefix: str = "", *, page_size: int = LIST_PAGE) -> Iterator[ListedKey]:
        """Keys with metadata and expiry, in UTF-8 byte order, fetched page_size (at most 1000) at a time."""
        cursor = None
        while True:
            page = self._call(cache_calls.list_page(prefix, limit=page_size, cursor=cursor))
            yield from page.items
            cursor = page.cursor
            if cursor is None:
                return

    def list(self, prefix: str = "", *, limit: int | None = None) -> ListedKeys:
        """What iterate gives, as a list: all of it, or the first `limit`."""
        if limit is None:
            return [*self.iterate(prefix)]
        found: ListedKeys = []
        if limit > 0:
            for listed in self.iterate(prefix, page_size=min(limit, LIST_PAGE)):
                found.append(listed)
                if len(found) == limit:
                    break
        return found

    def increment(
        self, key: str, amount: int = 1, *, initial_value: int | None = None, ttl: int | None = None
    ) -> int:
        """Add to a counter atomically and return its new value; amount may be negative.

        A missing key is created as initial_value (0) + amount, with the ttl; an existing one keeps its own.
        Raises InvalidInput (reason not_an_integer or counter_overflow) and then changes nothing.
        """
        return int(self._call(cache_calls.increment(key, amount, initial_value=initial_value, ttl=ttl)))

    def expire(self, key: str, ttl: int | None) -> bool:
        """Change when an entry expires and nothing else; None means never. False if there is no such entry."""
        return bool(self._call(cache_calls.expire(key, ttl)))

    def flush(self, prefix: str = "") -> int:
        """Remove every entry that begins with prefix, or all of the project's. Returns how many.

        Raises Stopped if somebody stopped it in the console meanwhile; details["deleted"] says how many were removed.
        """
        return int(self._call(cache_calls.flush(prefix)))
