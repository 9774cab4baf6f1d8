"""A project's figures above its cache page: read once for all tabs, and who is told when they have moved."""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass

from aerodash import engines
from aerodash.auth import Actor
from aerodash.ids import ProjectId
from aerodash.realtime import topics
from aerodash.realtime.publish import publish
from cache_admin import queries
from cache_admin.engine.contract import Count, Stats

STATS_ID = ""  # what a fact about the counters names: no key is empty
PROJECTS_KEPT = 256
RATE_S = 10


@dataclass(frozen=True, slots=True)
class Figures:
    """keys: all of the project's. rate: operations a second, over the last ten. hit_ratio: per cent of the last
    minute's reads, None if there were none. spark: the last minute's operations as points of an SVG of 60 by 20."""

    keys: Count
    stats: Stats
    rate: float
    hit_ratio: float | None
    spark: str


_asked: OrderedDict[ProjectId, tuple[float, asyncio.Future[Figures]]] = OrderedDict()


def tell(project: ProjectId) -> None:
    """The counters of this project have moved."""
    publish(project, topics.CACHE_STATS, (STATS_ID,))


@engines.on_engine_loop
async def figures(project: ProjectId, actor: Actor, *, since: float) -> Figures:
    """The figures as of `since` (time.monotonic()) or later; tabs that ask for the same share one look.

    Raises NotAllowed, EngineDown.
    """
    asked_at, look = _asked.get(project, (float("-inf"), None))
    if look is None or asked_at < since:
        look = asyncio.ensure_future(_look(project, actor))
        _asked[project] = (time.monotonic(), look)
        _asked.move_to_end(project)
        if len(_asked) > PROJECTS_KEPT:
            _asked.popitem(last=False)
    return await asyncio.shield(look)


async def _look(project: ProjectId, actor: Actor) -> Figures:
    keys, stats = await asyncio.gather(queries.count(project, actor), queries.stats(project, actor))
    reads = stats.recent_hits + stats.recent_misses
    return Figures(
        keys,
        stats,
        sum(stats.a_second[-RATE_S:]) / RATE_S,
        100 * stats.recent_hits / reads if reads else None,
        _spark(stats.a_second),
    )


def _spark(numbers: tuple[int, ...]) -> str:
    highest = max(numbers) or 1
    return " ".join(f"{x},{19 - 18 * number / highest:.1f}" for x, number in enumerate(numbers))
