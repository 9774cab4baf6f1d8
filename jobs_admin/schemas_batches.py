"""Bodies of the batch operations. Source: wire contract, section 4."""

from typing import Annotated, ClassVar

from msgspec import UNSET, Meta, UnsetType

from aerodash import limits
from aerodash.wire.inputs import Reply, Request
from jobs_admin.schemas import Aliases, CountsByStatus, EnqueueRequest, Id, Instant

BATCH_ID_ALIASES: Aliases = {"batchId": ("batch_id", "batch", "id")}


class BatchCreateRequest(Request):
    """A set of jobs to come, and what is to follow it."""

    aliases: ClassVar[Aliases] = {"onComplete": ("on_complete",)}

    name: (
        Annotated[str, Meta(max_length=limits.BATCH_NAME_CHARS, description="For people; not unique.")] | None
    ) = None
    onComplete: (
        Annotated[
            EnqueueRequest,
            Meta(description="Enqueued once, when the batch ends: an enqueue's body, in no batch."),
        ]
        | None
    ) = None


class BatchCreateReply(Reply):
    """The batch that jobs may name."""

    batchId: str
    success: bool


class BatchRequest(Request):
    """Which batch."""

    aliases: ClassVar[Aliases] = BATCH_ID_ALIASES

    batchId: Annotated[Id, Meta(description="As batch/create answered it.")]


class BatchRecord(Reply, kw_only=True):
    """A batch and its progress: its members per status, exact, pruned ones too. total is their sum."""

    id: str
    name: str | UnsetType = UNSET
    createdAt: Instant
    createdBy: str
    sealed: bool
    sealedAt: Instant | UnsetType = UNSET
    endedAt: Instant | UnsetType = UNSET
    counts: CountsByStatus
    total: int
    completionJobId: str | UnsetType = UNSET


class BatchReply(Reply):
    """The batch, or `batch: null, exists: false`."""

    batch: BatchRecord | None
    exists: bool


class BatchListRequest(Request):
    """Which page of batches."""

    limit: Annotated[int, Meta(ge=1, le=limits.BATCHES_PER_PAGE)] | None = None
    cursor: Annotated[str, Meta(description="Opaque; from the page before.")] | None = None


class BatchListReply(Reply):
    """A page of batches, newest first."""

    batches: list[BatchRecord]
    list_complete: bool
    cursor: str | UnsetType = UNSET


class BatchCancelReply(Reply):
    """How many members are cancelled, or asked to end."""

    success: bool
    count: int


class BatchRetryReply(Reply):
    """How many members were put back. refused: of how many another job has the unique key, or had begun by then."""

    success: bool
    count: int
    refused: int | UnsetType = UNSET
