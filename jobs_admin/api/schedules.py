"""Schedules: jobs that are enqueued by the clock."""

from msgspec import UNSET, Raw

from aerodash import instants, limits
from aerodash.auth import Scope
from aerodash.wire.operation import Call, operation
from jobs_admin import forms, schedules
from jobs_admin.reading import in_reader
from jobs_admin.schemas import DoneReply
from jobs_admin.schemas_schedules import (
    ScheduleListReply,
    ScheduleListRequest,
    ScheduleRecord,
    ScheduleRequest,
    ScheduleRunReply,
    ScheduleSetReply,
    ScheduleSetRequest,
)

PAGE = limits.SCHEDULES_PER_PAGE


@operation(
    "/queue/schedule/set", request=ScheduleSetRequest, reply=ScheduleSetReply, scope=Scope.QUEUE_MANAGE
)
async def queue_schedule_set(call: Call, body: ScheduleSetRequest) -> ScheduleSetReply:
    """Add a schedule, or replace the one of this name.

    `cron` (in `timezone`) or `everySeconds` says when; the other fields are those of an enqueue. A pause stays unless
    `paused` says otherwise.
    """
    next_at_ms = await schedules.set_schedule(
        call.project,
        call.actor,
        name=body.name,
        job=forms.new_job(body),
        cron_line=body.cron or "",
        every_s=body.everySeconds,
        timezone=body.timezone or "UTC",
        missed=body.missed or "one",
        paused=body.paused,
    )
    return ScheduleSetReply(success=True, nextAt=UNSET if next_at_ms is None else instants.text(next_at_ms))


@operation(
    "/queue/schedule/list", request=ScheduleListRequest, reply=ScheduleListReply, scope=Scope.QUEUE_READ
)
async def queue_schedule_list(call: Call, body: ScheduleListRequest) -> ScheduleListReply:
    """List schedules, by name.

    `cursor` goes on where the page before ended.
    """
    return await _page(call, body)


@operation("/queue/schedule/delete", request=ScheduleRequest, reply=DoneReply, scope=Scope.QUEUE_MANAGE)
async def queue_schedule_delete(call: Call, body: ScheduleRequest) -> DoneReply:
    """Delete a schedule.

    The jobs that it has enqueued stay. `success: false` if there is none of this name.
    """
    return DoneReply(success=await schedules.delete(call.project, call.actor, name=body.name))


@operation("/queue/schedule/run", request=ScheduleRequest, reply=ScheduleRunReply, scope=Scope.QUEUE_MANAGE)
async def queue_schedule_run(call: Call, body: ScheduleRequest) -> ScheduleRunReply:
    """Enqueue a schedule's job now.

    Its slots stay as they are; a paused one runs too.
    """
    added = await schedules.run(call.project, call.actor, name=body.name)
    return ScheduleRunReply(jobId=added.job_id, success=True, duplicate=True if added.duplicate else UNSET)


@in_reader
def _page(call: Call, body: ScheduleListRequest) -> ScheduleListReply:
    page = schedules.page(call.project, call.actor, after=body.cursor, limit=body.limit or PAGE)
    return ScheduleListReply(
        schedules=[_wire(row) for row in page.schedules],
        list_complete=page.after is None,
        cursor=page.after if page.after is not None else UNSET,
    )


def _wire(row: schedules.ScheduleRow) -> ScheduleRecord:
    job = row.job
    return ScheduleRecord(
        name=row.name,
        type=job.type,
        payload=Raw(job.payload.encode()),
        cron=row.cron or UNSET,
        everySeconds=UNSET if row.every_s is None else row.every_s,
        timezone=row.timezone,
        missed=row.missed,
        paused=row.paused_at is not None,
        pausedAt=instants.text_of(row.paused_at) if row.paused_at else UNSET,
        nextAt=instants.text_of(row.next_at) if row.next_at else UNSET,
        lastAt=instants.text_of(row.last_at) if row.last_at else UNSET,
        lastJobId=row.last_job_id or UNSET,
        createdAt=instants.text_of(row.created_at),
        updatedAt=instants.text_of(row.updated_at),
        updatedBy=row.updated_by,
        maxRetries=UNSET if job.max_retries is None else job.max_retries,
        priority=job.priority,
        retryDelay=UNSET if job.retry is None else forms.retry_delay(job.retry),
        uniqueKey=UNSET if job.unique is None else forms.unique_key(job.unique),
        timeoutSeconds=UNSET if job.timeout_ms is None else job.timeout_ms / 1000,
        tags=list(job.tags) or UNSET,
        partitionKey=job.partition_key or UNSET,
        traceparent=job.traceparent or UNSET,
        fault=row.fault or UNSET,
    )
