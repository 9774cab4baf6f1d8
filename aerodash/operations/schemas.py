"""Bodies of the operations about operations. Source: wire contract, section 3."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, UnsetType

from aerodash.operations import PER_PAGE
from aerodash.wire.inputs import Reply, Request

type OperationId = Annotated[str, Meta(min_length=1, max_length=64, description="As it was answered.")]
type State = Literal["waiting", "running", "done", "cancelled", "failed"]


class OperationRecord(Reply):
    """One piece of long work. Of `total` things it has changed `done`, and left `skipped` as they are."""

    id: str
    kind: str
    params: Raw
    state: State
    total: int
    totalIsExact: bool
    done: int
    doneIsExact: bool
    skipped: int
    createdAt: str
    createdBy: str
    startedAt: str | UnsetType = UNSET
    endedAt: str | UnsetType = UNSET
    cancelRequestedAt: str | UnsetType = UNSET
    error: str | UnsetType = UNSET


class OperationGetRequest(Request):
    """Which operation to look at."""

    operationId: OperationId


class OperationGetReply(Reply):
    """The operation, or `operation: null, exists: false`."""

    operation: OperationRecord | None
    exists: bool


class OperationListRequest(Request):
    """Which page of which operations."""

    state: State | None = None
    limit: Annotated[int, Meta(ge=1, le=PER_PAGE)] = 50
    cursor: Annotated[str, Meta(description="Opaque; from the page before.")] | None = None


class OperationListReply(Reply):
    """A page of operations, newest first."""

    operations: list[OperationRecord]
    list_complete: bool
    cursor: str | UnsetType = UNSET


class OperationCancelRequest(Request):
    """Which operation to stop."""

    operationId: OperationId


class OperationCancelReply(Reply):
    """success is false only where there is nothing to stop any more; the note says why."""

    success: bool
    note: str | UnsetType = UNSET
