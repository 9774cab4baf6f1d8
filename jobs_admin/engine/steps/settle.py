"""How a worker says that a run ended, and what its handler says before."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from aerodash import limits
from aerodash.ids import ProjectId
from jobs_admin.engine import rules
from jobs_admin.engine.contract import RunResult, Settled, Who
from jobs_admin.engine.steps import room
from jobs_admin.engine.steps.calls import SettleCall
from jobs_admin.engine.steps.history import Run, attempt, event, said, stored
from jobs_admin.engine.transactions import Transaction, Values, rounds


@dataclass(slots=True)
class _Sent:
    """One result of one call; `answer` is set once it is decided."""

    project: ProjectId
    who: Who
    id: str
    result: RunResult
    answer: Settled = "lease_lost"
    is_decided: bool = False

    def decide(self, answer: Settled) -> None:
        self.answer, self.is_decided = answer, True


@dataclass(slots=True)
class _Ended:
    """Rows of history that are written at the end, all together."""

    attempts: list[Values]
    events: list[Values]


def settle(tx: Transaction, now: int, calls: Sequence[SettleCall]) -> list[list[Settled]]:
    by_call = [
        [_Sent(call.project, call.who, stored(sent.job_id), sent) for sent in call.results] for call in calls
    ]
    for some in rounds([sent for call in by_call for sent in call], lambda sent: sent.id):
        _settle(tx, now, some)
    room.wake(tx)
    return [[sent.answer for sent in call] for call in by_call]


def _settle(tx: Transaction, now: int, sent: Sequence[_Sent]) -> None:
    """Results of different jobs."""
    ended = _Ended([], [])
    _complete(tx, now, [one for one in sent if one.result.outcome == "completed"], ended)
    left = [one for one in sent if not one.is_decided]
    if left:
        rows = tx.each("run", [{"id": one.id, "project": one.project} for one in left])
        runs = [(one, Run(*row)) for one, row in zip(left, rows, strict=True) if row is not None]
        _fail(tx, now, [(one, run) for one, run in runs if one.result.outcome == "failed"], ended)
        _release(tx, now, [(one, run) for one, run in runs if one.result.outcome == "released"], ended)
        _cancel(tx, now, [(one, run) for one, run in runs if not one.is_decided], ended)
        _note_late(tx, now, [(one, run) for one, run in runs if not one.is_decided], ended)
    tx.many("attempt", ended.attempts)
    tx.many("event", ended.events)


def _complete(tx: Transaction, now: int, sent: Sequence[_Sent], ended: _Ended) -> None:
    """The usual end of a run, without reading the job first."""
    rows = [
        {
            "id": one.id,
            "project": one.project,
            "token": one.result.lease_token,
            "now": now,
            "result": one.result.result,
        }
        for one in sent
    ]
    for one, row in zip(sent, tx.each("settle_completed", rows), strict=True):
        if row is None:
            continue
        type, run, due, leased, worker_id, worker_name, payload_version, batch = row
        one.decide("accepted")
        _moved(tx, one.project, type, batch, "completed")
        tx.figures.ended.append((one.project, type, "completed", now - leased))
        ended.attempts.append(
            {
                "id": one.id,
                "run": run,
                "outcome": "completed",
                "due": due,
                "leased": leased,
                "now": now,
                "next_due": None,
                "payload_version": payload_version,
                "worker_id": worker_id,
                "worker_name": worker_name,
                "error_type": "",
                "error_message": "",
                "traceback": "",
            }
        )


def _fail(tx: Transaction, now: int, sent: Sequence[tuple[_Sent, Run]], ended: _Ended) -> None:
    after = [
        rules.after_failure(
            now,
            attempts=run.attempts,
            max_retries=run.max_retries,
            policy=rules.RetryPolicy.parse(run.retry_policy, run.type_retry_policy or ""),
            luck=random.random(),
            retry_after_ms=one.result.retry_after_ms,
            final=one.result.final,
        )
        for one, run in sent
    ]
    rows = [
        {
            "id": one.id,
            "project": one.project,
            "token": one.result.lease_token,
            "run": run.run,
            "now": now,
            "status": then.status,
            "due": then.due_at_ms,
            "error_type": one.result.error_type,
            "error_message": one.result.error_message,
            "traceback": one.result.traceback,
        }
        for (one, run), then in zip(sent, after, strict=True)
    ]
    for (one, run), then, row in zip(sent, after, tx.each("settle_failed", rows), strict=True):
        if row is None:
            continue
        one.decide("accepted")
        _moved(tx, run.project, run.type, run.batch, then.status)
        tx.figures.ended.append((run.project, run.type, then.status, run.took_ms(now)))
        ended.attempts.append(attempt(now, run, "failed", one.result, then.due_at_ms))


def _release(tx: Transaction, now: int, sent: Sequence[tuple[_Sent, Run]], ended: _Ended) -> None:
    rows = [
        {
            "id": one.id,
            "project": one.project,
            "token": one.result.lease_token,
            "run": run.run,
            "now": now,
        }
        for one, run in sent
    ]
    for (one, run), row in zip(sent, tx.each("settle_released", rows), strict=True):
        if row is not None:
            one.decide("accepted")
            _moved(tx, run.project, run.type, run.batch, "pending")
            ended.attempts.append(attempt(now, run, "released", next_due=now))


def _cancel(tx: Transaction, now: int, sent: Sequence[tuple[_Sent, Run]], ended: _Ended) -> None:
    """End the runs of jobs that were asked to be cancelled; what the worker says is kept on the timeline."""
    rows = [
        {
            "id": one.id,
            "project": one.project,
            "token": one.result.lease_token,
            "run": run.run,
            "now": now,
        }
        for one, run in sent
    ]
    for (one, run), row in zip(sent, tx.each("settle_cancelled", rows), strict=True):
        if row is None:
            continue
        one.decide("cancelled")
        _moved(tx, run.project, run.type, run.batch, "cancelled")
        tx.figures.ended.append((run.project, run.type, "cancelled", None))
        ended.attempts.append(attempt(now, run, "cancelled", one.result))
        if one.result.outcome != "released":
            words = said(one.result)
            ended.events.append(
                event(now, one.id, run.run, one.who, "late_result", refused="cancelled", **words)
            )


def _note_late(tx: Transaction, now: int, sent: Sequence[tuple[_Sent, Run]], ended: _Ended) -> None:
    # Whoever has an old token may send it again and again.
    rows = [{"id": one.id, "kept": limits.LATE_RESULTS} for one, _ in sent]
    for (one, run), row in zip(sent, tx.each("late_again", rows), strict=True):
        if row is not None:
            continue
        words = said(replace(one.result, result=_cut(one.result.result)))
        if (size := len(one.result.result.encode())) > limits.LATE_RESULT_BYTES:
            words["result_bytes"] = size
        ended.events.append(
            event(now, one.id, run.run, one.who, "late_result", refused="lease_lost", **words)
        )


def _moved(tx: Transaction, project: ProjectId, type: str, batch: str | None, status: str) -> None:
    tx.move(project, type, "processing", status)
    tx.move_batch(batch, "processing", status)
    if status == "pending":
        tx.due.add(project)


def _cut(result: str) -> str:
    """The beginning of a result that the timeline keeps; half a character at the cut goes."""
    return result.encode()[: limits.LATE_RESULT_BYTES].decode(errors="ignore")
