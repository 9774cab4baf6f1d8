"""Between the wire's bodies and the records of verbs and queries: what JSON says, as engines take it, and back.

Bounds are not checked here: schemas refuse what has another shape, and the verbs check what they are given.
"""

import uuid
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from msgspec import UNSET, Raw, UnsetType

from aerodash import instants
from aerodash.errors import InvalidInput
from aerodash.ids import JobId, ProjectId
from jobs_admin import schemas, schemas_types, schemas_work
from jobs_admin.engine.contract import (
    LeasedJob,
    LeaseRef,
    LogLine,
    Lost,
    NewJob,
    Report,
    RunResult,
    TypeSettings,
    Unique,
    WorkerInfo,
)
from jobs_admin.engine.rules import RetryPolicy
from jobs_admin.records import JobContent, ProgressRow, TypeRow

_tags = msgspec.json.Decoder(list[str])


def new_job(body: schemas.EnqueueRequest, within: str = "") -> NewJob:
    """The job that an enqueue asks for. within: what refusals put before a field's name."""
    payload = body.payload
    job = NewJob(body.type, str(payload, "utf-8"), len(payload))
    # One by one, because most jobs say nothing more, and there may be ten thousand of them.
    if body.delaySeconds is not None:
        job.delay_ms = int(body.delaySeconds * 1000)
    if body.runAt is not None:
        if body.delaySeconds is not None:
            raise InvalidInput(
                f"{within}runAt and {within}delaySeconds both say when it is due: send one of them.",
                reason="conflicting_times", field=f"{within}runAt",
            )  # fmt: skip
        job.due_at_ms = instants.ms_of(body.runAt)
    if body.maxRetries is not None:
        job.max_retries = body.maxRetries
    if body.priority is not None:
        job.priority = body.priority
    if body.retryDelay is not None:
        job.retry = retry_policy(body.retryDelay, f"{within}retryDelay")
    if body.uniqueKey is not None:
        job.unique = _unique(body.uniqueKey)
    if body.idempotencyKey is not None:
        job.idempotency_key = body.idempotencyKey
    if body.timeoutSeconds is not None:
        job.timeout_ms = int(body.timeoutSeconds * 1000)
    if body.deadline is not None:
        job.deadline_at_ms = instants.ms_of(body.deadline)
    if body.tags is not None:
        job.tags = tuple(dict.fromkeys(body.tags))
    if body.batch is not None:
        job.batch = body.batch.lower()
    if body.partitionKey is not None:
        job.partition_key = body.partitionKey
    if body.traceparent is not None:
        job.traceparent = body.traceparent
    return job


def retry_policy(sent: float | schemas.RetryDelay, field: str) -> RetryPolicy:
    """A number is the base of an exponential one. Raises InvalidInput for parts that do not belong to the kind."""
    if not isinstance(sent, schemas.RetryDelay):
        return RetryPolicy(base_ms=int(sent * 1000))
    belongs = {"exponential": {"base", "cap"}, "fixed": {"base"}, "list": {"delays"}}[sent.kind]
    for name in ("base", "cap", "delays"):
        if getattr(sent, name) is not None and name not in belongs:
            raise InvalidInput(
                f"{field}.{name} does not belong to the kind {sent.kind}.",
                reason="invalid_field", field=f"{field}.{name}",
            )  # fmt: skip
    for name in belongs if sent.kind != "exponential" else ():
        if getattr(sent, name) is None:
            raise InvalidInput(
                f"{field}.{name} is required for the kind {sent.kind}.",
                reason="missing", field=f"{field}.{name}",
            )  # fmt: skip
    default = RetryPolicy()
    return RetryPolicy(
        sent.kind,
        default.base_ms if sent.base is None else int(sent.base * 1000),
        default.cap_ms if sent.cap is None else int(sent.cap * 1000),
        tuple(int(delay * 1000) for delay in sent.delays or ()),
    )


def _unique(sent: str | schemas.UniqueKey) -> Unique:
    if isinstance(sent, str):
        return Unique(sent)
    period_ms = None if sent.while_ == "unfinished" else max(1, int(sent.while_ * 1000))
    return Unique(sent.key, period_ms, sent.onConflict == "replace")


def unique_key(unique: Unique) -> dict[str, Any]:
    """A unique key as an enqueue takes it."""
    lasts = "unfinished" if unique.period_ms is None else unique.period_ms / 1000
    return {"key": unique.key, "while": lasts, "onConflict": "replace" if unique.replace else "keep"}


def worker(body: schemas_work.Worker) -> WorkerInfo:
    return WorkerInfo(body.id, body.hostname, body.pid, body.version)


def lease_ref(sent: schemas_work.Lease) -> LeaseRef:
    return LeaseRef(JobId(sent.jobId.lower()), sent.leaseToken)


def run_result(sent: schemas_work.RunResult) -> RunResult:
    text = str(sent.result, "utf-8")
    result = RunResult(
        JobId(sent.jobId.lower()), sent.leaseToken, sent.outcome, "" if text == "null" else text
    )
    if sent.error is not None:
        result.error_type = sent.error.type
        result.error_message = sent.error.message
        result.traceback = sent.error.traceback
    if sent.retryAfterSeconds is not None:
        result.retry_after_ms = int(sent.retryAfterSeconds * 1000)
    if sent.final is not None:
        result.final = sent.final
    return result


def lost_worker(body: schemas_work.WorkerLostRequest) -> Lost:
    begun = None if body.begun is None else frozenset(body.begun)
    return Lost(body.worker.id, body.reason or "", body.traceback or "", begun)


def one_of(one: str, other: str) -> InvalidInput:
    """The refusal of a body that has both of two fields, or neither."""
    return InvalidInput(f"Send either {one} or {other}.", reason="missing", field=one)


def report(sent: schemas_work.ProgressReport) -> Report:
    lines = [
        LogLine(line.level, line.message, None if line.at is None else instants.ms_of(line.at))
        for line in sent.logs or ()
    ]
    return Report(JobId(sent.jobId.lower()), sent.leaseToken, sent.percent, sent.message, tuple(lines))


def type_settings(sent: schemas_types.TypeSettings) -> TypeSettings:
    rate = sent.rateLimit or _NO_RATE
    per_key = sent.partitionRateLimit or _NO_RATE
    kept = sent.retention or schemas_types.Retention()
    return TypeSettings(
        retry=None if sent.retryDelay is None else retry_policy(sent.retryDelay, "settings.retryDelay"),
        max_retries=sent.maxRetries,
        lease_ms=_ms(sent.leaseSeconds),
        timeout_ms=_ms(sent.timeoutSeconds),
        concurrency=sent.concurrency,
        rate=rate.limit,
        rate_per_ms=_ms(rate.perSeconds),
        rate_burst=rate.burst,
        partition_concurrency=sent.partitionConcurrency,
        partition_rate=per_key.limit,
        partition_rate_per_ms=_ms(per_key.perSeconds),
        partition_rate_burst=per_key.burst,
        retention_completed_s=kept.completed,
        retention_failed_s=kept.failed,
        retention_cancelled_s=kept.cancelled,
        secret_paths=tuple(sent.secretPaths or ()),
    )


@dataclass(frozen=True, slots=True)
class _NoRate:
    """Stands for a rate limit that was not sent."""

    limit: None = None
    perSeconds: None = None
    burst: None = None


_NO_RATE = _NoRate()


def type_record(row: TypeRow) -> schemas_types.JobTypeRecord:
    counts, paused = row.counts, row.paused
    return schemas_types.JobTypeRecord(
        type=row.name,
        counts=schemas.CountsByStatus(
            pending=counts.pending,
            processing=counts.processing,
            completed=counts.completed,
            failed=counts.failed,
            cancelled=counts.cancelled,
        ),
        paused=UNSET
        if paused is None
        else schemas_types.Paused(at=instants.text_of(paused.at), by=paused.by, reason=paused.reason),
        settings=Raw(msgspec.json.encode(_said(row.settings))),
    )


def _said(settings: TypeSettings) -> dict[str, Any]:
    """Settings as configure takes them, without what is not set."""
    return _given(
        retryDelay=None if settings.retry is None else retry_delay(settings.retry),
        leaseSeconds=_seconds(settings.lease_ms),
        timeoutSeconds=_seconds(settings.timeout_ms),
        maxRetries=settings.max_retries,
        concurrency=settings.concurrency,
        rateLimit=_given(
            limit=settings.rate, perSeconds=_seconds(settings.rate_per_ms), burst=settings.rate_burst
        ),
        partitionConcurrency=settings.partition_concurrency,
        partitionRateLimit=_given(
            limit=settings.partition_rate,
            perSeconds=_seconds(settings.partition_rate_per_ms),
            burst=settings.partition_rate_burst,
        ),
        retention=_given(
            completed=settings.retention_completed_s,
            failed=settings.retention_failed_s,
            cancelled=settings.retention_cancelled_s,
        ),
        secretPaths=settings.secret_paths,
    )


def retry_delay(policy: RetryPolicy) -> dict[str, Any]:
    """A retry policy as an enqueue takes it."""
    if policy.kind == "list":
        return {"kind": "list", "delays": [_seconds(ms) for ms in policy.delays_ms]}
    cap = _seconds(policy.cap_ms) if policy.kind == "exponential" else None
    return _given(kind=policy.kind, base=_seconds(policy.base_ms), cap=cap)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, (), {})}


def job_record(project: ProjectId, record: JobContent) -> schemas.JobRecord:
    row, carried = record.row, record.carried
    payload = Raw(record.payload.encode())
    details: schemas.ErrorDetails | UnsetType = UNSET
    if record.error_message or record.error_type:
        details = schemas.ErrorDetails(
            type=record.error_type, message=record.error_message, traceback=record.traceback
        )
    return schemas.JobRecord(
        id=row.id,
        type=row.type,
        status=cast(schemas.Status, row.status),
        state=row.state,
        payload=payload,
        data=payload,
        attempts=row.attempts,
        maxRetries=row.max_retries,
        priority=row.priority,
        run=row.run,
        projectId=str(project),
        createdAt=instants.text_of(row.created_at),
        scheduledAt=instants.text_of(row.due_at),
        startedAt=instants.text_of(row.started_at) if row.started_at else UNSET,
        completedAt=instants.text_of(row.ended_at) if row.ended_at else UNSET,
        error=(record.error_message or record.error_type) if details is not UNSET else UNSET,
        errorDetails=details,
        result=Raw(record.result.encode()) if record.result is not None else UNSET,
        tags=list(carried.tags) or UNSET,
        batch=carried.batch or UNSET,
        partitionKey=carried.partition_key or UNSET,
        uniqueKey=carried.unique_key or UNSET,
        timeoutSeconds=UNSET if carried.timeout_s is None else carried.timeout_s,
        deadline=instants.text_of(carried.deadline_at) if carried.deadline_at else UNSET,
        traceparent=carried.traceparent or UNSET,
        progress=_progress(record.progress),
    )


def _progress(row: ProgressRow | None) -> schemas.Progress | UnsetType:
    if row is None:
        return UNSET
    return schemas.Progress(
        at=instants.text_of(row.at),
        percent=UNSET if row.percent is None else row.percent,
        message=row.message or UNSET,
    )


def leased_record(project_text: str, job: LeasedJob) -> schemas_work.LeasedRecord:
    payload = Raw(job.payload.encode())
    return schemas_work.LeasedRecord(
        id=job.id,
        type=job.type,
        status="processing",
        state="processing",
        payload=payload,
        data=payload,
        attempts=job.attempts,
        maxRetries=job.max_retries,
        priority=job.priority,
        run=job.run,
        projectId=project_text,
        createdAt=instants.text(job.created_at_ms),
        scheduledAt=instants.text(job.due_at_ms),
        startedAt=instants.text(job.started_at_ms),
        tags=_tags.decode(job.tags) if job.tags else UNSET,
        batch=str(uuid.UUID(str(job.batch))) if job.batch else UNSET,
        partitionKey=job.partition_key or UNSET,
        uniqueKey=job.unique_key or UNSET,
        timeoutSeconds=UNSET if job.timeout_ms is None else job.timeout_ms / 1000,
        deadline=UNSET if job.deadline_at_ms is None else instants.text(job.deadline_at_ms),
        traceparent=job.traceparent or UNSET,
        leaseToken=job.lease_token,
        leaseExpiresAt=instants.text(job.lease_expires_at_ms),
    )


def size_bytes(job: schemas.JobRecord) -> int:
    """Of what users put into a record; its payload, which is sent twice, counted once."""
    size = len(job.payload)
    if job.result is not UNSET:
        size += len(job.result)
    if job.errorDetails is not UNSET:
        size += len(job.errorDetails.message) + len(job.errorDetails.traceback)
    return size


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


def _seconds(ms: int | None) -> float | None:
    """A whole number of seconds as an integer, so that it reads as it was sent."""
    if ms is None:
        return None
    return ms // 1000 if ms % 1000 == 0 else ms / 1000
