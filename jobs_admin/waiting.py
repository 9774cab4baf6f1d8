"""What holds waiting jobs back: pauses, the limits of their types, and workers that are not there.

Each is a fact that a lease looks at too, read by key as it stands now. All need the queue:read right. Source: jobs.md.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.db.models import Sum
from django.db.models.expressions import RawSQL
from django.db.models.fields import BooleanField

from aerodash import instants, limits
from aerodash.auth import Actor, Scope
from aerodash.ids import ProjectId
from aerodash.models import KeeperLease
from jobs_admin import queries
from jobs_admin.engine.rules import Rate, rate_of, urgency
from jobs_admin.models import Job, JobCounter, JobType, RateBucket, Worker
from jobs_admin.records import JobDetail, PauseRow, TypeRow, instant_or_none, type_row

KEEPER = "keeper"
"""The name of its lease: aerodash/keeper/lease.py."""
KEEPER_GRACE = timedelta(seconds=5)
"""One that was killed is replaced within it."""

AHEAD_MAX = 1_000

LATELY = timedelta(minutes=2)
"""A worker that runs jobs sends heartbeats several times in this time."""


@dataclass(frozen=True, slots=True)
class PausedType:
    """A type that starts nothing, since when and why, and how many of its jobs are pending."""

    name: str
    pause: PauseRow
    pending: int


@dataclass(frozen=True, slots=True)
class Full:
    """As many run as may at once. key: the partition key that this is about; "" for the whole type."""

    key: str
    running: int
    most: int


@dataclass(frozen=True, slots=True)
class Spent:
    """All starts of this time are used up; the next may be at next_at. key: as in Full."""

    key: str
    starts: int
    per_s: float
    next_at: datetime


@dataclass(frozen=True, slots=True)
class Workers:
    """Of the project, whatever types they take. lately: how many took or ran jobs within LATELY and were not seen to die.

    last_name: of the one that was heard last, "" if there never was one. lost_at: when that one was seen to die.
    """

    lately: int
    last_name: str
    last_at: datetime | None
    lost_at: datetime | None
    lost_reason: str


@dataclass(frozen=True, slots=True)
class Keeper:
    """The process that keeps house. is_there: whether one does now; last_at: until when one did, None if none ever did."""

    is_there: bool
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What a pending job finds when it is due. running, waiting: jobs of its type, this one too.

    ahead: due jobs of its type that come first, because they are older or more urgent, counted up to AHEAD_MAX.
    """

    running: int
    waiting: int
    ahead: int
    paused: PauseRow | None
    full: Full | None
    spent: Spent | None
    workers: Workers


def of_type(project: ProjectId, actor: Actor, *, type: str) -> TypeRow:
    """One type: its jobs per status, whether it is paused, what it says. Unknown ones have the defaults."""
    counts = queries.counts(project, actor, type=type)
    return type_row(type, counts, JobType.objects.filter(project_id=project, name=type).first())


def paused(project: ProjectId, actor: Actor, *, type: str | None = None) -> list[PausedType]:
    """The paused types, or this one if it is paused; those with most pending jobs first."""
    actor.require(Scope.QUEUE_READ)
    said = JobType.objects.filter(project_id=project, paused_at_ms__isnull=False)
    if type is not None:
        said = said.filter(name=type)
    by_name = {row.name: row for row in said}
    if not by_name:
        return []
    counted = JobCounter.objects.filter(project_id=project, type__in=by_name, status="pending")
    pending = dict(counted.values_list("type").annotate(Sum("count")))
    found = []
    for name, row in by_name.items():
        at = datetime.fromtimestamp((row.paused_at_ms or 0) / 1000, UTC)
        found.append(PausedType(name, PauseRow(at, row.paused_by, row.pause_reason), pending.get(name, 0)))
    return sorted(found, key=lambda one: (-one.pending, one.name))


def standing(project: ProjectId, actor: Actor, *, job: JobDetail, type: TypeRow) -> Standing:
    """What a pending job of this type waits for besides its own time."""
    actor.require(Scope.QUEUE_READ)
    return Standing(
        running=type.counts.processing,
        waiting=type.counts.pending,
        ahead=_ahead(project, job),
        paused=type.paused,
        full=_full(project, job, type),
        spent=_spent(project, job, type),
        workers=_workers(project),
    )


def keeper() -> Keeper:
    """Whether a keeper is at work: without one nothing ends by itself (deadlines, lost leases), and no schedule fires."""
    until = KeeperLease.objects.filter(name=KEEPER).values_list("expires_at", flat=True).first()
    if until is None:
        return Keeper(is_there=False)
    return Keeper(until + KEEPER_GRACE > datetime.now(UTC), until)


def _ahead(project: ProjectId, job: JobDetail) -> int:
    """One bounded look at each priority, in the index that leases read."""
    row, now_ms = job.row, instants.now_ms()
    own = urgency(row.priority, instants.ms_of(row.due_at))
    if instants.ms_of(row.due_at) > now_ms:
        return 0
    hint = "INDEXED BY job_lease_order" if connection.vendor == "sqlite" else ""
    ranges, values = [], list[object]()
    for priority in range(limits.PRIORITY_MAX + 1):
        ranges.append(
            f"SELECT * FROM (SELECT 1 FROM jobs_admin_job {hint} WHERE project_id = %s AND type = %s"
            f" AND status = 'pending' AND priority = %s AND due_at_ms < %s LIMIT {AHEAD_MAX}) AS lane_{priority}"
        )
        values += [project, row.type, priority, min(own - urgency(priority, 0), now_ms + 1)]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM ({' UNION ALL '.join(ranges)}) AS ahead", values)
        return min(int(cursor.fetchone()[0]), AHEAD_MAX)


def _full(project: ProjectId, job: JobDetail, type: TypeRow) -> Full | None:
    most, running = type.settings.concurrency, type.counts.processing
    if most is not None and running >= most:
        return Full("", running, most)
    key, most = job.carried.partition_key, type.settings.partition_concurrency
    if not key or most is None:
        return None
    # As text of the statement: SQLite uses a partial index only if it need not look into a parameter.
    runs = RawSQL("status = 'processing' AND NOT (partition_key = '')", (), output_field=BooleanField())
    running = Job.objects.filter(runs, project_id=project, type=type.name, partition_key=key).count()
    return Full(key, running, most) if running >= most else None


def _spent(project: ProjectId, job: JobDetail, type: TypeRow) -> Spent | None:
    say = type.settings
    whole = rate_of(say.rate, say.rate_per_ms, say.rate_burst)
    part = rate_of(say.partition_rate, say.partition_rate_per_ms, say.partition_rate_burst)
    key = job.carried.partition_key
    rates: list[tuple[str, Rate | None]] = [("", whole), *([(key, part)] if key else [])]
    now_ms = time.time_ns() // 1_000_000
    for name, rate in rates:
        if rate is None:
            continue
        kept = RateBucket.objects.filter(project_id=project, type=type.name, partition_key=name).first()
        if kept is None:
            continue
        if (wait_ms := rate.ms_to_one(rate.tokens(kept.tokens, kept.at_ms, now_ms))) > 0:
            next_at = datetime.fromtimestamp((now_ms + wait_ms) / 1000, UTC)
            return Spent(name, rate.starts, rate.per_ms / 1000, next_at)
    return None


def _workers(project: ProjectId) -> Workers:
    of_project = Worker.objects.filter(project_id=project)
    since_ms = time.time_ns() // 1_000_000 - LATELY // timedelta(milliseconds=1)
    lately = of_project.filter(last_seen_at_ms__gte=since_ms, lost_at_ms__isnull=True).count()
    last = of_project.order_by("-last_seen_at_ms").first()
    if last is None:
        return Workers(0, "", None, None, "")
    name = f"{last.hostname}:{last.pid}" if last.hostname else last.worker_id
    return Workers(
        lately,
        name,
        instant_or_none(last.last_seen_at_ms),
        instant_or_none(last.lost_at_ms),
        last.lost_reason,
    )
