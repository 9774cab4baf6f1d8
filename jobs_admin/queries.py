"""What can be asked about jobs. Plain functions over the ORM; nothing here changes anything.

Pages call them as they are, live pushes through database_sync_to_async, the API in a thread of its own.
Every one needs the queue:read right. Source: jobs.md, wire contract section 4.
"""

import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import batched
from typing import Any, Literal

from django.db import connection
from django.db.models import BooleanField, Q, QuerySet, Sum
from django.db.models.expressions import RawSQL

from aerodash import instants, limits
from aerodash.auth import Actor, Scope
from aerodash.errors import InvalidInput
from aerodash.ids import JobId, ProjectId
from jobs_admin.bounds import check_text, check_within
from jobs_admin.models import Batch, Job, JobCounter, JobLane, JobLog, JobProgress, JobTag, JobType, Status
from jobs_admin.records import (
    EVENTS_SHOWN,
    Counts,
    FinerCounts,
    JobContent,
    JobDetail,
    JobPage,
    JobRow,
    LogPage,
    RunPage,
    TypeCounts,
    TypePage,
    attempts_of,
    carried_by,
    events_of,
    instant_or_none,
    line_of,
    progress_of,
    row_of,
    type_row,
)

FINER_STATES = ("due", "scheduled", "retrying", "cancelling")
"""What `page` takes besides the five statuses; "due" is what a worker would get now."""
ENDED = ("completed", "failed", "cancelled")
_RARE = ("retrying", "cancelling")
LANES_AT_ONCE = 100

_TYPE = re.compile(limits.JOB_TYPE_PATTERN)
_LEAST, _MOST = uuid.UUID(int=0), uuid.UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Jobs that match everything that is given. status: one of the five, or one of FINER_STATES. batch: its id.

    created_from, created_to: enqueued then or later, and before then.
    """

    status: str | None = None
    type: str | None = None
    tag: str | None = None
    batch: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


def counts(project: ProjectId, actor: Actor, *, type: str | None = None) -> Counts:
    """Jobs per status, of one type or of all: exact at any size, because counters move with the jobs."""
    actor.require(Scope.QUEUE_READ)
    rows = JobCounter.objects.filter(project_id=project)
    if type is not None:
        rows = rows.filter(type=type)
    return Counts(**dict(rows.values_list("status").annotate(Sum("count"))))


def finer_counts(project: ProjectId, actor: Actor, *, type: str | None = None) -> FinerCounts:
    """How many are due now, scheduled, retrying and cancelling.

    Time makes scheduled jobs due, so no counter can follow: this reads one index entry for each that is due later.
    """
    actor.require(Scope.QUEUE_READ)
    now_ms = instants.now_ms()
    # Left alone, SQLite takes job_by_status and looks every row up for its due time.
    hint = "INDEXED BY job_lease_order" if connection.vendor == "sqlite" else ""
    of_type = "" if type is None else " AND type = %s"
    # One statement sees one moment, so that what is not due is never more than what is pending.
    sql = f"""
        SELECT
            (SELECT coalesce(sum(count), 0) FROM jobs_admin_jobcounter
                WHERE project_id = %s AND status = 'pending'{of_type}),
            (SELECT coalesce(sum((
                SELECT count(*) FROM jobs_admin_job AS job {hint}
                WHERE job.project_id = lane.project_id AND job.type = lane.type AND job.priority = lane.priority
                    AND job.status = 'pending' AND job.due_at_ms > %s
            )), 0) FROM jobs_admin_joblane AS lane WHERE lane.project_id = %s{of_type})
    """
    typed = [] if type is None else [type]
    with connection.cursor() as cursor:
        cursor.execute(sql, [project, *typed, now_ms, project, *typed])
        pending, not_due = map(int, cursor.fetchone())
    retrying = _of_state(project, "retrying", type, now_ms)
    return FinerCounts(
        due_now=pending - not_due,
        scheduled=not_due - retrying.filter(due_at_ms__gt=now_ms).count(),
        retrying=retrying.count(),
        cancelling=_of_state(project, "cancelling", type, now_ms).count(),
    )


def types(project: ProjectId, actor: Actor, *, limit: int = limits.TYPES_PER_PAGE) -> list[TypeCounts]:
    """The first `limit` types that have jobs, by name, with their counts; a type whose jobs are gone stays for a while."""
    actor.require(Scope.QUEUE_READ)
    counters = JobCounter.objects.filter(project_id=project)
    names = list(counters.values_list("type", flat=True).distinct().order_by("type")[:limit])
    counted = _counted(project, names)
    return [TypeCounts(name, counted[name]) for name in names]


def job_types(
    project: ProjectId, actor: Actor, *, after: str | None = None, limit: int = limits.TYPES_PER_PAGE
) -> TypePage:
    """Up to `limit` (1..1000) of the types that have jobs or settings, by name; after: those after this cursor.

    Each with its counts, whether it is paused, and what it says. Raises InvalidInput for a broken cursor, a limit out of
    bounds.
    """
    actor.require(Scope.QUEUE_READ)
    check_within("limit", limit, 1, limits.TYPES_PER_PAGE)
    counters = JobCounter.objects.filter(project_id=project)
    settings = JobType.objects.filter(project_id=project)
    if after is not None:
        if not _TYPE.fullmatch(after):
            raise InvalidInput("This cursor is not one of ours.", reason="invalid_cursor", field="cursor")
        counters, settings = counters.filter(type__gt=after), settings.filter(name__gt=after)
    # Merged there, because only the database knows its own order of texts.
    both = counters.order_by().values_list("type", flat=True).union(settings.values_list("name", flat=True))
    found = list(both.order_by("type")[: limit + 1])
    names = found[:limit]
    said = {row.name: row for row in settings.filter(name__in=names)}
    counted = _counted(project, names)
    rows = [type_row(name, counted.get(name, Counts()), said.get(name)) for name in names]
    return TypePage(tuple(rows), names[-1] if len(found) > limit else None)


def _counted(project: ProjectId, types: Sequence[str]) -> dict[str, Counts]:
    found: dict[str, dict[str, int]] = {}
    rows = JobCounter.objects.filter(project_id=project, type__in=types)
    for name, status, count in rows.values_list("type", "status").annotate(Sum("count")):
        found.setdefault(name, {})[status] = count
    return {name: Counts(**by_status) for name, by_status in found.items()}


def page(
    project: ProjectId,
    actor: Actor,
    *,
    status: str | None = None,
    type: str | None = None,
    tag: str | None = None,
    batch: str | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    before: str | None = None,
    after: str | None = None,
    limit: int = 50,
) -> JobPage:
    """Up to `limit` (1..200) jobs, newest first, that match as JobFilter says.

    status: one of the five, or one of FINER_STATES; None for all. before: those older than this cursor; after: the
    nearest newer ones; not both. Cursors stay good when jobs are deleted.
    Raises InvalidInput for an unknown status, a broken cursor, a limit out of bounds.
    """
    actor.require(Scope.QUEUE_READ)
    check_within("limit", limit, 1, limits.JOBS_PER_PAGE)
    upwards = after is not None
    cursor = after if upwards else before
    wanted = JobFilter(status, type, tag, batch, created_from, created_to)
    found = _ids(project, wanted, _cursor(cursor) if cursor else None, upwards, limit + 1)
    more, ids = len(found) > limit, found[:limit]
    if upwards:
        ids.reverse()
    older, newer = (bool(cursor), more) if upwards else (more, bool(cursor))
    return JobPage(
        jobs=_rows(project, ids),
        older=str(ids[-1]) if ids and older else None,
        newer=str(ids[0]) if ids and newer else None,
    )


def newer_ids(
    project: ProjectId, actor: Actor, *, after: str, filter: JobFilter, most: int = limits.JOBS_PER_PAGE
) -> list[JobId]:
    """The newest jobs that came after this cursor, newest first, up to `most`: what live lists hold back until asked.

    Raises InvalidInput for an unknown status or a broken cursor.
    """
    actor.require(Scope.QUEUE_READ)
    found = _ids(project, filter, _cursor(after), True, most, newest_first=True)
    return [JobId(str(id)) for id in found]


def next_runs(
    project: ProjectId,
    actor: Actor,
    *,
    type: str | None = None,
    state: Literal["pending", "due", "scheduled"] = "pending",
    after: str | None = None,
    limit: int = 50,
) -> RunPage:
    """Up to `limit` (1..200) pending jobs in the order of their next run, of one type or of all.

    state: all that are pending, those that are due, or those that never ran and are due later. after: those that run after this cursor, which stays good when jobs are deleted or begin.
    Raises InvalidInput for a broken cursor, a limit out of bounds.
    """
    actor.require(Scope.QUEUE_READ)
    check_within("limit", limit, 1, limits.JOBS_PER_PAGE)
    lanes = JobLane.objects.filter(project_id=project)
    if type is not None:
        lanes = lanes.filter(type=type)
    jobs = Job.objects.filter(_literally("pending"), project_id=project)
    if state == "due":
        jobs = jobs.filter(due_at_ms__lte=instants.now_ms())
    elif state == "scheduled":
        jobs = jobs.filter(due_at_ms__gt=instants.now_ms(), attempts=0)
    if after is not None:
        due_at_ms, id = _run_cursor(after)
        jobs = jobs.filter(due_at_ms__gte=due_at_ms).exclude(due_at_ms=due_at_ms, pk__lte=id)
    found: list[tuple[int, uuid.UUID]] = []
    # A lane is a range of the index in which leases look, and in their order; SQLite takes up to 500 at once.
    for some in batched(lanes.order_by("type", "priority").values_list("type", "priority"), LANES_AT_ONCE):
        ranges = [
            jobs.filter(type=name, priority=priority)
            .order_by("due_at_ms", "pk")
            .values_list("due_at_ms", "pk")[: limit + 1]
            for name, priority in some
        ]
        found += _merged(ranges, "1, 2", limit + 1)
    found = sorted(found)[: limit + 1]
    shown = found[:limit]
    rows = {row.id: row for row in _rows(project, [id for _, id in shown])}
    more = f"{shown[-1][0]}-{shown[-1][1]}" if len(found) > limit else None
    # One that is gone meanwhile is left out.
    return RunPage(tuple(rows[str(id)] for _, id in shown if str(id) in rows), more)


def newest_ended(project: ProjectId, filter: JobFilter) -> JobId | None:
    """The newest of the ended jobs that match; None if none does. For retry_matching, which has checked the rights.

    Raises InvalidInput for a status that is not an ended one.
    """
    found = _ids(project, _ended(filter), None, False, 1)
    return JobId(str(found[0])) if found else None


def ended_ids(
    project: ProjectId, filter: JobFilter, *, after: JobId | None, up_to: JobId, limit: int
) -> list[JobId]:
    """The next ids after one of the ended jobs that match, oldest first, none beyond up_to. See newest_ended."""
    found = _ids(project, _ended(filter), None if after is None else uuid.UUID(after), True, limit)
    last = uuid.UUID(up_to)
    return [JobId(str(id)) for id in found if id <= last]


def rows(project: ProjectId, actor: Actor, *, ids: Iterable[str]) -> tuple[JobRow, ...]:
    """The rows of these jobs, newest first; ids of other projects and unknown ones are left out."""
    actor.require(Scope.QUEUE_READ)
    return _rows(project, [id for id in map(_uuid, ids) if id is not None])


def records(project: ProjectId, actor: Actor, *, ids: Iterable[str]) -> tuple[JobContent, ...]:
    """These jobs with payload, result and error, newest first; ids that are unknown, or no ids at all, are left out."""
    actor.require(Scope.QUEUE_READ)
    known = [id for id in map(_uuid, ids) if id is not None]
    now_ms = instants.now_ms()
    found = _found(project, known, Job.objects.all())
    progress = JobProgress.objects.in_bulk([job.pk for job in found if job.run])
    return tuple(
        JobContent(
            row=row_of(job, now_ms),
            payload=job.payload,
            result=job.result or None,
            error_type=job.error_type,
            error_message=job.error_message,
            traceback=job.traceback,
            carried=carried_by(job),
            progress=progress_of(progress.get(job.pk)),
        )
        for job in found
    )


def logs(project: ProjectId, actor: Actor, *, job_id: str, after: str | None = None) -> LogPage:
    """Up to 1000 lines that the job's handlers wrote, oldest first, after a cursor; none for an unknown job.

    Raises InvalidInput for a broken cursor.
    """
    actor.require(Scope.QUEUE_READ)
    start = 0
    if after is not None:
        if not (after.isascii() and after.isdigit() and len(after) <= 18):
            raise InvalidInput("This cursor is not one of ours.", reason="invalid_cursor", field="after")
        start = int(after)
    id = _uuid(job_id)
    if id is None or not Job.objects.filter(pk=id, project_id=project).exists():
        return LogPage((), 0, after)
    lines = JobLog.objects.filter(job_id=id, pk__gt=start).order_by("pk")[: limits.LOG_LINES_PER_PAGE]
    dropped = JobProgress.objects.filter(pk=id).values_list("log_dropped", flat=True).first()
    found = list(lines)
    cursor = str(found[-1].pk) if found else after
    return LogPage(tuple(line_of(line) for line in found), dropped or 0, cursor)


def status(project: ProjectId, *, job_id: str) -> str | None:
    """Where a job stands that the caller itself enqueued, which needs no right to read others; None if it is gone."""
    found = Job.objects.filter(pk=job_id, project_id=project).values_list("status", flat=True)
    return found.first()


def job(project: ProjectId, actor: Actor, *, job_id: str, up_to_run: int | None = None) -> JobDetail | None:
    """Everything about one job; None if the project has none of this id (or the id is none at all).

    Of its runs the newest RUNS_SHOWN; up_to_run: none after that one.
    """
    actor.require(Scope.QUEUE_READ)
    id = _uuid(job_id)
    found = None if id is None else Job.objects.filter(project_id=project, pk=id).first()
    if found is None:
        return None
    now_ms = instants.now_ms()
    attempts, events = attempts_of(found, now_ms, up_to=up_to_run), events_of(found)
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
        carried=carried_by(found),
        progress=progress_of(JobProgress.objects.filter(pk=found.pk).first()),
        attempts=attempts,
        events=events,
        older_runs=attempts[-1].run - 1 if attempts else 0,
        older_events=len(events) > EVENTS_SHOWN,
    )


def _ids(
    project: ProjectId,
    filter: JobFilter,
    start: uuid.UUID | None,
    upwards: bool,
    limit: int,
    *,
    newest_first: bool | None = None,
) -> list[uuid.UUID]:
    """The next ids after `start`; all statuses together are a merge of five ranges of one index.

    newest_first: None begins at `start`; else which of those beyond it are taken. Raises InvalidInput for an unknown status, or a tag that cannot be one.
    """
    if filter.status is not None and filter.status not in (*Status.values, *FINER_STATES):
        raise InvalidInput(f"{filter.status!r} is not a status.", reason="unknown_status", field="status")
    if filter.tag is not None:
        check_text("tag", filter.tag, limits.TAG_CHARS, least=1)
    if filter.batch is not None and not _has_batch(project, filter.batch):
        return []
    least, most = created_between(filter)
    if start is not None:
        least, most = (max(start, least), most) if upwards else (least, min(start, most))
    bounds = {name: id for name, id in (("gt", least), ("lt", most)) if id not in (_LEAST, _MOST)}
    downwards = not upwards if newest_first is None else newest_first
    ranges = [
        jobs.filter(**{f"{id}__{than}": pk for than, pk in bounds.items()})
        .order_by("-" * downwards + id)
        .values_list(id)[:limit]
        for jobs, id in _ranges(project, filter)
    ]
    return [id for (id,) in _merged(ranges, "1 DESC" if downwards else "1 ASC", limit)]


def created_between(filter: JobFilter) -> tuple[uuid.UUID, uuid.UUID]:
    """The ids between which those of the filter's time lie, ends not included: an id begins with its job's milliseconds."""
    least, most = _LEAST, _MOST
    if filter.created_from is not None:
        least = uuid.UUID(int=max((instants.ms_of(filter.created_from) << 80) - 1, 0))
    if filter.created_to is not None:
        most = uuid.UUID(int=max(instants.ms_of(filter.created_to) << 80, 0))
    return least, most


def _merged(ranges: Sequence[QuerySet[Any]], order: str, limit: int) -> list[Any]:
    """The first rows of all of them. One statement sees one moment: several would see a job that moves twice, or never."""
    parts, values = [], list[object]()
    for number, some in enumerate(ranges):
        sql, params = some.query.sql_with_params()
        parts.append(f"SELECT * FROM ({sql}) AS range_{number}")
        values += params
    with connection.cursor() as cursor:
        cursor.execute(f"{' UNION ALL '.join(parts)} ORDER BY {order} LIMIT {limit}", values)
        return [(*rest, uuid.UUID(str(id))) for *rest, id in cursor.fetchall()]


def _ranges(project: ProjectId, filter: JobFilter) -> list[tuple[QuerySet[Any], str]]:
    """What holds the jobs, each in the order of an index, and the field of theirs that is the job's id."""
    now_ms = instants.now_ms()
    if filter.tag is not None:
        return [(_tagged(project, filter, now_ms), "job_id")]
    states: Sequence[str] = Status.values if filter.status is None else (filter.status,)
    return [
        (_of_state(project, state, filter.type, now_ms, batch=_uuid(filter.batch or "")), "pk")
        for state in states
    ]


def _tagged(project: ProjectId, filter: JobFilter, now_ms: int) -> QuerySet[JobTag]:
    """The jobs of a tag, from the tag's own rows: each is looked up for what else is asked."""
    jobs = JobTag.objects.filter(project_id=project, tag=filter.tag)
    if filter.type is not None:
        jobs = jobs.filter(job__type=filter.type)
    if filter.batch is not None:
        jobs = jobs.filter(job__batch_id=_uuid(filter.batch))
    waits, runs = Q(job__status="pending"), Q(job__status="processing")
    match filter.status:
        case None:
            return jobs
        case "due":
            return jobs.filter(waits, job__due_at_ms__lte=now_ms)
        case "scheduled":
            return jobs.filter(waits, job__due_at_ms__gt=now_ms, job__attempts=0)
        case "retrying":
            return jobs.filter(waits, job__attempts__gt=0)
        case "cancelling":
            return jobs.filter(runs, job__cancel_requested_at_ms__isnull=False)
    return jobs.filter(job__status=filter.status)


def _of_state(
    project: ProjectId, state: str, type: str | None, now_ms: int, *, batch: uuid.UUID | None = None
) -> QuerySet[Job]:
    # A batch is of one project; with the project's condition too, a type's own index would look better.
    jobs = Job.objects.filter(project_id=project) if batch is None else Job.objects.filter(batch_id=batch)
    if type is not None and state in _RARE and connection.vendor == "sqlite":
        # The plus keeps SQLite from job_by_type, where it would look up every row of the type.
        jobs = jobs.filter(RawSQL("+type = %s", (type,), output_field=BooleanField()))
    elif type is not None:
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


def _has_batch(project: ProjectId, batch: str) -> bool:
    id = _uuid(batch)
    return id is not None and Batch.objects.filter(pk=id, project_id=project).exists()


def _ended(filter: JobFilter) -> JobFilter:
    if filter.status not in (None, *ENDED):
        raise InvalidInput(
            "Only jobs that have ended can be put back: completed, failed or cancelled ones.",
            reason="unknown_status", field="filter.status",
        )  # fmt: skip
    return replace(filter, status=filter.status or "failed")


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
    now_ms = instants.now_ms()
    return tuple(row_of(job, now_ms) for job in _found(project, ids, Job.objects.only(*_ROW_COLUMNS)))


def _found(project: ProjectId, ids: Sequence[uuid.UUID], jobs: QuerySet[Job]) -> list[Job]:
    """The project's jobs of these ids, newest first.

    The project is checked here, because with both conditions SQLite would read all of the project's jobs.
    """
    found = [job for job in jobs.filter(pk__in=ids) if job.project_id == project]
    return sorted(found, key=lambda job: job.pk, reverse=True)


def _run_cursor(text: str) -> tuple[int, uuid.UUID]:
    due_at_ms, _, id = text.partition("-")
    if not (due_at_ms.isascii() and due_at_ms.isdigit() and len(due_at_ms) <= 18):
        raise InvalidInput("This cursor is not one of ours.", reason="invalid_cursor", field="after")
    return int(due_at_ms), _cursor(id)


def _cursor(text: str) -> uuid.UUID:
    if (id := _uuid(text)) is None:
        raise InvalidInput("This cursor is not one of ours.", reason="invalid_cursor", field="cursor")
    return id


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
