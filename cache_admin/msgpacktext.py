"""MessagePack as text that people read: every number digit for digit, every name, repeated ones too.

What JSON can say is said as JSON; bytes, extensions and names that are no text are said in words between < and >.
A walk of our own: it is bounded by the bytes that are there, whatever lengths they claim, and loses nothing to a dict.
Source: the MessagePack specification, with its timestamp extension.
"""

import json
import struct
from datetime import UTC, datetime, timedelta

DEEPEST = 64
BYTES_SHOWN = 48

_FIXED = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
_LENGTHS = {
    0xC4: ("bin", ">B"), 0xC5: ("bin", ">H"), 0xC6: ("bin", ">I"), 0xC7: ("ext", ">B"), 0xC8: ("ext", ">H"),
    0xC9: ("ext", ">I"), 0xD9: ("str", ">B"), 0xDA: ("str", ">H"), 0xDB: ("str", ">I"), 0xDC: ("list", ">H"),
    0xDD: ("list", ">I"), 0xDE: ("map", ">H"), 0xDF: ("map", ">I"),
}  # fmt: skip
_FIXED_EXT = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_SINGLE_PRECISION_DIGITS = range(6, 10)


class NotMessagePack(ValueError):
    """The bytes are not one map or list of MessagePack and nothing else."""


def text_of(data: bytes) -> str:
    """The map or list that the bytes are. Raises NotMessagePack for anything else: nearly all bytes are a number in it."""
    walk = _Walk(data)
    if not data or not walk.is_container(data[0]):
        raise NotMessagePack
    text = walk.value(0)
    if walk.at != len(data):
        raise NotMessagePack
    return text


class _Walk:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    @staticmethod
    def is_container(first: int) -> bool:
        return 0x80 <= first <= 0x9F or 0xDC <= first <= 0xDF

    def value(self, depth: int) -> str:
        if depth > DEEPEST:
            raise NotMessagePack
        first = self._take(1)[0]
        if first <= 0x7F:
            return str(first)
        if first >= 0xE0:
            return str(first - 0x100)
        if first <= 0x8F:
            return self._container("map", first & 0x0F, depth)
        if first <= 0x9F:
            return self._container("list", first & 0x0F, depth)
        if first <= 0xBF:
            return self._str(first & 0x1F)
        if first in (0xC0, 0xC2, 0xC3):
            return {0xC0: "null", 0xC2: "false", 0xC3: "true"}[first]
        if first in _FIXED:
            return self._number(_FIXED[first])
        if first in _FIXED_EXT:
            return self._ext(_FIXED_EXT[first])
        if first not in _LENGTHS:
            raise NotMessagePack
        kind, form = _LENGTHS[first]
        (length,) = self._unpack(form)
        if kind in ("map", "list"):
            return self._container(kind, length, depth)
        return {"bin": self._bin, "str": self._str, "ext": self._ext}[kind](length)

    def _container(self, kind: str, number: int, depth: int) -> str:
        # Each member is a byte at least: a claim of billions ends here, before anything is made for it.
        if number * (2 if kind == "map" else 1) > len(self._data) - self.at:
            raise NotMessagePack
        if kind == "map":
            members = [f"{self.value(depth + 1)}: {self.value(depth + 1)}" for _ in range(number)]
        else:
            members = [self.value(depth + 1) for _ in range(number)]
        opened, closed = "{}" if kind == "map" else "[]"
        if not members:
            return opened + closed
        inner = "  " * (depth + 1)
        return opened + "\n" + ",\n".join(inner + one for one in members) + "\n" + "  " * depth + closed

    def _number(self, form: str) -> str:
        (number,) = self._unpack(form)
        if form == ">f":
            return next(
                text
                for text in (f"{number:.{digits}g}" for digits in _SINGLE_PRECISION_DIGITS)
                if number != number
                or struct.pack(form, float(text)) == struct.pack(form, number)
                or text.endswith("inf")
            )
        return repr(number)

    def _str(self, length: int) -> str:
        raw = self._take(length)
        try:
            return json.dumps(raw.decode(), ensure_ascii=False)
        except UnicodeDecodeError:
            return f"<text that is not UTF-8, {_hex(raw)}>"

    def _bin(self, length: int) -> str:
        return f"<binary, {_hex(self._take(length))}>"

    def _ext(self, length: int) -> str:
        (kind,) = self._unpack(">b")
        raw = self._take(length)
        if kind == -1 and (at := _timestamp(raw)):
            return f"<time {at}>"
        return f"<extension {kind}, {_hex(raw)}>"

    def _unpack(self, form: str) -> tuple[int]:
        return struct.unpack(form, self._take(struct.calcsize(form)))

    def _take(self, length: int) -> bytes:
        if length > len(self._data) - self.at:
            raise NotMessagePack
        self.at += length
        return self._data[self.at - length : self.at]


def _timestamp(raw: bytes) -> str:
    """ "" for what is none."""
    if len(raw) == 4:
        nanoseconds, seconds = 0, int.from_bytes(raw)
    elif len(raw) == 8:
        nanoseconds, seconds = divmod(int.from_bytes(raw), 1 << 34)
    elif len(raw) == 12:
        nanoseconds, seconds = struct.unpack(">Iq", raw)
    else:
        return ""
    try:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return ""
    return f"{at:%Y-%m-%d %H:%M:%S}" + (f".{nanoseconds:09}".rstrip("0") if nanoseconds else "") + " UTC"


def _hex(raw: bytes) -> str:
    return f"{len(raw):,} B: {raw[:BYTES_SHOWN].hex(' ')}" + (" …" if len(raw) > BYTES_SHOWN else "")
