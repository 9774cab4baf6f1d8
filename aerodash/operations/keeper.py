"""What the keeper does for operations: it takes turns between those that are open, a step each, and rests longer than that.

Only the process that holds the keeper's lease runs this. Should another have taken over unnoticed, the turn that each
operation counts keeps the late one's writes out, and steps bear being done twice.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import UUID

from aerodash import database, engines
from aerodash.errors import AeroDashError, EngineDown
from aerodash.models import Operation as Row
from aerodash.operations import kinds, store
from aerodash.operations.record import Operation
from aerodash.realtime import topics
from aerodash.realtime.publish import publish

LOOK_EVERY_S = 0.25
"""Between looks at the database: for new operations, for cancels, and to write how far each is."""
REST_AT_LEAST_S = 0.002
REST_STEPS = 2
"""How many times as long as a step the rest after it lasts: at once as long, callers' p99 doubled."""
AT_ONCE = 16
AT_ONCE_A_PROJECT = 4
HELD_UP_S = 0.5
HELD_UP_AT_MOST_S = 5.0
PUT_DOWN_S = 1.0
KEPT_DAYS = 30
PRUNE_EVERY_S = 3600.0

log = logging.getLogger("aerodash.keeper.operations")


class Runner:
    """The operations that this process works on. What it holds outlives one call of `run` that failed."""

    def __init__(self) -> None:
        self._held: dict[UUID, _Turn] = {}
        self._looked_at = float("-inf")

    @engines.on_engine_loop
    async def run(self) -> None:
        """Work until nothing is open. Cut off, it writes how far it is. Raises django.db.Error."""
        try:
            while await self._look():
                await self._round()
        except asyncio.CancelledError:
            await self._put_down()
            raise

    async def _look(self) -> bool:
        """Write, hear who wants to cancel, take up what is new. False when there is nothing to do."""
        if time.monotonic() - self._looked_at < LOOK_EVERY_S:
            return True
        await self._write()
        await self._take()
        self._looked_at = time.monotonic()
        return bool(self._held)

    async def _write(self) -> None:
        if not self._held:
            return
        held = await database.ask(store.write)([turn.now for turn in self._held.values()])
        for id, turn in list(self._held.items()):
            if id not in held:
                log.warning("operation %s is no longer this keeper's", id)
                del self._held[id]
                continue
            if turn.moved:
                turn.tell()
            if held[id]:
                await self._end(turn, Row.State.CANCELLED)

    async def _take(self) -> None:
        room = AT_ONCE - len(self._held)
        if room <= 0:
            return
        by_project: dict[int, int] = {}
        for turn in self._held.values():
            by_project[turn.now.project] = by_project.get(turn.now.project, 0) + 1
        chosen: list[Operation] = []
        for one in await database.ask(store.open_now)():
            count = by_project.get(one.project, 0)
            is_free = one.id not in self._held and kinds.knows(one.kind)
            if is_free and len(chosen) < room and count < AT_ONCE_A_PROJECT:
                by_project[one.project] = count + 1
                chosen.append(one)
        if not chosen:
            return
        for one in await database.ask(store.take)(chosen):
            turn = self._held[one.id] = _Turn(one)
            turn.tell()
            if one.cancel_requested_at is not None:
                await self._end(turn, Row.State.CANCELLED)

    async def _round(self) -> None:
        """A step of each operation that is not held up, each followed by a rest."""
        ready = [turn for turn in self._held.values() if turn.resumes_at <= time.monotonic()]
        if not ready:
            await asyncio.sleep(LOOK_EVERY_S / 5)
        for turn in ready:
            self._held[turn.now.id] = self._held.pop(turn.now.id)  # to the end of the row
            began = time.monotonic()
            ended = await turn.step()
            if ended is not None:
                await self._end(turn, ended)
            await asyncio.sleep(max(REST_STEPS * (time.monotonic() - began), REST_AT_LEAST_S))
            if time.monotonic() - self._looked_at >= LOOK_EVERY_S:
                return

    async def _end(self, turn: "_Turn", state: str) -> None:
        await database.ask(store.end)(turn.now, state)
        self._held.pop(turn.now.id, None)
        turn.tell()

    async def _put_down(self) -> None:
        """This process may keep house no longer: say how far each is, if the database takes it at once."""
        left, self._held = [turn.now for turn in self._held.values()], {}
        self._looked_at = float("-inf")
        if not left:
            return
        try:
            async with asyncio.timeout(PUT_DOWN_S):
                await database.ask(store.put_down)(left)
        except Exception as exc:  # noqa: BLE001 - it is on its way out; the next keeper goes on from what was written
            log.warning("how far operations are was not written: %s", exc or type(exc).__name__)


class _Turn:
    """One operation while this process works on it."""

    def __init__(self, one: Operation) -> None:
        self.now = one
        self.moved = False
        self.resumes_at = 0.0
        self._held_up_s = HELD_UP_S
        self._ended: str | None = None

    async def step(self) -> str | None:
        """Do one step, unless it has ended and that could not be written yet. Returns how it ended, if it did."""
        if self._ended is None:
            self._ended = await self._step()
        return self._ended

    async def _step(self) -> str | None:
        try:
            step = await kinds.find(self.now.kind).step(self.now.project, self.now.params, self.now.cursor)
        except EngineDown as exc:
            # The step may have been done and its reply lost: what it did is not counted then.
            self.now = replace(self.now, error=exc.message, done_is_exact=False)
            self.resumes_at = time.monotonic() + self._held_up_s
            self._held_up_s = min(self._held_up_s * 2, HELD_UP_AT_MOST_S)
            self.moved = True
            return None
        except AeroDashError as exc:
            self.now = replace(self.now, error=exc.message)
            return Row.State.FAILED
        except Exception as exc:
            log.exception("operation %s (%s) failed", self.now.id, self.now.kind)
            why = f"It failed for a reason that is in the keeper's log ({type(exc).__name__})."
            self.now = replace(self.now, error=why)
            return Row.State.FAILED
        self._held_up_s = HELD_UP_S
        now = replace(self.now, error="")
        self.now = now.after(step.cursor, done=step.done, skipped=step.skipped, result=step.result)
        self.moved = True
        return Row.State.DONE if step.cursor is None else None

    def tell(self) -> None:
        """Say to the live pages that it moved."""
        self.moved = False
        publish(self.now.project, topics.OPERATIONS, (str(self.now.id),))
        kinds.find(self.now.kind).tell(self.now.project, self.now.params)


async def prune() -> int:
    """Forget operations that ended a month ago; returns how many. Raises django.db.Error."""
    forgotten = 0
    while count := await database.ask(store.prune)(store.days_ago(KEPT_DAYS)):
        forgotten += count
    return forgotten


TASKS: list[tuple[str, float, Callable[[], Awaitable[object]]]] = [
    ("operations.run", LOOK_EVERY_S, Runner().run),
    ("operations.prune", PRUNE_EVERY_S, prune),
]
