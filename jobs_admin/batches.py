"""Batches: sets of jobs with one progress. Verbs as services are, then what can be asked as queries are.

A batch is open until it is sealed: jobs name it when they are enqueued. It ends when it is sealed and no member is
pending or processing any more, and then its follow-up job is enqueued, once. A member that is retried by hand after
that makes it unfinished again, and it ends again, without another follow-up.
Source: jobs.md, "What a job may carry, and what a type may say".
"""

import logging
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import uuid_utils
from django.db.models import Sum

from aerodash import audit, engines, limits
from aerodash.auth import Actor, Door, Scope
from aerodash.errors import InvalidInput
from aerodash.ids import ProjectId
from aerodash.realtime import topics
from aerodash.realtime.publish import publish
from jobs_admin import services
from jobs_admin.bounds import check_job, check_text, check_within, is_job_id
from jobs_admin.engine import stored_jobs
from jobs_admin.engine.batches import BatchRef, Members, MembersAfter, NewBatch, UnfinishedAfter
from jobs_admin.engine.contract import Finished, JobEngine, NewJob, Refusal, Who
from jobs_admin.models import Batch, BatchCounter
from jobs_admin.queries import JobFilter
from jobs_admin.reading import in_reader
from jobs_admin.records import Counts, instant_or_none

MEMBERS_AT_ONCE = 500
BATCHES_AT_ONCE = 500

_told: set[str] = set()
"""Batches that cannot end, of which the log knows."""

log = logging.getLogger("aerodash.keeper.jobs")


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch and its progress. counts are exact, and do not fall when ended members are pruned.

    completion_job_id: the job that its end enqueued.
    """

    id: str
    name: str
    created_at: datetime
    created_by: str
    sealed_at: datetime | None
    ended_at: datetime | None
    counts: Counts
    completion_job_id: str | None


@dataclass(frozen=True, slots=True)
class BatchPage:
    """Batches, newest first. older: the cursor of the next page; None on the last."""

    batches: tuple[BatchRow, ...]
    older: str | None


@engines.on_engine_loop
async def create(
    project: ProjectId, actor: Actor, *, name: str = "", on_complete: NewJob | None = None
) -> str:
    """Make an open batch; its id is what jobs name.

    name: for people, up to 128 characters, and not unique. on_complete: enqueued in the actor's name when the batch
    ends; within the bounds of services.enqueue, and in no batch itself.
    """
    actor.require(Scope.QUEUE_ENQUEUE)
    check_text("name", name, limits.BATCH_NAME_CHARS)
    if on_complete is not None:
        check_job(on_complete, "onComplete.")
        if on_complete.batch is not None:
            raise InvalidInput(
                "onComplete.batch: what follows a batch is in none, which may be sealed by then.",
                reason="invalid_field",
                field="onComplete.batch",
            )
    id = str(uuid_utils.uuid7())
    await _engine().call("create_batch", NewBatch(project, _who(actor), id, name, on_complete))
    publish(project, topics.JOBS)
    return id


@engines.on_engine_loop
async def seal(project: ProjectId, actor: Actor, *, batch: str) -> None:
    """Let no more jobs into a batch, so that it can end; an empty one has ended when this returns.

    Sealed again, the first seal stands. Raises InvalidInput (unknown_batch).
    """
    actor.require(Scope.QUEUE_ENQUEUE)
    known = _known(batch)
    if not await _engine().call("seal_batch", BatchRef(project, known)):
        raise _unknown(batch)
    await _finish((known,))
    publish(project, topics.JOBS)
    if actor.door is Door.CONSOLE:  # programs seal what they make, by the thousand
        await audit.record(project, actor, verb="batch.seal", target=known)


@engines.on_engine_loop
async def cancel(project: ProjectId, actor: Actor, *, batch: str) -> int:
    """Cancel every unfinished member that there is at the call, as services.cancel does; returns how many.

    Members that come later are not touched: seal first where none shall. In steps of 500; if one raises, those before
    it are done, and the same call again goes on with the others. Raises InvalidInput (unknown_batch).
    """
    actor.require(Scope.QUEUE_MANAGE)
    known = _known(batch)
    if not await in_reader(_exists)(project, known):
        raise _unknown(batch)
    engine, who = _engine(), _who(actor)
    count = 0
    found = Members((), "")
    while True:
        after = found.job_ids[-1] if found.job_ids else ""
        found = await engine.call("batch_members", MembersAfter(known, MEMBERS_AT_ONCE, after, found.until))
        if not found.job_ids:
            await audit.record(project, actor, verb="batch.cancel", target=known, after=f"{count} jobs")
            return count
        done = await engine.cancel(project, who, found.job_ids)
        changed = [job_id for job_id, one in zip(found.job_ids, done, strict=True) if one.success]
        if changed:
            publish(project, topics.JOBS, changed)
        count += len(changed)


@engines.on_engine_loop
async def retry(project: ProjectId, actor: Actor, *, batch: str) -> services.RetryResult:
    """Put back every failed or cancelled member that there is at the call, as services.retry_matching does.

    The batch has not ended then, until they have; what follows it is not enqueued again.
    Raises InvalidInput (unknown_batch).
    """
    actor.require(Scope.QUEUE_MANAGE)
    known = _known(batch)
    if not await in_reader(_exists)(project, known):
        raise _unknown(batch)
    count, more_refused = 0, 0
    refused = dict[str, Refusal]()
    for status in ("failed", "cancelled"):
        done = await services.retry_matching(project, actor, filter=JobFilter(status=status, batch=known))
        count += done.count
        more_refused += done.more_refused
        refused |= done.refused
    await audit.record(project, actor, verb="batch.retry", target=known, after=f"{count} jobs")
    return services.RetryResult(count, refused, more_refused)


@engines.on_engine_loop
async def finish_left_over() -> int:
    """End the batches that a process died over before it ended them; returns how many. For the keeper.

    Mostly there are none: the end of a last member ends its batch.
    """
    total, after = 0, ""
    while True:
        found: list[tuple[str, bool]] = await _engine().call(
            "batches_unfinished", UnfinishedAfter(after, BATCHES_AT_ONCE)
        )
        for id, is_over in found:
            if is_over:
                total += await _finish_one(id)
        if len(found) < BATCHES_AT_ONCE:
            return total
        after, _ = found[-1]


def tell(done: Finished) -> None:
    """Tell the live pages that a batch has ended: also one of which the engine found that by itself."""
    publish(done.project, topics.JOBS, () if done.job_id is None else (done.job_id,))


def get(project: ProjectId, actor: Actor, *, batch: str) -> BatchRow | None:
    """One batch; None if the project has none of this id (or the id is none at all)."""
    actor.require(Scope.QUEUE_READ)
    if not is_job_id(batch.lower()):
        return None
    found = _rows(Batch.objects.filter(pk=batch, project_id=project))
    return found[0] if found else None


def follow_up_type(project: ProjectId, actor: Actor, *, batch: str) -> str:
    """The type of the job that is to follow a batch, or that followed it; "" for none."""
    actor.require(Scope.QUEUE_READ)
    text = Batch.objects.filter(pk=batch, project_id=project).values_list("on_complete", flat=True).first()
    return stored_jobs.load_with(text)[1].type if text else ""


def page(project: ProjectId, actor: Actor, *, before: str | None = None, limit: int = 50) -> BatchPage:
    """Up to `limit` (1..200) batches, newest first; before: those older than this cursor.

    Raises InvalidInput for a broken cursor, a limit out of bounds.
    """
    actor.require(Scope.QUEUE_READ)
    check_within("limit", limit, 1, limits.BATCHES_PER_PAGE)
    batches = Batch.objects.filter(project_id=project)
    if before is not None:
        if not is_job_id(before):
            raise InvalidInput("This cursor is not one of ours.", reason="invalid_cursor", field="cursor")
        batches = batches.filter(pk__lt=before)
    rows = _rows(batches.order_by("-pk")[: limit + 1])
    return BatchPage(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


def _rows(batches: Iterable[Batch]) -> tuple[BatchRow, ...]:
    found = list(batches)
    counters = BatchCounter.objects.filter(batch_id__in=[batch.pk for batch in found])
    counts: dict[uuid.UUID, dict[str, int]] = {}
    for id, status, number in counters.values_list("batch_id", "status").annotate(Sum("count")):
        counts.setdefault(id, {})[status] = number
    return tuple(_row(batch, Counts(**counts.get(batch.pk, {}))) for batch in found)


def _row(batch: Batch, counts: Counts) -> BatchRow:
    return BatchRow(
        id=str(batch.pk),
        name=batch.name,
        created_at=datetime.fromtimestamp(batch.created_at_ms / 1000, UTC),
        created_by=batch.created_by,
        sealed_at=instant_or_none(batch.sealed_at_ms),
        ended_at=instant_or_none(batch.ended_at_ms),
        counts=counts,
        completion_job_id=None if batch.completion_job_id is None else str(batch.completion_job_id),
    )


async def _finish_one(batch: str) -> int:
    """Whether it was ended, as a number. A follow-up that is refused keeps this batch from its end, and no other."""
    try:
        finished = await _finish((batch,))
    except InvalidInput as exc:
        if batch not in _told:
            log.error("batch %s cannot end: %s", batch, exc)
            _told.add(batch)
        return 0
    _told.discard(batch)
    return finished


async def _finish(batches: tuple[str, ...]) -> int:
    finished: list[Finished] = await _engine().call("finish_batches", batches)
    for done in finished:
        tell(done)
    return len(finished)


def _exists(project: ProjectId, batch: str) -> bool:
    return Batch.objects.filter(pk=batch, project_id=project).exists()


def _known(batch: str) -> str:
    """The id in the form that engines take. Raises InvalidInput if it cannot be one of ours."""
    if not is_job_id(batch.lower()):
        raise _unknown(batch)
    return batch.lower()


def _unknown(batch: str) -> InvalidInput:
    return InvalidInput(f"There is no batch {batch!r}.", reason="unknown_batch", field="batchId")


def _engine() -> JobEngine:
    engine: JobEngine = engines.get("jobs")
    return engine


def _who(actor: Actor) -> Who:
    return Who(actor.kind, actor.id, actor.label, actor.door.value, actor.request_id)
