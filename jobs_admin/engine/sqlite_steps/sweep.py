"""Runs whose worker fell silent."""

import random

from aerodash.ids import JobId, ProjectId
from jobs_admin.engine import rules
from jobs_admin.engine.contract import RunResult, Swept, Who
from jobs_admin.engine.grouping import Transaction
from jobs_admin.engine.sqlite_steps.rows import Run, keep_attempt, keep_event, shown

SYSTEM = Who(kind="system", id="system", label="AeroDash", door="keeper")


def sweep(tx: Transaction, now: int, limit: int) -> Swept:
    rows = tx.rows("expired", now=now, limit=limit)
    changed: dict[ProjectId, list[JobId]] = {}
    for row in rows:
        run = Run(*row)
        if _expire(tx, now, run):
            changed.setdefault(run.project, []).append(JobId(shown(run.id)))
    return Swept(changed, more=len(rows) == limit)


def _expire(tx: Transaction, now: int, run: Run) -> bool:
    crashes = run.crashes + 1
    after = rules.after_crash(
        now,
        crashes=crashes,
        attempts=run.attempts,
        max_retries=run.max_retries,
        base_ms=run.retry_base_ms,
        cap_ms=run.retry_cap_ms,
        luck=random.random(),
    )
    status = "cancelled" if run.cancelling else after.status
    due = None if run.cancelling else after.due_at_ms
    message = f"lease expired: {run.worker_name or run.worker_id} was not heard in time"
    if after.poison and not run.cancelling:
        message += f"; {crashes} times in a row, so the job counts as poison"
    said = RunResult(JobId(run.id), "", "failed", error_type="LeaseExpired", error_message=message)
    if not tx.row(
        "settle_expired",
        id=run.id,
        project=run.project,
        token=run.lease_token,
        run=run.run,
        now=now,
        status=status,
        due=due,
        error_type=said.error_type,
        error_message=said.error_message,
    ):
        return False
    tx.move(run.project, run.type, "processing", status)
    keep_attempt(tx, now, run, "cancelled" if run.cancelling else "lease_expired", said, next_due=due)
    if status == "pending":
        tx.due.add(run.project)
    elif after.poison and not run.cancelling:
        keep_event(tx, now, run.id, run.run, SYSTEM, "poisoned", crashes=crashes)
    return True
