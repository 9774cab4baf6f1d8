"""Bodies of the 12 cache operations. Source: wire contract, sections 3, 8 and 9."""

from typing import Annotated, ClassVar

from msgspec import UNSET, Meta, Raw, UnsetType

from aerodash import limits
from aerodash.wire.inputs import Reply, Request

type Key = Annotated[str, Meta(min_length=1, description="1 to 1024 bytes of UTF-8.")]
type Keys = Annotated[list[str], Meta(description="Keys of 1 to 1024 bytes of UTF-8.")]
type Prefix = Annotated[str, Meta(description="Only keys that begin with it.")]
type Cursor = Annotated[str, Meta(description="Opaque; from the page before.")]
type Ttl = Annotated[int, Meta(ge=1, le=limits.TTL_MAX_S, description="Whole seconds.")]
type Metadata = Annotated[
    Raw, Meta(description="An object, at most 4 KiB of JSON.", extra_json_schema={"type": "object"})
]
type Instant = Annotated[
    str,
    Meta(description="RFC 3339, UTC, with milliseconds.", extra_json_schema={"format": "date-time"}),
]
type Revision = Annotated[str, Meta(description="Opaque; changes with every write.")]


class GetRequest(Request):
    """Which entry to read, and whether to say how long it stays."""

    aliases: ClassVar[dict[str, tuple[str, ...]]] = {"withTtl": ("with_ttl",)}

    key: Key
    withTtl: bool | None = None


class GetReply(Reply):
    """The entry, or `value: null, exists: false`."""

    value: Raw
    exists: bool
    metadata: Metadata | UnsetType = UNSET
    expiresAt: Instant | UnsetType = UNSET
    ttl: (
        Annotated[int, Meta(description="Whole seconds left, if asked for; none if it never expires.")]
        | UnsetType
    ) = UNSET
    revision: Revision | UnsetType = UNSET


class SetRequest(Request):
    """One entry to write, under at most one condition."""

    aliases: ClassVar[dict[str, tuple[str, ...]]] = {
        "ttl": ("expirationTtl",),
        "ifRevision": ("if_revision",),
        "ifAbsent": ("if_absent",),
        "ifPresent": ("if_present",),
    }
    nullable: ClassVar[frozenset[str]] = frozenset({"value"})
    options: ClassVar[dict[str, bool]] = {"ttl": False}

    key: Key
    value: Raw
    ttl: Ttl | None = None
    metadata: Metadata | None = None
    ifRevision: Revision | None = None
    ifAbsent: bool | None = None
    ifPresent: bool | None = None


class SetReply(Reply):
    """Whether it was written; if not, the reason, and the revision that stands."""

    success: bool
    reason: str | UnsetType = UNSET
    revision: Revision | UnsetType = UNSET


class HasRequest(Request):
    """Which entry to look for."""

    key: Key


class HasReply(Reply):
    """Whether it is there."""

    exists: bool


class DeleteRequest(Request):
    """Which entry to remove, at which revision if that matters."""

    aliases: ClassVar[dict[str, tuple[str, ...]]] = {"ifRevision": ("if_revision",)}

    key: Key
    ifRevision: Revision | None = None


class DeleteReply(Reply):
    """success is false only when ifRevision did not hold."""

    success: bool
    reason: str | UnsetType = UNSET
    revision: Revision | UnsetType = UNSET


class GetManyRequest(Request):
    """Which entries to read, up to 1000."""

    keys: Keys


class GetManyItem(Reply):
    """One of them; a miss has `value: null, exists: false`."""

    key: str
    value: Raw
    exists: bool


class GetManyReply(Reply):
    """The same entries twice: in request order, and as an object."""

    results: list[GetManyItem]
    values: dict[str, Raw]


class SetManyEntry(Request):
    """One entry of a list."""

    aliases: ClassVar[dict[str, tuple[str, ...]]] = {"ttl": ("expirationTtl",)}
    nullable: ClassVar[frozenset[str]] = frozenset({"value"})

    key: Key
    value: Raw
    ttl: Ttl | None = None
    metadata: Metadata | None = None


class SetManyRequest(Request):
    """A list of entries, or an object key → value, to which the top-level ttl and metadata apply.

    In a list they apply to the entries that have none of their own.
    """

    aliases: ClassVar[dict[str, tuple[str, ...]]] = {"ttl": ("expirationTtl",)}
    options: ClassVar[dict[str, bool]] = {"ttl": False}

    entries: Annotated[list[SetManyEntry], Meta(max_length=limits.SET_MANY_ENTRIES)] | dict[str, Raw]
    ttl: Ttl | None = None
    metadata: Metadata | None = None


class SetManyReply(Reply):
    """How many were written: all that were sent."""

    success: bool
    count: int


class DeleteManyRequest(Request):
    """Which entries to remove, up to 10 000."""

    keys: Keys


class DeleteManyReply(Reply):
    """How many keys were asked for, and how many existed."""

    success: bool
    count: int
    deleted: int


class ListRequest(Request):
    """Which page of which entries."""

    options: ClassVar[dict[str, bool]] = {"prefix": False}

    prefix: Prefix | None = None
    limit: Annotated[int, Meta(ge=1, le=limits.LIST_KEYS)] = 100
    cursor: Cursor | None = None


class ListItem(Reply):
    """One entry without its value; key and name are the same."""

    key: str
    name: str
    expiration: int | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET
    expiresAt: Instant | UnsetType = UNSET


class ListReply(Reply):
    """A page of entries in byte order of their keys."""

    keys: list[ListItem]
    list_complete: bool
    cursor: Cursor | UnsetType = UNSET


class KeysRequest(Request):
    """Which page of which keys."""

    options: ClassVar[dict[str, bool]] = {"prefix": False}

    prefix: Prefix | None = None
    limit: Annotated[int, Meta(ge=1, le=limits.KEYS_KEYS)] = limits.KEYS_KEYS
    cursor: Cursor | None = None


class KeysReply(Reply):
    """A page of keys in byte order."""

    keys: list[str]
    truncated: bool
    cursor: Cursor | UnsetType = UNSET


class FlushRequest(Request):
    """What to remove; without a prefix all that the project has."""

    options: ClassVar[dict[str, bool]] = {"prefix": True}

    prefix: Prefix | None = None


class FlushReply(Reply):
    """How many entries were removed."""

    success: bool
    deleted: int


class ExpireRequest(Request):
    """When an entry shall expire; a null ttl means never."""

    aliases: ClassVar[dict[str, tuple[str, ...]]] = {"ttl": ("expirationTtl",)}
    nullable: ClassVar[frozenset[str]] = frozenset({"ttl"})
    options: ClassVar[dict[str, bool]] = {"ttl": False}

    key: Key
    ttl: Ttl | None


class ExpireReply(Reply):
    """success is false if there is no such entry."""

    success: bool


class IncrementRequest(Request):
    """How far to count, and where an absent counter begins."""

    aliases: ClassVar[dict[str, tuple[str, ...]]] = {
        "ttl": ("expirationTtl",),
        "initialValue": ("initial_value",),
    }
    options: ClassVar[dict[str, bool]] = {"ttl": False}

    key: Key
    amount: int = 1
    initialValue: int = 0
    ttl: Ttl | None = None


class IncrementReply(Reply):
    """The counter's new value, exact to 64 bits."""

    value: Raw
