"""What the keeper does for jobs: it ends what is over, forgets what is old, and keeps the counters short and right.

It measures what waits and who works, for the timeline.
"""

import logging
from collections.abc import Awaitable, Callable

from django.conf import settings

from aerodash.rollups.keeper import LOOK_EVERY_S, Sampler
from jobs_admin import batches, rollups, schedules, services

SWEEP_EVERY_S = 0.5
FIRE_EVERY_S = 0.5
FOLD_EVERY_S = 1.0
FINISH_EVERY_S = 10.0
PRUNE_EVERY_S = 60.0
FORGET_EVERY_S = 3600.0
RECONCILE_EVERY_S = 3600.0
DAY_MS = 24 * 3_600_000

log = logging.getLogger("aerodash.keeper.jobs")


async def sweep_leases() -> int:
    """End the runs whose lease has expired and the jobs past their deadline; how many. Raises EngineDown."""
    return await services.sweep()


async def fire_schedules() -> int:
    """Enqueue the jobs of the schedules' slots that have come; returns how many. Raises EngineDown."""
    return await schedules.fire()


async def finish_batches() -> int:
    """End the batches that are over and were left open by a process that died; how many. Raises EngineDown."""
    return await batches.finish_left_over()


async def prune() -> int:
    """Delete the ended jobs that nobody keeps any more; returns how many. Raises EngineDown."""
    return await services.prune(retention_ms=_retention_ms())


async def forget() -> None:
    """Delete what jobs leave behind: lanes and counters, workers, batches. Raises EngineDown."""
    await services.forget(retention_ms=_retention_ms())


async def fold_counters() -> None:
    """Sum up the counters' rows, where each transaction adds its own. Raises EngineDown."""
    await services.fold()


async def reconcile_counters() -> None:
    """Set right the counters that differ from their jobs, and say so: none should. Raises EngineDown."""
    for drift in await services.reconcile():
        log.error(
            "counter of project %s, %s, status %s said %s, there are %s jobs: set right",
            drift.project,
            f"type {drift.type}" if drift.batch is None else f"batch {drift.batch}",
            *(drift.status, drift.counted, drift.actual),
        )


def _retention_ms() -> dict[str, int]:
    kept_days = {
        "completed": settings.AERODASH_KEEP_COMPLETED_DAYS,
        "failed": settings.AERODASH_KEEP_FAILED_DAYS,
        "cancelled": settings.AERODASH_KEEP_CANCELLED_DAYS,
    }
    return {status: days * DAY_MS for status, days in kept_days.items()}


TASKS: list[tuple[str, float, Callable[[], Awaitable[object]]]] = [
    ("jobs.sweep_leases", SWEEP_EVERY_S, sweep_leases),
    ("jobs.fire_schedules", FIRE_EVERY_S, fire_schedules),
    ("jobs.finish_batches", FINISH_EVERY_S, finish_batches),
    ("jobs.fold_counters", FOLD_EVERY_S, fold_counters),
    ("jobs.prune", PRUNE_EVERY_S, prune),
    ("jobs.forget", FORGET_EVERY_S, forget),
    ("jobs.reconcile_counters", RECONCILE_EVERY_S, reconcile_counters),
    ("jobs.measure", LOOK_EVERY_S, Sampler(rollups.measure).run),
]
