"""The Batches page: sets of jobs with one progress, newest first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from channels.db import database_sync_to_async
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import answer
from aerodash.realtime.pages import LiveView, live_url
from jobs_admin import batches as batch_verbs
from jobs_admin.batches import BatchRow

PAGE = 25
STATUSES = ("completed", "failed", "cancelled", "processing", "pending")
"""In the order in which the bar has them: what is done first."""
BAR = 1000.0


@dataclass(frozen=True, slots=True)
class Share:
    """One status of a batch: its part of the bar, in thousandths from x on."""

    status: str
    count: int
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Shown:
    """A batch as pages show it. state: open, running or ended.

    per_s: members that ended in a second, on average since it was made; left_s: how long the others take at that rate.
    """

    row: BatchRow
    state: str
    ended: int
    percent: float
    shares: tuple[Share, ...]
    per_s: float | None
    left_s: float | None
    took_s: float

    @property
    def row_id(self) -> str:
        return self.row.id

    @property
    def words(self) -> str:
        """The bar for those who cannot see it."""
        said = [f"{share.count:,} {share.status}" for share in self.shares]
        return ", ".join(said) or "no jobs"


def shown(row: BatchRow, now: datetime) -> Shown:
    """The batch in figures."""
    counts = row.counts
    ended = counts.completed + counts.failed + counts.cancelled
    took_s = max(((row.ended_at or now) - row.created_at).total_seconds(), 0.001)
    per_s = ended / took_s if ended else None
    left = counts.total - ended
    shares, x = [], 0.0
    for status in STATUSES:
        count = int(getattr(counts, status))
        if count:
            width = BAR * count / counts.total
            shares.append(Share(status, count, round(x, 2), round(width, 2)))
            x += width
    return Shown(
        row=row,
        state="ended" if row.ended_at else "running" if row.sealed_at else "open",
        ended=ended,
        percent=100 * ended / counts.total if counts.total else 0.0,
        shares=tuple(shares),
        per_s=per_s,
        left_s=left / per_s if per_s and left and row.sealed_at and not row.ended_at else None,
        took_s=took_s,
    )


@require_safe
@project_page(Scope.QUEUE_READ)
async def batches(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/batches?before=…; for htmx the list alone."""
    context = await database_sync_to_async(content, thread_sensitive=False)(access, request.GET.dict())
    return answer(request, "jobs_admin/batches.html", context)


def push(view: LiveView) -> str:
    """What the socket sends after jobs or batches of the project changed."""
    return view.render("jobs_admin/batches.html#live", content(view.access, view.params))


def content(access: Access, given: Mapping[str, str]) -> dict[str, object]:
    before = given.get("before", "")
    page = batch_verbs.page(access.project_id, access.actor, before=before or None, limit=PAGE)
    now = datetime.now(UTC)
    params = {"before": before} if before else {}
    return {
        "lines": [shown(row, now) for row in page.batches],
        "older_url": page.older and "?" + urlencode({"before": page.older}),
        "is_newest": not before,
        "live_url": live_url(access, "batches", **params),
    }
