"""What jobs put on the timeline: what the engine did in this process, and what the keeper measures."""

from typing import Any

from django.db import connection
from django.db.models import Count

from aerodash import database, engines, instants
from aerodash.auth import Scope
from aerodash.errors import EngineDown
from aerodash.ids import ProjectId
from aerodash.models import Project
from aerodash.rollups import store
from aerodash.rollups.cells import Cell
from aerodash.rollups.metrics import TOTAL, UNNAMED, Keep, Kind, Metric
from aerodash.rollups.tally import ENGINE, Tally
from jobs_admin.engine.contract import Figures
from jobs_admin.models import Worker

ALIVE_MS = 30_000
"""A worker that was heard within so long is alive: it beats every ten seconds, or else asks for jobs every second."""

ALIVE = "workers.alive"

_OUTCOMES = {
    "completed": "jobs.completed",
    "failed": "jobs.failed",
    "pending": "jobs.retried",
    "cancelled": "jobs.cancelled",
}
"""What is counted when a run ends, by where its job stands then; also for jobs that end without having begun."""

METRICS = (
    Metric("jobs.enqueued", Kind.COUNT, "jobs", Scope.QUEUE_READ, "type"),
    *(Metric(name, Kind.COUNT, "jobs", Scope.QUEUE_READ, "type") for name in _OUTCOMES.values()),
    Metric("jobs.wait_ms", Kind.HISTOGRAM, "ms", Scope.QUEUE_READ, "type"),
    Metric("jobs.run_ms", Kind.HISTOGRAM, "ms", Scope.QUEUE_READ, "type"),
    Metric("jobs.due", Kind.GAUGE, "jobs", Scope.QUEUE_READ, "type", Keep.MOST),
    Metric("jobs.oldest_due_s", Kind.GAUGE, "s", Scope.QUEUE_READ, "type", Keep.MOST),
    Metric(
        ALIVE, Kind.GAUGE, "workers", Scope.QUEUE_READ, "version", Keep.LEAST, "Worker version {} first seen"
    ),
)

# For each lane one walk over the index of what waits, from its beginning to now.
_DUE = """
SELECT project_id, type, sum(number), min(first)
FROM (
    SELECT
        lane.project_id, lane.type,
        (SELECT count(*) {due}) AS number,
        (SELECT min(job.due_at_ms) {due}) AS first
    FROM jobs_admin_joblane AS lane
) AS lanes
WHERE first IS NOT NULL
GROUP BY project_id, type
"""
_DUE_OF_LANE = """
FROM jobs_admin_job AS job {hint}
WHERE job.project_id = lane.project_id AND job.type = lane.type AND job.priority = lane.priority
    AND job.status = 'pending' AND job.due_at_ms <= %s
"""


def count(figures: Figures) -> None:
    """Add what a transaction did to this process's tally. Runs on the engine loop, after the callers were answered."""
    try:
        tally: Tally = engines.get(ENGINE)
    except EngineDown:  # the process has closed what counts, and is about to end
        return
    at_ms = figures.at_ms
    cells: dict[tuple[ProjectId, str, str], Cell] = {}

    def cell(project: ProjectId, metric: str, type: str) -> Cell:
        key = (project, metric, type)
        found = cells.get(key)
        if found is None:
            found = cells[key] = tally.cell(project, metric, type, at_ms)
        return found

    for (project, type), number in figures.enqueued.items():
        cell(project, "jobs.enqueued", type).count += number
    for project, type, wait_ms in figures.started:
        cell(project, "jobs.wait_ms", type).time(wait_ms)
    for project, type, status, run_ms in figures.ended:
        cell(project, _OUTCOMES[status], type).count += 1
        if run_ms is not None:
            cell(project, "jobs.run_ms", type).time(run_ms)


async def measure(at_s: int) -> None:
    """Put on the timeline how much is due in each project, for how long, and which workers are alive. For the keeper.

    at_s: the bucket. Raises django.db.Error.
    """
    await database.ask(_measure)(at_s)


def _measure(at_s: int) -> None:
    gauges: dict[store.SeriesKey, float] = {}
    projects = _projects()
    for project in projects:
        for metric in ("jobs.due", "jobs.oldest_due_s", ALIVE):
            gauges[project, metric, TOTAL] = 0
    now_ms = instants.now_ms()
    for project, type, number, first_ms in _due(now_ms):
        if (project, "jobs.due", TOTAL) not in gauges:
            continue  # the project is gone
        oldest_s = (now_ms - first_ms) / 1000
        gauges[project, "jobs.due", type] = int(number)
        gauges[project, "jobs.oldest_due_s", type] = oldest_s
        gauges[project, "jobs.due", TOTAL] += int(number)
        gauges[project, "jobs.oldest_due_s", TOTAL] = max(
            gauges[project, "jobs.oldest_due_s", TOTAL], oldest_s
        )
    alive = Worker.objects.filter(
        project_id__in=projects, last_seen_at_ms__gte=now_ms - ALIVE_MS, lost_at_ms=None
    )
    for project, version, number in alive.values_list("project_id", "version").annotate(Count("worker_id")):
        gauges[project, ALIVE, version or UNNAMED] = number
        gauges[project, ALIVE, TOTAL] += number
    store.add_sample(store.Sample(at_s, gauges))


def _due(now_ms: int) -> list[tuple[Any, ...]]:
    """Project, type, how many are due, and since when the first: of the types that have any."""
    hint = "INDEXED BY job_lease_order" if connection.vendor == "sqlite" else ""
    due = _DUE_OF_LANE.format(hint=hint)
    with connection.cursor() as cursor:
        cursor.execute(_DUE.format(due=due), [now_ms, now_ms])
        return list(cursor.fetchall())


def _projects() -> list[ProjectId]:
    return [ProjectId(pk) for pk in Project.objects.values_list("pk", flat=True)]
