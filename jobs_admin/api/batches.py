"""Batches: sets of jobs with one progress."""

from msgspec import UNSET

from aerodash import instants
from aerodash.auth import Scope
from aerodash.wire.operation import Call, operation
from jobs_admin import batches, forms
from jobs_admin.reading import in_reader
from jobs_admin.schemas import CountsByStatus, DoneReply
from jobs_admin.schemas_batches import (
    BatchCancelReply,
    BatchCreateReply,
    BatchCreateRequest,
    BatchListReply,
    BatchListRequest,
    BatchRecord,
    BatchReply,
    BatchRequest,
    BatchRetryReply,
)

PAGE = 50


@operation(
    "/queue/batch/create", request=BatchCreateRequest, reply=BatchCreateReply, scope=Scope.QUEUE_ENQUEUE
)
async def queue_batch_create(call: Call, body: BatchCreateRequest) -> BatchCreateReply:
    """Make a batch.

    Enqueue its jobs with `batch`, then seal it. When it is sealed and its last member has ended, `onComplete` is
    enqueued, once.
    """
    then = None if body.onComplete is None else forms.new_job(body.onComplete, "onComplete.")
    id = await batches.create(call.project, call.actor, name=body.name or "", on_complete=then)
    return BatchCreateReply(batchId=id, success=True)


@operation("/queue/batch/seal", request=BatchRequest, reply=DoneReply, scope=Scope.QUEUE_ENQUEUE)
async def queue_batch_seal(call: Call, body: BatchRequest) -> DoneReply:
    """Take no more jobs into a batch.

    Only a sealed batch ends; an empty one ends at once. Sealed again, the first seal stands.
    """
    await batches.seal(call.project, call.actor, batch=body.batchId)
    return DoneReply(success=True)


@operation("/queue/batch/get", request=BatchRequest, reply=BatchReply, scope=Scope.QUEUE_READ)
async def queue_batch_get(call: Call, body: BatchRequest) -> BatchReply:
    """Read a batch and its progress.

    An unknown id answers `batch: null, exists: false`.
    """
    found = await _record(call, body.batchId)
    return BatchReply(batch=found, exists=found is not None)


@operation("/queue/batch/list", request=BatchListRequest, reply=BatchListReply, scope=Scope.QUEUE_READ)
async def queue_batch_list(call: Call, body: BatchListRequest) -> BatchListReply:
    """List batches, newest first.

    `cursor` goes on where the page before ended.
    """
    return await _page(call, body)


@operation("/queue/batch/cancel", request=BatchRequest, reply=BatchCancelReply, scope=Scope.QUEUE_MANAGE)
async def queue_batch_cancel(call: Call, body: BatchRequest) -> BatchCancelReply:
    """Cancel all members that have not ended.

    Waiting ones never start, running ones are asked to stop. Members that are enqueued later are not touched.
    """
    count = await batches.cancel(call.project, call.actor, batch=body.batchId)
    return BatchCancelReply(success=True, count=count)


@operation("/queue/batch/retry", request=BatchRequest, reply=BatchRetryReply, scope=Scope.QUEUE_MANAGE)
async def queue_batch_retry(call: Call, body: BatchRequest) -> BatchRetryReply:
    """Run all failed and cancelled members again.

    The batch is unfinished until they have ended; `onComplete` is not enqueued a second time.
    """
    done = await batches.retry(call.project, call.actor, batch=body.batchId)
    refused = len(done.refused) + done.more_refused
    return BatchRetryReply(success=not refused, count=done.count, refused=refused or UNSET)


@in_reader
def _record(call: Call, batch: str) -> BatchRecord | None:
    found = batches.get(call.project, call.actor, batch=batch)
    return None if found is None else _wire(found)


@in_reader
def _page(call: Call, body: BatchListRequest) -> BatchListReply:
    page = batches.page(call.project, call.actor, before=body.cursor, limit=body.limit or PAGE)
    return BatchListReply(
        batches=[_wire(row) for row in page.batches],
        list_complete=page.older is None,
        cursor=page.older if page.older is not None else UNSET,
    )


def _wire(row: batches.BatchRow) -> BatchRecord:
    counts = row.counts
    return BatchRecord(
        id=row.id,
        name=row.name or UNSET,
        createdAt=instants.text_of(row.created_at),
        createdBy=row.created_by,
        sealed=row.sealed_at is not None,
        sealedAt=instants.text_of(row.sealed_at) if row.sealed_at else UNSET,
        endedAt=instants.text_of(row.ended_at) if row.ended_at else UNSET,
        counts=CountsByStatus(
            pending=counts.pending,
            processing=counts.processing,
            completed=counts.completed,
            failed=counts.failed,
            cancelled=counts.cancelled,
        ),
        total=counts.total,
        completionJobId=row.completion_job_id or UNSET,
    )
