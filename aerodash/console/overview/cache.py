"""What the Overview asks of the cache: the project's figures, and how its engine is. Needs the right `cache:read`."""

import asyncio
import time
from dataclasses import dataclass, replace

from aerodash import engines
from aerodash.auth import Actor, Scope
from aerodash.ids import ProjectId
from cache_admin.concerns import LAG_WARN_BYTES, MEMORY_BAD, MEMORY_WARN, SILENT_WARN_S, Concern, concerns
from cache_admin.figures import Figures, figures
from cache_admin.health import Health, Slow, health


@dataclass(frozen=True, slots=True)
class CacheNow:
    """The cache at one moment; the engine's part is at most two seconds old."""

    figures: Figures
    health: Health

    @property
    def concerns(self) -> list[Concern]:
        """Without slow commands: one of them is for the engine's page, and not for a person at night."""
        return concerns(replace(self.health, slow=Slow()))

    @property
    def limit_bytes(self) -> int:
        """What all servers together may hold; 0 where one of them has no limit of its own."""
        limits = [node.memory.limit_bytes for node in self.health.nodes]
        return sum(limits) if all(limits) else 0

    @property
    def memory_tone(self) -> str:
        """By the fullest server: "bad" or "warn" where its limit is near."""
        parts = [
            node.memory.used_bytes / node.memory.limit_bytes
            for node in self.health.nodes
            if node.memory.limit_bytes
        ]
        fullest = max(parts, default=0.0)
        return "bad" if fullest >= MEMORY_BAD else "warn" if fullest >= MEMORY_WARN else ""

    @property
    def is_replica_late(self) -> bool:
        """Whether a replica does not follow, or is far behind; or the one that answers reads is away."""
        reader = self.health.replica
        return (reader is not None and not (reader.answers and reader.follows)) or any(
            not one.is_online or one.silent_s >= SILENT_WARN_S or one.lag_bytes >= LAG_WARN_BYTES
            for one in self.health.replicas
        )


@engines.on_engine_loop
async def now(project: ProjectId, actor: Actor) -> CacheNow:
    """A few commands to the engine. Raises EngineDown."""
    actor.require(Scope.CACHE_READ)
    found, state = await asyncio.gather(
        figures(project, actor, since=time.monotonic()), health(project, actor)
    )
    return CacheNow(found, state)
