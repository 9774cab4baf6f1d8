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
type Revision = Annotated[str, Meta(description="Opaque; changes with every write.")]


class GetRequest(Request):
    key: Key


class GetReply(Reply):
    value: Raw
    exists: bool
    metadata: Raw | UnsetType = UNSET
    expiresAt: str | UnsetType = UNSET
    revision: Revision | UnsetType = UNSET


class SetRequest(Request):
    aliases: ClassVar[dict[str, tuple[str, ...]]] = {"ttl": ("expirationTtl",)}
    nullable: ClassVar[frozenset[str]] = frozenset({"value"})

    key: Key
    value: Raw
    ttl: Ttl | None = None
    metadata: Raw | None = None
    ifRevision: Revision | None = None
    ifAbsent: bool | None = None
    ifPresent: bool | None = None


class SetReply(Reply):
    success: bool
    reason: str | UnsetType = UNSET
    revision: Revision | UnsetType = UNSET


class HasRequest(Request):
    key: Key


class HasReply(Reply):
    exists: bool


class DeleteRequest(Request):
    key: Key
    ifRevision: Revision | None = None


class DeleteReply(Reply):
    success: bool
    reason: str | UnsetType = UNSET
    revision: Revision | UnsetType = UNSET


class GetManyRequest(Request):
    keys: Keys


class GetManyItem(Reply):
    key: str
    value: Raw
    exists: bool


class GetManyReply(Reply):
    results: list[GetManyItem]
    values: dict[str, Raw]


class SetManyEntry(Request):
    aliases: ClassVar[dict[str, tuple[str, ...]]] = {"ttl": ("expirationTtl",)}
    nullable: ClassVar[frozenset[str]] = frozenset({"value"})

    key: Key
    value: Raw
    ttl: Ttl | None = None
    metadata: Raw | None = None


class SetManyRequest(Request):
    """A list of entries, or an object key → value, to which the top-level ttl and metadata apply.

    In a list they apply to the entries that have none of their own.
    """

    aliases: ClassVar[dict[str, tuple[str, ...]]] = {"ttl": ("expirationTtl",)}

    entries: Annotated[list[SetManyEntry], Meta(max_length=limits.SET_MANY_ENTRIES)] | dict[str, Raw]
    ttl: Ttl | None = None
    metadata: Raw | None = None


class SetManyReply(Reply):
    success: bool
    count: int


class DeleteManyRequest(Request):
    keys: Keys


class DeleteManyReply(Reply):
    success: bool
    count: int
    deleted: int


class ListRequest(Request):
    prefix: Prefix | None = None
    limit: Annotated[int, Meta(ge=1, le=limits.LIST_KEYS)] = 100
    cursor: Cursor | None = None


class ListItem(Reply):
    key: str
    name: str
    expiration: int | UnsetType = UNSET
    metadata: Raw | UnsetType = UNSET
    expiresAt: str | UnsetType = UNSET


class ListReply(Reply):
    keys: list[ListItem]
    list_complete: bool
    cursor: Cursor | UnsetType = UNSET


class KeysRequest(Request):
    prefix: Prefix | None = None
    limit: Annotated[int, Meta(ge=1, le=limits.KEYS_KEYS)] = limits.KEYS_KEYS
    cursor: Cursor | None = None


class KeysReply(Reply):
    keys: list[str]
    truncated: bool
    cursor: Cursor | UnsetType = UNSET


class FlushRequest(Request):
    prefix: Prefix | None = None


class FlushReply(Reply):
    success: bool
    deleted: int


class ExpireRequest(Request):
    aliases: ClassVar[dict[str, tuple[str, ...]]] = {"ttl": ("expirationTtl",)}
    nullable: ClassVar[frozenset[str]] = frozenset({"ttl"})

    key: Key
    ttl: Ttl | None


class ExpireReply(Reply):
    success: bool


class IncrementRequest(Request):
    aliases: ClassVar[dict[str, tuple[str, ...]]] = {
        "ttl": ("expirationTtl",),
        "initialValue": ("initial_value",),
    }

    key: Key
    amount: int = 1
    initialValue: int = 0
    ttl: Ttl | None = None


class IncrementReply(Reply):
    value: Raw
