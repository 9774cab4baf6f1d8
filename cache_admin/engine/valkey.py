"""The cache on Valkey, or Redis 7 and later.

Two connections: point verbs share one, and what takes the store longer (listings, counts, bulk, big values) the
other, so that a page of the console does not stand in the way of a read.
Source: architecture, "Valkey layout".
"""

import asyncio
import struct
import time
from collections.abc import Callable, Coroutine, MutableSequence, Sequence
from functools import lru_cache
from itertools import batched
from typing import Any, NamedTuple

from aerodash import limits
from aerodash.errors import EngineDown
from aerodash.ids import ProjectId
from cache_admin.engine import scripts, vitals
from cache_admin.engine.contract import (
    CacheEngine,
    Count,
    CounterResult,
    DeleteResult,
    Entry,
    EntryRow,
    ExpireResult,
    ExpireStep,
    FlushStep,
    Folder,
    Give,
    Level,
    NewEntry,
    NewExpiry,
    Page,
    ReadStep,
    Removed,
    ReplicaState,
    Sample,
    SetResult,
    Stats,
    WriteStep,
)
from cache_admin.engine.nodes import Nodes
from cache_admin.engine.replica import Replica
from cache_admin.engine.tally import Counts, Tally
from cache_admin.engine.vitals import LostNode, Node, SlowCommand, Vitals, fields

BIG_BYTES = 64 * 1024
MANY_KEYS = 100
ATOMIC_KEYS = 1000
DELETE_CHUNK = 250
FLUSH_STEP = 250
STEP_KEYS_MAX = 1000
LIST_STEP = 1000
LOOK_AT = 2000
PURGE_STEP = 500
SAMPLE_STEP = 125
"""Keys that one script looks at: 1 to 2 ms of a store with millions."""
COUNT_BUDGET_S = 0.05
PREVIEW_BYTES = 200
CLOSE_S = 5
SECONDS_SHOWN = 60
SECONDS_KEPT = 64

# The head of an entry (lua/_shared.lua): layout, bytes of metadata, epoch, n, expiry; the last two have 48 bits.
_HEAD = struct.Struct(">xHIHIHI")


class _Names(NamedTuple):
    """The names of one project's keys; the hash tag keeps them in one cluster slot."""

    entry: bytes
    idx: bytes
    exp: bytes
    rev: bytes
    epoch: bytes
    stat: bytes


@lru_cache(maxsize=4096)
def _names(project: ProjectId) -> _Names:
    tag = b"{%d}:" % project
    return _Names(tag + b"v:", tag + b"idx", tag + b"exp", tag + b"rev", tag + b"epoch", tag + b"stat")


class ValkeyCache(CacheEngine):
    def __init__(
        self, url: str, *, replica_url: str = "", counted: Callable[[ProjectId], None] | None = None
    ) -> None:
        """url: redis://, rediss:// or unix://, database included; may name several nodes of a cluster.

        replica_url: of a server that replicates it and answers reads that a replica will do for; "" if none does.
        counted: told of each project whose counters just changed, at most once a second.
        """
        self._url = url
        self._counted = counted
        self._tally = Tally(self._add_to_stats)
        self._replica_url = replica_url
        self._tasks: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        self._point, self._bulk = Nodes(self._url), Nodes(self._url)
        await self._point.open()
        await self._bulk.open()
        self._replica = Replica(self._replica_url) if self._replica_url else None
        if self._replica is not None:
            await self._replica.open()

    async def check(self) -> None:
        await self._point.check()

    async def drain(self) -> None:
        """Nothing to do: callers wait for the store's replies only, and those come."""

    async def close(self) -> None:
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSE_S)
            for task in late:
                task.cancel()
        await self._tally.close()
        if self._replica is not None:
            await self._replica.close()
        await self._point.close()
        await self._bulk.close()

    async def get(self, project: ProjectId, key: str, *, seen: str | None = None) -> Entry | None:
        name = _names(project).entry + key.encode()
        if seen is not None and self._replica is not None:
            rows = await self._read_nearby(project, (name,), seen)
        else:
            rows = await self._point.read(project, (name,))
        entry = _entry(key, rows[0])
        self._tally.read(project, entry is not None, entry is None)
        return entry

    async def get_many(
        self, project: ProjectId, keys: Sequence[str], *, seen: str | None = None
    ) -> list[Entry | None]:
        if not keys:
            return []
        prefix = _names(project).entry
        names = [prefix + key.encode() for key in keys]
        if seen is not None and self._replica is not None:
            rows = await self._read_nearby(project, names, seen)
        else:
            link = self._point if len(keys) <= MANY_KEYS else self._bulk
            rows = await link.read(project, names)
        misses = rows.count(None)
        self._tally.read(project, len(rows) - misses, misses)
        return [_entry(key, row) for key, row in zip(keys, rows, strict=True)]

    async def has(self, project: ProjectId, key: str) -> bool:
        found = bool(await self._point.command("EXISTS", _names(project).entry + key.encode()))
        self._tally.read(project, found, not found)
        return found

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
        [(reason, revision)] = await link.eval(
            scripts.SET,
            (*names[1:5], names.entry + key),
            key,
            entry.value,
            "keep" if keep_ttl else _ttl_ms(entry.ttl_s),
            entry.metadata or b"",
            condition,
            if_revision or "",
        )
        if not reason:
            self._tally.wrote(project, 1, _size(entry))
        return SetResult(not reason, reason.decode() or None, revision.decode() or None)

    async def set_many(self, project: ProjectId, entries: Sequence[NewEntry]) -> str:
        names = _names(project)
        keys = [entry.key.encode() for entry in entries]
        args: list[bytes | str | int] = []
        for key, entry in zip(keys, entries, strict=True):
            args += (key, entry.value, _ttl_ms(entry.ttl_s), entry.metadata or b"")
        revision = await self._bulk.eval(
            scripts.SET_MANY, (*names[1:5], *(names.entry + key for key in keys)), *args
        )
        self._tally.wrote(project, len(entries), sum(map(_size, entries)))
        return revision.decode()

    async def delete(self, project: ProjectId, key: str, *, if_revision: str | None = None) -> DeleteResult:
        names, name = _names(project), key.encode()
        reason, revision, removed = await self._point.eval(
            scripts.DELETE,
            (names.entry + name, *names[1:5]),
            name,
            "" if if_revision is None else "revision",
            if_revision or "",
        )
        self._tally.wrote(project, removed)
        return DeleteResult(not reason, bool(removed), reason.decode() or None, revision.decode() or None)

    async def delete_many(self, project: ProjectId, keys: Sequence[str]) -> Removed:
        if len(keys) <= ATOMIC_KEYS:
            return await self._delete_at_once(project, keys)
        return await self._to_its_end(self._delete_in_chunks(project, keys))

    async def expire(self, project: ProjectId, key: str, ttl_s: int | None) -> ExpireResult:
        names, name = _names(project), key.encode()
        done, revision = await self._point.eval(
            scripts.EXPIRE, (names.entry + name, *names[1:5]), name, _ttl_ms(ttl_s)
        )
        self._tally.wrote(project, done)
        return ExpireResult(bool(done), revision.decode())

    async def increment(
        self, project: ProjectId, key: str, amount: int, *, initial_value: int = 0, ttl_s: int | None = None
    ) -> CounterResult:
        names, name = _names(project), key.encode()
        made = initial_value + amount
        reason, *answer = await self._point.eval(
            scripts.INCREMENT,
            (names.entry + name, *names[1:5]),
            name,
            amount,
            made if limits.COUNTER_MIN <= made <= limits.COUNTER_MAX else "",
            _ttl_ms(ttl_s),
        )
        if reason:
            return CounterResult(None, reason.decode(), None)
        self._tally.wrote(project, 1, len(answer[0]))
        return CounterResult(answer[0], None, answer[1].decode())

    async def flush(self, project: ProjectId, prefix: str = "") -> Removed:
        return await self._to_its_end(self._flush(project, prefix))

    async def flush_step(
        self,
        project: ProjectId,
        prefix: str,
        *,
        up_to: int | None,
        after: str | None,
        limit: int,
        keys: Sequence[str] | None = None,
    ) -> FlushStep:
        names = _names(project)
        removed, looked_at, last, n, revision = await self._bulk.eval(
            scripts.FLUSH,
            names[1:5],
            names.entry,
            *_range(prefix, after),
            "" if up_to is None else up_to,
            min(limit, STEP_KEYS_MAX) if keys is None else 0,
            *(key.encode() for key in keys or ()),
        )
        return FlushStep(
            removed, looked_at, None if last is None else last.decode(), int(n), revision.decode()
        )

    async def expire_step(
        self,
        project: ProjectId,
        prefix: str,
        expiry: NewExpiry,
        *,
        up_to: int | None,
        after: str | None,
        limit: int,
        keys: Sequence[str] | None = None,
    ) -> ExpireStep:
        names = _names(project)
        changed, looked_at, last, n, revision = await self._bulk.eval(
            scripts.EXPIRE_STEP,
            names[1:5],
            names.entry,
            *_range(prefix, after),
            "" if up_to is None else up_to,
            min(limit, STEP_KEYS_MAX) if keys is None else 0,
            expiry.change.value,
            expiry.ttl_ms,
            expiry.spread_ms,
            expiry.from_ms,
            expiry.latest_ms,
            *(key.encode() for key in keys or ()),
        )
        self._tally.wrote(project, changed)
        return ExpireStep(
            changed, looked_at, None if last is None else last.decode(), int(n), revision.decode()
        )

    async def read_step(
        self,
        project: ProjectId,
        prefix: str,
        *,
        after: str | None,
        limit: int,
        size_bytes: int,
        keys: Sequence[str] | None = None,
    ) -> ReadStep:
        names = _names(project)
        looked_at, last, *found = await self._bulk.eval(
            scripts.READ_STEP,
            (names.idx,),
            names.entry,
            *_range(prefix, after),
            min(limit, STEP_KEYS_MAX) if keys is None else 0,
            size_bytes,
            *(key.encode() for key in keys or ()),
        )
        entries = (_entry(key.decode(), text) for key, text in zip(found[::2], found[1::2], strict=True))
        return ReadStep(
            tuple(entry for entry in entries if entry is not None),
            looked_at,
            None if last is None else last.decode(),
        )

    async def write_step(
        self,
        project: ProjectId,
        entries: Sequence[Entry],
        *,
        if_absent: bool = False,
        if_present: bool = False,
    ) -> WriteStep:
        names = _names(project)
        keys = [entry.key.encode() for entry in entries]
        args: list[bytes | str | int] = ["absent" if if_absent else "present" if if_present else ""]
        for key, entry in zip(keys, entries, strict=True):
            at = "" if entry.expires_at_ms is None else entry.expires_at_ms
            args += (key, entry.value, at, entry.metadata or b"{}")
        written, refused, expired, size_bytes, revision = await self._bulk.eval(
            scripts.WRITE_STEP, (*names[1:5], *(names.entry + key for key in keys)), *args
        )
        self._tally.wrote(project, written, size_bytes)
        return WriteStep(written, refused, expired, revision.decode())

    async def count_present(self, project: ProjectId, keys: Sequence[str]) -> int:
        prefix = _names(project).entry
        if not keys:
            return 0
        return int(await self._bulk.command("EXISTS", *(prefix + key.encode() for key in keys)))

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
            more, resume, expired, *found = await self._bulk.eval(
                scripts.LIST, names[1:3], names.entry, low, high, wanted, int(down), give.value,
                PREVIEW_BYTES, LOOK_AT,
            )  # fmt: skip
            self._tally.expired(project, expired)
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
            due, expired, number = await self._bulk.eval(
                scripts.COUNT, names[1:3], names.entry, *_bounds(prefix), PURGE_STEP, last
            )
            self._tally.expired(project, expired)
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
            due, expired, total, more, *rows = await self._bulk.eval(
                scripts.TREE, names[1:3], names.entry, low, page_low, high, len(prefix.encode()), limit,
                PURGE_STEP, last,
            )  # fmt: skip
            self._tally.expired(project, expired)
            if total is not None:
                return _level(prefix, rows, Count(total, exact=not due), bool(more))

    async def purge(self, project: ProjectId, *, budget_s: float) -> bool:
        names = _names(project)
        deadline = time.monotonic() + budget_s
        while True:
            due, expired = await self._bulk.eval(scripts.PURGE, names[1:3], names.entry, PURGE_STEP)
            self._tally.expired(project, expired)
            if not due or time.monotonic() >= deadline:
                return not due

    async def stats(self, project: ProjectId) -> Stats:
        await self._tally.send(project)
        second, *fields = await self._point.eval(scripts.STATS, (_names(project).stat,))
        return _stats(int(second), dict(zip(fields[::2], fields[1::2], strict=True)))

    async def now_ms(self) -> int:
        seconds, micros = await self._point.command("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def peek(self, project: ProjectId, key: str, *, limit_bytes: int) -> EntryRow | None:
        names, edge = _names(project), b"[" + key.encode()
        _, _, expired, *found = await self._bulk.eval(
            scripts.LIST, names[1:3], names.entry, edge, edge, 1, 0, Give.PREVIEW.value, limit_bytes, 1
        )
        self._tally.expired(project, expired)
        return _row(found[0]) if found else None

    async def memory_bytes(self, project: ProjectId, key: str) -> int | None:
        name = _names(project).entry + key.encode()
        return await self._bulk.command_on(name, "MEMORY", "USAGE", name)

    async def sample(
        self, project: ProjectId, prefixes: Sequence[str], *, each: int, keys: Sequence[str] = ()
    ) -> Sequence[Sample]:
        found: MutableSequence[Sample] = []
        if each <= SAMPLE_STEP:
            for some in batched(map(_bounds, prefixes), SAMPLE_STEP // each):
                found += await self._sample(project, some, each)
        else:
            for prefix in prefixes:
                found.append(await self._sample_much(project, _bounds(prefix), each))
        for few in batched(((edge, edge) for edge in (b"[" + key.encode() for key in keys)), SAMPLE_STEP):
            found += await self._sample(project, few, 1)
        return found

    async def vitals(self) -> Vitals:
        servers = self._bulk.servers()
        told = await asyncio.gather(
            *(link.command("INFO", *vitals.SECTIONS) for _, _, link in servers), return_exceptions=True
        )
        nodes, lost = [], []
        for (address, slots, _), reply in zip(servers, told, strict=True):
            if isinstance(reply, EngineDown):
                lost.append(LostNode(address, slots, reply.message))
            elif isinstance(reply, BaseException):
                raise reply
            else:
                nodes.append(vitals.node(address, reply, slots=slots))
        if not nodes:
            raise EngineDown(lost[0].why if lost else "No node of the Valkey cluster is known yet.")
        return Vitals(_in_order(nodes), tuple(lost), self._bulk.is_cluster, self._bulk.slots_missing)

    async def slow_commands(self, *, limit: int) -> Sequence[SlowCommand]:
        replies = await asyncio.gather(
            *(link.command("SLOWLOG", "GET", limit) for _, _, link in self._bulk.servers()),
            return_exceptions=True,
        )
        failed = [reply for reply in replies if isinstance(reply, BaseException)]
        for exc in failed:
            # One of several that is away takes its own list with it, and vitals() tells of it.
            if (
                not isinstance(exc, EngineDown)
                or exc.reason == "no_permission"
                or len(failed) == len(replies)
            ):
                raise exc
        told = [reply for reply in replies if not isinstance(reply, BaseException)]
        found = [vitals.slow_command(entry) for reply in told for entry in reply]
        return sorted(found, key=lambda one: one.at_s, reverse=True)[:limit]

    async def replica_state(self) -> ReplicaState | None:
        if self._replica is None:
            return None
        said = fields(await self._point.command("INFO", "replication"))
        offset = said.get("master_repl_offset")
        return await self._replica.state(None if offset is None else int(offset))

    async def _read_nearby(
        self, project: ProjectId, names: Sequence[bytes], seen: str
    ) -> Sequence[bytes | None]:
        """What the replica has, if that will do for who has seen this revision, else what the primary has."""
        assert self._replica is not None
        bulk = len(names) > MANY_KEYS
        _, _, _, rev, epoch = _names(project)[:5]
        rows = await self._replica.read(project, names, rev=rev, epoch=epoch, seen=seen, bulk=bulk)
        if rows is None:
            rows = await (self._bulk if bulk else self._point).read(project, names)
        return rows

    async def _sample(
        self, project: ProjectId, ranges: Sequence[tuple[bytes, bytes]], each: int, first: int = 0
    ) -> Sequence[Sample]:
        """One script: the keys from the first on, at most SAMPLE_STEP of each range."""
        names = _names(project)
        rows = await self._bulk.eval(
            scripts.SAMPLE, (names.idx,), names.entry, each, first, min(each, first + SAMPLE_STEP),
            *(edge for bounds in ranges for edge in bounds),
        )  # fmt: skip
        return [
            Sample(count, tuple(zip((key.decode() for key in rest[::2]), rest[1::2], strict=True)))
            for count, *rest in rows
        ]

    async def _sample_much(self, project: ProjectId, bounds: tuple[bytes, bytes], each: int) -> Sample:
        """The count is that of the first step; keys that come and go meanwhile move the places of the others a little."""
        steps = [
            (await self._sample(project, [bounds], each, first))[0] for first in range(0, each, SAMPLE_STEP)
        ]
        return Sample(steps[0].count, tuple(row for step in steps for row in step.keys))

    async def _add_to_stats(self, project: ProjectId, counts: Counts) -> None:
        await self._point.eval(scripts.TALLY, (_names(project).stat,), *counts)
        if self._counted is not None:
            self._counted(project)

    async def _delete_at_once(self, project: ProjectId, keys: Sequence[str]) -> Removed:
        names = _names(project)
        wanted = [key.encode() for key in keys]
        number, revision = await self._bulk.eval(
            scripts.DELETE_MANY, (*names[1:5], *(names.entry + key for key in wanted)), *wanted
        )
        self._tally.wrote(project, number)
        return Removed(number, revision.decode())

    async def _delete_in_chunks(self, project: ProjectId, keys: Sequence[str]) -> Removed:
        number, revision = 0, ""
        for start in range(0, len(keys), DELETE_CHUNK):
            removed = await self._delete_at_once(project, keys[start : start + DELETE_CHUNK])
            number, revision = number + removed.number, removed.revision
        return Removed(number, revision)

    async def _flush(self, project: ProjectId, prefix: str) -> Removed:
        number, up_to, after = 0, None, None
        while True:
            step = await self.flush_step(project, prefix, up_to=up_to, after=after, limit=FLUSH_STEP)
            number, up_to, after = number + step.removed, step.up_to, step.last
            if after is None:
                return Removed(number, step.revision)

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


def _range(prefix: str, after: str | None) -> tuple[bytes, bytes]:
    """The same, without what lies up to a key."""
    low, high = _bounds(prefix)
    return (low if after is None else b"(" + after.encode()), high


def _beyond(prefix: bytes) -> bytes:
    """The first byte string after all that begin with the prefix; UTF-8 has no byte 0xff, so the last can grow."""
    return prefix[:-1] + bytes((prefix[-1] + 1,))


def _ttl_ms(ttl_s: int | None) -> int | str:
    return "" if ttl_s is None else ttl_s * 1000


def _entry(key: str, text: bytes | None) -> Entry | None:
    if text is None:
        return None
    metadata_bytes, epoch, n_high, n_low, at_high, at_low = _HEAD.unpack_from(text)
    value_at = _HEAD.size + metadata_bytes
    return Entry(
        key,
        text[value_at:],
        text[_HEAD.size : value_at] or None,
        (at_high << 32 | at_low) or None,
        f"{epoch:08x}.{n_high << 32 | n_low}",
    )


def _in_order(nodes: Sequence[Node]) -> tuple[Node, ...]:
    return tuple(sorted(nodes, key=lambda node: node.address))


def _size(entry: NewEntry) -> int:
    return len(entry.value) + len(entry.metadata or b"")


def _stats(second: int, fields: dict[bytes, bytes]) -> Stats:
    """second: the one that is now, and not over yet. fields: as lua/tally.lua writes them."""
    lately = []
    for at in range(second - SECONDS_SHOWN, second):
        held, *counts = map(int, fields.get(b"%d" % (at % SECONDS_KEPT), b"0 0 0 0").split())
        lately.append(counts if held == at else [0, 0, 0])
    return Stats(
        hits=int(fields.get(b"hits", 0)),
        misses=int(fields.get(b"misses", 0)),
        writes=int(fields.get(b"writes", 0)),
        bytes_written=int(fields.get(b"bytes_written", 0)),
        expired=int(fields.get(b"expired", 0)),
        a_second=tuple(map(sum, lately)),
        recent_hits=sum(hits for hits, _, _ in lately),
        recent_misses=sum(misses for _, misses, _ in lately),
    )


def _row(row: Any) -> EntryRow:
    if isinstance(row, bytes):
        return EntryRow(row.decode())
    key, metadata, at_ms, revision, *more = row
    preview, value_bytes = more or (b"", 0)
    return EntryRow(
        key.decode(),
        metadata or None,
        int(at_ms) or None,
        revision.decode(),
        preview,
        value_bytes + len(metadata),
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
