"""What the Overview asks of the queue: its counters, what is due, what holds it up, and who works.

Every statement reads counters or a bounded part of an index, so the page costs as much with a million jobs as with
ten. Plain ORM functions; all need the right `queue:read`.
"""

import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection
from django.db.models import Q

from aerodash import instants
from aerodash.auth import Actor, Scope
from aerodash.ids import ProjectId
from jobs_admin import queries, waiting, worker_figures
from jobs_admin.models import Schedule, Worker
from jobs_admin.records import Counts
from jobs_admin.rollups import ALIVE_MS
from jobs_admin.waiting import PausedType

COUNTED_MAX = 20_000
"""So many index entries are counted for what is due now; if more are due and more are not, it is told as more."""
WAITS_S = 30
"""A job that is due for less than this has waited for nothing but its turn."""
WAITING_TYPES = 5
LOST_WITHIN = timedelta(minutes=15)
FAULTS_MAX = 20


class _Place(NamedTuple):
    """Where a job stands in its type's lanes."""

    due_at_ms: int
    priority: int


@dataclass(frozen=True, slots=True)
class Due:
    """How many jobs could run now. number: exact, or at least so many if is_exact is False."""

    number: int
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """The job of a type that is due for longest. pending, running: jobs of the type; most: as many as may run, None
    for any number. has_rate: whether its starts are limited."""

    type: str
    job_id: str
    due_at: datetime
    pending: int
    running: int
    most: int | None
    has_rate: bool


@dataclass(frozen=True, slots=True)
class LostWorker:
    """A worker process that was seen to die, or fell silent with jobs in hand. reason: what its supervisor said, if one
    did. holds: jobs whose lease has not run out yet; ran_out: leases of it that have."""

    id: str
    name: str
    lost_at: datetime
    reason: str
    holds: int
    ran_out: int


@dataclass(frozen=True, slots=True)
class WorkersNow:
    """As the Workers page has it. lost: within LOST_WITHIN, the last first. last_heard_at: of any."""

    alive: int
    lost: tuple[LostWorker, ...]
    last_heard_at: datetime | None

    @property
    def expected(self) -> int:
        """Those alive, and those that were a moment ago."""
        return self.alive + len(self.lost)


@dataclass(frozen=True, slots=True)
class FaultySchedule:
    """A schedule whose next slot cannot be enqueued, and why."""

    name: str
    type: str
    fault: str


@dataclass(frozen=True, slots=True)
class QueueNow:
    """The queue at one moment.

    oldest_due_at: of all types but the paused ones. waiting: per type that has waited WAITS_S and more, its job that is
    due for longest; the longest first, WAITING_TYPES at most. paused: those for which jobs wait.
    """

    at: datetime
    counts: Counts
    due: Due
    oldest_due_at: datetime | None
    waiting: tuple[Waiting, ...]
    paused: tuple[PausedType, ...]
    workers: WorkersNow
    schedules: tuple[FaultySchedule, ...]


def now(project: ProjectId, actor: Actor) -> QueueNow:
    """Everything at once; about ten statements."""
    actor.require(Scope.QUEUE_READ)
    now_ms = instants.now_ms()
    counts = queries.counts(project, actor)
    paused = tuple(one for one in waiting.paused(project, actor) if one.pending)
    first = _first_due(project, now_ms) if counts.pending else {}
    for one in paused:
        first.pop(one.name, None)
    return QueueNow(
        at=instants.of_ms(now_ms),
        counts=counts,
        due=_due(project, counts.pending, now_ms),
        oldest_due_at=instants.of_ms(min(place.due_at_ms for place in first.values())) if first else None,
        waiting=_waiting(project, actor, first, now_ms),
        paused=paused,
        workers=_workers(project, actor, now_ms),
        schedules=_at_fault(project),
    )


def _due(project: ProjectId, pending: int, now_ms: int) -> Due:
    """Counted from the smaller end: those that are due, or those that are not yet and must be taken from the pending."""
    if not pending:
        return Due(0, True)
    due = _count_pending(project, "<=", now_ms)
    if due <= COUNTED_MAX:
        return Due(due, True)
    later = _count_pending(project, ">", now_ms)
    if later <= COUNTED_MAX:
        return Due(max(pending - later, COUNTED_MAX), True)
    return Due(COUNTED_MAX, False)


def _count_pending(project: ProjectId, than: str, now_ms: int) -> int:
    """Pending jobs due before or after this moment, counted up to COUNTED_MAX + 1, lane by lane of job_lease_order."""
    if connection.vendor == "sqlite":
        # CROSS JOIN keeps the order: for each lane a range of the index.
        joined = """CROSS JOIN jobs_admin_job AS job INDEXED BY job_lease_order
            WHERE job.project_id = lane.project_id AND job.status = 'pending' AND job.type = lane.type
                AND job.priority = lane.priority AND job.due_at_ms {than} %s AND lane.project_id = %s"""
    else:
        joined = """CROSS JOIN LATERAL (
                SELECT 1 FROM jobs_admin_job AS job
                WHERE job.project_id = lane.project_id AND job.status = 'pending' AND job.type = lane.type
                    AND job.priority = lane.priority AND job.due_at_ms {than} %s
            ) AS waits
            WHERE lane.project_id = %s"""
    sql = f"""
        SELECT count(*) FROM (
            SELECT 1 FROM jobs_admin_joblane AS lane {joined.format(than=than)} LIMIT {COUNTED_MAX + 1}
        ) AS counted
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, [now_ms, project])
        return int(cursor.fetchone()[0])


def _first_due(project: ProjectId, now_ms: int) -> dict[str, _Place]:
    """Per type where its job stands that is due for longest: one look at the beginning of each of its lanes."""
    sql = f"""
        SELECT lane.type, lane.priority, (
            SELECT job.due_at_ms FROM jobs_admin_job AS job {_hint()}
            WHERE job.project_id = lane.project_id AND job.status = 'pending' AND job.type = lane.type
                AND job.priority = lane.priority AND job.due_at_ms <= %s
            ORDER BY job.due_at_ms LIMIT 1
        ) AS due_at_ms
        FROM jobs_admin_joblane AS lane WHERE lane.project_id = %s
    """
    first: dict[str, _Place] = {}
    with connection.cursor() as cursor:
        cursor.execute(sql, [now_ms, project])
        for type, priority, due_at_ms in cursor.fetchall():
            if due_at_ms is not None and (type not in first or due_at_ms < first[type].due_at_ms):
                first[type] = _Place(due_at_ms, priority)
    return first


def _waiting(project: ProjectId, actor: Actor, first: dict[str, _Place], now_ms: int) -> tuple[Waiting, ...]:
    late = [(place, type) for type, place in first.items() if now_ms - place.due_at_ms >= WAITS_S * 1000]
    found = (_of_place(project, actor, type, place) for place, type in sorted(late)[:WAITING_TYPES])
    return tuple(one for one in found if one is not None)


def _of_place(project: ProjectId, actor: Actor, type: str, place: _Place) -> Waiting | None:
    """None if a worker has taken the job meanwhile."""
    sql = f"""
        SELECT id FROM jobs_admin_job {_hint()}
        WHERE project_id = %s AND status = 'pending' AND type = %s AND priority = %s AND due_at_ms = %s LIMIT 1
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, [project, type, place.priority, place.due_at_ms])
        row = cursor.fetchone()
    if row is None:
        return None
    said = waiting.of_type(project, actor, type=type)
    return Waiting(
        type=type,
        job_id=str(uuid.UUID(str(row[0]))),
        due_at=instants.of_ms(place.due_at_ms),
        pending=said.counts.pending,
        running=said.counts.processing,
        most=said.settings.concurrency,
        has_rate=said.settings.rate is not None,
    )


def _hint() -> str:
    """SQLite would rather take an index that has the status and look every row up for its due time."""
    return "INDEXED BY job_lease_order" if connection.vendor == "sqlite" else ""


def _workers(project: ProjectId, actor: Actor, now_ms: int) -> WorkersNow:
    of_project = Worker.objects.filter(project_id=project)
    alive = of_project.filter(last_seen_at_ms__gte=now_ms - ALIVE_MS, lost_at_ms=None).count()
    last = of_project.order_by("-last_seen_at_ms").values_list("last_seen_at_ms", flat=True).first()
    # Whoever was lost lately was heard not long before: the index on when they were heard bounds this.
    silent = of_project.filter(
        Q(lost_at_ms__isnull=False) | Q(last_seen_at_ms__lt=now_ms - ALIVE_MS),
        last_seen_at_ms__gte=now_ms - LOST_WITHIN // timedelta(milliseconds=1),
    )
    lost = _lost(project, actor, now_ms) if silent.exists() else ()
    return WorkersNow(alive, lost, None if last is None else instants.of_ms(last))


def _lost(project: ProjectId, actor: Actor, now_ms: int) -> tuple[LostWorker, ...]:
    """Which of the silent ones were lost, and did not just stop, the Workers page knows; it costs more to find out."""
    since = instants.of_ms(now_ms) - LOST_WITHIN
    roll = worker_figures.roll(project, actor, since=time.monotonic())
    found = [
        LostWorker(one.id, one.name, one.lost_at, one.reason, one.leases, one.ran_out)
        for one in roll.workers
        if one.state == "lost" and one.lost_at is not None and one.lost_at >= since
    ]
    return tuple(sorted(found, key=lambda one: one.lost_at, reverse=True))


def _at_fault(project: ProjectId) -> tuple[FaultySchedule, ...]:
    faulty = Schedule.objects.filter(project_id=project, fault__isnull=False, paused_at_ms__isnull=True)
    rows = faulty.exclude(fault="").order_by("name").values_list("name", "type", "fault")[:FAULTS_MAX]
    return tuple(FaultySchedule(name, type, fault) for name, type, fault in rows)
