"""Ended jobs, put back by hand."""

from collections.abc import Sequence

from aerodash.ids import JobId, ProjectId
from jobs_admin.engine.contract import Refusal, Retried, Who
from jobs_admin.engine.grouping import Transaction
from jobs_admin.engine.sqlite_steps.rows import keep_event, stored


def retry(
    tx: Transaction, now: int, project: ProjectId, who: Who, job_ids: Sequence[JobId], payload: str | None
) -> Retried:
    done: list[JobId] = []
    refused: dict[str, Refusal] = {}
    for job_id in job_ids:
        refusal = _retry(tx, now, project, who, stored(job_id), payload)
        if refusal is None:
            done.append(job_id)
        elif job_id not in done:
            refused[job_id] = refusal
    if done:
        tx.due.add(project)
    return Retried(tuple(done), refused)


def _retry(
    tx: Transaction, now: int, project: ProjectId, who: Who, id: str, payload: str | None
) -> Refusal | None:
    row = tx.row("status", id=id, project=project)
    if row is None:
        return "not_found"
    status, type, run, old_payload, version, result, error_message = row
    if not tx.row(
        "retry",
        id=id,
        project=project,
        now=now,
        run=run,
        status=status,
        payload=payload,
        payload_bytes=None if payload is None else len(payload.encode()),
    ):
        return "not_finished"
    tx.move(project, type, status, "pending")
    before = {"was": status, "result": result, "error": error_message}
    if payload is not None:
        before |= {"payload_version": version + 1, "payload_before": old_payload}
    keep_event(tx, now, id, run, who, "retried", **{"payload_version": version, **before})
    return None
