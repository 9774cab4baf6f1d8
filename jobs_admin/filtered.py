"""How many jobs of a tag, of a batch or of some time there are: counted when asked, because no counter follows those."""

import time
import uuid
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet

from aerodash.auth import Actor, Scope
from aerodash.ids import ProjectId
from jobs_admin.models import Batch, Job, JobTag, Status
from jobs_admin.queries import JobFilter, created_between
from jobs_admin.records import Counts, FinerCounts

COUNTED_MAX = 10_000
"""Jobs of a tag or a batch that a page counts: each is looked up."""
COUNTED_OF_A_TIME = 100_000
"""Jobs of a status and a time that a page counts: each is an entry of an index."""


@dataclass(frozen=True, slots=True)
class Figures:
    """finer: None where it would take too long."""

    counts: Counts
    finer: FinerCounts | None


def figures(project: ProjectId, actor: Actor, filter: JobFilter) -> Figures | None:
    """The jobs of a tag, a batch or a time (and a type) by status, whatever the filter's status; None if there are too many."""
    actor.require(Scope.QUEUE_READ)
    if filter.tag is None and filter.batch is None:
        return _of_a_time(project, filter)
    batch = _uuid(filter.batch)
    if filter.batch is not None and not Batch.objects.filter(pk=batch, project_id=project).exists():
        return Figures(Counts(), FinerCounts(0, 0, 0, 0))
    jobs: QuerySet[Any]
    if filter.tag is not None:
        jobs, job, id = JobTag.objects.filter(project_id=project, tag=filter.tag), "job__", "job_id"
    else:
        # A batch is of one project; with the project's condition too, another index would look as good.
        jobs, job, id = Job.objects.filter(batch_id=batch), "", "pk"
    if filter.created_from or filter.created_to:
        least, most = created_between(filter)
        jobs = jobs.filter(**{f"{id}__gt": least, f"{id}__lt": most})
    if jobs.values(id)[: COUNTED_MAX + 1].count() > COUNTED_MAX:
        return None
    if filter.tag is not None and filter.batch is not None:
        jobs = jobs.filter(job__batch_id=batch)
    if filter.type is not None:
        jobs = jobs.filter(**{f"{job}type": filter.type})
    now_ms = time.time_ns() // 1_000_000
    later = Q(**{f"{job}due_at_ms__gt": now_ms})
    tried = Q(**{f"{job}attempts__gt": 0})
    asked = Q(**{f"{job}cancel_requested_at_ms__isnull": False})
    rows = (
        jobs.order_by()
        .values_list(f"{job}status")
        .annotate(
            number=Count(id),
            due=Count(id, filter=~later),
            scheduled=Count(id, filter=later & ~tried),
            retrying=Count(id, filter=tried),
            cancelling=Count(id, filter=asked),
        )
    )
    by_status = {status: figures for status, *figures in rows}
    _, due, scheduled, retrying, _ = by_status.get("pending", (0, 0, 0, 0, 0))
    *_, cancelling = by_status.get("processing", (0, 0, 0, 0, 0))
    counts = Counts(**{status: figures[0] for status, figures in by_status.items()})
    return Figures(counts, FinerCounts(due, scheduled, retrying, cancelling))


def _of_a_time(project: ProjectId, filter: JobFilter) -> Figures | None:
    """Each status is a range of an index, which holds neither when a job is due nor whether it was tried."""
    least, most = created_between(filter)
    jobs = Job.objects.filter(project_id=project, pk__gt=least, pk__lt=most)
    if filter.type is not None:
        jobs = jobs.filter(type=filter.type)
    counts = {}
    for status in Status.values:
        counts[status] = jobs.filter(status=status).order_by().values("pk")[: COUNTED_OF_A_TIME + 1].count()
        if counts[status] > COUNTED_OF_A_TIME:
            return None
    return Figures(Counts(**counts), None)


def _uuid(text: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(text or "")
    except ValueError:
        return None
