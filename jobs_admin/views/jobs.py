"""The Jobs page: status tabs with exact counts, filters in the URL, live rows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Self
from urllib.parse import urlencode

from channels.db import database_sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from aerodash import limits
from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.errors import InvalidInput
from aerodash.realtime.pages import LiveView, live_url
from aerodash.realtime.shared import once
from jobs_admin import filtered, queries, waiting
from jobs_admin.bounds import check_text
from jobs_admin.filtered import Figures
from jobs_admin.models import Status
from jobs_admin.queries import FINER_STATES, JobFilter
from jobs_admin.records import JobRow
from jobs_admin.waiting import PausedType

PAGE = 20
SHOWN_MAX = 200
PAUSED_MAX = 3
"""Paused types that are said in full above the list; the others are named."""

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
    """What the URL says. status: one of the five or of the finer ones, "" for all. batch: its id."""

    status: str = ""
    type: str = ""
    tag: str = ""
    batch: str = ""
    before: str = ""
    after: str = ""

    @classmethod
    def of(cls, given: dict[str, str]) -> Self:
        return cls(**{field.name: given.get(field.name, "") for field in fields(cls)})

    @property
    def tab(self) -> str:
        return _TAB_OF.get(self.status, self.status)

    @property
    def first_page(self) -> bool:
        return not self.before and not self.after

    def url(self, **changes: str) -> str:
        """The address of the page with some filters changed; a changed filter begins at the newest job again."""
        given = {name: value for name, value in asdict(self).items() if name not in ("before", "after")}
        return "?" + urlencode({name: value for name, value in (given | changes).items() if value})

    def as_params(self) -> dict[str, str]:
        return {name: value for name, value in asdict(self).items() if value}

    def as_query(self) -> JobFilter:
        """Raises InvalidInput for an unknown status or what cannot be a tag: the URL is anybody's."""
        if self.status not in ("", *Status.values, *FINER_STATES):
            raise InvalidInput(f"{self.status!r} is not a status.", reason="unknown_status", field="status")
        check_text("tag", self.tag, limits.TAG_CHARS)
        return JobFilter(
            self.status or None, self.type or None, tag=self.tag or None, batch=self.batch or None
        )

    @property
    def is_narrow(self) -> bool:
        """Whether they are about a tag or a batch, for which no counters are kept."""
        return bool(self.tag or self.batch)

    @property
    def words(self) -> list[str]:
        """What is asked for, for people."""
        said = {"type": self.type, "tag": self.tag, "batch": self.batch, "status": self.status}
        return [f"{name} {value}" for name, value in said.items() if value]

    def match(self, row: JobRow) -> bool:
        """Whether a row that was listed still belongs there: tags and batch stay what they are."""
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
    """count: None where there are too many to be counted."""

    name: str
    label: str
    count: int | None
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A row as the page shows it. gone: it no longer matches the filter. fresh: it changed with this push.

    paused: its type, if that is what a pending job waits for.
    """

    job: JobRow
    gone: bool = False
    fresh: bool = False
    paused: PausedType | None = None


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
        **asdict(filters.as_query()),
        before=filters.before or None,
        after=filters.after or None,
        limit=PAGE,
    )
    paused = _paused(access)
    lines = [Line(job, paused=_waits_for(job, paused)) for job in page.jobs]
    return {
        **_figures(access, filters),
        **_pauses(filters, paused, lines),
        "lines": lines,
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
        newer = queries.newer(project, actor, after=shown[0], **asdict(filters.as_query()))
    paused = _paused(access, since)
    lines = [Line(job, not filters.match(job), job.id in changed, _waits_for(job, paused)) for job in rows]
    return {
        **_figures(access, filters, since),
        **_pauses(filters, paused, lines),
        "lines": lines,
        "shown_count": sum(not line.gone for line in lines),
        "newer": newer,
        "newer_more": newer >= SHOWN_MAX,
    }


def _paused(access: Access, since: float | None = None) -> dict[str, PausedType]:
    def ask() -> dict[str, PausedType]:
        return {one.name: one for one in waiting.paused(access.project_id, access.actor)}

    return ask() if since is None else once(("jobs-paused", access.project_id), since, ask)


def _waits_for(job: JobRow, paused: Mapping[str, PausedType]) -> PausedType | None:
    return paused.get(job.type) if job.status == "pending" else None


def _pauses(filters: Filters, paused: Mapping[str, PausedType], lines: Sequence[Line]) -> dict[str, object]:
    """What stands above the list: the types that start nothing; under a tag or a batch those of the rows it shows."""
    waiting_for = {line.paused.name for line in lines if line.paused}
    about = [
        one
        for one in paused.values()
        if filters.type in ("", one.name) and (not filters.is_narrow or one.name in waiting_for)
    ]
    return {"paused": about[:PAUSED_MAX], "paused_more": about[PAUSED_MAX:], "paused_names": set(paused)}


def _figures(access: Access, filters: Filters, since: float | None = None) -> dict[str, object]:
    """Tabs and finer counts, shared among the pages that show the same change."""
    project, actor, filter = access.project_id, access.actor, filters.as_query()

    def ask() -> Figures | None:
        if filters.is_narrow:
            return filtered.figures(project, actor, filter)
        counts = queries.counts(project, actor, type=filter.type)
        return Figures(counts, queries.finer_counts(project, actor, type=filter.type))

    key = ("jobs", project, filter.type, filter.tag, filter.batch)
    figures = ask() if since is None else once(key, since, ask)

    def count(status: str) -> int | None:
        if figures is None:
            return None
        if status in FINER_STATES:
            return int(getattr(figures.finer, _FINER[status][1]))
        return int(getattr(figures.counts, status or "total"))

    return {
        "access": access,
        "filters": filters,
        "origin": settings.AERODASH_PUBLIC_URL,
        "clear_url": filters.url(status="", type="", tag="", batch=""),
        "any_status_url": filters.url(status=""),
        "any_batch_url": filters.url(batch=""),
        "tabs": [
            Tab(name, name.capitalize() or "All", count(name), filters.url(status=name), filters.tab == name)
            for name in ("", *Status.values)
        ],
        "finer": [
            {
                "label": label,
                "count": count(name),
                "of": of,
                "url": filters.url(status=name),
                "current": filters.status == name,
            }
            for name, (label, _, of) in _FINER.items()
        ],
        "matching": count(filters.status),
        "counted_max": filtered.COUNTED_MAX,
        "counted_at": datetime.now(UTC),
        "may_change": access.may(Scope.QUEUE_MANAGE),
    }
