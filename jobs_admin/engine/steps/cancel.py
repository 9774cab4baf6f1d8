"""Jobs that nobody wants any more."""

from collections.abc import Sequence
from dataclasses import dataclass

from aerodash.ids import ProjectId
from jobs_admin.engine.contract import Cancelled, Who
from jobs_admin.engine.steps.calls import CancelCall
from jobs_admin.engine.steps.history import event, stored
from jobs_admin.engine.transactions import Transaction, rounds

TRIES = 3


@dataclass(slots=True)
class _Asked:
    project: ProjectId
    who: Who
    id: str
    answer: Cancelled | None = None


def cancel(tx: Transaction, now: int, calls: Sequence[CancelCall]) -> list[list[Cancelled]]:
    by_call = [[_Asked(call.project, call.who, stored(id)) for id in call.job_ids] for call in calls]
    for some in rounds([asked for call in by_call for asked in call], lambda asked: asked.id):
        # Between the two statements another transaction may give a running job back: then it is tried again.
        for _ in range(TRIES):
            _cancel(tx, now, [one for one in some if one.answer is None or one.answer.status == "pending"])
    return [[_answer(asked) for asked in call] for call in by_call]


def _cancel(tx: Transaction, now: int, asked: Sequence[_Asked]) -> None:
    """Different jobs: those that wait never start, those that run are asked to end."""
    for one in asked:
        one.answer = None
    events = []
    for statement, kind, requested in (
        ("cancel_pending", "cancelled", False),
        ("cancel_processing", "cancel_requested", True),
    ):
        left = [one for one in asked if one.answer is None]
        rows = [{"id": one.id, "project": one.project, "now": now, "by": one.who.label} for one in left]
        for one, row in zip(left, tx.each(statement, rows), strict=True):
            if row is None:
                continue
            type, run, batch = row
            events.append(event(now, one.id, run, one.who, kind))
            status = "processing" if requested else "cancelled"
            one.answer = Cancelled(success=True, status=status, requested=requested)
            if not requested:
                tx.move(one.project, type, "pending", "cancelled")
                tx.move_batch(batch, "pending", "cancelled")
                tx.figures.ended.append((one.project, type, "cancelled", None))
    tx.many("event", events)
    left = [one for one in asked if one.answer is None]
    found = tx.each("status", [{"id": one.id, "project": one.project} for one in left])
    for one, row in zip(left, found, strict=True):
        status = "" if row is None else row[0]
        one.answer = Cancelled(success=status == "processing", status=status)


def _answer(asked: _Asked) -> Cancelled:
    assert asked.answer is not None
    return asked.answer
