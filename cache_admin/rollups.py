"""What the cache puts on the timeline: the keeper reads counters and gauges off the engine, once in ten seconds.

The counters are those that the engine itself keeps (engine/tally.py); what they grew by since they were read last is added.
"""

import asyncio
from collections.abc import Sequence
from itertools import batched

from aerodash import database, engines
from aerodash.auth import Scope
from aerodash.ids import ProjectId
from aerodash.models import Project
from aerodash.rollups import store
from aerodash.rollups.metrics import TOTAL, Keep, Kind, Metric
from cache_admin.engine.contract import CacheEngine, Stats
from cache_admin.engine.vitals import Vitals

AT_ONCE = 8
"""Projects that are asked for at the same time."""

COUNTERS = ("cache.hits", "cache.misses", "cache.writes", "cache.expired")
RUNS = "cache.engine_runs"

METRICS = (
    *(Metric(name, Kind.COUNT, "entries", Scope.CACHE_READ) for name in COUNTERS),
    Metric("cache.keys", Kind.GAUGE, "keys", Scope.CACHE_READ),
    Metric("cache.memory_bytes", Kind.GAUGE, "B", Scope.CACHE_READ, keep=Keep.MOST),
    Metric("cache.replica_lag_bytes", Kind.GAUGE, "B", Scope.CACHE_READ, keep=Keep.MOST),
    Metric("cache.replica_silent_s", Kind.GAUGE, "s", Scope.CACHE_READ, keep=Keep.MOST),
    Metric(RUNS, Kind.GAUGE, "servers", Scope.CACHE_READ, "run", Keep.LEAST, "Cache engine restarted"),
)


@engines.on_engine_loop
async def measure(at_s: int) -> None:
    """Read counters and gauges, and put them on the timeline. For the keeper. at_s: the bucket.

    Memory and lag are the engine's, and the same for all projects. Raises EngineDown, django.db.Error.
    """
    engine: CacheEngine = engines.get("cache")
    turns = await database.ask(store.turns)(COUNTERS)
    projects = await database.ask(_projects)()
    gauges: dict[store.SeriesKey, float] = {}
    counters: dict[tuple[ProjectId, str], int] = {}
    of_engine = _of_engine(await engine.vitals())
    for some in batched(projects, AT_ONCE):
        found = await asyncio.gather(*(_of_project(engine, project) for project in some))
        for project, (keys, stats) in zip(some, found, strict=True):
            gauges[project, "cache.keys", TOTAL] = keys
            gauges |= {(project, metric, label): value for (metric, label), value in of_engine.items()}
            counted = (stats.hits, stats.misses, stats.writes, stats.expired)
            counters |= {(project, metric): value for metric, value in zip(COUNTERS, counted, strict=True)}
    await database.ask(store.add_sample)(store.Sample(at_s, gauges, counters, turns))


async def _of_project(engine: CacheEngine, project: ProjectId) -> tuple[int, Stats]:
    keys = await engine.count(project)
    return keys.number, await engine.stats(project)


def _of_engine(vitals: Vitals) -> dict[tuple[str, str], float]:
    """By metric and label. While a server is away its part of a sum is not known, and so the sum is not either."""
    values: dict[tuple[str, str], float] = {}
    primaries = [node for node in vitals.nodes if node.is_primary]
    if not vitals.lost:
        values["cache.memory_bytes", TOTAL] = sum(node.memory.used_bytes for node in primaries)
    if replicas := [replica for node in primaries for replica in node.replicas]:
        values["cache.replica_lag_bytes", TOTAL] = max(replica.lag_bytes for replica in replicas)
        values["cache.replica_silent_s", TOTAL] = max(replica.silent_s for replica in replicas)
    values[RUNS, TOTAL] = len(primaries)
    values |= {(RUNS, node.run_id): 1 for node in primaries if node.run_id}
    return values


def _projects() -> Sequence[ProjectId]:
    return [ProjectId(pk) for pk in Project.objects.order_by("pk").values_list("pk", flat=True)]
