"""What the steps share: a run as it was read, its history, and ids as the databases keep them."""

import json
from dataclasses import dataclass
from typing import Any

from aerodash.ids import ProjectId
from jobs_admin.engine.contract import RunResult, Who
from jobs_admin.engine.transactions import Values

SYSTEM = Who(kind="system", id="system", label="AeroDash", door="keeper")


@dataclass(frozen=True, slots=True)
class Run:
    """The columns of run.sql, expired.sql and runs_of_worker.sql.

    is_at_its_limit: whether the lease lasts as long as the run's time limit lets it; None without a limit or a lease.
    """

    id: str
    project: ProjectId
    type: str
    status: str
    run: int
    attempts: int
    crashes: int
    max_retries: int
    retry_policy: str
    type_retry_policy: str | None
    cancelling: bool
    due_at_ms: int
    started_at_ms: int | None
    is_at_its_limit: bool | None
    worker_id: str
    worker_name: str
    payload_version: int
    batch: str | None
    lease_token: str

    def took_ms(self, now: int) -> int | None:
        """How long it has run by now."""
        return None if self.started_at_ms is None else now - self.started_at_ms


def attempt(
    now: int, run: Run, outcome: str, sent: RunResult | None = None, next_due: int | None = None
) -> Values:
    """A row for `attempt`: how a run ended."""
    return {
        "id": run.id,
        "run": run.run,
        "outcome": outcome,
        "due": run.due_at_ms,
        "leased": run.started_at_ms,
        "now": now,
        "next_due": next_due,
        "payload_version": run.payload_version,
        "worker_id": run.worker_id,
        "worker_name": run.worker_name,
        "error_type": sent.error_type if sent else "",
        "error_message": sent.error_message if sent else "",
        "traceback": sent.traceback if sent else "",
    }


def event(now: int, id: str, run: int, who: Who, kind: str, **details: object) -> Values:
    """A row for `event`: a line of a job's timeline."""
    return {
        "id": id,
        "now": now,
        "kind": kind,
        "run": run,
        "actor_kind": who.kind,
        "actor_id": who.id,
        "actor_label": who.label,
        "door": who.door,
        "request_id": who.request_id,
        "details": json.dumps(details, ensure_ascii=False),
    }


def cancel_seen(now: int, id: str, run: int, worker_id: str, worker_name: str) -> Values:
    """A row for `event_once`: a worker was told that its job is to end."""
    return event(now, id, run, Who("worker", worker_id, worker_name, "api"), "cancel_seen")


def said(sent: RunResult) -> dict[str, Any]:
    """What a refused worker sent, for the timeline."""
    words = {
        "outcome": sent.outcome,
        "result": sent.result,
        "error_type": sent.error_type,
        "error": sent.error_message,
    }
    return {key: value for key, value in words.items() if value}


def stored(id: str) -> str:
    """An id as statements take it: 32 hexadecimal digits, which is what Django's UUIDField keeps on SQLite."""
    return str(id).replace("-", "").lower()


def shown(id: str) -> str:
    """An id of either form as people and programs see it."""
    digits = stored(id)
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
