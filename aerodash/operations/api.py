"""The operations about long work: look at it, list it, stop it. Source: wire contract, section 3.

Which right each takes is the kind's own: whoever may flush may stop a flush.
"""

from datetime import datetime

from msgspec import UNSET, Raw, UnsetType

from aerodash import instants, operations
from aerodash.operations.record import Operation, text
from aerodash.operations.schemas import (
    OperationCancelReply,
    OperationCancelRequest,
    OperationGetReply,
    OperationGetRequest,
    OperationListReply,
    OperationListRequest,
    OperationRecord,
)
from aerodash.wire.operation import Call, operation


@operation("/operations/get", request=OperationGetRequest, reply=OperationGetReply, scope=None)
async def operation_get(call: Call, body: OperationGetRequest) -> OperationGetReply:
    """Look at one operation: how far it is, or how it ended."""
    found = await operations.get(call.project, call.actor, id=body.operationId)
    return OperationGetReply(operation=None if found is None else _record(found), exists=found is not None)


@operation("/operations/list", request=OperationListRequest, reply=OperationListReply, scope=None)
async def operation_list(call: Call, body: OperationListRequest) -> OperationListReply:
    """List the project's operations that the key may look at, newest first. They are kept for 30 days."""
    found, cursor = await operations.list_page(
        call.project,
        call.actor,
        states=() if body.state is None else (body.state,),
        limit=body.limit,
        cursor=body.cursor,
    )
    return OperationListReply(
        operations=[_record(one) for one in found], list_complete=cursor is None, cursor=cursor or UNSET
    )


@operation("/operations/cancel", request=OperationCancelRequest, reply=OperationCancelReply, scope=None)
async def operation_cancel(call: Call, body: OperationCancelRequest) -> OperationCancelReply:
    """Stop an operation, within a second; what it has done stays done."""
    found = await operations.cancel(call.project, call.actor, id=body.operationId)
    if found is None:
        return OperationCancelReply(success=False, note="There is no such operation.")
    if not found.is_open and found.state != "cancelled":
        return OperationCancelReply(success=False, note=f"It has ended already: {found.state}.")
    return OperationCancelReply(success=True)


def _record(one: Operation) -> OperationRecord:
    return OperationRecord(
        id=str(one.id),
        kind=one.kind,
        params=Raw(text(one.params).encode()),
        state=one.state,  # type: ignore[arg-type]
        total=one.total,
        totalIsExact=one.total_is_exact,
        done=one.done,
        doneIsExact=one.done_is_exact,
        skipped=one.skipped,
        createdAt=instants.text_of(one.created_at),
        createdBy=one.by,
        startedAt=_instant(one.started_at),
        endedAt=_instant(one.ended_at),
        cancelRequestedAt=_instant(one.cancel_requested_at),
        error=one.error or UNSET,
    )


def _instant(at: datetime | None) -> str | UnsetType:
    return UNSET if at is None else instants.text_of(at)
