"""Jobs that nobody wants any more."""

from aerodash.ids import JobId, ProjectId
from jobs_admin.engine.contract import Cancelled, Who
from jobs_admin.engine.grouping import Transaction
from jobs_admin.engine.sqlite_steps.rows import keep_event, stored


def cancel(tx: Transaction, now: int, project: ProjectId, who: Who, job_id: JobId) -> Cancelled:
    id = stored(job_id)
    who_and_when = {"id": id, "project": project, "now": now, "by": who.label}
    if row := tx.row("cancel_pending", **who_and_when):
        tx.move(project, row[0], "pending", "cancelled")
        keep_event(tx, now, id, row[1], who, "cancelled")
        return Cancelled(success=True, status="cancelled")
    if row := tx.row("cancel_processing", **who_and_when):
        keep_event(tx, now, id, row[1], who, "cancel_requested")
        return Cancelled(success=True, status="processing", requested=True)
    found = tx.row("status", id=id, project=project)
    if found is None:
        return Cancelled(success=False, status="")
    return Cancelled(success=found[0] == "processing", status=found[0])
