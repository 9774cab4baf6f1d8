"""What the steps share: a run as it was read, its history, and ids as Django keeps them on SQLite."""

import json
from dataclasses import dataclass

from aerodash.ids import ProjectId
from jobs_admin.engine.contract import RunResult, Who
from jobs_admin.engine.grouping import Transaction


@dataclass(frozen=True, slots=True)
class Run:
    """The columns of run.sql."""

    id: str
    project: ProjectId
    type: str
    status: str
    run: int
    attempts: int
    crashes: int
    max_retries: int
    retry_base_ms: int | None
    retry_cap_ms: int | None
    cancelling: bool
    due_at_ms: int
    started_at_ms: int | None
    worker_id: str
    worker_name: str
    payload_version: int
    lease_token: str = ""


def keep_attempt(
    tx: Transaction,
    now: int,
    run: Run,
    outcome: str,
    sent: RunResult | None = None,
    next_due: int | None = None,
) -> None:
    tx.change(
        "attempt",
        id=run.id,
        run=run.run,
        outcome=outcome,
        due=run.due_at_ms,
        leased=run.started_at_ms,
        now=now,
        next_due=next_due,
        payload_version=run.payload_version,
        worker_id=run.worker_id,
        worker_name=run.worker_name,
        error_type=sent.error_type if sent else "",
        error_message=sent.error_message if sent else "",
        traceback=sent.traceback if sent else "",
    )


def keep_event(tx: Transaction, now: int, id: str, run: int, who: Who, kind: str, **details: object) -> None:
    tx.change(
        "event",
        id=id,
        now=now,
        kind=kind,
        run=run,
        actor_kind=who.kind,
        actor_id=who.id,
        actor_label=who.label,
        door=who.door,
        request_id=who.request_id,
        details=json.dumps(details, ensure_ascii=False),
    )


def stored(job_id: str) -> str:
    """An id as Django's UUIDField keeps it on SQLite."""
    return job_id.replace("-", "").lower()


def shown(id: str) -> str:
    return f"{id[:8]}-{id[8:12]}-{id[12:16]}-{id[16:20]}-{id[20:]}"
