"""The Jobs page: status tabs with exact counts, filters in the URL, live rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self
from urllib.parse import urlencode

from channels.db import database_sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.realtime.pages import LiveView, live_url
from aerodash.realtime.shared import once
from jobs_admin import queries
from jobs_admin.models import Status
from jobs_admin.queries import FINER_STATES
from jobs_admin.records import Counts, FinerCounts, JobRow

PAGE = 20
SHOWN_MAX = 200

_TAB_OF = {"due": "pending", "scheduled": "pending", "retrying": "pending", "cancelling": "processing"}
_FINER = {
    # filter: what the link says, which figure, the tab it is part of
    "due": ("due now", "due_now", "Pending"),
    "scheduled": ("scheduled", "scheduled", "Pending"),
    "retrying": ("retrying", "retrying", "Pending"),
    "cancelling": ("cancelling", "cancelling", "Processing"),
}


@dataclass(frozen=True, slots=True)
class Filters:
    """What the URL says. status: one of the five or of the finer ones, "" for all."""

    status: str = ""
    type: str = ""
    before: str = ""
    after: str = ""

    @classmethod
    def of(cls, given: dict[str, str]) -> Self:
        return cls(**{name: given.get(name, "") for name in ("status", "type", "before", "after")})

    @property
    def tab(self) -> str:
        return _TAB_OF.get(self.status, self.status)

    @property
    def first_page(self) -> bool:
        return not self.before and not self.after

    def url(self, **changes: str) -> str:
        """The address of the page with some filters changed; a changed filter begins at the newest job again."""
        fields = {"status": self.status, "type": self.type, **changes}
        return "?" + urlencode({name: value for name, value in fields.items() if value})

    def as_params(self) -> dict[str, str]:
        fields = {"status": self.status, "type": self.type, "before": self.before, "after": self.after}
        return {name: value for name, value in fields.items() if value}

    def match(self, row: JobRow) -> bool:
        if self.type and row.type != self.type:
            return False
        match self.status:
            case "":
                return True
            case "due":
                return row.status == "pending" and row.due_at <= datetime.now(UTC)
            case "scheduled" | "retrying" | "cancelling":
                return row.state == self.status
        return row.status == self.status


@dataclass(frozen=True, slots=True)
class Tab:
    name: str
    label: str
    count: int
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A row as the page shows it. gone: it no longer matches the filter. fresh: it changed with this push."""

    job: JobRow
    gone: bool = False
    fresh: bool = False


@project_page(Scope.QUEUE_READ)
async def jobs(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/jobs. htmx asks for the same fragments that the socket pushes, naming the rows it shows."""
    filters = Filters.of(request.GET.dict())
    if request.htmx:  # type: ignore[attr-defined]
        shown = [one for one in request.GET.get("shown", "").split(",") if one][:SHOWN_MAX]
        context = await database_sync_to_async(fragments, thread_sensitive=False)(access, filters, shown)
        return render(request, "jobs_admin/jobs.html#live", context)
    context = await database_sync_to_async(whole, thread_sensitive=False)(access, filters)
    return render(request, "jobs_admin/jobs.html", context)


def push(view: LiveView) -> str:
    """What the socket sends after jobs of the project changed."""
    filters = Filters.of(dict(view.params))
    context = fragments(view.access, filters, view.shown, changed=view.ids or frozenset(), since=view.since)
    return view.render("jobs_admin/jobs.html#live", context)


def whole(access: Access, filters: Filters) -> dict[str, object]:
    """The context of the page as it is loaded."""
    project, actor = access.project_id, access.actor
    page = queries.page(
        project,
        actor,
        status=filters.status or None,
        type=filters.type or None,
        before=filters.before or None,
        after=filters.after or None,
        limit=PAGE,
    )
    return {
        **_figures(access, filters),
        "lines": [Line(job) for job in page.jobs],
        "shown_count": len(page.jobs),
        "newer_url": page.newer and filters.url(after=page.newer),
        "older_url": page.older and filters.url(before=page.older),
        "types": queries.types(project, actor),
        "live_url": live_url(access, "jobs", **filters.as_params()),
    }


def fragments(
    access: Access,
    filters: Filters,
    shown: Sequence[str],
    *,
    changed: frozenset[str] = frozenset(),
    since: float | None = None,
) -> dict[str, object]:
    """The context of an update: the rows that are on the page stay where they are, new ones wait behind a bar."""
    if not shown and filters.first_page:
        return whole(access, filters)
    project, actor = access.project_id, access.actor
    rows = queries.rows(project, actor, ids=shown)
    newer = 0
    if filters.first_page and shown:
        status, type = filters.status or None, filters.type or None
        newer = queries.newer(project, actor, after=shown[0], status=status, type=type)
    lines = [Line(job, gone=not filters.match(job), fresh=job.id in changed) for job in rows]
    return {
        **_figures(access, filters, since),
        "lines": lines,
        "shown_count": sum(not line.gone for line in lines),
        "newer": newer,
        "newer_more": newer >= SHOWN_MAX,
    }


def _figures(access: Access, filters: Filters, since: float | None = None) -> dict[str, object]:
    """Tabs and finer counts, shared among the pages that show the same change."""
    project, actor, type = access.project_id, access.actor, filters.type or None

    def ask() -> tuple[Counts, FinerCounts]:
        return queries.counts(project, actor, type=type), queries.finer_counts(project, actor, type=type)

    counts, finer = ask() if since is None else once(("jobs", project, type), since, ask)
    may_change = access.may(Scope.QUEUE_MANAGE)
    return {
        "access": access,
        "filters": filters,
        "origin": settings.AERODASH_PUBLIC_URL,
        "clear_url": filters.url(status="", type=""),
        "any_status_url": filters.url(status=""),
        "tabs": [
            Tab("", "All", counts.total, filters.url(status=""), not filters.tab),
            *(
                Tab(
                    status,
                    status.capitalize(),
                    getattr(counts, status),
                    filters.url(status=status),
                    filters.tab == status,
                )
                for status in Status.values
            ),
        ],
        "finer": [
            {
                "label": label,
                "count": getattr(finer, figure),
                "of": of,
                "url": filters.url(status=name),
                "current": filters.status == name,
            }
            for name, (label, figure, of) in _FINER.items()
        ],
        "matching": getattr(finer, _FINER[filters.status][1])
        if filters.status in FINER_STATES
        else getattr(counts, filters.status)
        if filters.status
        else counts.total,
        "counted_at": datetime.now(UTC),
        "may_change": may_change,
    }
