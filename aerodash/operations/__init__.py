"""Long work as tracked operations: the verbs that start, show, cancel and await it. The keeper does it (keeper.py).

An operation belongs to a project and has a kind (kinds.py), which says what a step is and which right it takes.
"""

import asyncio
import time
from collections.abc import Sequence
from uuid import UUID

from django.db import DatabaseError, IntegrityError

from aerodash import audit, database, engines
from aerodash.auth import Actor
from aerodash.errors import EngineDown, InvalidInput
from aerodash.ids import ProjectId
from aerodash.operations import kinds, store
from aerodash.operations.kinds import Json
from aerodash.operations.record import Operation, text
from aerodash.realtime import topics
from aerodash.realtime.publish import publish

ENGINE = "operations"
OPEN_AT_MOST = 100
PER_PAGE = 200
LOOK_EVERY_S = 0.1
LOOK_EVERY_AT_MOST_S = 0.5
PATIENCE_S = 15.0
"""So long a caller waits while its operation does not move. A keeper that was killed is replaced within 5 s."""


async def start(
    project: ProjectId,
    actor: Actor,
    *,
    kind: str,
    params: Json,
    total: int,
    is_exact: bool,
    reason: str = "",
    before: str = "",
    id: UUID | None = None,
) -> Operation:
    """Have the keeper do this; it begins within a second and goes on whoever leaves. Stands in the audit log.

    kind: a registered one; the actor needs its scope. total: how many things there are now, exactly or about.
    before: figures of what it changes, for the audit log. id: the operation's, for what must not be begun twice: whoever
    comes second is answered the first's. None: a fresh one.
    Raises NotAllowed; EngineDown when the database is away or the project has 100 open already.
    """
    actor.require(kinds.find(kind).scope)
    try:
        started = await database.ask(store.add)(
            project,
            actor,
            kind=kind,
            params=params,
            total=total,
            total_is_exact=is_exact,
            open_at_most=OPEN_AT_MOST,
            id=id,
        )
        if started is None:
            raise EngineDown(
                f"The project has {OPEN_AT_MOST} operations that have not ended: wait for some of them.",
                reason="overloaded", retry_after_s=10,
            )  # fmt: skip
        await audit.record(
            project, actor, verb=f"{kind}.start", target=str(started.id),
            before=before or None, after=text(params), reason=reason,
        )  # fmt: skip
    except IntegrityError as exc:
        first = None if id is None else await _find(project, id, [kind])
        if first is None:
            raise _away() from exc
        return first
    except DatabaseError as exc:
        raise _away() from exc
    publish(project, topics.OPERATIONS, (str(started.id),))
    return started


async def get(project: ProjectId, actor: Actor, *, id: str) -> Operation | None:
    """The operation; None if there is none of that id, or none that the actor may look at."""
    number = _uuid(id)
    return None if number is None else await _find(project, number, _seen_by(actor))


async def list_page(
    project: ProjectId,
    actor: Actor,
    *,
    states: Sequence[str] = (),
    limit: int = 50,
    cursor: str | None = None,
) -> tuple[list[Operation], str | None]:
    """Those that the actor may look at, newest first, and the cursor of the next page. limit: 1..200.

    states: only those; none means any. Raises InvalidInput for a cursor that is none.
    """
    if not 1 <= limit <= PER_PAGE:
        raise InvalidInput(
            f"limit must be between 1 and {PER_PAGE}.", reason="out_of_range", field="limit", limit=PER_PAGE
        )
    before = None if cursor is None else _uuid(cursor)
    if cursor is not None and before is None:
        raise InvalidInput("This cursor is not one of ours.", reason="invalid_cursor", field="cursor")
    try:
        found = await database.ask(store.page)(
            project, _seen_by(actor), states, before=before, limit=limit + 1
        )
    except DatabaseError as exc:
        raise _away() from exc
    return found[:limit], str(found[limit - 1].id) if len(found) > limit else None


async def cancel(project: ProjectId, actor: Actor, *, id: str, reason: str = "") -> Operation | None:
    """Stop it: within a second, where a keeper runs it. What is done stays done. Stands in the audit log.

    Returns the operation as it is then (one that had ended stays as it was); None if the actor sees none of that id.
    Raises NotAllowed, EngineDown.
    """
    seen = await get(project, actor, id=id)
    if seen is None:
        return None
    actor.require(kinds.find(seen.kind).scope)
    try:
        if await database.ask(store.ask_to_cancel)(project, seen.id, actor.label):
            await audit.record(
                project, actor, verb=f"{seen.kind}.cancel", target=str(seen.id), after=text(seen.params), reason=reason
            )  # fmt: skip
    except DatabaseError as exc:
        raise _away() from exc
    publish(project, topics.OPERATIONS, (str(seen.id),))
    return await _find(project, seen.id, [seen.kind])


async def ended(project: ProjectId, started: Operation) -> Operation:
    """Wait until it has ended, and return it as it is then.

    Raises EngineDown, with the id in details.operationId, when it has not moved for 15 s (no keeper runs, or what it
    works on is away), and when this process is about to end: the operation goes on by itself, or once it can.
    """
    closing: asyncio.Event | None = engines.get(ENGINE).closing if ENGINE in engines.names() else None
    pause_s, looked = LOOK_EVERY_S, started
    moved_at = time.monotonic()
    while True:
        found = await _find(project, started.id, [started.kind])
        if found is None or not found.is_open:
            return found or looked
        if (found.turn, found.done, found.skipped) != (looked.turn, looked.done, looked.skipped):
            moved_at = time.monotonic()
        looked = found
        if closing is not None and closing.is_set():
            raise _unfinished(found, "This server process is about to end.", 1)
        if time.monotonic() - moved_at > PATIENCE_S:
            raise _unfinished(found, found.error or "No keeper has worked on it for a while.", 10)
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 1.5, LOOK_EVERY_AT_MOST_S)


class Waits:
    """The engine of this name: it only knows whether this process is about to end, so that `ended` can say so."""

    def __init__(self) -> None:
        self.closing = asyncio.Event()

    async def open(self) -> None:
        """Nothing to start."""

    async def check(self) -> None:
        """Nothing behind it: the database answers for itself."""

    async def drain(self) -> None:
        self.closing.set()

    async def close(self) -> None:
        self.closing.set()


async def _find(project: ProjectId, id: UUID, names: Sequence[str]) -> Operation | None:
    try:
        return await database.ask(store.find)(project, id, names)
    except DatabaseError as exc:
        raise _away() from exc


def _seen_by(actor: Actor) -> list[str]:
    return [kind.name for kind in kinds.every() if actor.may(kind.sees) or actor.may(kind.scope)]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _away() -> EngineDown:
    return EngineDown("The database does not answer.", reason="database_unavailable")


def _unfinished(one: Operation, why: str, retry_after_s: int) -> EngineDown:
    return EngineDown(
        f"The operation has not ended, and goes on without this call. {why}",
        reason="operation_unfinished", retry_after_s=retry_after_s, operationId=str(one.id), state=one.state,
    )  # fmt: skip
