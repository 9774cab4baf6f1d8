"""The reads of the cache. Each asks for the right `cache:read`."""

from collections.abc import Sequence
from dataclasses import dataclass

from aerodash import engines, limits
from aerodash.auth import Actor, Scope
from aerodash.errors import InvalidInput
from aerodash.ids import ProjectId
from cache_admin.bounds import check_key, check_keys, check_limit, check_prefix, from_cursor, to_cursor
from cache_admin.engine.contract import CacheEngine, Count, Entry, EntryRow, Folder, Give, Page, Stats

TREE_ROWS = 1000


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Entries in byte order of their keys. A cursor is None where nothing lies that way; next_cursor goes on, and
    previous_cursor, with reverse=True, goes back."""

    entries: tuple[EntryRow, ...]
    next_cursor: str | None
    previous_cursor: str | None


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Keys in byte order; next_cursor is None on the last page."""

    keys: tuple[str, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Tree:
    """One level of the key tree, in byte order, or a page of it.

    folders: what lies behind the next ":". keys: the loose ones, without a further ":". after: the cursor for the next
    page of this level, None when this is all. total: every key under the prefix, on this page or not.
    """

    folders: tuple[Folder, ...]
    keys: tuple[str, ...]
    after: str | None
    total: Count


@engines.on_engine_loop
async def get(project: ProjectId, actor: Actor, *, key: str, seen: str | None = None) -> Entry | None:
    """The entry, or None if it is absent or expired.

    seen: None asks the primary. Else a replica may answer: one that is at least at this revision, "" any.
    Raises InvalidInput, NotAllowed, EngineDown.
    """
    actor.require(Scope.CACHE_READ)
    check_key(key)
    return await _engine().get(project, key, seen=seen)


@engines.on_engine_loop
async def peek(project: ProjectId, actor: Actor, *, key: str, limit_bytes: int) -> EntryRow | None:
    """The entry with the first bytes of its value, for people: a large value is not read whole, and nothing is counted
    as a read. None if it is absent or expired. Raises InvalidInput, NotAllowed, EngineDown.
    """
    actor.require(Scope.CACHE_READ)
    check_key(key)
    return await _engine().peek(project, key, limit_bytes=limit_bytes)


@engines.on_engine_loop
async def get_many(
    project: ProjectId, actor: Actor, *, keys: Sequence[str], seen: str | None = None
) -> list[Entry | None]:
    """The same for up to 1000 keys, in order, all as of one instant.

    Raises InvalidInput when their values are more than an answer should hold.
    """
    actor.require(Scope.CACHE_READ)
    check_keys(keys, limit=limits.GET_MANY_KEYS)
    entries = await _engine().get_many(project, keys, seen=seen)
    size = sum(len(entry.value) for entry in entries if entry is not None)
    if size > limits.GET_MANY_BYTES:
        raise InvalidInput(
            f"The values are {size} bytes, over the limit of {limits.GET_MANY_BYTES}: ask for fewer keys at once.",
            reason="reply_too_large", field="keys", limit=limits.GET_MANY_BYTES,
        )  # fmt: skip
    return entries


@engines.on_engine_loop
async def has(project: ProjectId, actor: Actor, *, key: str) -> bool:
    """Whether the entry exists; cheaper than reading a large value."""
    actor.require(Scope.CACHE_READ)
    check_key(key)
    return await _engine().has(project, key)


@engines.on_engine_loop
async def list_entries(
    project: ProjectId,
    actor: Actor,
    *,
    prefix: str = "",
    limit: int = 100,
    cursor: str | None = None,
    reverse: bool = False,
) -> EntryPage:
    """One page of entries with the first 200 bytes of each value.

    limit: 1..1000. reverse: the page that ends before the cursor, still in ascending order; when nothing lies before
    it, the first page. Raises InvalidInput, NotAllowed, EngineDown.
    """
    actor.require(Scope.CACHE_READ)
    check_prefix(prefix)
    check_limit(limit, most=limits.LIST_KEYS)
    edge = from_cursor(cursor, prefix=prefix)
    page = await _engine().list(
        project, prefix=prefix, after=edge, limit=limit, give=Give.PREVIEW, down=reverse
    )
    if not reverse:
        before = (
            await _before(project, prefix, page.rows[0].key if page.rows else edge)
            if edge is not None
            else None
        )
        return EntryPage(page.rows, _next(page), before)
    if not page.rows:
        page = await _engine().list(project, prefix=prefix, limit=limit, give=Give.PREVIEW)
        return EntryPage(page.rows, _next(page), None)
    rows = page.rows[::-1]
    after = await _engine().list(project, prefix=prefix, after=rows[-1].key, limit=1, give=Give.KEYS)
    return EntryPage(
        rows,
        to_cursor(rows[-1].key) if after.rows else None,
        to_cursor(rows[0].key) if page.more else None,
    )


@engines.on_engine_loop
async def list_with_metadata(
    project: ProjectId, actor: Actor, *, prefix: str = "", limit: int = 100, cursor: str | None = None
) -> EntryPage:
    """One page of entries without their values, for programs; previous_cursor is None. limit: 1..1000."""
    actor.require(Scope.CACHE_READ)
    check_prefix(prefix)
    check_limit(limit, most=limits.LIST_KEYS)
    page = await _engine().list(
        project, prefix=prefix, after=from_cursor(cursor, prefix=prefix), limit=limit, give=Give.METADATA
    )
    return EntryPage(page.rows, _next(page), None)


@engines.on_engine_loop
async def list_keys(
    project: ProjectId,
    actor: Actor,
    *,
    prefix: str = "",
    limit: int = limits.KEYS_KEYS,
    cursor: str | None = None,
) -> KeyPage:
    """One page of keys. limit: 1..10 000."""
    actor.require(Scope.CACHE_READ)
    check_prefix(prefix)
    check_limit(limit, most=limits.KEYS_KEYS)
    page = await _engine().list(
        project, prefix=prefix, after=from_cursor(cursor, prefix=prefix), limit=limit, give=Give.KEYS
    )
    return KeyPage(tuple(row.key for row in page.rows), _next(page))


@engines.on_engine_loop
async def count(project: ProjectId, actor: Actor, *, prefix: str = "") -> Count:
    """How many live entries lie under the prefix; exact is False while a flood of expired ones is being removed."""
    actor.require(Scope.CACHE_READ)
    check_prefix(prefix)
    return await _engine().count(project, prefix)


@engines.on_engine_loop
async def stats(project: ProjectId, actor: Actor) -> Stats:
    """The project's hits, misses, writes, bytes written and expiries, and its last minute. Raises NotAllowed, EngineDown."""
    actor.require(Scope.CACHE_READ)
    return await _engine().stats(project)


@engines.on_engine_loop
async def tree(
    project: ProjectId, actor: Actor, *, prefix: str = "", after: str | None = None, limit: int = 200
) -> Tree:
    """One level of folders and loose keys below the prefix ("" or one that ends with ":").

    after: a Tree's own, for its next page. limit: 1..1000 rows, folders and loose keys together.
    """
    actor.require(Scope.CACHE_READ)
    check_prefix(prefix)
    check_limit(limit, most=TREE_ROWS)
    level = await _engine().tree(project, prefix=prefix, after=from_cursor(after, prefix=prefix), limit=limit)
    return Tree(level.folders, level.keys, None if level.last is None else to_cursor(level.last), level.total)


@engines.on_engine_loop
async def now_ms() -> int:
    """The clock that expiry goes by: the engine's own, in ms since 1970."""
    return await _engine().now_ms()


async def _before(project: ProjectId, prefix: str, key: str) -> str | None:
    """The cursor from which a page goes back before this key, if anything is there."""
    page = await _engine().list(project, prefix=prefix, after=key, limit=1, give=Give.KEYS, down=True)
    return to_cursor(key) if page.rows else None


def _next(page: Page) -> str | None:
    return to_cursor(page.rows[-1].key) if page.more and page.rows else None


def _engine() -> CacheEngine:
    return engines.get("cache")
