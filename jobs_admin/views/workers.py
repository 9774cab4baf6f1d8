"""The Workers page: which processes run jobs, what each runs now, and which were lost."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from channels.db import database_sync_to_async
from django.http import HttpRequest, HttpResponse

from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import answer
from aerodash.realtime.pages import LiveView, live_url
from jobs_admin import queries, worker_figures
from jobs_admin.views import ranked
from jobs_admin.worker_figures import LOST_LATELY, STATES, Roll, WorkerNow

PAGE = 30
SHOWN_MAX = 200
LOST_SAID = 3
"""Workers lost lately that are told about in full above the list; the others are counted."""

LOOKS = {
    # a worker's state: its icon, its look
    "alive": ("access-point", "completed"),
    "lost": ("plug-connected-x", "lost"),
    "stopped": ("power", "pending"),
}


@dataclass(frozen=True, slots=True)
class Filters(ranked.Filters):
    """q: a part of a worker's host, id, version, or of a type that it runs."""

    states = STATES
    what = "a worker"

    def match(self, worker: WorkerNow) -> bool:
        wanted = self.q.strip().lower()
        texts = (worker.name, worker.id, worker.version, *worker.types)
        return self.state in ("", worker.state) and (
            not wanted or any(wanted in text.lower() for text in texts)
        )


@dataclass(frozen=True, slots=True)
class Line:
    """A row as the page shows it. gone: it no longer matches the filter."""

    worker: WorkerNow
    gone: bool

    @property
    def icon(self) -> str:
        return LOOKS[self.worker.state][0]

    @property
    def look(self) -> str:
        return LOOKS[self.worker.state][1]

    @property
    def unnamed(self) -> int:
        """Jobs that it holds besides those that are named."""
        return self.worker.leases - len(self.worker.running)


_FATES = {
    # of a job that a worker lost, by its status: one of them, several
    "completed": ("completed since", "completed since"),
    "processing": ("runs again now", "run again now"),
    "pending": ("waits to run again", "wait to run again"),
    "failed": ("failed for good", "failed for good"),
    "cancelled": ("was cancelled", "were cancelled"),
}


@project_page(Scope.QUEUE_READ)
async def workers(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/workers. htmx asks for the same fragments that the socket pushes, naming the rows it shows."""
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
    return answer(request, "jobs_admin/workers.html", context)


def push(view: LiveView) -> str:
    """What the socket sends after jobs of the project changed, and now and then: time alone makes a worker silent."""
    context = fragments(view.access, Filters.of(view.params), view.shown, view.since)
    return view.render("jobs_admin/workers.html#live", context)


def whole(access: Access, filters: Filters, since: float) -> dict[str, object]:
    """The context of the page as it is loaded."""
    roll = worker_figures.roll(access.project_id, access.actor, since=since)
    found = [worker for worker in roll.workers if filters.match(worker)]
    page, previous_url, next_url = ranked.page_of(found, filters, PAGE)
    return {
        **_figures(access, filters, roll),
        "lines": [Line(worker, gone=False) for worker in page],
        "shown_count": len(page),
        "matching": len(found),
        "previous_url": previous_url,
        "next_url": next_url,
        "live_url": live_url(access, "workers", **filters.as_params()),
    }


def fragments(access: Access, filters: Filters, shown: Sequence[str], since: float) -> dict[str, object]:
    """The context of an update: rows stay where they are; workers that came or were lost wait behind a bar."""
    if not shown and filters.is_first_page:
        return whole(access, filters, since)
    roll = worker_figures.roll(access.project_id, access.actor, since=since)
    known = {worker.id: worker for worker in roll.workers}
    found = [worker for worker in roll.workers if filters.match(worker)]
    on_page = set(shown)
    lines = [Line(known[id], not filters.match(known[id])) for id in shown if id in known]
    return {
        **_figures(access, filters, roll),
        "lines": lines,
        "shown_count": sum(not line.gone for line in lines),
        "matching": len(found),
        "come": sum(one.id not in on_page for one in found[:PAGE]) if filters.is_first_page else 0,
    }


def fate_words(fates: Mapping[str, int]) -> str:
    """Where the jobs that a worker lost stand now, as a sentence; "" if none were found."""
    number = sum(fates.values())
    if not number:
        return ""
    said = [(fates[one], words[fates[one] != 1]) for one, words in _FATES.items() if fates.get(one)]
    if len(said) == 1:
        [(_, words)] = said
        return (
            f"The job that it lost {words}." if number == 1 else f"All {number:,} jobs that it lost {words}."
        )
    return f"Of the {number:,} jobs that it lost, {', '.join(f'{count:,} {words}' for count, words in said)}."


def _figures(access: Access, filters: Filters, roll: Roll) -> dict[str, object]:
    """Tabs, and what was lost lately."""
    since = datetime.now(UTC) - LOST_LATELY
    lost = [one for one in roll.workers if one.lost_at is not None and one.lost_at >= since]
    said = [
        (one, worker_figures.fates(access.project_id, access.actor, id=one.id)) for one in lost[:LOST_SAID]
    ]
    numbers = {"": len(roll.workers), **{state: roll.count(state) for state in ("alive", "lost", "stopped")}}
    waiting = queries.counts(access.project_id, access.actor).pending if not numbers["alive"] else 0
    return {
        "access": access,
        "filters": filters,
        "is_filtered": bool(filters.state or filters.q),
        "clear_url": filters.url(state="", q=""),
        "tabs": [
            ranked.Tab(
                state, state.capitalize() or "All", count, filters.url(state=state), filters.state == state
            )
            for state, count in numbers.items()
        ],
        "alive": numbers["alive"],
        "known": len(roll.workers),
        "is_cut": roll.is_cut,
        "lost": [(one, fate_words(fates)) for one, fates in said],
        "lost_more": max(len(lost) - LOST_SAID, 0),
        "lost_url": filters.url(state="lost", q=""),
        "waiting": waiting,
        "leases": sum(one.leases for one in roll.workers),
        "leases_of": sum(1 for one in roll.workers if one.leases),
    }
