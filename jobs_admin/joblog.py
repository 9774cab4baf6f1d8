"""A job's log as people read it: the newest lines, and back from there. Programs read it forward: queries.logs."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from aerodash.auth import Actor, Scope
from aerodash.errors import InvalidInput
from aerodash.ids import ProjectId
from jobs_admin.models import Job, JobLog, JobProgress

LINES = 200


@dataclass(frozen=True, slots=True)
class Line:
    """A line that a handler wrote. id: never falls within a job."""

    id: int
    run: int
    at: datetime
    level: str
    message: str


@dataclass(frozen=True, slots=True)
class Tail:
    """Some lines, newest first. kept: how many the job's log has; dropped: how many came after it was full.

    older: for `before`, None at the beginning of the log. is_newest: whether nothing newer is left out.
    """

    lines: tuple[Line, ...] = ()
    kept: int = 0
    dropped: int = 0
    older: str | None = None
    is_newest: bool = True


def tail(project: ProjectId, actor: Actor, *, job_id: str, before: str = "") -> Tail:
    """Up to LINES lines, the newest or those before a cursor; none of a job that the project does not have.

    Raises InvalidInput for a broken cursor.
    """
    actor.require(Scope.QUEUE_READ)
    id = _uuid(job_id)
    if before and not (before.isascii() and before.isdigit() and len(before) <= 18):
        raise InvalidInput("This cursor is not one of ours.", reason="invalid_cursor", field="log")
    if id is None or not Job.objects.filter(pk=id, project_id=project).exists():
        return Tail()
    lines = JobLog.objects.filter(job_id=id)
    if before:
        lines = lines.filter(pk__lt=int(before))
    found = list(lines.order_by("-pk")[: LINES + 1])
    shown = found[:LINES]
    counted = JobProgress.objects.filter(pk=id).values_list("log_lines", "log_dropped").first()
    kept, dropped = counted or (0, 0)
    return Tail(
        lines=tuple(map(_line, shown)),
        kept=kept,
        dropped=dropped,
        older=str(shown[-1].pk) if len(found) > LINES else None,
        is_newest=not before,
    )


def _line(row: JobLog) -> Line:
    return Line(row.pk, row.run, datetime.fromtimestamp(row.at_ms / 1000, UTC), row.level, row.message)


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
