"""How a worker says that a run ended."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from aerodash import limits
from aerodash.ids import ProjectId
from jobs_admin.engine import rules
from jobs_admin.engine.contract import LeaseRef, RunResult, Settled, Who
from jobs_admin.engine.grouping import Transaction
from jobs_admin.engine.sqlite_steps.rows import Run, keep_attempt, keep_event, stored


def settle(
    tx: Transaction, now: int, project: ProjectId, who: Who, results: Sequence[RunResult]
) -> list[Settled]:
    return [_settle(tx, now, project, who, result) for result in results]


def _settle(tx: Transaction, now: int, project: ProjectId, who: Who, sent: RunResult) -> Settled:
    id = stored(sent.job_id)
    if sent.outcome == "completed" and _complete(tx, now, project, id, sent):
        return "accepted"
    row = tx.row("run", id=id, project=project)
    if row is None:
        return "lease_lost"
    run = Run(*row)
    if sent.outcome == "failed" and _fail(tx, now, run, sent):
        return "accepted"
    if sent.outcome == "released" and _release(tx, now, run, sent.lease_token):
        return "accepted"
    guard = {"id": id, "project": project, "token": sent.lease_token, "run": run.run, "now": now}
    if tx.row("settle_cancelled", **guard):
        tx.move(project, run.type, "processing", "cancelled")
        keep_attempt(tx, now, run, "cancelled", sent)
        if sent.outcome != "released":
            keep_event(tx, now, id, run.run, who, "late_result", refused="cancelled", **_said(sent))
        return "cancelled"
    # Whoever has an old token may send it again and again.
    if not tx.change("late_again", id=id, kept=limits.LATE_RESULTS):
        said = _said(replace(sent, result=_cut(sent.result)))
        if (size := len(sent.result.encode())) > limits.LATE_RESULT_BYTES:
            said["result_bytes"] = size
        keep_event(tx, now, id, run.run, who, "late_result", refused="lease_lost", **said)
    return "lease_lost"


def _complete(tx: Transaction, now: int, project: ProjectId, id: str, sent: RunResult) -> bool:
    """The usual end of a run, without reading the job first."""
    row = tx.row(
        "settle_completed", id=id, project=project, token=sent.lease_token, now=now, result=sent.result
    )
    if row is None:
        return False
    type, run, due, leased, worker_id, worker_name, payload_version = row
    tx.move(project, type, "processing", "completed")
    tx.change(
        "attempt",
        id=id,
        run=run,
        outcome="completed",
        due=due,
        leased=leased,
        now=now,
        next_due=None,
        payload_version=payload_version,
        worker_id=worker_id,
        worker_name=worker_name,
        error_type="",
        error_message="",
        traceback="",
    )
    return True


def _fail(tx: Transaction, now: int, run: Run, sent: RunResult) -> bool:
    after = rules.after_failure(
        now,
        attempts=run.attempts,
        max_retries=run.max_retries,
        base_ms=run.retry_base_ms,
        cap_ms=run.retry_cap_ms,
        luck=random.random(),
        retry_after_ms=sent.retry_after_ms,
        final=sent.final,
    )
    if not tx.row(
        "settle_failed",
        id=run.id,
        project=run.project,
        token=sent.lease_token,
        run=run.run,
        now=now,
        status=after.status,
        due=after.due_at_ms,
        error_type=sent.error_type,
        error_message=sent.error_message,
        traceback=sent.traceback,
    ):
        return False
    tx.move(run.project, run.type, "processing", after.status)
    keep_attempt(tx, now, run, "failed", sent, next_due=after.due_at_ms)
    if after.status == "pending":
        tx.due.add(run.project)
    return True


def _release(tx: Transaction, now: int, run: Run, token: str) -> bool:
    if not tx.row("settle_released", id=run.id, project=run.project, token=token, run=run.run, now=now):
        return False
    tx.move(run.project, run.type, "processing", "pending")
    keep_attempt(tx, now, run, "released", next_due=now)
    tx.due.add(run.project)
    return True


def release(tx: Transaction, now: int, project: ProjectId, leases: Sequence[LeaseRef]) -> None:
    """Take back jobs whose worker went before it could be told of them."""
    for lease in leases:
        row = tx.row("run", id=stored(lease.job_id), project=project)
        if row is not None:
            _release(tx, now, Run(*row), lease.lease_token)


def _cut(result: str) -> str:
    """The beginning of a result that the timeline keeps; half a character at the cut goes."""
    return result.encode()[: limits.LATE_RESULT_BYTES].decode(errors="ignore")


def _said(sent: RunResult) -> dict[str, Any]:
    """What a refused worker sent, for the timeline."""
    said = {
        "outcome": sent.outcome,
        "result": sent.result,
        "error_type": sent.error_type,
        "error": sent.error_message,
    }
    return {key: value for key, value in said.items() if value}
