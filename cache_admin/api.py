"""The 12 cache operations of the wire contract, section 3. All answer 200."""

from msgspec import UNSET, Raw, UnsetType

from aerodash import instants
from aerodash.auth import Scope
from aerodash.errors import InvalidInput
from aerodash.wire.operation import OPTIONS, Ask, Call, Rpc, operation
from cache_admin import queries, services
from cache_admin.schemas import (
    DeleteManyReply,
    DeleteManyRequest,
    DeleteReply,
    DeleteRequest,
    ExpireReply,
    ExpireRequest,
    FlushReply,
    FlushRequest,
    GetManyItem,
    GetManyReply,
    GetManyRequest,
    GetReply,
    GetRequest,
    HasReply,
    HasRequest,
    IncrementReply,
    IncrementRequest,
    KeysReply,
    KeysRequest,
    ListItem,
    ListReply,
    ListRequest,
    SetManyReply,
    SetManyRequest,
    SetReply,
    SetRequest,
)

NULL = Raw(b"null")
EXPIRATION_MAX = 2_147_483_647
"""Go clients read `expiration` as int32; later instants are in `expiresAt` alone."""
RPC_KEYS_BYTES = 32 * 1024 * 1024
"""Of the keys in one RPC result, which has no room to say that there are more."""


async def _value(reply: GetReply, ask: Ask) -> Raw:
    return reply.value


async def _results(reply: GetManyReply, ask: Ask) -> list[GetManyItem]:
    return reply.results


async def _all_keys(reply: KeysReply, ask: Ask) -> list[str]:
    keys, size = list[str](), 0
    while True:
        keys += reply.keys
        size += sum(map(len, reply.keys))
        if reply.cursor is UNSET:
            return keys
        if size > RPC_KEYS_BYTES:
            raise InvalidInput(
                f"The keys are over {RPC_KEYS_BYTES} bytes: ask for a longer prefix, or page through cache.list.",
                reason="reply_too_large", field="prefix", limit=RPC_KEYS_BYTES,
            )  # fmt: skip
        reply = await ask(cursor=reply.cursor)


@operation(
    "/cache/get",
    request=GetRequest,
    reply=GetReply,
    scope=Scope.CACHE_READ,
    rpc=Rpc(("key",), result=_value),
)
async def cache_get(call: Call, body: GetRequest) -> GetReply:
    """Read one entry.

    A missing or expired key answers `value: null, exists: false`; a stored null answers `exists: true`. With `withTtl`
    an entry that expires has `ttl` besides: the whole seconds left, begun ones included, by the engine's clock.
    """
    entry = await queries.get(call.project, call.actor, key=body.key, seen=call.seen_revision)
    if entry is None:
        return GetReply(value=NULL, exists=False)
    call.reply_revision = entry.revision
    return GetReply(
        value=Raw(entry.value),
        exists=True,
        metadata=_raw_or_unset(entry.metadata),
        expiresAt=_instant(entry.expires_at_ms),
        ttl=await _seconds_left(entry.expires_at_ms) if body.withTtl else UNSET,
        revision=entry.revision,
    )


@operation(
    "/cache/set",
    request=SetRequest,
    reply=SetReply,
    scope=Scope.CACHE_WRITE,
    rpc=Rpc(("key", "value", "ttl")),
)
async def cache_set(call: Call, body: SetRequest) -> SetReply:
    """Write one entry.

    Without `ttl` it never expires. Without `metadata` the stored one stays, `{}` clears it. A condition that does not
    hold (`ifRevision`, `ifAbsent`, `ifPresent`) answers `success: false` with the reason, and writes nothing.
    """
    result = await services.set_entry(
        call.project,
        call.actor,
        key=body.key,
        value=body.value,
        ttl_s=body.ttl,
        metadata=_given(body.metadata),
        if_revision=body.ifRevision,
        if_absent=bool(body.ifAbsent),
        if_present=bool(body.ifPresent),
    )
    if result.done:
        call.reply_revision = result.revision or ""
    return SetReply(success=result.done, reason=result.reason or UNSET, revision=result.revision or UNSET)


@operation("/cache/has", request=HasRequest, reply=HasReply, scope=Scope.CACHE_READ)
async def cache_has(call: Call, body: HasRequest) -> HasReply:
    """Ask whether an entry exists."""
    return HasReply(exists=await queries.has(call.project, call.actor, key=body.key))


@operation(
    "/cache/delete",
    request=DeleteRequest,
    reply=DeleteReply,
    scope=Scope.CACHE_WRITE,
    rpc=Rpc(("key",)),
)
async def cache_delete(call: Call, body: DeleteRequest) -> DeleteReply:
    """Remove one entry.

    A key that is gone already is a success; only an `ifRevision` that does not hold answers `success: false`.
    """
    result = await services.delete(call.project, call.actor, key=body.key, if_revision=body.ifRevision)
    if result.done:
        call.reply_revision = result.revision or ""
    return DeleteReply(success=result.done, reason=result.reason or UNSET, revision=result.revision or UNSET)


@operation(
    "/cache/getMany",
    request=GetManyRequest,
    reply=GetManyReply,
    scope=Scope.CACHE_READ,
    rpc=Rpc(("keys",), result=_results),
)
async def cache_get_many(call: Call, body: GetManyRequest) -> GetManyReply:
    """Read up to 1000 entries as of one instant.

    `results` has every key in request order, misses included; `values` has the same as an object.
    """
    entries = await queries.get_many(call.project, call.actor, keys=body.keys, seen=call.seen_revision)
    values = [NULL if entry is None else Raw(entry.value) for entry in entries]
    return GetManyReply(
        results=[
            GetManyItem(key=key, value=value, exists=entry is not None)
            for key, value, entry in zip(body.keys, values, entries, strict=True)
        ],
        values=dict(zip(body.keys, values, strict=True)),
    )


@operation(
    "/cache/setMany",
    request=SetManyRequest,
    reply=SetManyReply,
    scope=Scope.CACHE_WRITE,
    rpc=Rpc(("entries",)),
)
async def cache_set_many(call: Call, body: SetManyRequest) -> SetManyReply:
    """Write up to 1000 entries, all or none.

    `entries` is a list of {key, value, ttl?, metadata?}, or an object key → value to which the top-level `ttl` and
    `metadata` apply.
    """
    common = _given(body.metadata)
    if isinstance(body.entries, dict):
        entries = [(key, value, body.ttl, common) for key, value in body.entries.items()]
    else:
        entries = [
            (
                e.key,
                e.value,
                body.ttl if e.ttl is None else e.ttl,
                common if _given(e.metadata) is None else e.metadata,
            )
            for e in body.entries
        ]
    call.reply_revision = await services.set_many(call.project, call.actor, entries=entries)
    return SetManyReply(success=True, count=len(entries))


@operation(
    "/cache/deleteMany",
    request=DeleteManyRequest,
    reply=DeleteManyReply,
    scope=Scope.CACHE_WRITE,
    rpc=Rpc(("keys",)),
)
async def cache_delete_many(call: Call, body: DeleteManyRequest) -> DeleteManyReply:
    """Remove up to 10 000 entries; up to 1000 go in one instant.

    `count` is how many keys were asked for, `deleted` how many existed.
    """
    removed = await services.delete_many(call.project, call.actor, keys=body.keys)
    call.reply_revision = removed.revision
    return DeleteManyReply(success=True, count=len(body.keys), deleted=removed.number)


@operation(
    "/cache/list",
    request=ListRequest,
    reply=ListReply,
    scope=Scope.CACHE_READ,
    rpc=Rpc(("prefix", OPTIONS)),
)
async def cache_list(call: Call, body: ListRequest) -> ListReply:
    """List entries with expiry and metadata, in byte order of their keys.

    `cursor` comes with every page but the last, and stays good when entries are deleted.
    """
    page = await queries.list_with_metadata(
        call.project, call.actor, prefix=body.prefix or "", limit=body.limit, cursor=body.cursor
    )
    return ListReply(
        keys=[
            ListItem(
                key=row.key,
                name=row.key,
                expiration=_unix_seconds(row.expires_at_ms),
                metadata=_raw_or_unset(row.metadata),
                expiresAt=_instant(row.expires_at_ms),
            )
            for row in page.entries
        ],
        list_complete=page.next_cursor is None,
        cursor=page.next_cursor or UNSET,
    )


@operation(
    "/cache/keys",
    request=KeysRequest,
    reply=KeysReply,
    scope=Scope.CACHE_READ,
    rpc=Rpc(("prefix",), result=_all_keys),
)
async def cache_keys(call: Call, body: KeysRequest) -> KeysReply:
    """List keys, in byte order; `truncated` and `cursor` say that there are more."""
    page = await queries.list_keys(
        call.project, call.actor, prefix=body.prefix or "", limit=body.limit, cursor=body.cursor
    )
    return KeysReply(
        keys=list(page.keys), truncated=page.next_cursor is not None, cursor=page.next_cursor or UNSET
    )


@operation(
    "/cache/flush",
    request=FlushRequest,
    reply=FlushReply,
    scope=Scope.CACHE_WRITE,
    rpc=Rpc(("prefix",)),
)
async def cache_flush(call: Call, body: FlushRequest) -> FlushReply:
    """Remove every entry under a prefix, or without one the whole project's, flags too.

    Answers when done, and finishes if the caller leaves. What is written after the call stays. More than 5000 entries
    are removed by an operation, which can be looked at and stopped meanwhile (`success: false` then); if it does not
    move for 15 s the answer is 503 with its `operationId`, and it goes on.
    """
    removed = await services.flush(call.project, call.actor, prefix=body.prefix)
    call.reply_revision = removed.revision
    return FlushReply(success=removed.done, deleted=removed.number)


@operation(
    "/cache/expire",
    request=ExpireRequest,
    reply=ExpireReply,
    scope=Scope.CACHE_WRITE,
    rpc=Rpc(("key", "ttl")),
)
async def cache_expire(call: Call, body: ExpireRequest) -> ExpireReply:
    """Change when one entry expires; null means never. A missing key answers `success: false`."""
    result = await services.expire(call.project, call.actor, key=body.key, ttl_s=body.ttl)
    call.reply_revision = result.revision
    return ExpireReply(success=result.done)


@operation(
    "/cache/increment",
    request=IncrementRequest,
    reply=IncrementReply,
    scope=Scope.CACHE_WRITE,
    rpc=Rpc(("key", "amount", OPTIONS)),
)
async def cache_increment(call: Call, body: IncrementRequest) -> IncrementReply:
    """Add to a counter, atomically; it keeps its ttl.

    An absent one is made as initialValue + amount, and only then takes `ttl`. A value that is no integer, or a sum out
    of 64 bits, is refused and nothing is written.
    """
    counted = await services.increment(
        call.project,
        call.actor,
        key=body.key,
        amount=body.amount,
        initial_value=body.initialValue,
        ttl_s=body.ttl,
    )
    call.reply_revision = counted.revision
    return IncrementReply(value=Raw(counted.value))


def _given(metadata: Raw | None) -> Raw | None:
    """None for an absent or null one."""
    return None if metadata is None or bytes(metadata) == b"null" else metadata


def _raw_or_unset(text: bytes | None) -> Raw | UnsetType:
    return UNSET if text is None else Raw(text)


def _instant(at_ms: int | None) -> str | UnsetType:
    return UNSET if at_ms is None else instants.text(at_ms)


async def _seconds_left(at_ms: int | None) -> int | UnsetType:
    if at_ms is None:
        return UNSET
    return max(1, -((await queries.now_ms() - at_ms) // 1000))


def _unix_seconds(at_ms: int | None) -> int | UnsetType:
    if at_ms is None or at_ms // 1000 > EXPIRATION_MAX:
        return UNSET
    return at_ms // 1000
