"""Columns of values as the text of PostgreSQL arrays: a few calls for a column, where a driver takes one a value."""

import re
from collections.abc import Sequence
from typing import Any

import psycopg

_END = "\x00"  # no text in PostgreSQL can have it
_ID = "(?:[0-9a-f]{32}|[0-9a-f-]{36}|None)"
_IDS = re.compile(f"{_ID}(?:,{_ID})*")


def array(type: str, values: Sequence[Any]) -> str:
    """The values as an array's text; None is NULL, and so is what is no id in a column of ids: there is no such row.

    Raises DataError for a text with a NUL character in it.
    """
    if len(values) == 1 and (text := _one(type, values[0])):
        return text
    if type == "text":
        return _texts(values)
    # Numbers, truth values and ids need no quotes, and none of them has this word in it.
    text = ",".join(map(str, values))
    if type == "uuid" and not _IDS.fullmatch(text):
        text = ",".join(
            str(id) if _IDS.fullmatch(str(id)) and "," not in str(id) else "NULL" for id in values
        )
    return "{" + (text.replace("None", "NULL") if "None" in text else text) + "}"


def _one(type: str, value: Any) -> str:
    """The array of one value, where that is plain; else ""."""
    if value is None:
        return "{NULL}"
    if type == "uuid":
        return ""
    if type != "text":
        return f"{{{value}}}"
    return "" if "\\" in value or '"' in value or _END in value else f'{{"{value}"}}'


def _texts(values: Sequence[str | None]) -> str:
    known = [value for value in values if value is not None]
    text = _END.join(known)
    if text.count(_END) != max(len(known) - 1, 0):
        raise psycopg.DataError("a text has a NUL character in it, which PostgreSQL does not take")
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if '"' in text:
        text = text.replace('"', '\\"')
    if len(known) == len(values):
        return '{"' + text.replace(_END, '","') + '"}' if known else "{}"
    quoted = iter(text.split(_END))
    return "{" + ",".join("NULL" if value is None else f'"{next(quoted)}"' for value in values) + "}"
