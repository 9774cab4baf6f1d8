"""Changes of many entries at once: what they work on, and changing when the entries expire.

What a bulk change works on is fixed when it is measured, by the project's revision then: entries that are written
later, and those that are written again, stay as they are. A few are changed here and now; many by the keeper, in small
steps with pauses, as an operation. Removing them is in flushes.py.
"""

import asyncio
import hashlib
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aerodash import engines, limits, operations
from aerodash.auth import Actor, Scope
from aerodash.errors import InvalidInput
from aerodash.ids import ProjectId
from aerodash.operations.kinds import Json, Kind, Step, Words
from aerodash.operations.record import Operation
from aerodash.realtime import topics
from aerodash.realtime.publish import publish
from cache_admin import weights
from cache_admin.bounds import check_keys, check_prefix, check_ttl
from cache_admin.engine.contract import (
    CacheEngine,
    Change,
    Count,
    EntryRow,
    ExpireStep,
    FlushStep,
    Give,
    NewExpiry,
)
from cache_admin.templatetags.cache_ui import visible

KIND = "cache.expire"
FLAG_PREFIX = "flag:"
AT_ONCE_KEYS = 5000
"""Up to so many are changed in the web process: some 50 steps, a few tenths of a second."""
STEP_KEYS = 100
"""Of changing expiries, which takes the engine twice as long a key as removing: 2 ms a step."""
NAMED_KEYS = 1000
"""So many may be named one by one: more than a page of the console holds."""
SHOWN_KEYS = 200


@dataclass(frozen=True, slots=True)
class Range:
    """What a bulk change works on: the entries under the prefix, or the named keys, up to revision number up_to of this epoch.

    keys: None for the prefix. count: how many there are now. digest: a short name for the set, which another set, or the
    same keys with other values, has not.
    """

    prefix: str
    up_to: int
    epoch: str
    count: Count
    digest: str
    keys: tuple[str, ...] | None = None

    @property
    def is_small(self) -> bool:
        return self.count.number <= AT_ONCE_KEYS

    @property
    def holds_flags(self) -> bool:
        """Whether flags may be among them."""
        if self.keys is not None:
            return any(key.startswith(FLAG_PREFIX) for key in self.keys)
        return holds_flags(self.prefix)

    @property
    def named(self) -> str:
        """Which they are, for the audit log: the prefix, or the first of the keys and how many there are."""
        if self.keys is None:
            return self.prefix
        more = len(self.keys) - 1
        return self.keys[0] + (f" and {more} more" if more > 0 else "") if self.keys else ""


@dataclass(frozen=True, slots=True)
class Preview:
    """Some of a range's entries, and about what it weighs: it is error_bytes off at most, with 95 % certainty.

    is_all: whether the rows are all there are, so that size_bytes is exact. sampled: how many were weighed.
    """

    rows: tuple[EntryRow, ...]
    size_bytes: int
    error_bytes: int
    sampled: int
    is_all: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """When entries shall expire, as a person says it. ttl_s: as Change says. spread_s: so far apart they are spread."""

    change: Change
    ttl_s: int = 0
    spread_s: int = 0

    @property
    def said(self) -> str:
        """ "set 3600 s, spread over 600 s", for the audit log."""
        if self.change is Change.NEVER:
            return "never"
        spread = f", spread over {self.spread_s} s" if self.spread_s else ""
        return f"{self.change.value} {self.ttl_s} s{spread}"


@dataclass(frozen=True, slots=True)
class Changed:
    """How many entries expire at another moment now, and how many stay as they were."""

    number: int
    left: int
    operation: Operation | None = None


@engines.on_engine_loop
async def measure(
    project: ProjectId, actor: Actor, *, prefix: str = "", keys: Sequence[str] | None = None
) -> Range:
    """What a bulk change that is called now would work on. keys: up to 1000, in place of the prefix; those that are gone
    are left out. Raises InvalidInput, NotAllowed, EngineDown."""
    actor.require(Scope.CACHE_WRITE)
    check_prefix(prefix)
    asked = await _engine().flush_step(project, prefix, up_to=None, after=None, limit=0)
    epoch = asked.revision.partition(".")[0]
    if keys is None:
        count = await _engine().count(project, prefix)
        digest = _digest(project, epoch, asked.up_to, count.number, prefix)
        return Range(prefix, asked.up_to, epoch, count, digest)
    rows = await rows_of(project, keys)
    digest = _digest(project, *(f"{row.key}\0{row.revision}" for row in rows))
    found = tuple(row.key for row in rows)
    return Range(prefix, asked.up_to, epoch, Count(len(found), exact=True), digest, found)


async def remeasure(
    project: ProjectId,
    actor: Actor,
    *,
    shown: Mapping[str, str],
    prefix: str = "",
    keys: Sequence[str] | None = None,
) -> tuple[Range, bool]:
    """The range as a question showed it, and True; or if that is not so any more, as it is now, and False.

    shown: up_to, count and digest, as the question's form sends them back. Under a prefix the range is what was there
    then: what was written since is no part of it. Named keys must be as they were.
    Raises InvalidInput, NotAllowed, EngineDown.
    """
    now = await measure(project, actor, prefix=prefix, keys=keys)
    digest = shown.get("digest", "")
    if keys is not None:
        return now, digest == now.digest
    up_to, count = (_number(shown.get(name, "")) for name in ("up_to", "count"))
    # A number that lies ahead, or another epoch: the data set that was shown has been lost.
    if up_to > now.up_to or digest != _digest(project, now.epoch, up_to, count, prefix):
        return now, False
    return replace(now, up_to=up_to, count=replace(now.count, number=count), digest=digest), True


@engines.on_engine_loop
async def preview(project: ProjectId, actor: Actor, *, prefix: str, keys: Sequence[str] | None) -> Preview:
    """Some of the entries and about what all weigh: a sample of a prefix, named keys exactly.

    Raises InvalidInput, NotAllowed, EngineDown.
    """
    actor.require(Scope.CACHE_READ)
    check_prefix(prefix)
    if keys is not None:
        return _all(await rows_of(project, keys))
    page = await _engine().list(project, prefix=prefix, limit=SHOWN_KEYS, give=Give.PREVIEW)
    if not page.more:
        return _all(page.rows)
    weight = (await weights.heaviest(project, actor, prefix=prefix)).total
    return Preview(page.rows, weight.size_bytes, weight.error_bytes, weight.sampled, False)


def check_rule(rule: Rule) -> None:
    """Raises InvalidInput for a ttl or a spread that cannot be."""
    if rule.change is Change.NEVER:
        return
    check_ttl(rule.ttl_s)
    if not 0 <= rule.spread_s <= limits.TTL_MAX_S:
        raise InvalidInput(
            f"The spread must be between 0 and {limits.TTL_MAX_S} seconds.",
            reason="out_of_range",
            field="spread",
        )
    if rule.change is Change.CAP and rule.spread_s >= rule.ttl_s:
        raise InvalidInput(
            "The spread must be shorter than the cap: entries are spread over the time before it.",
            reason="out_of_range", field="spread",
        )  # fmt: skip


@engines.on_engine_loop
async def change_expiry(project: ProjectId, actor: Actor, *, wanted: Range, rule: Rule) -> Changed:
    """Change when the range's entries expire, here and now; runs to its end even if the caller leaves. For small ranges.

    Raises InvalidInput, NotAllowed, EngineDown.
    """
    actor.require(Scope.CACHE_WRITE)
    check_rule(rule)
    expiry = _expiry(rule, await _engine().now_ms())
    return await to_its_end(_change(project, wanted, expiry))


async def start(
    project: ProjectId, actor: Actor, *, wanted: Range, rule: Rule, reason: str = "", before: str = ""
) -> Operation:
    """Have the keeper change when the entries under the range's prefix expire; the ttl counts from now.

    before: the figures of the range, for the audit log. Raises InvalidInput, NotAllowed, EngineDown.
    """
    check_rule(rule)
    params = {
        "prefix": wanted.prefix, "upTo": wanted.up_to, "change": rule.change.value, "ttlSeconds": rule.ttl_s,
        "spreadSeconds": rule.spread_s, "fromMs": await _now_ms(),
    }  # fmt: skip
    return await operations.start(
        project, actor, kind=KIND, params=params, total=wanted.count.number, is_exact=wanted.count.exact,
        reason=reason, before=before,
    )  # fmt: skip


async def step(project: ProjectId, params: Json, cursor: Json | None) -> Step:
    """One step of the operation: the next 100 keys. Raises EngineDown."""
    up_to, after = place(params, cursor)
    rule = Rule(
        Change(str(params["change"])), int(str(params["ttlSeconds"])), int(str(params["spreadSeconds"]))
    )
    taken = await _engine().expire_step(
        project,
        str(params["prefix"]),
        _expiry(rule, int(str(params["fromMs"]))),
        up_to=up_to,
        after=after,
        limit=STEP_KEYS,
    )
    return Step(
        cursor_of(taken),
        done=taken.changed,
        skipped=taken.looked_at - taken.changed,
        result={"revision": taken.revision},
    )


def words(params: Json) -> Words:
    prefix = str(params["prefix"])
    left = "written since, or not concerned"
    if not prefix:
        return Words("Changing", "Changed", "when every key expires", left=left)
    return Words("Changing", "Changed", "when the keys expire under", visible(prefix), left=left)


def place(params: Json, cursor: Json | None) -> tuple[int, str | None]:
    """Where a step of an operation on a range begins: up to which n of the project's revision, and after which key."""
    standing = {"upTo": params["upTo"]} if cursor is None else cursor
    return int(str(standing["upTo"])), str(standing["after"]) if "after" in standing else None


def cursor_of(taken: FlushStep | ExpireStep) -> Json | None:
    """Where the step after this one begins, None at the range's end; place reads it."""
    return None if taken.last is None else {"after": taken.last, "upTo": taken.up_to}


def tell(project: ProjectId, *, flags: bool) -> None:
    """Say to the live pages that entries have changed or gone, and flags among them perhaps."""
    publish(project, topics.CACHE)
    if flags:
        publish(project, topics.FLAGS)


def holds_flags(prefix: str) -> bool:
    """Whether flags may be among the keys under the prefix."""
    return prefix.startswith(FLAG_PREFIX) or FLAG_PREFIX.startswith(prefix)


OPERATION = Kind(
    name=KIND,
    scope=Scope.CACHE_WRITE,
    sees=Scope.CACHE_READ,
    unit="key",
    step=step,
    words=words,
    tell=lambda project, params: tell(project, flags=holds_flags(str(params["prefix"]))),
)


async def to_its_end[T](work: Coroutine[Any, Any, T]) -> T:
    """Run it as a task of its own, which goes on when the caller is cancelled. On the engine loop."""
    task = asyncio.ensure_future(work)
    _running.add(task)
    task.add_done_callback(_running.discard)
    return await asyncio.shield(task)


async def rows_of(project: ProjectId, keys: Sequence[str]) -> list[EntryRow]:
    """What a listing tells of these keys, in byte order; those that are gone are left out. On the engine loop.

    Raises InvalidInput for more than 1000.
    """
    check_keys(keys, limit=NAMED_KEYS)
    wanted = sorted(set(keys), key=str.encode)
    # The first key that begins with a key is that key itself, if it is there.
    pages = await asyncio.gather(
        *(_engine().list(project, prefix=key, limit=1, give=Give.PREVIEW) for key in wanted)
    )
    return [row for key, page in zip(wanted, pages, strict=True) for row in page.rows if row.key == key]


_running: set[asyncio.Future[Any]] = set()


async def _change(project: ProjectId, wanted: Range, expiry: NewExpiry) -> Changed:
    number = left = 0
    up_to, after, rest = wanted.up_to, None, wanted.keys
    try:
        while True:
            some, rest = (None, None) if rest is None else (rest[:STEP_KEYS], rest[STEP_KEYS:])
            taken = await _engine().expire_step(
                project, wanted.prefix, expiry, up_to=up_to, after=after, limit=STEP_KEYS, keys=some
            )
            number, left = number + taken.changed, left + taken.looked_at - taken.changed
            up_to, after = taken.up_to, taken.last
            if after is None and not rest:
                return Changed(number, left)
    finally:
        if number:
            tell(project, flags=wanted.holds_flags)


def _all(rows: Sequence[EntryRow]) -> Preview:
    return Preview(tuple(rows), sum(row.size_bytes for row in rows), 0, len(rows), True)


def _expiry(rule: Rule, from_ms: int) -> NewExpiry:
    return NewExpiry(
        rule.change,
        from_ms,
        from_ms + limits.TTL_MAX_S * 1000,
        ttl_ms=rule.ttl_s * 1000,
        spread_ms=rule.spread_s * 1000,
    )


def _digest(project: ProjectId, *facts: object) -> str:
    text = "\0".join(map(str, (project, *facts)))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _number(text: str) -> int:
    """What a form sent back; -1 for what was never in it."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1


@engines.on_engine_loop
async def _now_ms() -> int:
    return await _engine().now_ms()


def _engine() -> CacheEngine:
    return engines.get("cache")
