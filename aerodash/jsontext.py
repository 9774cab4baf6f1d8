"""Looks into JSON text without ever turning it into values and back.

Users' values are kept as their own text: 9007199254740993, 0.10 and \\u00e9 come back as written. So a value is
laid out, compared and edited as a run of tokens; only the space between them may change.
Source: wire contract, section 9.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from aerodash.errors import InvalidInput
from aerodash.json_tokens import tokens

_INLINE_WIDTH = 64
_DEEPEST_INDENT = 16


def check(text: str) -> bytes:
    """The text as UTF-8, if it is one JSON value that the API would take too.

    Raises InvalidInput with line, column and reason; NaN, lone surrogates and numbers out of range are refused.
    """
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(
            "The value holds half of a character (a lone surrogate).", reason="malformed_json"
        ) from None
    if not data.strip():
        raise InvalidInput(
            "A value is needed: null is one, and so is an empty text in quotes.", reason="missing"
        )
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise InvalidInput(f"This is not JSON: {_where(exc, data)}", reason="malformed_json") from exc
    return data


def pretty(text: str) -> str:
    """The same tokens, a member a line; a short list of plain values stays on one. The text must be valid JSON."""
    out: list[str] = []
    frames: list[_Frame] = []
    for match in tokens(text):
        token = match.group()
        if token == ":":
            out.append(": ")
            frames[-1].awaits_value = True
        elif token in "}]":
            frames.pop().close(out, token)
        elif token != ",":
            if frames:
                frames[-1].begin_member(out, is_plain=token not in "{[")
            out.append(token)
            if token in "{[":
                frames.append(_Frame(token, len(out), min(len(frames), _DEEPEST_INDENT)))
    return "".join(out)


def compact(text: str) -> str:
    """The same tokens with no space between them. The text must be valid JSON."""
    return "".join(found.group() for found in tokens(text))


def kind(text: str) -> str:
    """What the value is, in words: "JSON object", "text", "number", …"""
    first = text.lstrip()[:1]
    return {
        "{": "JSON object",
        "[": "JSON list",
        '"': "text",
        "t": "true or false",
        "f": "true or false",
        "n": "null",
    }.get(first, "number")


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an object: its decoded name, and where its value's text starts and ends."""

    name: str
    start: int
    end: int


def members(text: str) -> list[Member]:
    """The members of the object that the text is, in order, repeated names included.

    Raises InvalidInput if the (valid) JSON is not an object.
    """
    run = tokens(text)
    if next(run).group() != "{":
        raise InvalidInput("This is not a JSON object.", reason="not_an_object")
    found = []
    for name in run:
        if name.group() == "}":
            break
        if name.group() == ",":
            continue
        next(run)  # the colon
        start, end = _value(run)
        found.append(Member(msgspec.json.decode(name.group()), start, end))
    return found


class _Frame:
    """One open list or object while it is laid out; start is where its members begin in the pieces put out."""

    def __init__(self, opened: str, start: int, depth: int) -> None:
        self.awaits_value = False
        self._start = start
        self._fits_a_line = opened == "["
        self._inner = "\n" + "  " * (depth + 1)
        self._outer = "\n" + "  " * depth

    def begin_member(self, out: list[str], *, is_plain: bool) -> None:
        if self.awaits_value:
            self.awaits_value = False
        else:
            out.append(self._inner if len(out) == self._start else "," + self._inner)
        self._fits_a_line = self._fits_a_line and is_plain

    def close(self, out: list[str], closed: str) -> None:
        if len(out) > self._start:
            values = out[self._start + 1 :: 2] if self._fits_a_line else []
            if values and sum(map(len, values)) < _INLINE_WIDTH:
                out[self._start :] = [", ".join(values)]
            else:
                out.append(self._outer)
        out.append(closed)


def _value(run: Iterator[re.Match[str]]) -> tuple[int, int]:
    first = next(run)
    depth = 1 if first.group() in "{[" else 0
    last = first
    while depth:
        last = next(run)
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(last.group(), 0)
    return first.start(), last.end()


def _where(exc: Exception, data: bytes) -> str:
    if isinstance(exc, RecursionError):
        return "it is nested too deeply."
    message = str(exc).removeprefix("JSON is malformed: ")
    found = re.search(r" \(byte (\d+)\)$", message)
    if not found:
        return message[:1].lower() + message[1:] + "."
    before = data[: int(found[1])].decode(errors="ignore")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return f"{message[: found.start()]} at line {line}, column {column}."
