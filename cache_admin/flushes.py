"""Removing every entry under a prefix, whatever their number: small ranges at once, large ones as an operation.

What goes is fixed at the call: entries written later, and those written again, stay. A large range is removed by the
keeper in steps of 250 keys with pauses, so that other callers hardly notice.
"""

import asyncio
from dataclasses import dataclass, replace

from aerodash import engines, operations
from aerodash.auth import Actor, Scope
from aerodash.errors import EngineDown, InvalidInput
from aerodash.ids import ProjectId
from aerodash.operations.kinds import Json, Kind, Step, Words
from aerodash.operations.record import Operation
from aerodash.realtime import topics
from aerodash.realtime.publish import publish
from cache_admin.bounds import check_prefix
from cache_admin.engine.contract import CacheEngine, Count
from cache_admin.templatetags.cache_ui import visible

KIND = "cache.flush"
FLAG_PREFIX = "flag:"
AT_ONCE_KEYS = 5000
"""Up to so many are removed in the web process: some 20 steps, a tenth of a second."""
STEP_KEYS = 250


@dataclass(frozen=True, slots=True)
class Range:
    """What a flush removes: the entries under the prefix up to revision number up_to. count: how many there are now."""

    prefix: str
    up_to: int
    count: Count

    @property
    def is_small(self) -> bool:
        return self.count.number <= AT_ONCE_KEYS

    def as_of(self, up_to: str, count: str) -> "Range":
        """The same range as it was shown before, when it had so many entries. Raises InvalidInput for what never was."""
        if not (up_to.isdigit() and count.isdigit()) or int(up_to) > self.up_to:
            raise InvalidInput("The question is not the one that was asked: look again.", field="up_to")
        return replace(self, up_to=int(up_to), count=replace(self.count, number=int(count)))


@dataclass(frozen=True, slots=True)
class Flushed:
    """How many entries were removed, and the project's revision after it. done: False if somebody stopped it."""

    number: int
    revision: str
    done: bool = True


@engines.on_engine_loop
async def measure(project: ProjectId, actor: Actor, *, prefix: str) -> Range:
    """What a flush that is called now would remove. Raises InvalidInput, NotAllowed, EngineDown."""
    actor.require(Scope.CACHE_WRITE)
    check_prefix(prefix)
    asked = await _engine().flush_step(project, prefix, up_to=None, after=None, limit=0)
    return Range(prefix, asked.up_to, await _engine().count(project, prefix))


@engines.on_engine_loop
async def remove(project: ProjectId, actor: Actor, *, wanted: Range) -> Flushed:
    """Remove the range here and now, in bounded steps; runs to its end even if the caller leaves. For small ranges."""
    actor.require(Scope.CACHE_WRITE)
    work = asyncio.ensure_future(_remove(project, wanted))
    _running.add(work)
    work.add_done_callback(_running.discard)
    return await asyncio.shield(work)


async def start(project: ProjectId, actor: Actor, *, wanted: Range, reason: str = "") -> Operation:
    """Have the keeper remove the range. Raises NotAllowed, EngineDown."""
    params = {"prefix": wanted.prefix, "upTo": wanted.up_to}
    return await operations.start(
        project, actor, kind=KIND, params=params, total=wanted.count.number, is_exact=wanted.count.exact, reason=reason
    )  # fmt: skip


@engines.on_engine_loop
async def ended(project: ProjectId, started: Operation) -> Flushed:
    """Wait for the operation's end, and answer as `remove` does. Raises EngineDown, with operationId, if it cannot."""
    one = await operations.ended(project, started)
    if one.state == "failed":
        raise EngineDown(f"The flush failed. {one.error}", reason="operation_failed", operationId=str(one.id))
    return Flushed(one.done, str(one.result.get("revision", "")), done=one.state == "done")


async def step(project: ProjectId, params: Json, cursor: Json | None) -> Step:
    """One step of the operation: the next 250 keys. Raises EngineDown."""
    standing = {"upTo": params["upTo"]} if cursor is None else cursor
    taken = await _engine().flush_step(
        project,
        str(params["prefix"]),
        up_to=int(str(standing["upTo"])),
        after=str(standing["after"]) if "after" in standing else None,
        limit=STEP_KEYS,
    )
    return Step(
        None if taken.last is None else {"after": taken.last, "upTo": taken.up_to},
        done=taken.removed,
        skipped=taken.looked_at - taken.removed,
        result={"revision": taken.revision},
    )


def words(params: Json) -> Words:
    prefix = str(params["prefix"])
    if not prefix:
        return Words("Deleting", "Deleted", "every key")
    return Words("Deleting", "Deleted", "the keys under", visible(prefix))


def tell(project: ProjectId, prefix: str) -> None:
    """Say to the live pages that entries under the prefix have gone."""
    publish(project, topics.CACHE)
    if holds_flags(prefix):
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
    tell=lambda project, params: tell(project, str(params["prefix"])),
)

_running: set[asyncio.Future[Flushed]] = set()


async def _remove(project: ProjectId, wanted: Range) -> Flushed:
    number, up_to, after = 0, wanted.up_to, None
    try:
        while True:
            taken = await _engine().flush_step(
                project, wanted.prefix, up_to=up_to, after=after, limit=STEP_KEYS
            )
            number, up_to, after = number + taken.removed, taken.up_to, taken.last
            if after is None:
                return Flushed(number, taken.revision)
    finally:
        if number:
            tell(project, wanted.prefix)


def _engine() -> CacheEngine:
    return engines.get("cache")
