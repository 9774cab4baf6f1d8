"""What the keeper does for jobs: it ends the runs whose worker fell silent, and checks the counters."""

import logging
from collections.abc import Awaitable, Callable

from jobs_admin import services

SWEEP_EVERY_S = 0.5
RECONCILE_EVERY_S = 3600.0

log = logging.getLogger("aerodash.keeper.jobs")


async def sweep_leases() -> int:
    """Put back, fail or cancel every job whose lease has expired; returns how many. Raises EngineDown."""
    return await services.sweep()


async def reconcile_counters() -> None:
    """Set right the counters that differ from their jobs, and say so: none should. Raises EngineDown."""
    for drift in await services.reconcile():
        log.error(
            "counter of project %s, type %s, status %s said %s, there are %s jobs: set right",
            *(drift.project, drift.type, drift.status, drift.counted, drift.actual),
        )


TASKS: list[tuple[str, float, Callable[[], Awaitable[object]]]] = [
    ("jobs.sweep_leases", SWEEP_EVERY_S, sweep_leases),
    ("jobs.reconcile_counters", RECONCILE_EVERY_S, reconcile_counters),
]
