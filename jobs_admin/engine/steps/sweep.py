"""Runs whose worker fell silent or was seen to die, and jobs whose time to begin has passed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from aerodash.ids import JobId, ProjectId
from jobs_admin.engine import rules
from jobs_admin.engine.contract import RunResult, Swept
from jobs_admin.engine.steps import room
from jobs_admin.engine.steps.calls import LostCall
from jobs_admin.engine.steps.history import SYSTEM, Run, attempt, event, shown, stored
from jobs_admin.engine.transactions import Transaction, Values


@dataclass(frozen=True, slots=True)
class _Crash:
    """Why a run is over without a word from its worker."""

    run: Run
    outcome: str
    error_type: str
    message: str
    traceback: str = ""

    def after(self, now: int) -> rules.Next:
        run = self.run
        policy = rules.RetryPolicy.parse(run.retry_policy, run.type_retry_policy or "")
        if self.outcome == "timed_out":
            return rules.after_failure(
                now,
                attempts=run.attempts,
                max_retries=run.max_retries,
                policy=policy,
                luck=random.random(),
            )
        return rules.after_crash(
            now,
            crashes=run.crashes + 1,
            attempts=run.attempts,
            max_retries=run.max_retries,
            policy=policy,
            luck=random.random(),
        )


def is_anything_expired(tx: Transaction, now: int, calls: Sequence[None]) -> list[bool]:
    found = tx.rows("expired", now=now, limit=1) or tx.rows("overdue", now=now, limit=1)
    return [bool(found)] * len(calls)


def sweep(tx: Transaction, now: int, limits: Sequence[int]) -> list[Swept]:
    return [_sweep(tx, now, limit) for limit in limits]


def _sweep(tx: Transaction, now: int, limit: int) -> Swept:
    changed: dict[ProjectId, list[JobId]] = {}
    runs = [Run(*row) for row in tx.rows("expired", now=now, limit=limit)]
    for run in _end(tx, now, "settle_expired", [_silent(run) for run in runs]):
        changed.setdefault(run.project, []).append(JobId(shown(run.id)))
    overdue = tx.rows("overdue", now=now, limit=limit)
    rows = [{"id": row[0], "project": row[1], "now": now} for row in overdue]
    events: list[Values] = []
    for (id, project, type, run_number, batch), row in zip(
        overdue, tx.each("settle_overdue", rows), strict=True
    ):
        if row is None:
            continue
        tx.move(project, type, "pending", "failed")
        tx.move_batch(batch, "pending", "failed")
        tx.figures.ended.append((project, type, "failed", None))
        events.append(event(now, id, run_number, SYSTEM, "expired"))
        changed.setdefault(project, []).append(JobId(shown(id)))
    tx.many("event", events)
    return Swept(changed, more=len(runs) == limit or len(overdue) == limit)


def worker_lost(tx: Transaction, now: int, calls: Sequence[LostCall]) -> list[list[JobId]]:
    return [_worker_lost(tx, now, call) for call in calls]


def _worker_lost(tx: Transaction, now: int, call: LostCall) -> list[JobId]:
    lost = call.lost
    tx.many(
        "worker_gone",
        [{"project": call.project, "id": lost.worker_id, "now": now, "reason": lost.reason[:1024]}],
    )
    runs = [Run(*row) for row in tx.rows("runs_of_worker", project=call.project, worker=lost.worker_id)]
    begun = None if lost.begun is None else {stored(id) for id in lost.begun}
    message = lost.reason or "the worker process died"
    idle: list[Run] = []
    dead: list[_Crash] = []
    for run in runs:
        if begun is not None and stored(run.id) not in begun and not run.cancelling:
            idle.append(run)
        else:
            dead.append(_Crash(run, "worker_lost", "WorkerLost", message, lost.traceback))
    ended = _end(tx, now, "settle_lost", dead)
    rows = [
        {"id": run.id, "project": run.project, "token": run.lease_token, "run": run.run, "now": now}
        for run in idle
    ]
    attempts: list[Values] = []
    for run, row in zip(idle, tx.each("settle_released", rows), strict=True):
        if row is not None:
            tx.move(run.project, run.type, "processing", "pending")
            tx.move_batch(run.batch, "processing", "pending")
            tx.due.add(run.project)
            attempts.append(attempt(now, run, "released", next_due=now))
            ended.append(run)
    tx.many("attempt", attempts)
    return [JobId(shown(run.id)) for run in ended]


def _silent(run: Run) -> _Crash:
    worker = run.worker_name or run.worker_id
    if run.is_at_its_limit:
        return _Crash(run, "timed_out", "TimedOut", f"over its time limit: {worker} did not end it")
    return _Crash(run, "lease_expired", "LeaseExpired", f"lease expired: {worker} was not heard in time")


def _end(tx: Transaction, now: int, statement: str, crashes: Sequence[_Crash]) -> list[Run]:
    """End these runs; those that were ended."""
    rows: list[Values] = []
    after = [crash.after(now) for crash in crashes]
    messages = [
        f"{crash.message}; {crash.run.crashes + 1} times in a row, so the job counts as poison"
        if then.poison and not crash.run.cancelling
        else crash.message
        for crash, then in zip(crashes, after, strict=True)
    ]
    for crash, then, message in zip(crashes, after, messages, strict=True):
        run = crash.run
        rows.append(
            {
                "id": run.id,
                "project": run.project,
                "token": run.lease_token,
                "run": run.run,
                "now": now,
                "status": "cancelled" if run.cancelling else then.status,
                "due": None if run.cancelling else then.due_at_ms,
                "crashed": 0 if crash.outcome == "timed_out" else 1,
                "error_type": crash.error_type,
                "error_message": message,
                "traceback": crash.traceback,
            }
        )
    ended: list[Run] = []
    attempts: list[Values] = []
    events: list[Values] = []
    done = tx.each(statement, rows)
    for crash, then, row, done_row in zip(crashes, after, rows, done, strict=True):
        if done_row is None:
            continue
        run, status = crash.run, row["status"]
        tx.move(run.project, run.type, "processing", status)
        tx.move_batch(run.batch, "processing", status)
        # Of a worker that fell silent nobody knows how long its handler ran.
        took_ms = run.took_ms(now) if crash.outcome == "timed_out" and status != "cancelled" else None
        tx.figures.ended.append((run.project, run.type, status, took_ms))
        outcome = "cancelled" if run.cancelling else crash.outcome
        sent = RunResult(
            JobId(run.id),
            "",
            "failed",
            error_type=crash.error_type,
            error_message=row["error_message"],
            traceback=crash.traceback,
        )
        attempts.append(attempt(now, run, outcome, sent, row["due"]))
        if status == "pending":
            tx.due.add(run.project)
        if then.poison and not run.cancelling:
            events.append(event(now, run.id, run.run, SYSTEM, "poisoned", crashes=run.crashes + 1))
        ended.append(run)
    tx.many("attempt", attempts)
    tx.many("event", events)
    room.wake(tx)
    return ended
