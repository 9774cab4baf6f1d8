"""Entries as JSON Lines: a head, a line an entry, a tail that says how many there are and that these are all.

{"key":"a:1","value":[1.0,2],"metadata":{"m":1},"ttl":59,"expiresAt":"2026-07-05T08:09:10.123Z"}

Value and metadata are the stored text, byte for byte. A text that has line ends of its own stands as a JSON string
under "valueText" or "metadataText". ttl is whole seconds from when the line was written; without ttl and expiresAt an
entry never expires. Lines that a person or a program wrote by hand need only a key and a value, need no head and no
tail, and may use the names that the API takes. What the API refuses is refused.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from aerodash import instants, limits
from aerodash.errors import InvalidInput
from aerodash.wire.inputs import Decoder, Request
from cache_admin.bounds import check_key, check_ttl, metadata_text, value_text
from cache_admin.engine.contract import Entry

FORMAT = "aerodash.cache"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Head:
    """What the first line says of the file."""

    version: int


@dataclass(frozen=True, slots=True)
class Tail:
    """What the last line says: how many entries are in the file, and whether these are all that were asked for."""

    keys: int
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Line:
    """An entry as a line has it. ttl_s, expires_at_ms: two ways to say when it expires; both None for never."""

    key: str
    value: bytes
    metadata: bytes | None
    ttl_s: int | None
    expires_at_ms: int | None

    def entry(self, from_ms: int, *, keeps_moment: bool) -> Entry:
        """The entry to write. keeps_moment: it expires when the line says; else its ttl counts from from_ms again."""
        at = self.expires_at_ms
        if self.ttl_s is not None and (at is None or not keeps_moment):
            at = from_ms + self.ttl_s * 1000
        return Entry(self.key, self.value, self.metadata, at, "")


def head(project: str, prefix: str, now_ms: int) -> bytes:
    """The first line. project: its slug."""
    said = {
        "format": FORMAT, "version": VERSION, "project": project, "prefix": prefix,
        "exportedAt": instants.text(now_ms),
    }  # fmt: skip
    return msgspec.json.encode(said) + b"\n"


def tail(keys: int, *, is_complete: bool = True, why: str = "") -> bytes:
    """The last line. why: what cut the file off, if something did."""
    said = {"complete": is_complete, "keys": keys, **({"error": why} if why else {})}
    return msgspec.json.encode(said) + b"\n"


def line(entry: Entry, now_ms: int) -> bytes:
    """The line of one entry, read at now_ms."""
    parts = [b'{"key":', msgspec.json.encode(entry.key), *_member(b"value", entry.value)]
    if entry.metadata is not None:
        parts += _member(b"metadata", entry.metadata)
    if entry.expires_at_ms is not None:
        ttl_s = max(-((now_ms - entry.expires_at_ms) // 1000), 1)
        parts.append(b',"ttl":%d,"expiresAt":"%s"' % (ttl_s, instants.text(entry.expires_at_ms).encode()))
    return b"".join((*parts, b"}\n"))


def read(text: bytes, now_ms: int) -> Line | Head | Tail:
    """What one line says. Raises InvalidInput, naming the field, for what cannot be written."""
    try:
        sent = _DECODER.decode(text)
    except InvalidInput as exc:
        if exc.reason == "missing" and (mark := _mark(text)) is not None:
            return mark
        raise InvalidInput(
            exc.message.replace("The body", "The line"), reason=exc.reason, field=str(exc.details.get("field", ""))
        ) from exc  # fmt: skip
    check_key(sent.key)
    check_ttl(sent.ttl)
    if (sent.value is UNSET) == (sent.valueText is None):
        raise InvalidInput("One of value and valueText is needed.", reason="missing", field="value")
    value = value_text(sent.value if sent.valueText is None else sent.valueText.encode())
    if sent.metadata is not None and sent.metadataText is not None:
        raise InvalidInput("metadata is given twice.", reason="conflicting_aliases", field="metadata")
    given = sent.metadata if sent.metadataText is None else sent.metadataText.encode()
    metadata = metadata_text(given)
    return Line(
        sent.key,
        value,
        None if metadata == b"{}" else metadata,
        sent.ttl,
        None if sent.expiresAt is None else _moment(sent.expiresAt, now_ms),
    )


class _LineRequest(Request):
    """One line, in the words of the API."""

    aliases: ClassVar[dict[str, tuple[str, ...]]] = {"ttl": ("expirationTtl",)}
    nullable: ClassVar[frozenset[str]] = frozenset({"value"})

    key: str
    value: Raw | UnsetType = UNSET
    valueText: str | None = None
    metadata: Raw | None = None
    metadataText: str | None = None
    ttl: int | None = None
    expiresAt: str | None = None


class _Mark(msgspec.Struct):
    """A head or a tail."""

    format: str | None = None
    version: int = VERSION
    complete: bool | None = None
    keys: int = 0


_DECODER = Decoder(_LineRequest)
_MARKS = msgspec.json.Decoder(_Mark)


def _member(name: bytes, text: bytes) -> tuple[bytes, bytes]:
    if b"\n" in text or b"\r" in text:
        return b',"' + name + b'Text":', msgspec.json.encode(text.decode())
    return b',"' + name + b'":', text


def _mark(text: bytes) -> Head | Tail | None:
    try:
        mark = _MARKS.decode(text)
    except msgspec.DecodeError:
        return None
    if mark.format is not None:
        if mark.format != FORMAT or mark.version > VERSION:
            raise InvalidInput(
                f"This is a file of {mark.format} {mark.version}, which this version does not read.",
                field="format",
            )
        return Head(mark.version)
    return None if mark.complete is None else Tail(mark.keys, mark.complete)


def _moment(text: str, now_ms: int) -> int:
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise ValueError
        at_ms = instants.ms_of(at)
    except (ValueError, OverflowError):
        raise InvalidInput(
            "expiresAt is not a time with a zone, such as 2026-07-05T08:09:10.123Z.",
            reason="invalid_field", field="expiresAt",
        ) from None  # fmt: skip
    if at_ms > now_ms + limits.TTL_MAX_S * 1000 or at_ms < 1:
        raise InvalidInput(
            "expiresAt is more than ten years ahead.", reason="out_of_range", field="expiresAt"
        )
    return at_ms
