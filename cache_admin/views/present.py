"""Turns what the cache tells into what its pages show."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self
from urllib.parse import quote

import msgspec

from aerodash import jsontext
from cache_admin.bounds import to_cursor
from cache_admin.queries import Entry, EntryRow
from cache_admin.templatetags.cache_ui import visible

METADATA_SHOWN = 4


def instant(at_ms: int | None) -> datetime | None:
    """The aware instant of an engine's time; None for never."""
    return None if at_ms is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry as far as a page shows it: entry.value may be only the beginning of a value of value_bytes."""

    entry: Entry
    value_bytes: int

    @classmethod
    def of(cls, row: EntryRow) -> Self:
        entry = Entry(row.key, row.preview, row.metadata, row.expires_at_ms, row.revision)
        return cls(entry, row.size_bytes - len(row.metadata or b""))

    @property
    def is_whole(self) -> bool:
        return len(self.entry.value) == self.value_bytes

    @property
    def size_bytes(self) -> int:
        return self.value_bytes + len(self.entry.metadata or b"")


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the entries table. is_gone: it was on the page and has been deleted or has expired since.
    is_fresh: it just changed.

    row_id: a name for the row that any key can have; the key can be read back from it. name, name_rest, said, facts: the
    key, what of it follows the prefix, the value's beginning and the metadata, as they are written on the page. query: the
    key as part of an address. All are made once: a page has fifty rows, and the API waits while it is rendered.
    """

    key: str
    rest: str
    row_id: str
    name: str
    name_rest: str
    query: str
    preview: str = ""
    said: str = ""
    size_bytes: int = 0
    expires_at: datetime | None = None
    metadata: str = ""
    facts: str = ""
    is_gone: bool = False
    is_fresh: bool = False


def line(row: EntryRow, prefix: str, *, is_fresh: bool = False) -> Line:
    preview = " ".join(row.preview.decode(errors="ignore").split())
    is_cut = len(row.preview) < row.size_bytes - len(row.metadata or b"")
    preview = preview and preview + ("…" if is_cut else "")
    metadata = summary(row.metadata)
    return Line(
        **_named(row.key, prefix),
        preview=preview,
        said=visible(preview),
        size_bytes=row.size_bytes,
        expires_at=instant(row.expires_at_ms),
        metadata=metadata,
        facts=visible(metadata),
        is_fresh=is_fresh,
    )


def gone(key: str, prefix: str) -> Line:
    return Line(**_named(key, prefix), is_gone=True)


def _named(key: str, prefix: str) -> dict[str, str]:
    rest = key.removeprefix(prefix)
    return {
        "key": key,
        "rest": rest,
        "row_id": to_cursor(key),
        "name": visible(key),
        "name_rest": visible(rest),
        "query": quote(key, safe=""),
    }


def fields(metadata: bytes | None) -> list[tuple[str, str]]:
    """The members of the metadata: name and the value's own text."""
    if metadata is None:
        return []
    text = metadata.decode()
    return [(member.name, text[member.start : member.end]) for member in jsontext.members(text)]


def summary(metadata: bytes | None) -> str:
    """ "userId u-3715, device web": the first few members in words."""
    found = fields(metadata)
    shown = [f"{name} {_plain(text)}" for name, text in found[:METADATA_SHOWN]]
    return ", ".join(shown) + (", …" if len(found) > METADATA_SHOWN else "")


def size_bytes(entry: Entry) -> int:
    return len(entry.value) + len(entry.metadata or b"")


def _plain(text: str) -> str:
    return msgspec.json.decode(text) if text.startswith('"') else text
