"""One strict decoder for request bodies, whichever lane they come by.

A request type is a msgspec Struct. A body that uses exactly its names and types is decoded in one pass; any other
(aliases, nulls, whole floats, unknown fields) goes field by field, to the same meaning and with better messages.
Users' values are `msgspec.Raw`: the caller's own JSON text, checked and never turned into another text.
Source: wire contract, section 9.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, TypeAliasType, get_args, get_origin

import msgspec
from msgspec import Raw

from aerodash.errors import InvalidInput


class Request(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Base of every request body. An optional field defaults to None: JSON null and absent mean the same.

    aliases: other names of a field, {field: (alias, …)}; two that disagree are refused.
    nullable: fields for which null is a value of its own, so that a required one may be null (cache values,
    payloads, expire's ttl). Such a field is typed Raw, or `T | None` without a default.
    options: fields of which clients send an object of options in place of the value (`ttl: {"ttl": 60}`): its members
    count as the body's own. Where it says True, the object must have a member of the field's own name.
    """

    aliases: ClassVar[dict[str, tuple[str, ...]]] = {}
    nullable: ClassVar[frozenset[str]] = frozenset()
    options: ClassVar[Mapping[str, bool]] = {}


class Reply(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Base of every reply body. A field that may be absent is `T | UnsetType = UNSET` (or has a default that
    means absent); a field that must always be sent has no default. Absent fields are omitted, never null."""


class Decoder:
    """Decodes bodies for one request type. Build it once; it is safe to share."""

    def __init__(self, request: type[msgspec.Struct]) -> None:
        self._fast = msgspec.json.Decoder(request, strict=True)
        self._type = request
        self._fields = [_Field(info, request) for info in msgspec.structs.fields(request)]
        self._holds_values = _holds_values(request)
        self._options: Mapping[str, bool] = getattr(request, "options", {})

    def decode(self, body: bytes) -> Any:
        """The request, with every bound and type checked. Raises InvalidInput naming the field."""
        try:
            if self._holds_values:
                # Raw is only sliced: numbers out of a double's range, integers past 4300 digits and broken UTF-8
                # show up here.
                msgspec.json.decode(body)
            try:
                return self._fast.decode(body)
            except msgspec.ValidationError:
                return self.by_field(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise InvalidInput(
                f"The body is not valid JSON: {_sentence(exc)}", reason="malformed_json"
            ) from exc

    def by_field(self, text: bytes | Raw, within: str = "") -> Any:
        """The same, from an object whose JSON is known to be sound. within: what messages put before the field."""
        try:
            sent = _OBJECT.decode(text)
        except msgspec.ValidationError:
            if name := within.rstrip("."):
                raise InvalidInput(
                    f"{name} must be a JSON object.", reason="invalid_field", field=name
                ) from None
            raise InvalidInput("The body must be a JSON object.", reason="malformed_json") from None
        for name, itself in self._options.items():
            if bytes(sent.get(name, b"")).startswith(b"{"):
                _unfold(sent, name, itself)
        values = {}
        for field in self._fields:
            raw = field.find(sent, within)
            if raw is not None:
                values[field.attribute] = field.decode(raw, within)
            elif field.required:
                name = within + field.name
                raise InvalidInput(f"{name} is required.", reason="missing", field=name)
        return self._type(**values)


class _Field:
    """One field of a request type and how it is found in and read from a body."""

    def __init__(self, info: msgspec.structs.FieldInfo, request: type[msgspec.Struct]) -> None:
        self.name = info.encode_name
        self.attribute = info.name
        self.required = info.required
        self._is_raw = info.type is Raw or (Raw in _types_in(info.type, depth=1))
        self._names = (info.encode_name, *getattr(request, "aliases", {}).get(info.encode_name, ()))
        self._nullable = info.encode_name in getattr(request, "nullable", frozenset())
        self._decoder = msgspec.json.Decoder(info.type, strict=True)
        nested = [t for t in _types_in(info.type) if isinstance(t, type) and issubclass(t, Request)]
        self._items = Decoder(nested[0]) if nested else None
        self._kinds = _types_in(info.type, origins=True)
        self._most_items = _most_items(msgspec.inspect.type_info(info.type))
        self._words = _words(msgspec.inspect.type_info(info.type))

    def find(self, sent: dict[str, Raw], within: str) -> Raw | None:
        """The field's text under its name or an alias; None if absent (or null where null means absent)."""
        found: Raw | None = None
        for name in self._names:
            raw = sent.get(name)
            if raw is None or (not self._nullable and bytes(raw) == b"null"):
                continue
            if found is not None and not _same(msgspec.json.decode(found), msgspec.json.decode(raw)):
                names = " and ".join(n for n in self._names if n in sent)
                raise InvalidInput(
                    f"{names} say different things.", reason="conflicting_aliases", field=within + self.name
                )
            found = raw if found is None else found
        return found

    def decode(self, raw: Raw, within: str) -> Any:
        if self._is_raw:
            return Raw(bytes(raw))
        name = within + self.name
        if self._items is not None:
            text = bytes(raw)
            if text.startswith(b"[") and list in self._kinds:
                items = _ARRAY.decode(text)
                if self._most_items is not None and len(items) > self._most_items:
                    # Before the items are read: a body has room for a million, and the loop waits meanwhile.
                    raise InvalidInput(
                        f"{name} has {len(items)} items, over the limit of {self._most_items}.",
                        reason="too_many", field=name, limit=self._most_items,
                    )  # fmt: skip
                return [self._items.by_field(item, f"{name}[{i}].") for i, item in enumerate(items)]
            # Anything but an object is for the other types of the field's union, or refused below by its name.
            if text.startswith(b"{") and dict not in self._kinds:
                return self._items.by_field(text, f"{name}.")
        try:
            return self._decoder.decode(raw)
        except msgspec.ValidationError as exc:
            if (whole := _whole_float(raw)) is not None:
                try:
                    return self._decoder.decode(whole)
                except msgspec.ValidationError:
                    pass  # a whole number, and still not what the field takes: the first message says it best
            sentence = _sentence(exc)
            if self._words and sentence.startswith("Invalid enum value"):
                sentence = f"{sentence.removesuffix('.')}; it takes {', '.join(self._words)}."
            raise InvalidInput(f"{name}: {sentence}", reason="invalid_field", field=name) from None


def _unfold(sent: dict[str, Raw], name: str, itself: bool) -> None:
    """Put the members of an object of options beside the field that it came as. Two that disagree are refused."""
    members = _OBJECT.decode(sent[name])
    if itself and name not in members:
        return  # refused as a wrong type
    del sent[name]
    for member, raw in members.items():
        if member in sent and not _same(msgspec.json.decode(sent[member]), msgspec.json.decode(raw)):
            raise InvalidInput(
                f"{member} and {name}.{member} say different things.",
                reason="conflicting_aliases",
                field=member,
            )
        sent[member] = raw


_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_ARRAY = msgspec.json.Decoder(list[Raw])


def _types_in(annotation: Any, *, depth: int = 9, origins: bool = False) -> list[Any]:
    """Every type that an annotation is made of; depth 1 looks through unions and Annotated only."""
    if isinstance(annotation, TypeAliasType):
        annotation = annotation.__value__
    origin = get_origin(annotation)
    if origin is None:
        return [annotation]
    if depth == 1 and origin in {list, dict}:
        return []
    found = [origin] if origins else []
    for arg in get_args(annotation):
        if isinstance(arg, type | TypeAliasType) or get_origin(arg) is not None:
            found += _types_in(arg, depth=depth, origins=origins)
    return found


def requests_in(request: type[msgspec.Struct]) -> list[type[Request]]:
    """The types of the objects that a body of this type holds, at any depth."""
    types = [t for info in msgspec.structs.fields(request) for t in _types_in(info.type)]
    direct = [t for t in types if isinstance(t, type) and issubclass(t, Request)]
    return direct + [deeper for t in direct for deeper in requests_in(t)]


def _holds_values(request: type[msgspec.Struct]) -> bool:
    """Whether a body of this type has users' JSON in it, at any depth."""
    return any(
        Raw in _types_in(info.type)
        for one in (request, *requests_in(request))
        for info in msgspec.structs.fields(one)
    )


def _most_items(info: msgspec.inspect.Type) -> int | None:
    """How many items the list that a field is, or may be, can have; None if it is no list or has no bound."""
    if isinstance(info, msgspec.inspect.UnionType):
        return next((most for most in map(_most_items, info.types) if most is not None), None)
    return info.max_length if isinstance(info, msgspec.inspect.ListType) else None


def _words(info: msgspec.inspect.Type) -> list[str]:
    """The words that a field takes which takes only some."""
    if isinstance(info, msgspec.inspect.UnionType):
        return [word for one in info.types for word in _words(one)]
    if isinstance(info, msgspec.inspect.LiteralType):
        return [value for value in info.values if isinstance(value, str)]
    return []


def _same(one: object, other: object) -> bool:
    """Whether two decoded values are one JSON value: 60 and 60.0 are, 1 and true, which Python takes for equal, are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    return one == other


def _whole_float(raw: Raw) -> bytes | None:
    """The integer text of a float such as 60.0, which some clients send for a whole number.

    Read as a decimal: a double would make 9007199254740992 of 9007199254740993.0, and 1 of 0.99999999999999999999.
    """
    try:
        number = msgspec.json.decode(raw, type=float)
    except msgspec.ValidationError:
        return None
    if not number.is_integer():
        return None
    try:
        exact = Decimal(bytes(raw).decode("ascii"))
    except InvalidOperation:  # an exponent of more than 18 digits, which a double takes for 0
        return None
    whole = int(exact)  # at most 309 digits: it fits a double
    return str(whole).encode() if whole == exact else None


def _sentence(exc: Exception) -> str:
    if isinstance(exc, RecursionError):
        return "it is nested too deeply."
    if isinstance(exc, UnicodeDecodeError):
        return "it is not UTF-8."
    return str(exc).removeprefix("JSON is malformed: ").split(" - at `")[0].rstrip(".") + "."
