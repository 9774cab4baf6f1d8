"""The Schedules page: which jobs the clock enqueues, when next, and how the last ones ended."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Self
from urllib.parse import urlencode

from channels.db import database_sync_to_async
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import answer
from aerodash.errors import InvalidInput
from aerodash.realtime.pages import LiveView, live_url
from jobs_admin import queries, schedule_figures, waiting

PAGE = 25
SHOWS = {"": "All", "paused": "Paused", "faulty": "Cannot fire"}


@dataclass(frozen=True, slots=True)
class Filters:
    """What the URL says. show: one of SHOWS."""

    show: str = ""
    type: str = ""
    after: str = ""
    before: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Self:
        """Raises InvalidInput for an unknown `show`."""
        filters = cls(**{field.name: given.get(field.name, "") for field in fields(cls)})
        if filters.show not in SHOWS:
            raise InvalidInput(f"{filters.show!r} is none of {', '.join(filter(None, SHOWS))}.", field="show")
        return filters

    def url(self, **changes: str) -> str:
        """The page with some filters changed, from its beginning unless a cursor is among them."""
        given = {"show": self.show, "type": self.type} | changes
        return "?" + urlencode({name: value for name, value in given.items() if value})


@dataclass(frozen=True, slots=True)
class Tab:
    name: str
    label: str
    count: int
    url: str
    current: bool


@require_safe
@project_page(Scope.QUEUE_READ)
async def schedules(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/schedules?show=…&type=…; for htmx the list alone."""
    filters = Filters.of(request.GET.dict())
    context = await database_sync_to_async(content, thread_sensitive=False)(access, filters)
    return answer(request, "jobs_admin/schedules.html", context)


def push(view: LiveView) -> str:
    """What the socket sends after jobs or schedules of the project changed."""
    return view.render("jobs_admin/schedules.html#live", content(view.access, Filters.of(view.params)))


def content(access: Access, filters: Filters) -> dict[str, object]:
    project, actor = access.project_id, access.actor
    page = schedule_figures.page(
        project,
        actor,
        show=filters.show,
        type=filters.type,
        after=filters.after or None,
        before=filters.before or None,
        limit=PAGE,
    )
    totals = schedule_figures.totals(project, actor)
    counts = {"": totals.all, "paused": totals.paused, "faulty": totals.faulty}
    given = {name: value for name, value in asdict(filters).items() if value}
    return {
        "filters": filters,
        "lines": page.lines,
        "tabs": [
            Tab(show, label, counts[show], filters.url(show=show), show == filters.show)
            for show, label in SHOWS.items()
        ],
        "totals": totals,
        "older_url": page.after and filters.url(after=page.after),
        "newer_url": page.before and filters.url(before=page.before),
        "clear_url": filters.url(show="", type=""),
        "types": queries.types(project, actor),
        "keeper": waiting.keeper(),
        "may_change": access.may(Scope.QUEUE_MANAGE),
        "live_url": live_url(access, "schedules", **given),
    }
