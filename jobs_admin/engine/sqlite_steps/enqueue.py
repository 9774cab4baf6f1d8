"""New jobs."""

from collections.abc import Sequence

from aerodash.ids import ProjectId
from jobs_admin.engine.contract import NewJob, Who
from jobs_admin.engine.grouping import Transaction


def enqueue(
    tx: Transaction, now: int, project: ProjectId, who: Who, jobs: Sequence[tuple[str, NewJob]]
) -> None:
    tx.many(
        "enqueue",
        (
            {
                "id": id,
                "project": project,
                "type": job.type,
                "priority": job.priority,
                "max_retries": job.max_retries,
                "now": now,
                "due": now + job.delay_ms,
                "retry_base": job.retry_base_ms,
                "retry_cap": job.retry_cap_ms,
                "by": who.label,
                "door": who.door,
                "payload": job.payload,
                "payload_bytes": job.payload_bytes,
            }
            for id, job in jobs
        ),
    )
    for _, job in jobs:
        tx.move(project, job.type, None, "pending")
    tx.due.add(project)
