"""Removing every entry of a range, whatever their number: small ranges at once, large ones as an operation.

What goes is fixed when the range is measured (bulk.py): entries written later, and those written again, stay.
"""

from dataclasses import dataclass

from aerodash import engines, operations
from aerodash.auth import Actor, Scope
from aerodash.errors import EngineDown
from aerodash.ids import ProjectId
from aerodash.operations.kinds import Json, Kind, Step, Words
from aerodash.operations.record import Operation
from cache_admin.bulk import Range, cursor_of, holds_flags, place, tell, to_its_end
from cache_admin.engine.contract import CacheEngine
from cache_admin.templatetags.cache_ui import visible

KIND = "cache.flush"
STEP_KEYS = 250


@dataclass(frozen=True, slots=True)
class Flushed:
    """How many entries were removed, and the project's revision after it. done: False if somebody stopped it."""

    number: int
    revision: str
    done: bool = True


@engines.on_engine_loop
async def remove(project: ProjectId, actor: Actor, *, wanted: Range) -> Flushed:
    """Remove the range here and now, in bounded steps; runs to its end even if the caller leaves. For small ranges.

    Raises NotAllowed, EngineDown.
    """
    actor.require(Scope.CACHE_WRITE)
    return await to_its_end(_remove(project, wanted))


async def start(
    project: ProjectId, actor: Actor, *, wanted: Range, reason: str = "", before: str = ""
) -> Operation:
    """Have the keeper remove what is under the range's prefix. before: its figures, for the audit log.

    Raises NotAllowed, EngineDown.
    """
    params = {"prefix": wanted.prefix, "upTo": wanted.up_to}
    return await operations.start(
        project, actor, kind=KIND, params=params, total=wanted.count.number, is_exact=wanted.count.exact,
        reason=reason, before=before,
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
    up_to, after = place(params, cursor)
    taken = await _engine().flush_step(
        project, str(params["prefix"]), up_to=up_to, after=after, limit=STEP_KEYS
    )
    return Step(
        cursor_of(taken),
        done=taken.removed,
        skipped=taken.looked_at - taken.removed,
        result={"revision": taken.revision},
    )


def words(params: Json) -> Words:
    prefix = str(params["prefix"])
    if not prefix:
        return Words("Deleting", "Deleted", "every key")
    return Words("Deleting", "Deleted", "the keys under", visible(prefix))


OPERATION = Kind(
    name=KIND,
    scope=Scope.CACHE_WRITE,
    sees=Scope.CACHE_READ,
    unit="key",
    step=step,
    words=words,
    tell=lambda project, params: tell(project, flags=holds_flags(str(params["prefix"]))),
)


async def _remove(project: ProjectId, wanted: Range) -> Flushed:
    number, up_to, after, rest = 0, wanted.up_to, None, wanted.keys
    try:
        while True:
            some, rest = (None, None) if rest is None else (rest[:STEP_KEYS], rest[STEP_KEYS:])
            taken = await _engine().flush_step(
                project, wanted.prefix, up_to=up_to, after=after, limit=STEP_KEYS, keys=some
            )
            number, up_to, after = number + taken.removed, taken.up_to, taken.last
            if after is None and not rest:
                return Flushed(number, taken.revision)
    finally:
        if number:
            tell(project, flags=wanted.holds_flags)


def _engine() -> CacheEngine:
    return engines.get("cache")
