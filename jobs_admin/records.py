"""What reads about jobs answer with: frozen records, made from rows. Instants are aware UTC, lengths are seconds."""

import json
from dataclasses import dataclass, fields
from datetime import datetime

from aerodash import instants
from jobs_admin.engine.contract import TypeSettings
from jobs_admin.engine.rules import RetryPolicy
from jobs_admin.models import Attempt, Job, JobEvent, JobLog, JobProgress, JobType, Status

RUNS_SHOWN = 50
EVENTS_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Counts:
    """Jobs per status: exact, from the counters."""

    pending: int = 0
    processing: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        return self.pending + self.processing + self.completed + self.failed + self.cancelled


@dataclass(frozen=True, slots=True)
class FinerCounts:
    """How the pending and the processing divide: due_now + scheduled + retrying that wait = pending."""

    due_now: int
    scheduled: int
    retrying: int
    cancelling: int


@dataclass(frozen=True, slots=True)
class TypeCounts:
    """One job type of the project and its jobs per status."""

    name: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class JobRow:
    """One line of a list of jobs. state: the finer word. error: its first line, "" if there is none.

    waited_s: from due to start (so far, if it still waits); None if it is not due yet. ran_s: None if it never ran.
    """

    id: str
    type: str
    status: str
    state: str
    priority: int
    attempts: int
    max_retries: int
    run: int
    created_at: datetime
    due_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    waited_s: float | None
    ran_s: float | None
    worker: str
    error: str
    payload_bytes: int


@dataclass(frozen=True, slots=True)
class Carried:
    """What a job's enqueue said besides its payload and its times. "" and None: it did not say.

    timeout_s: the job's own; its type's may take its place.
    """

    tags: tuple[str, ...]
    batch: str | None
    partition_key: str
    unique_key: str
    timeout_s: float | None
    deadline_at: datetime | None
    traceparent: str


@dataclass(frozen=True, slots=True)
class ProgressRow:
    """How far the job's handler last said it is, and when. run: of which run that was."""

    run: int
    percent: float | None
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class JobContent:
    """A job's row with what it carries. payload, result: JSON text."""

    row: JobRow
    payload: str
    result: str | None
    error_type: str
    error_message: str
    traceback: str
    carried: Carried
    progress: ProgressRow | None


@dataclass(frozen=True, slots=True)
class LogRow:
    """A line that a handler wrote in one of the job's runs."""

    run: int
    at: datetime
    level: str
    message: str


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some lines of a job's log. dropped: over the bound, and not kept. cursor: for those after these."""

    lines: tuple[LogRow, ...]
    dropped: int
    cursor: str | None


@dataclass(frozen=True, slots=True)
class PauseRow:
    """When a type was paused, by whom and why."""

    at: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class TypeRow:
    """A type, its jobs per status, and what it says about them."""

    name: str
    counts: Counts
    paused: PauseRow | None
    settings: TypeSettings


@dataclass(frozen=True, slots=True)
class TypePage:
    """Types by name. after: the cursor of the next page; None on the last."""

    types: tuple[TypeRow, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs, newest first. older, newer: cursors for `before` and `after`, None at either end."""

    jobs: tuple[JobRow, ...]
    older: str | None
    newer: str | None


@dataclass(frozen=True, slots=True)
class RunPage:
    """Some pending jobs, the next to run first. after: the cursor of those that follow; None at the end."""

    jobs: tuple[JobRow, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One run. outcome: an Attempt.Outcome, or "processing" for the one that goes on now."""

    run: int
    outcome: str
    worker: str
    worker_id: str
    due_at: datetime
    started_at: datetime
    ended_at: datetime | None
    ran_s: float
    next_due_at: datetime | None
    payload_version: int
    error_type: str
    error_message: str
    traceback: str


@dataclass(frozen=True, slots=True)
class EventRow:
    """One line of a job's timeline: a JobEvent.Kind, or "enqueued". details: JSON object, decoded."""

    at: datetime
    kind: str
    run: int
    by: str
    door: str
    details: dict[str, object]


@dataclass(frozen=True, slots=True)
class JobDetail:
    """Everything about one job. payload, result: JSON text. attempts and events: newest first, as many as a page takes.

    older_runs: how many came before the attempts; older_events: whether some of its timeline are left out.
    """

    row: JobRow
    payload: str
    payload_version: int
    result: str | None
    error_type: str
    error_message: str
    traceback: str
    worker_id: str
    lease_expires_at: datetime | None
    cancel_requested_at: datetime | None
    cancel_requested_by: str
    enqueued_by: str
    enqueued_door: str
    carried: Carried
    progress: ProgressRow | None
    attempts: tuple[AttemptRow, ...]
    events: tuple[EventRow, ...]
    older_runs: int = 0
    older_events: bool = False


def row_of(job: Job, now_ms: int) -> JobRow:
    """A job's line of a list, as of now_ms. Reads none of the large columns."""
    if job.started_at_ms is not None:
        waited_ms = job.started_at_ms - job.due_at_ms
    elif job.ended_at_ms is not None or job.due_at_ms > now_ms:
        waited_ms = None
    else:
        waited_ms = now_ms - job.due_at_ms
    return JobRow(
        id=str(job.pk),
        type=job.type,
        status=job.status,
        state=job.state(now_ms),
        priority=job.priority,
        attempts=job.attempts,
        max_retries=job.max_retries,
        run=job.run,
        created_at=_instant(job.created_at_ms),
        due_at=_instant(job.due_at_ms),
        started_at=instant_or_none(job.started_at_ms),
        ended_at=instant_or_none(job.ended_at_ms),
        waited_s=None if waited_ms is None else max(waited_ms, 0) / 1000,
        ran_s=None
        if job.started_at_ms is None
        else max((job.ended_at_ms or now_ms) - job.started_at_ms, 0) / 1000,
        worker=job.worker_name,
        error=": ".join(filter(None, (job.error_type, job.error_message.partition("\n")[0]))),
        payload_bytes=job.payload_bytes,
    )


def carried_by(job: Job) -> Carried:
    return Carried(
        tags=tuple(json.loads(job.tags)) if job.tags else (),
        batch=None if job.batch_id is None else str(job.batch_id),
        partition_key=job.partition_key,
        unique_key=job.unique_key,
        timeout_s=None if job.timeout_ms is None else job.timeout_ms / 1000,
        deadline_at=instant_or_none(job.deadline_at_ms),
        traceparent=job.traceparent,
    )


def progress_of(row: JobProgress | None) -> ProgressRow | None:
    """None where nothing but log lines came, too."""
    if row is None or (row.percent is None and not row.message):
        return None
    return ProgressRow(row.run, row.percent, row.message, _instant(row.at_ms))


def line_of(line: JobLog) -> LogRow:
    return LogRow(line.run, _instant(line.at_ms), line.level, line.message)


def type_row(name: str, counts: Counts, said: JobType | None) -> TypeRow:
    """said: None for a type with the defaults."""
    if said is None:
        return TypeRow(name, counts, None, TypeSettings())
    paused = None
    if said.paused_at_ms is not None:
        paused = PauseRow(_instant(said.paused_at_ms), said.paused_by, said.pause_reason)
    return TypeRow(name, counts, paused, settings_of(said))


def settings_of(said: JobType) -> TypeSettings:
    same = {column: getattr(said, column) for column in _SETTINGS if column not in {"retry", "secret_paths"}}
    return TypeSettings(
        retry=RetryPolicy.parse(said.retry_policy) if said.retry_policy else None,
        secret_paths=tuple(json.loads(said.secret_paths)),
        **same,
    )


_SETTINGS = tuple(field.name for field in fields(TypeSettings))


def attempts_of(job: Job, now_ms: int, *, up_to: int | None = None) -> tuple[AttemptRow, ...]:
    """The job's newest runs, RUNS_SHOWN of them, the newest first; the one that goes on now is the first. One read.

    up_to: none after this run.
    """
    of_job = Attempt.objects.filter(job_id=job.pk)
    if up_to is not None:
        of_job = of_job.filter(run__lte=up_to)
    ended = [
        AttemptRow(
            run=attempt.run,
            outcome=attempt.outcome,
            worker=attempt.worker_name,
            worker_id=attempt.worker_id,
            due_at=_instant(attempt.due_at_ms),
            started_at=_instant(attempt.leased_at_ms),
            ended_at=_instant(attempt.ended_at_ms),
            ran_s=max(attempt.ended_at_ms - attempt.leased_at_ms, 0) / 1000,
            next_due_at=instant_or_none(attempt.next_due_at_ms),
            payload_version=attempt.payload_version,
            error_type=attempt.error_type,
            error_message=attempt.error_message,
            traceback=attempt.traceback,
        )
        for attempt in of_job.order_by("-run")[:RUNS_SHOWN]
    ]
    is_shown = up_to is None or up_to >= job.run
    if job.status != Status.PROCESSING or job.started_at_ms is None or not is_shown:
        return tuple(ended)
    now = AttemptRow(
        run=job.run,
        outcome="processing",
        worker=job.worker_name,
        worker_id=job.worker_id,
        due_at=_instant(job.due_at_ms),
        started_at=_instant(job.started_at_ms),
        ended_at=None,
        ran_s=max(now_ms - job.started_at_ms, 0) / 1000,
        next_due_at=None,
        payload_version=job.payload_version,
        error_type="",
        error_message="",
        traceback="",
    )
    return (now, *ended)


def events_of(job: Job) -> tuple[EventRow, ...]:
    """The newest lines of the job's timeline, EVENTS_SHOWN of them, newest first, its enqueue last. One read."""
    events = [
        EventRow(
            at=_instant(event.at_ms),
            kind=event.kind,
            run=event.run,
            by=event.actor_label,
            door=event.door,
            details=json.loads(event.details),
        )
        for event in JobEvent.objects.filter(job_id=job.pk).order_by("-id")[:EVENTS_SHOWN]
    ]
    enqueued = EventRow(_instant(job.created_at_ms), "enqueued", 0, job.enqueued_by, job.enqueued_door, {})
    return (*events, enqueued)


def instant_or_none(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else _instant(at_ms)


def _instant(at_ms: int) -> datetime:
    return instants.of_ms(at_ms)
