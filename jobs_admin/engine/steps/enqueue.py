"""New jobs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from aerodash.errors import InvalidInput
from aerodash.ids import JobId, ProjectId
from jobs_admin.engine import rules
from jobs_admin.engine.contract import Enqueued, NewJob, Who
from jobs_admin.engine.leftovers import LANE_KNOWN_MS
from jobs_admin.engine.steps import types
from jobs_admin.engine.steps.calls import EnqueueCall
from jobs_admin.engine.steps.history import event, shown, stored
from jobs_admin.engine.transactions import Transaction, Values, rounds

KEY_TRIES = 3
"""How often a unique key is tried for: its holder may go between the refusal and the look for it."""


@dataclass(slots=True)
class _New:
    """One job on its way in; `answer` is set once it is decided."""

    project: ProjectId
    who: Who
    id: str
    job: NewJob
    answer: Enqueued | None = None
    same_as: "_New | None" = None
    """The one of this transaction that had the same idempotency key before, and answers for both."""


def enqueue(tx: Transaction, now: int, calls: Sequence[EnqueueCall]) -> list[list[Enqueued]]:
    by_call = [
        [_New(call.project, call.who, id, job) for id, job in zip(call.ids, call.jobs, strict=True)]
        for call in calls
    ]
    new = [one for call in by_call for one in call]
    _open_lanes(tx, now, new)
    if keyed := [one for one in new if one.job.idempotency_key]:
        _recall(tx, now, keyed)
    # After the keys: an enqueue that is sent again is answered although its batch was sealed meanwhile.
    waiting = [one for one in new if one.answer is None and one.same_as is None]
    _check_batches(tx, waiting)
    if unique := [one for one in waiting if one.job.unique]:
        _add_unique(tx, now, unique)
    _added(tx, [one for one in waiting if not one.job.unique], now, insert=True)
    return [[_answer(one) for one in call] for call in by_call]


def values(now: int, project: int, who: Who, id: str, job: NewJob) -> Values:
    """A row for `enqueue`."""
    due = now + job.delay_ms if job.due_at_ms is None else max(job.due_at_ms, now)
    unique = job.unique
    until = None if unique is None or unique.period_ms is None else now + unique.period_ms
    return {
        "id": stored(id),
        "project": project,
        "type": job.type,
        "priority": job.priority,
        "max_retries": job.max_retries,
        "default_retries": rules.MAX_RETRIES,
        "now": now,
        "due": due,
        "retry_policy": "" if job.retry is None else job.retry.text(),
        "timeout": job.timeout_ms,
        "deadline": job.deadline_at_ms,
        "unique_key": "" if unique is None else unique.key,
        "unique_until": until,
        "holds_key": unique is not None,
        "partition_key": job.partition_key,
        "batch": None if job.batch is None else stored(job.batch),
        "traceparent": job.traceparent,
        "tags": json.dumps(job.tags, ensure_ascii=False) if job.tags else "",
        "by": who.label,
        "door": who.door,
        "payload": job.payload,
        "payload_bytes": job.payload_bytes,
    }


def _open_lanes(tx: Transaction, now: int, new: Sequence[_New]) -> None:
    """Have the lanes that these jobs go to, so that leases look there. Raises InvalidInput for too many types.

    What is remembered of a lane holds for LANE_KNOWN_MS, long before a lane that nobody enqueues to is forgotten.
    """
    known = tx.memory.lanes
    lanes = {
        lane
        for lane in {(one.project, one.job.type, one.job.priority) for one in new}
        if not now - LANE_KNOWN_MS < known.get(lane, 0) <= now
    }
    if lanes:
        types.check_number(tx, {(project, type) for project, type, _ in lanes})
        rows = [
            {"project": project, "type": type, "priority": priority, "now": now}
            for project, type, priority in sorted(lanes)
        ]
        tx.many("lane", rows)
        tx.on_commit(lambda: known.update(dict.fromkeys(lanes, now)))


def _check_batches(tx: Transaction, new: Sequence[_New]) -> None:
    """Raises InvalidInput for a batch that is unknown or sealed; a batch cannot be sealed before this commits."""
    wanted = sorted({(one.project, stored(one.job.batch)) for one in new if one.job.batch is not None})
    rows = [{"project": project, "batch": batch} for project, batch in wanted]
    for (_, batch), found in zip(wanted, tx.each("batch_open", rows), strict=True):
        if found is None:
            raise InvalidInput(f"There is no batch {shown(batch)}.", reason="unknown_batch", field="batch")
        if found[0] is not None:
            raise InvalidInput(f"The batch {shown(batch)} is sealed.", reason="batch_sealed", field="batch")


def _recall(tx: Transaction, now: int, keyed: Sequence[_New]) -> None:
    """Answer those whose idempotency key has made a job already; the others have theirs kept."""
    by_id = {stored(one.id): one for one in keyed}
    for some in rounds(keyed, lambda one: (one.project, one.job.idempotency_key)):
        some.sort(key=lambda one: (one.project, one.job.idempotency_key))
        rows = [
            {
                "project": one.project,
                "key": one.job.idempotency_key,
                "id": stored(one.id),
                "now": now,
                "not_since": now - rules.IDEMPOTENCY_MS,
            }
            for one in some
        ]
        kept = tx.each("idempotency_keep", rows)
        refused = [one for one, row in zip(some, kept, strict=True) if row is None]
        rows = [{"project": one.project, "key": one.job.idempotency_key} for one in refused]
        for one, found in zip(refused, tx.each("idempotency_job", rows), strict=True):
            if found is not None and (first := by_id.get(stored(shown(found[0])))) is not None:
                one.same_as = first
            elif found is not None:
                one.answer = Enqueued(JobId(shown(found[0])), duplicate=True)


def _add_unique(tx: Transaction, now: int, unique: Sequence[_New]) -> None:
    """Let the unique index decide who gets a key; the others answer with, or give theirs to, its holder."""
    for some in rounds(unique, lambda one: (one.project, one.job.type, _key(one))):
        trying = sorted(some, key=lambda one: (one.project, one.job.type, _key(one)))
        for _ in range(KEY_TRIES):
            rows = [values(now, one.project, one.who, one.id, one.job) for one in trying]
            inserted = tx.each("enqueue_unique", rows)
            _added(tx, [one for one, row in zip(trying, inserted, strict=True) if row], now, insert=False)
            trying = [one for one, row in zip(trying, inserted, strict=True) if not row]
            rows = [values(now, one.project, one.who, one.id, one.job) for one in trying]
            # A key that was held for a time that is over is free, and tried for again.
            freed = tx.each("key_free", rows)
            _yield_to_holder(tx, now, [one for one, row in zip(trying, freed, strict=True) if not row])
            trying = [one for one in trying if one.answer is None]
            if not trying:
                break
        for one in trying:
            raise InvalidInput(
                f"The unique key {_key(one)!r} changes hands too fast; try again.",
                reason="unique_taken",
                field="uniqueKey",
            )


def _yield_to_holder(tx: Transaction, now: int, refused: Sequence[_New]) -> None:
    replacing = [one for one in refused if one.job.unique and one.job.unique.replace]
    rows = [values(now, one.project, one.who, one.id, one.job) for one in replacing]
    events = []
    for one, row in zip(replacing, tx.each("replace", rows), strict=True):
        if row is not None:
            one.answer = Enqueued(JobId(shown(row[0])), duplicate=True)
            events.append(
                event(now, stored(shown(row[0])), row[1], one.who, "replaced", payload_version=row[2])
            )
            tx.due.add(one.project)
    tx.many("event", events)
    left = [one for one in refused if one.answer is None]
    rows = [{"project": one.project, "type": one.job.type, "unique_key": _key(one)} for one in left]
    for one, row in zip(left, tx.each("key_holder", rows), strict=True):
        if row is not None:
            one.answer = Enqueued(JobId(shown(row[0])), duplicate=True)
    # What the idempotency key says is what this call is answered with.
    rows = [
        {"project": one.project, "key": one.job.idempotency_key, "id": stored(one.answer.job_id)}
        for one in refused
        if one.answer is not None and one.job.idempotency_key
    ]
    tx.many("idempotency_point", rows)


def _added(tx: Transaction, new: Sequence[_New], now: int, *, insert: bool) -> None:
    if insert:
        tx.many("enqueue", [values(now, one.project, one.who, one.id, one.job) for one in new])
    enqueued = tx.figures.enqueued
    for one in new:
        one.answer = Enqueued(JobId(one.id))
        tx.move(one.project, one.job.type, None, "pending")
        tx.move_batch(None if one.job.batch is None else stored(one.job.batch), None, "pending")
        tx.due.add(one.project)
        of_type = one.project, one.job.type
        enqueued[of_type] = enqueued.get(of_type, 0) + 1
    tags = [
        {"project": one.project, "tag": tag, "id": stored(one.id)}
        for one in new
        if one.job.tags
        for tag in dict.fromkeys(one.job.tags)
    ]
    tx.many("tag", tags)


def _key(one: _New) -> str:
    return one.job.unique.key if one.job.unique else ""


def _answer(one: _New) -> Enqueued:
    if one.same_as is not None:
        return Enqueued(_answer(one.same_as).job_id, duplicate=True)
    assert one.answer is not None
    return one.answer
