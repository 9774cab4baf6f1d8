"""Job types: what they say, and pausing them."""

from msgspec import UNSET

from aerodash.auth import Scope
from aerodash.wire.operation import Call, operation
from jobs_admin import forms, job_types, queries
from jobs_admin.reading import in_reader
from jobs_admin.schemas import DoneReply
from jobs_admin.schemas_types import (
    ConfigureRequest,
    PauseRequest,
    ResumeRequest,
    TypesReply,
    TypesRequest,
)


@operation("/queue/types", request=TypesRequest, reply=TypesReply, scope=Scope.QUEUE_READ)
async def queue_types(call: Call, body: TypesRequest) -> TypesReply:
    """List the job types that have jobs or settings, by name.

    With exact counts by status, whether each is paused (when, by whom, why), and its settings as configure takes them.
    `cursor` goes on where the page before ended.
    """
    return await _page(call, body)


@operation("/queue/pause", request=PauseRequest, reply=DoneReply, scope=Scope.QUEUE_MANAGE)
async def queue_pause(call: Call, body: PauseRequest) -> DoneReply:
    """Pause a type.

    Nobody leases its jobs until it is resumed; those that run go on. Paused again, the first pause stands.
    """
    await job_types.pause(call.project, call.actor, type=body.type, reason=body.reason or "")
    return DoneReply(success=True)


@operation("/queue/resume", request=ResumeRequest, reply=DoneReply, scope=Scope.QUEUE_MANAGE)
async def queue_resume(call: Call, body: ResumeRequest) -> DoneReply:
    """Resume a paused type.

    Workers that wait for its jobs get them at once.
    """
    await job_types.resume(call.project, call.actor, type=body.type)
    return DoneReply(success=True)


@operation("/queue/configure", request=ConfigureRequest, reply=DoneReply, scope=Scope.QUEUE_MANAGE)
async def queue_configure(call: Call, body: ConfigureRequest) -> DoneReply:
    """Replace all settings of a type.

    What `settings` does not name has no limit, or the product's default. They hold for every lease and every end of a
    run from now on; a pause stays.
    """
    await job_types.configure(
        call.project, call.actor, type=body.type, settings=forms.type_settings(body.settings)
    )
    return DoneReply(success=True)


@in_reader
def _page(call: Call, body: TypesRequest) -> TypesReply:
    page = queries.job_types(call.project, call.actor, after=body.cursor, limit=body.limit)
    return TypesReply(
        types=[forms.type_record(row) for row in page.types],
        list_complete=page.after is None,
        cursor=page.after if page.after is not None else UNSET,
    )
