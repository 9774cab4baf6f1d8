"""What the keeper does for the cache: it takes expired entries out of the indexes, and measures the engine."""

from collections.abc import Awaitable, Callable

from aerodash import database, engines
from aerodash.models import Project
from aerodash.rollups.keeper import LOOK_EVERY_S, Sampler
from cache_admin import rollups, transfer

PROJECT_BUDGET_S = 0.1


@engines.on_engine_loop
async def purge_due(*, budget_s: float = PROJECT_BUDGET_S) -> bool:
    """Take what has expired out of every project's indexes, for at most about budget_s a project.

    Returns False when some are left for the next turn. Raises EngineDown.
    """
    engine = engines.get("cache")
    done = True
    for project in await database.ask(_projects)():
        done &= await engine.purge(project, budget_s=budget_s)
    return done


def _projects() -> list[int]:
    return list(Project.objects.order_by("pk").values_list("pk", flat=True))


TASKS: list[tuple[str, float, Callable[[], Awaitable[object]]]] = [
    ("cache.purge_due", 1.0, purge_due),
    ("cache.prune_imports", 3600.0, transfer.prune),
    ("cache.measure", LOOK_EVERY_S, Sampler(rollups.measure).run),
]
