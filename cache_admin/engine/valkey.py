"""The cache on Valkey, or Redis 7 and later.

Two connections: point verbs share one, and what takes the store longer (listings, counts, bulk, big values) the
other, so that a page of the console does not stand in the way of a read.
Source: architecture, "Valkey layout".
"""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from aerodash import limits
from aerodash.ids import ProjectId
from cache_admin.engine import scripts
from cache_admin.engine.contract import (
    CacheEngine,
    Count,
    CounterResult,
    DeleteResult,
    Entry,
    EntryRow,
    ExpireResult,
    Folder,
    Give,
    Level,
    NewEntry,
    Page,
    Removed,
    SetResult,
)
from cache_admin.engine.link import Link

BIG_BYTES = 64 * 1024
MANY_KEYS = 100
ATOMIC_KEYS = 1000
DELETE_CHUNK = 250
FLUSH_STEP = 250
LIST_STEP = 1000
LOOK_AT = 2000
PURGE_STEP = 500
COUNT_BUDGET_S = 0.05
PREVIEW_BYTES = 200
PREVIEW_FROM_BYTES = 1024 * 1024
CLOSE_S = 5


class _Names(NamedTuple):
    """The names of one project's keys; the hash tag keeps them in one cluster slot."""

    entry: bytes
    idx: bytes
    exp: bytes
    rev: bytes
    epoch: bytes


@lru_cache(maxsize=4096)
def _names(project: ProjectId) -> _Names:
    tag = b"{%d}:" % project
    return _Names(tag + b"e:", tag + b"idx", tag + b"exp", tag + b"rev", tag + b"epoch")


class ValkeyCache(CacheEngine):
    def __init__(self, url: str) -> None:
        """url: redis://, rediss:// or unix://, database included."""
        self._url = url
        self._tasks: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        self._point, self._bulk = Link(self._url), Link(self._url)
        await self._point.open()
        await self._bulk.open()

    async def check(self) -> None:
        await self.now_ms()

    async def drain(self) -> None:
        """Nothing to do: callers wait for the store's replies only, and those come."""

    async def close(self) -> None:
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSE_S)
            for task in late:
                task.cancel()
        await self._point.close()
        await self._bulk.close()

    async def get(self, project: ProjectId, key: str) -> Entry | None:
        rows = await self._point.read(project, (_names(project).entry + key.encode(),))
        return _entry(key, rows[0])

    async def get_many(self, project: ProjectId, keys: Sequence[str]) -> list[Entry | None]:
        if not keys:
            return []
        prefix = _names(project).entry
        link = self._point if len(keys) <= MANY_KEYS else self._bulk
        rows = await link.read(project, [prefix + key.encode() for key in keys])
        return [_entry(key, row) for key, row in zip(keys, rows, strict=True)]

    async def has(self, project: ProjectId, key: str) -> bool:
        found = await self._point.read(project, (_names(project).entry + key.encode(),), look_for=True)
        return bool(found[0])

    async def set(
        self,
        project: ProjectId,
        entry: NewEntry,
        *,
        keep_ttl: bool = False,
        if_revision: str | None = None,
        if_absent: bool = False,
        if_present: bool = False,
    ) -> SetResult:
        condition = (
            "revision"
            if if_revision is not None
            else "absent"
            if if_absent
            else "present"
            if if_present
            else ""
        )
        names, key = _names(project), entry.key.encode()
        link = self._point if len(entry.value) <= BIG_BYTES else self._bulk
        reason, revision = await link.eval(
            scripts.SET,
            (names.entry + key, *names[1:]),
            key,
            entry.value,
            "keep" if keep_ttl else _ttl_ms(entry.ttl_s),
            entry.metadata or b"",
            condition,
            if_revision or "",
        )
        return SetResult(not reason, reason.decode() or None, revision.decode() or None)

    async def set_many(self, project: ProjectId, entries: Sequence[NewEntry]) -> str:
        names = _names(project)
        keys = [entry.key.encode() for entry in entries]
        args: list[bytes | str | int] = []
        for key, entry in zip(keys, entries, strict=True):
            args += (key, entry.value, _ttl_ms(entry.ttl_s), entry.metadata or b"")
        revision = await self._bulk.eval(
            scripts.SET_MANY, (*names[1:], *(names.entry + key for key in keys)), *args
        )
        return revision.decode()

    async def delete(self, project: ProjectId, key: str, *, if_revision: str | None = None) -> DeleteResult:
        names, name = _names(project), key.encode()
        reason, revision, removed = await self._point.eval(
            scripts.DELETE,
            (names.entry + name, *names[1:]),
            name,
            "" if if_revision is None else "revision",
            if_revision or "",
        )
        return DeleteResult(not reason, bool(removed), reason.decode() or None, revision.decode() or None)

    async def delete_many(self, project: ProjectId, keys: Sequence[str]) -> Removed:
        if len(keys) <= ATOMIC_KEYS:
            return await self._delete_at_once(project, keys)
        return await self._to_its_end(self._delete_in_chunks(project, keys))

    async def expire(self, project: ProjectId, key: str, ttl_s: int | None) -> ExpireResult:
        names, name = _names(project), key.encode()
        done, revision = await self._point.eval(
            scripts.EXPIRE, (names.entry + name, *names[1:]), name, _ttl_ms(ttl_s)
        )
        return ExpireResult(bool(done), revision.decode())

    async def increment(
        self, project: ProjectId, key: str, amount: int, *, initial_value: int = 0, ttl_s: int | None = None
    ) -> CounterResult:
        names, name = _names(project), key.encode()
        made = initial_value + amount
        reason, *answer = await self._point.eval(
            scripts.INCREMENT,
            (names.entry + name, *names[1:]),
            name,
            amount,
            made if limits.COUNTER_MIN <= made <= limits.COUNTER_MAX else "",
            _ttl_ms(ttl_s),
        )
        if reason:
            return CounterResult(None, reason.decode(), None)
        return CounterResult(answer[0], None, answer[1].decode())

    async def flush(self, project: ProjectId, prefix: str = "") -> Removed:
        return await self._to_its_end(self._flush(project, prefix))

    async def list(
        self,
        project: ProjectId,
        *,
        prefix: str = "",
        after: str | None = None,
        limit: int,
        give: Give,
        down: bool = False,
    ) -> Page:
        names = _names(project)
        low, high = _bounds(prefix)
        if after is not None:
            low, high = (low, b"(" + after.encode()) if down else (b"(" + after.encode(), high)
        rows: list[EntryRow] = []
        while True:
            wanted = min(LIST_STEP, limit - len(rows))
            more, resume, *found = await self._bulk.eval(
                scripts.LIST, names[1:3], names.entry, low, high, wanted, int(down), give.value,
                PREVIEW_BYTES, PREVIEW_FROM_BYTES, LOOK_AT,
            )  # fmt: skip
            rows += [_row(row) for row in found]
            if len(rows) == limit or not (more or resume):
                return Page(tuple(rows), bool(more or resume))
            edge = b"(" + (resume or rows[-1].key.encode())
            low, high = (low, edge) if down else (edge, high)

    async def count(self, project: ProjectId, prefix: str = "") -> Count:
        names = _names(project)
        deadline = time.monotonic() + COUNT_BUDGET_S
        while True:
            last = int(time.monotonic() >= deadline)
            due, number = await self._bulk.eval(
                scripts.COUNT, names[1:3], names.entry, *_bounds(prefix), PURGE_STEP, last
            )
            if number is not None:
                return Count(number, exact=not due)

    async def tree(
        self, project: ProjectId, *, prefix: str = "", after: str | None = None, limit: int
    ) -> Level:
        names = _names(project)
        low, high = _bounds(prefix)
        page_low = low
        if after is not None:
            page_low = (
                b"[" + _beyond(after.encode())
                if after.endswith(":") and after != prefix
                else b"(" + after.encode()
            )
        deadline = time.monotonic() + COUNT_BUDGET_S
        while True:
            last = int(time.monotonic() >= deadline)
            due, total, more, *rows = await self._bulk.eval(
                scripts.TREE, names[1:3], names.entry, low, page_low, high, len(prefix.encode()), limit,
                PURGE_STEP, last,
            )  # fmt: skip
            if total is not None:
                return _level(prefix, rows, Count(total, exact=not due), bool(more))

    async def purge(self, project: ProjectId, *, budget_s: float) -> bool:
        names = _names(project)
        deadline = time.monotonic() + budget_s
        while await self._bulk.eval(scripts.PURGE, names[1:3], names.entry, PURGE_STEP):
            if time.monotonic() >= deadline:
                return False
        return True

    async def now_ms(self) -> int:
        seconds, micros = await self._point.command("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def _delete_at_once(self, project: ProjectId, keys: Sequence[str]) -> Removed:
        names = _names(project)
        wanted = [key.encode() for key in keys]
        number, revision = await self._bulk.eval(
            scripts.DELETE_MANY, (*names[1:], *(names.entry + key for key in wanted)), *wanted
        )
        return Removed(number, revision.decode())

    async def _delete_in_chunks(self, project: ProjectId, keys: Sequence[str]) -> Removed:
        number, revision = 0, ""
        for start in range(0, len(keys), DELETE_CHUNK):
            removed = await self._delete_at_once(project, keys[start : start + DELETE_CHUNK])
            number, revision = number + removed.number, removed.revision
        return Removed(number, revision)

    async def _flush(self, project: ProjectId, prefix: str) -> Removed:
        names = _names(project)
        low, high = _bounds(prefix)
        up_to = int(await self._bulk.command("GET", names.rev) or 0)
        number = 0
        while True:
            removed, last, revision = await self._bulk.eval(
                scripts.FLUSH, names[1:], names.entry, low, high, up_to, FLUSH_STEP
            )
            number += removed
            if last is None:
                return Removed(number, revision.decode())
            low = b"(" + last

    async def _to_its_end[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Run it as a task of its own, which goes on when the caller is cancelled."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)


def _bounds(prefix: str) -> tuple[bytes, bytes]:
    """The lexicographic range of all keys that begin with the prefix."""
    if not prefix:
        return b"-", b"+"
    raw = prefix.encode()
    return b"[" + raw, b"(" + _beyond(raw)


def _beyond(prefix: bytes) -> bytes:
    """The first byte string after all that begin with the prefix; UTF-8 has no byte 0xff, so the last can grow."""
    return prefix[:-1] + bytes((prefix[-1] + 1,))


def _ttl_ms(ttl_s: int | None) -> int | str:
    return "" if ttl_s is None else ttl_s * 1000


def _entry(key: str, row: list[Any]) -> Entry | None:
    value, metadata, expires_at_ms, revision = row
    if value is None:
        return None
    return Entry(
        key, value, metadata, None if expires_at_ms is None else int(expires_at_ms), revision.decode()
    )


def _row(row: Any) -> EntryRow:
    if isinstance(row, bytes):
        return EntryRow(row.decode())
    key, metadata, expires_at_ms, revision, *more = row
    preview, value_bytes = more or (b"", 0)
    return EntryRow(
        key.decode(),
        metadata,
        None if expires_at_ms is None else int(expires_at_ms),
        revision.decode(),
        preview,
        value_bytes + len(metadata or b""),
    )


def _level(prefix: str, rows: list[list[Any]], total: Count, more: bool) -> Level:
    folders, keys = [], []
    for row in rows:
        name = row[0].decode()
        if len(row) == 2:
            folders.append(Folder(name, name[len(prefix) : -1], row[1]))
        else:
            keys.append(name)
    return Level(tuple(folders), tuple(keys), total, rows[-1][0].decode() if more else None)
