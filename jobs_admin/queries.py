"""What can be asked about jobs. Plain functions over the ORM; nothing here changes anything.

Pages call them as they are, live pushes through database_sync_to_async, the API in a thread of its own.
Every one needs the queue:read right. Source: jobs.md, wire contract section 4.
"""

import time
import uuid
from collections.abc import Iterable, Sequence

from django.db import connection
from django.db.models import BooleanField, QuerySet, Sum
from django.db.models.expressions import RawSQL

from aerodash import limits
from aerodash.auth import Actor, Scope
from aerodash.errors import InvalidInput
from aerodash.ids import ProjectId
from jobs_admin.bounds import check_within
from jobs_admin.models import Job, JobCounter, Status
from jobs_admin.records import (
    Counts,
    FinerCounts,
    JobContent,
    JobDetail,
    JobPage,
    JobRow,
    TypeCounts,
    attempts_of,
    events_of,
    instant_or_none,
    row_of,
)

FINER_STATES = ("due", "scheduled", "retrying", "cancelling")
"""What `page` takes besides the five statuses; "due" is what a worker would get now."""


def counts(project: ProjectId, actor: Actor, *, type: str | None = None) -> Counts:
    """Jobs per status, of one type or of all: exact at any size, because counters move with the jobs."""
    actor.require(Scope.QUEUE_READ)
    rows = JobCounter.objects.filter(project_id=project)
    if type is not None:
        rows = rows.filter(type=type)
    return Counts(**dict(rows.values_list("status").annotate(Sum("count"))))


def finer_counts(project: ProjectId, actor: Actor, *, type: str | None = None) -> FinerCounts:
    """How many are due now, scheduled, retrying and cancelling.

    Time makes scheduled jobs due, so no counter can follow: this reads one index entry for each pending job.
    """
    actor.require(Scope.QUEUE_READ)
    now_ms = _now_ms()
    # Left alone, SQLite takes job_by_status and looks every row up for its due time.
    hint = "INDEXED BY job_lease_order" if connection.vendor == "sqlite" else ""
    sql = f"""
        SELECT count(*), coalesce(sum(CASE WHEN due_at_ms > %s THEN 1 ELSE 0 END), 0)
        FROM jobs_admin_job {hint}
        WHERE project_id = %s AND status = 'pending'{"" if type is None else " AND type = %s"}
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, [now_ms, project] + ([] if type is None else [type]))
        pending, not_due = cursor.fetchone()
    retrying = _of_state(project, "retrying", type, now_ms)
    return FinerCounts(
        due_now=pending - not_due,
        scheduled=not_due - retrying.filter(due_at_ms__gt=now_ms).count(),
        retrying=retrying.count(),
        cancelling=_of_state(project, "cancelling", type, now_ms).count(),
    )


def types(project: ProjectId, actor: Actor) -> list[TypeCounts]:
    """The types that the project ever enqueued, by name, with their counts."""
    actor.require(Scope.QUEUE_READ)
    found: dict[str, dict[str, int]] = {}
    rows = JobCounter.objects.filter(project_id=project).order_by("type")
    for name, status, count in rows.values_list("type", "status").annotate(Sum("count")):
        found.setdefault(name, {})[status] = count
    return [TypeCounts(name, Counts(**by_status)) for name, by_status in found.items()]


def page(
    project: ProjectId,
    actor: Actor,
    *,
    status: str | None = None,
    type: str | None = None,
    before: str | None = None,
    after: str | None = None,
    limit: int = 50,
) -> JobPage:
    """Up to `limit` (1..200) jobs, newest first.

    status: one of the five, or one of FINER_STATES; None for all. before: those older than this cursor; after: the
    nearest newer ones; not both. Cursors stay good when jobs are deleted.
    Raises InvalidInput for an unknown status, a broken cursor, a limit out of bounds.
    """
    actor.require(Scope.QUEUE_READ)
    check_within("limit", limit, 1, limits.JOBS_PER_PAGE)
    upwards = after is not None
    cursor = after if upwards else before
    found = _ids(project, status, type, _cursor(cursor) if cursor else None, upwards, limit + 1)
    more, ids = len(found) > limit, found[:limit]
    if upwards:
        ids.reverse()
    older, newer = (bool(cursor), more) if upwards else (more, bool(cursor))
    return JobPage(
        jobs=_rows(project, ids),
        older=str(ids[-1]) if ids and older else None,
        newer=str(ids[0]) if ids and newer else None,
    )


def newer(
    project: ProjectId,
    actor: Actor,
    *,
    after: str,
    status: str | None = None,
    type: str | None = None,
    most: int = limits.JOBS_PER_PAGE,
) -> int:
    """How many jobs came after this cursor, counted up to `most`: what a live list holds back until it is asked.

    Raises InvalidInput for an unknown status or a broken cursor.
    """
    actor.require(Scope.QUEUE_READ)
    return len(_ids(project, status, type, _cursor(after), True, most))


def rows(project: ProjectId, actor: Actor, *, ids: Iterable[str]) -> tuple[JobRow, ...]:
    """The rows of these jobs, newest first; ids of other projects and unknown ones are left out."""
    actor.require(Scope.QUEUE_READ)
    return _rows(project, [id for id in map(_uuid, ids) if id is not None])


def records(project: ProjectId, actor: Actor, *, ids: Iterable[str]) -> tuple[JobContent, ...]:
    """These jobs with payload, result and error, newest first; ids that are unknown, or no ids at all, are left out."""
    actor.require(Scope.QUEUE_READ)
    known = [id for id in map(_uuid, ids) if id is not None]
    now_ms = _now_ms()
    return tuple(
        JobContent(
            row=row_of(job, now_ms),
            payload=job.payload,
            result=job.result or None,
            error_type=job.error_type,
            error_message=job.error_message,
            traceback=job.traceback,
        )
        for job in _found(project, known, Job.objects.all())
    )


def job(project: ProjectId, actor: Actor, *, job_id: str) -> JobDetail | None:
    """Everything about one job; None if the project has none of this id (or the id is none at all)."""
    actor.require(Scope.QUEUE_READ)
    id = _uuid(job_id)
    found = None if id is None else Job.objects.filter(project_id=project, pk=id).first()
    if found is None:
        return None
    now_ms = _now_ms()
    return JobDetail(
        row=row_of(found, now_ms),
        payload=found.payload,
        payload_version=found.payload_version,
        result=found.result or None,
        error_type=found.error_type,
        error_message=found.error_message,
        traceback=found.traceback,
        worker_id=found.worker_id,
        lease_expires_at=instant_or_none(found.lease_expires_at_ms),
        cancel_requested_at=instant_or_none(found.cancel_requested_at_ms),
        cancel_requested_by=found.cancel_requested_by,
        enqueued_by=found.enqueued_by,
        enqueued_door=found.enqueued_door,
        attempts=attempts_of(found, now_ms),
        events=events_of(found),
    )


def _ids(
    project: ProjectId,
    status: str | None,
    type: str | None,
    start: uuid.UUID | None,
    upwards: bool,
    limit: int,
) -> list[uuid.UUID]:
    """The next ids after `start`; all statuses together are a merge of five ranges of one index.

    Raises InvalidInput for an unknown status.
    """
    if status is not None and status not in (*Status.values, *FINER_STATES):
        raise InvalidInput(f"{status!r} is not a status.", reason="unknown_status", field="status")
    now_ms = _now_ms()
    states: Sequence[str] = Status.values if status is None else (status,)
    ranges: list[str] = []
    values: list[object] = []
    for number, state in enumerate(states):
        jobs = _of_state(project, state, type, now_ms)
        if start is not None:
            jobs = jobs.filter(pk__gt=start) if upwards else jobs.filter(pk__lt=start)
        found = jobs.order_by("pk" if upwards else "-pk").values_list("pk", flat=True)[:limit]
        sql, params = found.query.sql_with_params()
        ranges.append(f"SELECT * FROM ({sql}) AS range_{number}")
        values += params
    # One statement sees one moment: of a job that changes its status meanwhile, five would see two or none.
    merged = f"{' UNION ALL '.join(ranges)} ORDER BY 1 {'ASC' if upwards else 'DESC'} LIMIT {limit}"
    with connection.cursor() as cursor:
        cursor.execute(merged, values)
        return [uuid.UUID(str(id)) for (id,) in cursor.fetchall()]


def _of_state(project: ProjectId, state: str, type: str | None, now_ms: int) -> QuerySet[Job]:
    jobs = Job.objects.filter(project_id=project)
    if type is not None:
        jobs = jobs.filter(type=type)
    match state:
        case "due":
            return jobs.filter(_literally("pending"), due_at_ms__lte=now_ms)
        case "scheduled":
            return jobs.filter(_literally("pending"), due_at_ms__gt=now_ms, attempts=0)
        case "retrying":
            return jobs.filter(_literally("pending"), _sql("attempts > 0"))
        case "cancelling":
            return jobs.filter(_literally("processing"), cancel_requested_at_ms__isnull=False)
    return jobs.filter(status=state)


def _literally(status: str) -> RawSQL:
    """A status as text of the statement: SQLite uses a partial index only if it need not look into a parameter."""
    return _sql(f"status = '{status}'")


def _sql(condition: str) -> RawSQL:
    return RawSQL(condition, (), output_field=BooleanField())


_ROW_COLUMNS = [
    field.attname
    for field in Job._meta.concrete_fields
    if field.attname not in {"payload", "result", "traceback"}
]


def _rows(project: ProjectId, ids: Sequence[uuid.UUID]) -> tuple[JobRow, ...]:
    if not ids:
        return ()
    now_ms = _now_ms()
    return tuple(row_of(job, now_ms) for job in _found(project, ids, Job.objects.only(*_ROW_COLUMNS)))


def _found(project: ProjectId, ids: Sequence[uuid.UUID], jobs: QuerySet[Job]) -> list[Job]:
    """The project's jobs of these ids, newest first.

    The project is checked here, because with both conditions SQLite would read all of the project's jobs.
    """
    found = [job for job in jobs.filter(pk__in=ids) if job.project_id == project]
    return sorted(found, key=lambda job: job.pk, reverse=True)


def _cursor(text: str) -> uuid.UUID:
    if (id := _uuid(text)) is None:
        raise InvalidInput("This cursor is not one of ours.", reason="invalid_cursor", field="cursor")
    return id


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
