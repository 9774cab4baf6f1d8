"""The Types page: what kinds of jobs there are, how each stands, those that need a person first."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from channels.db import database_sync_to_async
from django.http import Http404, HttpRequest, HttpResponse

from aerodash import limits
from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import answer
from aerodash.realtime.pages import LiveView, live_url
from jobs_admin import type_figures
from jobs_admin.records import TypeRow
from jobs_admin.type_figures import TROUBLES, Place, TypeNow
from jobs_admin.views import ranked

PAGE = 30
SHOWN_MAX = 200
SPARK_WIDTH, SPARK_HEIGHT = 96, 22

_TYPE = re.compile(limits.JOB_TYPE_PATTERN)

STATES = {
    # what the URL says: the word on the tab, the word and the icon on a row, its look
    "failing": ("Failing", "failing", "circle-x", "failed"),
    "stuck": ("Not picked up", "not picked up", "plug-connected-x", "failed"),
    "late": ("Late", "late", "clock-exclamation", "retrying"),
    "paused": ("Paused", "paused", "player-pause", "paused"),
}


@dataclass(frozen=True, slots=True)
class Filters(ranked.Filters):
    states = TROUBLES
    what = "a type"

    def match(self, name: str, trouble: str) -> bool:
        return self.state in ("", trouble) and self.q.strip().lower() in name.lower()


@dataclass(frozen=True, slots=True)
class Line:
    """A row as the page shows it. gone: it no longer matches the filter. spark: SVG points of the last hour's runs."""

    now: TypeNow
    gone: bool
    spark: str
    limits: list[str]

    @property
    def word(self) -> str:
        """How it stands, in a word."""
        if self.now.trouble:
            return STATES[self.now.trouble][1]
        if self.now.is_taken:
            return "running"
        if self.now.due.number != 0:
            return "waiting"
        return "scheduled" if self.now.row.counts.pending else "idle"

    @property
    def icon(self) -> str:
        return STATES[self.now.trouble][2] if self.now.trouble else _QUIET[self.word][0]

    @property
    def look(self) -> str:
        return STATES[self.now.trouble][3] if self.now.trouble else _QUIET[self.word][1]


_QUIET = {
    "running": ("player-play", "processing"),
    "waiting": ("clock", "pending"),
    "scheduled": ("calendar-clock", "scheduled"),
    "idle": ("point", "pending"),
}


@project_page(Scope.QUEUE_READ)
async def types(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/types. htmx asks for the same fragments that the socket pushes, naming the rows it shows."""
    filters = Filters.of(request.GET.dict())
    if request.htmx:  # type: ignore[attr-defined]
        shown = [one for one in request.GET.get("shown", "").split(",") if one][:SHOWN_MAX]
        context = await database_sync_to_async(fragments, thread_sensitive=False)(
            access, filters, shown, time.monotonic()
        )
    else:
        context = await database_sync_to_async(whole, thread_sensitive=False)(
            access, filters, time.monotonic()
        )
    return answer(request, "jobs_admin/types.html", context)


def push(view: LiveView) -> str:
    """What the socket sends after jobs or types of the project changed."""
    context = fragments(view.access, Filters.of(view.params), view.shown, view.since)
    return view.render("jobs_admin/types.html#live", context)


def whole(access: Access, filters: Filters, since: float) -> dict[str, object]:
    """The context of the page as it is loaded."""
    places = type_figures.roster(access.project_id, access.actor, since=since)
    found = _matching(places, filters)
    page, previous_url, next_url = ranked.page_of(found, filters, PAGE)
    names = [place.name for place in page]
    lines = _lines(access, names, filters, since)
    return {
        **_figures(access, filters, places),
        "lines": lines,
        "shown_count": len(lines),
        "matching": len(found),
        "previous_url": previous_url,
        "next_url": next_url,
        "live_url": live_url(access, "types", **filters.as_params()),
    }


def fragments(access: Access, filters: Filters, shown: Sequence[str], since: float) -> dict[str, object]:
    """The context of an update: rows stay where they are; types that have come to need a person wait behind a bar."""
    shown = [name for name in shown if _TYPE.fullmatch(name)]
    if not shown and filters.is_first_page:
        return whole(access, filters, since)
    places = type_figures.roster(access.project_id, access.actor, since=since)
    found = _matching(places, filters)
    risen = 0
    if filters.is_first_page:
        on_page = set(shown)
        risen = sum(bool(place.trouble) and place.name not in on_page for place in found[:PAGE])
    lines = _lines(access, shown, filters, since)
    return {
        **_figures(access, filters, places),
        "lines": lines,
        "shown_count": sum(not line.gone for line in lines),
        "matching": len(found),
        "risen": risen,
    }


def check_name(name: str) -> None:
    """Raises Http404 for what can be no type."""
    if not _TYPE.fullmatch(name):
        raise Http404("No type has such a name.")


def limits_of(row: TypeRow) -> list[str]:
    """What a type's settings let through, in words: "4 at once", "60 a minute", "2 at once per key"."""
    say, said = row.settings, []
    if say.concurrency is not None:
        said.append(f"{say.concurrency:,} at once")
    if say.rate is not None:
        said.append(rate_words(say.rate, say.rate_per_ms))
    if say.partition_concurrency is not None:
        said.append(f"{say.partition_concurrency:,} at once per key")
    if say.partition_rate is not None:
        said.append(f"{rate_words(say.partition_rate, say.partition_rate_per_ms)} per key")
    return said


def rate_words(starts: int, per_ms: int | None) -> str:
    """So many starts, and in which time: "60 a minute", "5 in 90 s"."""
    units = {1_000: "a second", 60_000: "a minute", 3_600_000: "an hour", 86_400_000: "a day"}
    return f"{starts:,} {units.get(per_ms or 1_000) or f'in {(per_ms or 0) / 1000:,g} s'}"


def spark(minutes: Sequence[int]) -> str:
    """SVG points of figures, two at a time; "" if they are all 0."""
    over = minutes[1:-1]  # the last one goes on, and would look like a fall
    pairs = [sum(over[at : at + 2]) for at in range(0, len(over), 2)]
    top = max(pairs, default=0)
    if not top:
        return ""
    step = SPARK_WIDTH / max(len(pairs) - 1, 1)
    return " ".join(
        f"{at * step:.0f},{SPARK_HEIGHT - 1 - value / top * (SPARK_HEIGHT - 2):.0f}"
        for at, value in enumerate(pairs)
    )


def _matching(places: Sequence[Place], filters: Filters) -> list[Place]:
    if not filters.state and not filters.q:
        return list(places)
    return [place for place in places if filters.match(place.name, place.trouble)]


def _lines(access: Access, names: Sequence[str], filters: Filters, since: float) -> list[Line]:
    known = type_figures.look(access.project_id, access.actor, names=names, since=since)
    return [
        Line(
            now,
            gone=not filters.match(now.name, now.trouble),
            spark=spark(now.hour.minutes) if now.hour else "",
            limits=limits_of(now.row),
        )
        for now in known
    ]


def _figures(access: Access, filters: Filters, places: Sequence[Place]) -> dict[str, object]:
    """Tabs and sentences above the list."""
    numbers = dict.fromkeys(("", *TROUBLES), 0)
    for place in places:
        if filters.q.strip().lower() in place.name.lower():
            numbers[""] += 1
            if place.trouble:
                numbers[place.trouble] += 1
    return {
        "access": access,
        "filters": filters,
        "is_filtered": bool(filters.state or filters.q),
        "clear_url": filters.url(state="", q=""),
        "any_state_url": filters.url(state=""),
        "tabs": [
            ranked.Tab(
                name,
                STATES[name][0] if name else "All",
                count,
                filters.url(state=name),
                filters.state == name,
            )
            for name, count in numbers.items()
        ],
        "troubled": sum(bool(place.trouble) for place in places),
        "known": len(places),
        "counted_at": datetime.now(UTC),
        "late_s": type_figures.LATE_S,
        "due_most": type_figures.DUE_COUNTED,
        "may_change": access.may(Scope.QUEUE_MANAGE),
    }
