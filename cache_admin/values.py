"""Says what a stored value is, and shows what is packed inside it: text, base64, compressed bytes, MessagePack.

A value is JSON text. Programs put other things into it as a JSON text: a document inside a string, base64 of bytes,
those bytes compressed or packed. Each is a layer of the one before; the innermost is what a reader wants to see.
Nothing here changes a value, and nothing unpacks to more than UNPACKED_BYTES, whatever the value claims to hold.
"""

import base64
import binascii
import re
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from aerodash import jsontext
from aerodash.json_tokens import tokens
from aerodash.templatetags.aerodash_ui import size
from cache_admin import msgpacktext

UNPACKED_BYTES = 1024 * 1024
"""Beyond this a compressed value is not unpacked."""
SHOWN_BYTES = 256 * 1024
LAYERS_MAX = 6
HEX_ROW, HEX_ROWS = 16, 128

_WINDOW_LOG = 23  # of zstd: 8 MiB, as RFC 8878 asks of every decoder; of these it touches what it unpacks
_EXACT = 2**53

_JSON_STRING = re.compile(r'"((?:[^"\\]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+)')
_HALF_PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}$")
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{8,}={0,2}\s*|[A-Za-z0-9_-]{8,}={0,2}")
_DATA_URL = re.compile(r"data:[\w.+/;=-]*;base64,")
_MIXED = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])", re.DOTALL)
_WHOLE = re.compile(r"-?\d+")

_PICTURES = {
    b"\x89PNG\r\n\x1a\n": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF-": "a PDF document",
    b"PK\x03\x04": "a ZIP archive",
    b"OggS": "an Ogg recording",
    b"\x7fELF": "a program (ELF)",
    b"SQLite format 3\x00": "an SQLite database",
}


@dataclass(frozen=True, slots=True)
class Layer:
    """One thing inside the one before it. name: in the URL and on the page. data: its bytes, is_whole: all of them."""

    name: str
    data: bytes
    is_whole: bool = True

    @property
    def said_bytes(self) -> str:
        return f"{'' if self.is_whole else 'over '}{size(len(self.data))}"


@dataclass(frozen=True, slots=True)
class Value:
    """What was recognised.

    kind: in a word or two, e.g. "JSON object", "base64 · gzip · JSON". sentence: what it is and how many bytes.
    layers: from the stored text to the innermost. decoded: the innermost as text, None where that shows nothing that the
    stored text does not, or where it is bytes that only the hex view shows.
    """

    kind: str
    sentence: str
    layers: tuple[Layer, ...]
    decoded: str | None = None

    @property
    def is_packed(self) -> bool:
        """Whether the stored text hides what it holds."""
        return len(self.layers) > 2

    def layer(self, name: str) -> Layer:
        """The layer of this name, else the stored text."""
        return next((layer for layer in self.layers if layer.name == name), self.layers[0])


def recognise(stored: bytes, size_bytes: int | None = None) -> Value:
    """stored: the JSON text, or its beginning if it has size_bytes."""
    whole = size_bytes is None or len(stored) >= size_bytes
    outermost = Layer("stored", stored, whole)
    text = stored.decode(errors="ignore")
    if not text.startswith('"'):
        return _plain(text, outermost, size_bytes or len(stored))
    inner = _string(text)
    layers = [outermost, Layer("text", inner.encode(), whole)]
    packed = list(_unpacked(inner, whole))
    layers += [layer for layer, _ in packed]
    kinds = [said for _, said in packed]
    if not packed:
        return _text(inner, text, layers, size_bytes or len(stored))
    innermost, (name, decoded) = layers[-1], _innermost(layers[-1])
    total = size(size_bytes or len(stored))
    sentence = f"A text of {total} that is {', which '.join(kinds)}{_ending(layers[-1], name)}."
    if not innermost.is_whole:
        sentence += f" Only the first {size(len(innermost.data))} of it are unpacked here."
    words = [layer.name for layer in layers[2:]] + ([name] if name and name not in layers[-1].name else [])
    return Value(" · ".join(words), sentence, tuple(layers), decoded)


def hex_lines(data: bytes, at: int = 0) -> list[tuple[str, str, str]]:
    """A page of bytes from this place on: (place, bytes, characters) of each sixteen."""
    lines = []
    for start in range(at, min(len(data), at + HEX_ROW * HEX_ROWS), HEX_ROW):
        row = data[start : start + HEX_ROW]
        said = row[:8].hex(" ") + "  " + row[8:].hex(" ") if len(row) > 8 else row.hex(" ")
        lines.append((f"{start:06x}", said, "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in row)))
    return lines


def _plain(text: str, stored: Layer, total: int) -> Value:
    """What JSON itself says: an object, a list, a number, …"""
    kind = jsontext.kind(text)
    words = {"true or false": f"{text.strip()}", "null": "null"}.get(kind)
    if kind in ("JSON object", "JSON list"):
        sentence = f"A {kind} of {_members(text) if stored.is_whole else ''}{size(total)}."
    elif kind == "number":
        sentence = _number(text.strip(), total)
    else:
        sentence = f"The word {words}, without quotes, {size(total)}."
    return Value(kind, sentence, (stored,))


def _members(text: str) -> str:
    """ "3 members, ": those of the outermost list or object."""
    depth = number = 0
    empty = True
    for match in tokens(text):
        token = match.group()
        if token in "}]":
            depth -= 1
            continue
        empty = empty and depth == 0
        if token in "{[":
            depth += 1
        number += depth == 1 and token == ","
    number += not empty
    return f"{number:,} member{'' if number == 1 else 's'}, "


def _number(text: str, total: int) -> str:
    if not _WHOLE.fullmatch(text):
        return f"A number of {size(total)}, kept digit for digit."
    digits = len(text.lstrip("-"))
    if digits > 18 or abs(int(text)) > _EXACT:
        return f"A whole number of {digits} digits: more than a float can tell apart. It is kept digit for digit."
    number = int(text)
    for name, unit in (("milliseconds", 1000), ("seconds", 1)):
        if 1_000_000_000 <= number / unit < 4_102_444_800:
            at = datetime.fromtimestamp(number / unit, UTC)
            return f"A whole number. As {name} since 1970 it is {at:%Y-%m-%d %H:%M:%S} UTC."
    return f"A whole number of {digits} digit{'' if digits == 1 else 's'}; programs can count it up and down."


def _text(inner: str, stored: str, layers: list[Layer], total: int) -> Value:
    lines = inner.count("\n") + 1
    said = f"A text of {len(inner):,} character{'' if len(inner) == 1 else 's'}"
    if lines > 1:
        said += f" in {lines:,} lines"
    differs = inner != stored[1 : 1 + len(inner)]
    sentence = (
        f"{said}, {size(total)} with its quotes." if layers[0].is_whole else f"A text of {size(total)}."
    )
    return Value("text", sentence, tuple(layers), inner if differs else None)


def _string(text: str) -> str:
    """What the JSON string says, or its beginning: an escape that is cut through is left off."""
    raw = _JSON_STRING.match(text)
    inner = _HALF_PAIR.sub("", raw[1]) if raw else ""
    return msgspec.json.decode(f'"{inner}"')


def _unpacked(text: str, whole: bool) -> Iterator[tuple[Layer, str]]:
    """The layers inside a text, each with its words; none if it is only a text."""
    data: bytes | None = None
    if _is_json(text):
        yield Layer("JSON", text.encode(), whole), "JSON itself"
        return
    for _ in range(LAYERS_MAX):
        if data is None:
            data = _from_base64(text, whole)
            if data is None:
                return
            yield Layer("base64", data, whole), f"base64 of {'' if whole else 'over '}{size(len(data))}"
        elif (found := _decompressed(data)) is not None:
            name, data, is_all = found
            whole = whole and is_all
            yield Layer(name, data, whole), f"{name} unpacks to {'' if whole else 'over '}{size(len(data))}"
        else:
            return


def _from_base64(text: str, whole: bool) -> bytes | None:
    """The bytes that a text stands for, if it is likely that it does: words and numbers can be read as base64, too."""
    is_url = (head := _DATA_URL.match(text)) is not None
    text = text[head.end() :] if head else text
    if not _BASE64.fullmatch(text):
        return None
    packed = "".join(text.split()).rstrip("=").translate(str.maketrans("-_", "+/"))
    if not whole:
        packed = packed[: len(packed) // 4 * 4]
    if len(packed) % 4 == 1:
        return None
    try:
        data = base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except binascii.Error:
        return None
    likely = is_url or _tells(data) or _is_packed_map(text, data, whole) or _looks_random(text, data)
    return data if likely else None


def _tells(data: bytes) -> bool:
    """Whether the bytes say themselves what they are."""
    if _decompressed(data) is not None or any(data.startswith(head) for head in _PICTURES):
        return True
    text = _printable(data)
    return text is not None and _is_json(text)


def _is_packed_map(text: str, data: bytes, whole: bool) -> bool:
    """A short word of small letters alone may be read as a short list by accident."""
    return whole and not text.islower() and _msgpack(data) is not None


def _looks_random(text: str, data: bytes) -> bool:
    """Long, of small and capital letters and digits; or padded, and a readable text inside."""
    is_text = _printable(data) is not None
    if is_text and text.rstrip().endswith("="):
        return len(data) >= 6
    if not _MIXED.match(text) or len(text) < 24:
        return False
    return is_text or (len(text) >= 40 and len(text.rstrip()) % 4 == 0)


def _decompressed(data: bytes) -> tuple[str, bytes, bool] | None:
    """(how it was compressed, what it holds, whether that is all); None if it is not compressed."""
    if data[:2] == b"\x1f\x8b":
        return _inflated("gzip", data, zlib.MAX_WBITS | 16)
    if len(data) > 2 and data[0] & 0x0F == 8 and data[0] >> 4 <= 7 and int.from_bytes(data[:2]) % 31 == 0:
        return _inflated("zlib", data, zlib.MAX_WBITS)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        return _from_zstd(data)
    return None


def _inflated(name: str, data: bytes, window: int) -> tuple[str, bytes, bool] | None:
    unpack = zlib.decompressobj(window)
    try:
        found = unpack.decompress(data, UNPACKED_BYTES)
    except zlib.error:
        return None
    return (name, found, unpack.eof) if found or unpack.eof else None


def _from_zstd(data: bytes) -> tuple[str, bytes, bool] | None:
    zstd = _zstd()
    unpack = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
    try:
        found = unpack.decompress(data, max_length=UNPACKED_BYTES)
    except zstd.ZstdError:
        return None
    return ("zstd", found, unpack.eof) if found or unpack.eof else None


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def _innermost(layer: Layer) -> tuple[str, str | None]:
    """(what the bytes are, their text): ("", None) for bytes that nobody knows."""
    data = layer.data[:SHOWN_BYTES]
    for head, name in _PICTURES.items():
        if data.startswith(head):
            return name, None
    if layer.is_whole and (packed := _msgpack(layer.data)) is not None:
        return "MessagePack", packed[:SHOWN_BYTES]
    text = _printable(data, is_cut=not layer.is_whole or len(data) < len(layer.data))
    if text is None:
        return "binary", None
    if layer.is_whole and len(data) == len(layer.data) and _is_json(text):
        return "JSON", jsontext.pretty(text)
    return "text", text


def _ending(layer: Layer, name: str) -> str:
    """What the innermost bytes are, if its words do not say so already."""
    if layer.name == name:
        return ""
    return {"text": ": a text", "binary": ": bytes"}.get(name, f": {name}")


def _msgpack(data: bytes) -> str | None:
    if len(data) > SHOWN_BYTES:
        return None
    try:
        return msgpacktext.text_of(data)
    except msgpacktext.NotMessagePack:
        return None


def _printable(data: bytes, *, is_cut: bool = False) -> str | None:
    """The text that the bytes are in UTF-8, if people can read all of it."""
    try:
        text = data.decode() if not is_cut else _cut_text(data)
    except UnicodeDecodeError:
        return None
    return (
        text if text and not any((ch < " " and ch not in "\t\n\r") or ch == "\x7f" for ch in text) else None
    )


def _cut_text(data: bytes) -> str:
    """Text whose last character may be cut through."""
    for end in range(len(data), max(len(data) - 4, 0), -1):
        try:
            return data[:end].decode()
        except UnicodeDecodeError as exc:
            if exc.start < len(data) - 4:
                raise
    return data.decode()


def _is_json(text: str) -> bool:
    """Whether it is a JSON object or list: other texts are read as JSON by accident."""
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return False
    return True
