"""The Jobs page: status tabs with exact counts, filters and order in the URL, live rows, boxes to choose them."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Self
from urllib.parse import urlencode

from channels.db import database_sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from aerodash import limits
from aerodash.auth import Scope
from aerodash.console import charts
from aerodash.console.access import Access, project_page
from aerodash.console.answer import answer
from aerodash.errors import InvalidInput
from aerodash.realtime.pages import LiveView, live_url
from aerodash.realtime.shared import once
from jobs_admin import filtered, queries, waiting
from jobs_admin.bounds import check_text, is_job_id
from jobs_admin.filtered import Figures
from jobs_admin.models import Status
from jobs_admin.queries import FINER_STATES, JobFilter
from jobs_admin.records import JobRow
from jobs_admin.waiting import PausedType

PAGE = 20
SHOWN_MAX = 200
PAUSED_MAX = 3
"""Paused types that are said in full above the list; the others are named."""

NEXT_RUN = "next-run"
_ALWAYS_BY_RUN = ("due", "scheduled")
"""What is found by its next run only: by their ids, all pending jobs would have to be looked up."""

_TAB_OF = {"due": "pending", "scheduled": "pending", "retrying": "pending", "cancelling": "processing"}
_FINER = {
    # filter: what the link says, which figure, the tab it is part of
    "due": ("due now", "due_now", "Pending"),
    "scheduled": ("scheduled", "scheduled", "Pending"),
    "retrying": ("retrying", "retrying", "Pending"),
    "cancelling": ("cancelling", "cancelling", "Processing"),
}
_URL_NAMES = {"start": "from", "end": "to"}


@dataclass(frozen=True, slots=True)
class Filters:
    """What the URL says. status: one of the five or of the finer ones, "" for all. batch: its id. order: "" is newest first.

    range, or start and end (`from` and `to` in the URL): when they were enqueued, as charts have it; "" is any time.
    """

    status: str = ""
    type: str = ""
    tag: str = ""
    batch: str = ""
    range: str = ""
    start: str = ""
    end: str = ""
    order: str = ""
    before: str = ""
    after: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Self:
        """Raises InvalidInput for what no page has: the URL is anybody's."""
        named = {field.name: _URL_NAMES.get(field.name, field.name) for field in fields(cls)}
        self = cls(**{field: given.get(name, "").strip() for field, name in named.items()})
        if self.order not in ("", NEXT_RUN):
            raise InvalidInput(f"{self.order!r} is no order of jobs.", field="order")
        if self.order and not self.may_order:
            raise InvalidInput(
                "Only pending jobs can be ordered, and only without a tag, batch or time.", field="order"
            )
        return self

    @property
    def tab(self) -> str:
        return _TAB_OF.get(self.status, self.status)

    @property
    def first_page(self) -> bool:
        return not self.before and not self.after

    @property
    def may_order(self) -> bool:
        """Whether these can be ordered one way or the other."""
        return self.status == "pending" and not self.is_narrow

    @property
    def by_run(self) -> bool:
        """Whether the list goes by the next run, and not by the id."""
        return bool(self.order) or (self.status in _ALWAYS_BY_RUN and not self.is_narrow)

    def url(self, **changes: str) -> str:
        """The address of the page with some filters changed; a changed filter begins at the first job again."""
        given = {name: value for name, value in asdict(self).items() if name not in ("before", "after")}
        changed = type(self)(**(given | changes))
        if changed.order and not changed.may_order:
            changed = type(self)(**(given | changes | {"order": ""}))
        return "?" + urlencode(changed.as_params())

    def as_params(self) -> dict[str, str]:
        return {_URL_NAMES.get(name, name): value for name, value in asdict(self).items() if value}

    @property
    def window(self) -> charts.Window | None:
        """The time in which they were enqueued; None for any. Raises InvalidInput for what is none."""
        given = {"range": self.range, "from": self.start, "to": self.end}
        return charts.window(given, now=datetime.now(UTC)) if any(given.values()) else None

    def as_query(self) -> JobFilter:
        """Raises InvalidInput for an unknown status, what cannot be a tag, or no time."""
        if self.status not in ("", *Status.values, *FINER_STATES):
            raise InvalidInput(f"{self.status!r} is not a status.", reason="unknown_status", field="status")
        check_text("tag", self.tag, limits.TAG_CHARS)
        window = self.window
        return JobFilter(
            self.status or None,
            self.type or None,
            tag=self.tag or None,
            batch=self.batch or None,
            created_from=window and window.start_at,
            created_to=window.end_at if window and window.is_zoomed else None,
        )

    @property
    def is_narrow(self) -> bool:
        """Whether they are about a tag, a batch or a time, for which no counters are kept."""
        return bool(self.tag or self.batch or self.range or self.start or self.end)

    @property
    def words(self) -> list[str]:
        """What is asked for, for people."""
        window = self.window
        said = {
            "type": self.type,
            "tag": self.tag,
            "batch": self.batch,
            "enqueued": window.words if window and window.is_zoomed else window and f"in {window.words}",
            "status": self.status,
        }
        return [f"{name} {value}" for name, value in said.items() if value]

    def match(self, row: JobRow) -> bool:
        """Whether a row that was listed still belongs there: tags, batch and birth stay what they are."""
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
    """/p/<slug>/jobs. htmx asks for the same fragments that the socket pushes, naming the rows it shows.

    ?id=…: the job of this whole id; a list cannot say more about it than its own page.
    """
    wanted = request.GET.get("id", "").strip().lower()
    if is_job_id(wanted):
        return HttpResponseRedirect(reverse("job", args=[access.project.slug, wanted]))
    filters = Filters.of(request.GET)
    if request.htmx:  # type: ignore[attr-defined]
        shown = [one for one in request.GET.get("shown", "").split(",") if one][:SHOWN_MAX]
        context = await database_sync_to_async(fragments, thread_sensitive=False)(access, filters, shown)
    else:
        context = await database_sync_to_async(whole, thread_sensitive=False)(access, filters)
    return answer(request, "jobs_admin/jobs.html", context | {"not_an_id": wanted})


def push(view: LiveView) -> str:
    """What the socket sends after jobs of the project changed."""
    context = fragments(view.access, Filters.of(view.params), view.shown, view=view)
    return view.render("jobs_admin/jobs.html#live", context)


def whole(access: Access, filters: Filters) -> dict[str, object]:
    """The context of the page as it is loaded."""
    project, actor = access.project_id, access.actor
    if filters.by_run:
        runs = queries.next_runs(
            project,
            actor,
            type=filters.type or None,
            state=filters.status,
            after=filters.after or None,
            limit=PAGE,
        )
        rows, newer_url, older_url = runs.jobs, filters.after and filters.url(), runs.after
    else:
        page = queries.page(
            project,
            actor,
            **asdict(filters.as_query()),
            before=filters.before or None,
            after=filters.after or None,
            limit=PAGE,
        )
        rows, newer_url, older_url = page.jobs, page.newer and filters.url(after=page.newer), page.older
    paused = _paused(access)
    lines = [Line(job, paused=_waits_for(job, paused)) for job in rows]
    return {
        **_figures(access, filters),
        **_pauses(filters, paused, lines),
        "lines": lines,
        "shown_count": len(lines),
        "newer_url": newer_url,
        "older_url": older_url and filters.url(**{"after" if filters.by_run else "before": older_url}),
        "types": queries.types(project, actor),
        "live_url": live_url(access, "jobs", **filters.as_params()),
    }


def fragments(
    access: Access, filters: Filters, shown: Sequence[str], *, view: LiveView | None = None
) -> dict[str, object]:
    """The context of an update: the rows that are on the page stay where they are, new ones wait behind a bar.

    view: what asks, where one look is for many pages.
    """
    if not shown and filters.first_page:
        return whole(access, filters)
    since = view and view.since
    changed = (view and view.ids) or frozenset()
    rows = _rows(access, shown, view)
    newer = 0
    if filters.first_page and shown and not filters.by_run:
        newer = _newer(access, filters, shown[0], view)
    paused = _paused(access, since)
    lines = [Line(job, not filters.match(job), job.id in changed, _waits_for(job, paused)) for job in rows]
    gone = sum(line.gone for line in lines)
    return {
        **_figures(access, filters, since),
        **_pauses(filters, paused, lines),
        "lines": lines,
        # Of what is known to have changed, those rows alone: the others would only be compared, in every page.
        "changed": [line for line in lines if line.fresh] if changed and len(lines) == len(shown) else None,
        "shown_count": len(lines) - gone,
        "begun": gone if filters.by_run else 0,
        "newer": newer,
        "newer_more": newer >= SHOWN_MAX,
    }


def _rows(access: Access, shown: Sequence[str], view: LiveView | None) -> list[JobRow]:
    """The rows on the page, in the order in which they stand there."""
    project, actor = access.project_id, access.actor

    def ask(ids: Iterable[str]) -> dict[str, JobRow]:
        return {row.id: row for row in queries.rows(project, actor, ids=ids)}

    found = ask(shown) if view is None else view.once("rows", lambda: ask(view.everyone or shown))
    return [found[id] for id in shown if id in found]


def _newer(access: Access, filters: Filters, first: str, view: LiveView | None) -> int:
    """How many jobs came after the first row, counted up to SHOWN_MAX: one question for pages that began at other rows."""
    filter = filters.as_query()

    def ask(after: str) -> list[str]:
        newest_first = queries.newer_ids(
            access.project_id, access.actor, after=after, filter=filter, most=SHOWN_MAX
        )
        return [str(id) for id in reversed(newest_first)]

    if view is None:
        return len(ask(first))
    # Rooms look for the page with the oldest rows first: what came after those holds what came after any other's.
    ids = view.once(("newer", filters.url()), lambda: ask(first))
    return len(ids) - bisect_right(ids, first)


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

    key = (
        "jobs",
        project,
        filters.type,
        filters.tag,
        filters.batch,
        filters.range,
        filters.start,
        filters.end,
    )
    figures = ask() if since is None else once(key, since, ask)

    def count(status: str) -> int | None:
        if figures is None:
            return None
        if status in FINER_STATES and figures.finer is None:
            return None
        if status in FINER_STATES:
            return int(getattr(figures.finer, _FINER[status][1]))
        return int(getattr(figures.counts, status or "total"))

    return {
        "access": access,
        "filters": filters,
        "origin": settings.AERODASH_PUBLIC_URL,
        "clear_url": "?",
        "any_status_url": filters.url(status=""),
        "any_batch_url": filters.url(batch=""),
        "any_time_url": filters.url(range="", start="", end=""),
        "ranges": [(name, words) for name, (words, _) in charts.RANGES.items()],
        "window": filters.window,
        "by_id_url": filters.url(order=""),
        "by_run_url": filters.url(order=NEXT_RUN) if filters.may_order else "",
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
        "counted_max": filtered.COUNTED_MAX if filters.tag or filters.batch else filtered.COUNTED_OF_A_TIME,
        "chosen_url": reverse("jobs-selected", args=[access.project.slug]),
        "counted_at": datetime.now(UTC),
        "may_change": access.may(Scope.QUEUE_MANAGE),
    }
