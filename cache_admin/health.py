"""How the cache's engine is: one look for every open page, at most every two seconds.

The engine is everybody's: its figures are the same in each project, but a project sees the keys of its own slow commands only.
"""

import asyncio
import secrets
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from aerodash import engines
from aerodash.auth import Actor, Scope
from aerodash.errors import EngineDown
from aerodash.ids import ProjectId
from aerodash.realtime import topics
from aerodash.realtime.publish import publish
from cache_admin.engine.contract import CacheEngine, ReplicaState
from cache_admin.engine.vitals import LostNode, Node, NodeReplica, SlowCommand, Vitals

__all__ = ["LostNode", "Node", "NodeReplica", "ReplicaState", "SlowCommand", "Vitals"]

REST_S = 2.0
"""A look this young will do for whoever asks: the engine is asked no more often, however many pages are open."""
FORGET_S = 15.0
"""So long a project's pages are told of new looks after the last of them was shown."""
SLOW_SHOWN = 25
TICK = secrets.token_hex(4)
"""What this process's facts about the engine name: others have looks, and facts, of their own."""


@dataclass(frozen=True, slots=True)
class Slow:
    """The newest slow commands, newest first; refused: why they cannot be shown, "" if they can."""

    commands: tuple[SlowCommand, ...] = ()
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """One look. expired_per_s: over the time since the look before; None if there was none, or the server began anew.

    replica: the one that answers reads (VALKEY_REPLICA_URL), None where none does.
    """

    at: datetime
    vitals: Vitals
    slow: Slow
    replica: ReplicaState | None
    expired_per_s: float | None = None

    @property
    def nodes(self) -> tuple[Node, ...]:
        return self.vitals.nodes

    @property
    def used_bytes(self) -> int:
        return sum(node.memory.used_bytes for node in self.nodes)

    @property
    def ops_per_s(self) -> int:
        return sum(node.ops_per_s for node in self.nodes)

    @property
    def evicted(self) -> int:
        return sum(node.evicted for node in self.nodes)

    @property
    def expired(self) -> int:
        return sum(node.expired for node in self.nodes)

    @property
    def clients(self) -> int:
        return sum(node.clients for node in self.nodes)

    @property
    def replicas(self) -> tuple[NodeReplica, ...]:
        return tuple(one for node in self.nodes for one in node.replicas)


_shared: "tuple[float, asyncio.Future[Health]] | None" = None
_watching: dict[ProjectId, float] = {}
_timer: asyncio.TimerHandle | None = None


@engines.on_engine_loop
async def health(project: ProjectId, actor: Actor) -> Health:
    """The engine's health, at most REST_S old, with the keys of this project's slow commands only.

    Raises NotAllowed; EngineDown if no server answers.
    """
    actor.require(Scope.CACHE_READ)
    found = await _look_shared()
    mine = tuple(one if one.project == project else replace(one, key=None) for one in found.slow.commands)
    return replace(found, slow=replace(found.slow, commands=mine))


@engines.on_engine_loop
async def watch(project: ProjectId) -> None:
    """Have the project's open pages told every REST_S that there is a new look, as long as this is called again and again."""
    global _timer
    _watching[project] = time.monotonic()
    if _timer is None:
        _timer = asyncio.get_running_loop().call_later(REST_S, _tick)


def _tick() -> None:
    global _timer
    for project, asked_at in list(_watching.items()):
        if time.monotonic() - asked_at > FORGET_S:
            del _watching[project]
        else:
            publish(project, topics.ENGINE, (TICK,))
    _timer = asyncio.get_running_loop().call_later(REST_S, _tick) if _watching else None


async def _look_shared() -> Health:
    global _shared
    before = _shared
    if before is None or time.monotonic() - before[0] >= REST_S or _failed(before[1]):
        look = asyncio.ensure_future(_look(_done(before)))
        _shared = before = time.monotonic(), look
    return await asyncio.shield(before[1])


async def _look(before: Health | None) -> Health:
    engine: CacheEngine = engines.get("cache")
    vitals, slow, replica = await asyncio.gather(engine.vitals(), _slow(engine), engine.replica_state())
    now = Health(datetime.now(UTC), vitals, slow, replica)
    return replace(now, expired_per_s=_rate(before, now))


async def _slow(engine: CacheEngine) -> Slow:
    try:
        return Slow(tuple(await engine.slow_commands(limit=SLOW_SHOWN)))
    except EngineDown as exc:
        if exc.reason != "no_permission":
            raise
        return Slow(refused=exc.message)


def _rate(before: Health | None, now: Health) -> float | None:
    """Expiries a second. A server that was started again counts from 0, and one that came or went is another sum."""
    if before is None or [node.run_id for node in before.nodes] != [node.run_id for node in now.nodes]:
        return None
    seconds = (now.at - before.at).total_seconds()
    return (now.expired - before.expired) / seconds if seconds > 0 else None


def _failed(look: "asyncio.Future[Health]") -> bool:
    return look.done() and (look.cancelled() or look.exception() is not None)


def _done(before: "tuple[float, asyncio.Future[Health]] | None") -> Health | None:
    if before is None or not before[1].done() or _failed(before[1]):
        return None
    return before[1].result()


@engines.on_engine_loop
async def entry_bytes(project: ProjectId, actor: Actor, *, key: str) -> int | None:
    """What the engine itself takes for an entry, its own bookkeeping in the index left out; None if it is gone.

    Raises NotAllowed; EngineDown, with reason "no_permission" where the engine's user may not ask.
    """
    actor.require(Scope.CACHE_READ)
    engine: CacheEngine = engines.get("cache")
    return await engine.memory_bytes(project, key)
