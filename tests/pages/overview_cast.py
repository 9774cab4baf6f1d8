"""What the tests of the Overview share: what happened on the timeline, and who keeps house."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta

from django.utils import timezone

from aerodash import instants
from aerodash.ids import ProjectId
from aerodash.keeper import lease
from aerodash.models import KeeperLease, Project
from aerodash.rollups import store
from aerodash.rollups.cells import Cell
from aerodash.rollups.tally import deltas_of
from jobs_admin.models import Job, Worker


@contextlib.contextmanager
def kept_house() -> Iterator[None]:
    """Somebody holds the keeper's lease, for longer than any test takes."""
    until = timezone.now() + timedelta(hours=1)
    KeeperLease.objects.update_or_create(name=lease.NAME, defaults={"holder": "test", "expires_at": until})
    try:
        yield
    finally:
        KeeperLease.objects.filter(name=lease.NAME).update(expires_at=timezone.now())


def happened(project: Project, counts: Mapping[tuple[str, str], int], *, ago_s: int = 60) -> None:
    """Put counts on the timeline, by metric and label, so long ago."""
    at_s = int(time.time() - ago_s) // 10 * 10
    cells = {
        (ProjectId(project.pk), metric, label, at_s): Cell(number)
        for (metric, label), number in counts.items()
    }
    store.send(deltas_of(cells))
    while store.ingest():
        pass


def due_since(job_id: str, seconds: float) -> None:
    """Have a job be due for so long already."""
    Job.objects.filter(pk=job_id).update(due_at_ms=instants.now_ms() - int(seconds * 1000))


def worker(
    project: Project, name: str, *, heard_s: float = 1, lost_s: float | None = None, reason: str = ""
) -> None:
    """A worker that was heard so many seconds ago, and perhaps seen to die."""
    now_ms = instants.now_ms()
    Worker.objects.create(
        project=project,
        worker_id=name,
        hostname=name,
        pid=7,
        version="1",
        first_seen_at_ms=now_ms - 3_600_000,
        last_seen_at_ms=now_ms - int(heard_s * 1000),
        lost_at_ms=None if lost_s is None else now_ms - int(lost_s * 1000),
        lost_reason=reason,
    )


def url(project: Project, query: str = "") -> str:
    return f"/p/{project.slug}/overview{query}"
