"""What the steps of batches take and answer. Callers name a step to JobEngine.call; part of the engines' contract.

create_batch: NewBatch -> None
seal_batch: BatchRef -> bool, whether there is such a batch; sealed again, the first seal stands
finish_batches: ids -> the Finished (contract.py) among them: those that are sealed and without unfinished members, each once
batches_unfinished: UnfinishedAfter -> list of (id, whether it is to be finished)
batch_members: MembersAfter -> Members
"""

from collections.abc import Collection
from dataclasses import dataclass

from aerodash.ids import JobId, ProjectId
from jobs_admin.engine.contract import NewJob, Who

type BatchIds = Collection[str]


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A batch to add, open. id: a UUIDv7. on_complete: enqueued once, when it is sealed and its last member has ended."""

    project: ProjectId
    who: Who
    id: str
    name: str = ""
    on_complete: NewJob | None = None


@dataclass(frozen=True, slots=True)
class BatchRef:
    """A project's batch."""

    project: ProjectId
    batch: str


@dataclass(frozen=True, slots=True)
class UnfinishedAfter:
    """Up to `limit` sealed batches of all projects that have not ended, after this id; "" from the first."""

    after: str
    limit: int


@dataclass(frozen=True, slots=True)
class MembersAfter:
    """Up to `limit` unfinished members of a batch, after this id ("" from the first) and none beyond `until`.

    until: "" for the newest that there is now; the answer says which, so that a walk ends however many come meanwhile.
    """

    batch: str
    limit: int
    after: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True)
class Members:
    """Ids in their order; none where the walk is over."""

    job_ids: tuple[JobId, ...]
    until: str
