"""Turns what the cache tells into what its pages show."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from cache_admin import jsontext
from cache_admin.bounds import to_cursor
from cache_admin.queries import Entry, EntryRow

METADATA_SHOWN = 4


def instant(at_ms: int | None) -> datetime | None:
    """The aware instant of an engine's time; None for never."""
    return None if at_ms is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the entries table. is_gone: it was on the page and has been deleted or has expired since.
    is_fresh: it just changed."""

    key: str
    rest: str
    preview: str = ""
    size_bytes: int = 0
    expires_at: datetime | None = None
    metadata: str = ""
    is_gone: bool = False
    is_fresh: bool = False

    @property
    def row_id(self) -> str:
        """A name for the row that any key can have: URL-safe, and the key can be read back from it."""
        return to_cursor(self.key)


def line(row: EntryRow, prefix: str, *, is_fresh: bool = False) -> Line:
    preview = " ".join(row.preview.decode(errors="ignore").split())
    return Line(
        key=row.key,
        rest=row.key.removeprefix(prefix),
        preview=preview
        and preview + ("…" if len(row.preview) < row.size_bytes - len(row.metadata or b"") else ""),
        size_bytes=row.size_bytes,
        expires_at=instant(row.expires_at_ms),
        metadata=summary(row.metadata),
        is_fresh=is_fresh,
    )


def gone(key: str, prefix: str) -> Line:
    return Line(key=key, rest=key.removeprefix(prefix), is_gone=True)


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
