"""A form made from the last payloads of a type, and the payload made from what was filled in. Pure.

Values are kept as their own JSON text wherever a form can carry it: 9007199254740993 and 1.10 go out as they came in.
What a form cannot carry (an object with a name twice, a payload that is no object) is edited as JSON.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from aerodash import jsontext
from aerodash.errors import InvalidInput

FIELDS_MAX = 40
FORM_BYTES = 64 * 1024
"""A payload over this is edited as JSON."""
LONG_CHARS = 100
KINDS = ("text", "long", "number", "boolean", "json")

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
"""What a control of a form swallows, changes or cannot send."""


@dataclass(frozen=True, slots=True)
class Field:
    """One member of the payload. kind: one of KINDS; long is a text of several lines.

    value: as its control shows it; of a number and a JSON value its own text. hint: the value of the newest payload.
    optional: some payloads do without it; sent: whether this one has it. error: why its value cannot be sent.
    """

    name: str
    kind: str
    value: str = ""
    hint: str = ""
    optional: bool = False
    sent: bool = True
    error: str = ""


def infer(payloads: Sequence[str], *, secret: Sequence[str] = ()) -> tuple[Field, ...] | None:
    """An empty form with every member that these payloads (the newest first) have; None if a form cannot carry them.

    secret: members whose last value is not shown. Flags and JSON values begin as they were last.
    """
    shapes = [_members(text) for text in payloads]
    found: dict[str, list[str]] = {}
    for shape in shapes:
        if shape is None:
            return None
        for name, raw in shape.items():
            found.setdefault(name, []).append(raw)
    if not 1 <= len(found) <= FIELDS_MAX:
        return None
    fields = []
    for name, raws in found.items():
        newest = _field(name, raws[0])
        kind = _common({_field(name, raw).kind for raw in raws})
        hint = "" if name in secret else newest.value if kind != "json" else raws[0]
        field = Field(
            name,
            kind,
            hint=hint,
            optional=len(raws) < len(shapes),
            sent=bool(shapes[0] and name in shapes[0]),
        )
        fields.append(replace(field, value=hint) if kind in ("boolean", "json") else field)
    return tuple(fields)


def split(text: str, like: Sequence[Field] = ()) -> tuple[Field, ...] | None:
    """The form of this payload; None if a form cannot carry it. like: fields it may have besides, and how they look.

    The text must be valid JSON.
    """
    shape = _members(text)
    if shape is None:
        return None
    known = {field.name: field for field in like}
    fields = [_as(known.get(name), _field(name, raw), raw) for name, raw in shape.items()]
    fields += [replace(field, optional=True, sent=False) for field in like if field.name not in shape]
    return tuple(fields) if 1 <= len(fields) <= FIELDS_MAX else None


def compose(fields: Sequence[Field]) -> tuple[str, tuple[Field, ...]]:
    """The payload's JSON text, and the fields with what is wrong in each; the text counts only if nothing is."""
    members, checked = [], []
    for field in fields:
        if not field.sent:
            checked.append(replace(field, error=""))
            continue
        raw, error = _raw(field)
        members.append(f"{json.dumps(field.name, ensure_ascii=False)}: {raw}")
        checked.append(replace(field, error=error))
    return "{" + ", ".join(members) + "}", tuple(checked)


def posted(form: Mapping[str, str]) -> tuple[Field, ...]:
    """The fields that a form of ours sent: count, and for each number n, k, v, o and s. What is no such field is left out."""
    count = form.get("count", "")
    fields = []
    for number in range(min(int(count), FIELDS_MAX) if count.isascii() and count.isdigit() else 0):
        kind = form.get(f"k{number}", "")
        if kind not in KINDS or f"n{number}" not in form:
            continue
        optional = f"o{number}" in form
        fields.append(
            Field(
                name=form[f"n{number}"],
                kind=kind,
                value=form.get(f"v{number}", "").replace("\r\n", "\n"),
                hint=form.get(f"h{number}", ""),
                optional=optional,
                sent=not optional or f"s{number}" in form,
            )
        )
    return tuple(fields)


def secret_members(paths: Sequence[str]) -> frozenset[str]:
    """The members of a payload that these JSON Pointers lead into."""
    return frozenset(
        path[1:].partition("/")[0].replace("~1", "/").replace("~0", "~") for path in paths if path[:1] == "/"
    )


def _members(text: str) -> dict[str, str] | None:
    """The object's members as JSON text; None for what a form cannot carry."""
    if len(text) > FORM_BYTES or text.lstrip()[:1] != "{":
        return None
    found: dict[str, str] = {}
    for member in jsontext.members(text):
        if member.name in found or _UNSAFE.search(member.name) or "\n" in member.name:
            return None
        found[member.name] = text[member.start : member.end]
    return found


def _field(name: str, raw: str) -> Field:
    """How one value looks in a form."""
    match raw[:1]:
        case '"':
            value = json.loads(raw)
            if _UNSAFE.search(value):
                return Field(name, "json", raw)
            return Field(name, "long" if "\n" in value or len(value) > LONG_CHARS else "text", value)
        case "t" | "f":
            return Field(name, "boolean", raw)
        case "{" | "[" | "n":
            return Field(name, "json", raw)
    return Field(name, "number", raw)


def _common(kinds: set[str]) -> str:
    if kinds == {"text", "long"}:
        return "long"
    return next(iter(kinds)) if len(kinds) == 1 else "json"


def _as(known: Field | None, field: Field, raw: str) -> Field:
    if known is None:
        return field
    kind = _common({known.kind, field.kind})
    return replace(
        field,
        kind=kind,
        value=raw if kind == "json" else field.value,
        hint=known.hint,
        optional=known.optional,
    )


def _raw(field: Field) -> tuple[str, str]:
    """A value's JSON text, and what is wrong with it; "null" stands for what is."""
    match field.kind:
        case "text" | "long":
            return json.dumps(field.value, ensure_ascii=False), ""
        case "boolean" if field.value in ("true", "false"):
            return field.value, ""
        case "boolean":
            return "null", "Choose true or false."
        case "number":
            number = field.value.strip()
            if _NUMBER.fullmatch(number):
                return number, ""
            return "null", "A number is needed, such as 12 or -1.5." if number else "A number is needed here."
    try:
        jsontext.check(field.value)
    except InvalidInput as exc:
        return "null", exc.message
    return field.value.strip(), ""
