"""The Overview: what needs a person, vital signs, what became of jobs and cache over time, and what was changed."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from aerodash import database
from aerodash.auth import Scope
from aerodash.console import charts
from aerodash.console.access import Access, project_page
from aerodash.console.answer import answer
from aerodash.console.charts import Window
from aerodash.console.overview import cache, history, house, issues, outcomes, queue, tiles
from aerodash.console.overview.issues import Known
from aerodash.console.overview.looks import see
from aerodash.console.overview.steps import first_steps
from aerodash.errors import AeroDashError, EngineDown
from aerodash.realtime.pages import LiveView, live_url

PAGE = "console/overview.html"
RANGE = "3h"
EVERY_S = 2.0
"""How often at most its open pages are shown new figures."""
FRESH_S = 5.0
"""What the timeline says may be so old: it is itself a few seconds behind."""
SHOWN = 6
"""Sentences that stand open; the others are folded."""


@dataclass(frozen=True, slots=True)
class Past:
    """What lies in the time shown. None: she may not see it. An error: why it could not be read."""

    jobs: history.JobsPast | AeroDashError | None
    cache: history.CachePast | AeroDashError | None
    changes: tuple[history.Change, ...] | AeroDashError


@require_GET
@project_page(Scope.QUEUE_READ, Scope.CACHE_READ)
async def overview(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/overview?range=… or ?from=…&to=…; for htmx the parts that change."""
    window = charts.window(request.GET, now=datetime.now(UTC), default=RANGE)
    context = await _whole(access, window, since=time.monotonic())
    return answer(request, PAGE, context)


async def push(view: LiveView) -> str:
    """What the socket sends: sentences and signs, and now and then, when all is looked at, the charts too.

    A page that was loaded when the project was empty has no signs that could be changed: it gets everything.
    """
    window = charts.window(view.params, now=datetime.now(UTC), default=RANGE)
    if "empty" in view.params or (view.ids is None and not window.is_zoomed):
        return view.render(f"{PAGE}#live", await _whole(view.access, window, since=view.since))
    return view.render(f"{PAGE}#live-now", await _now(view.access, since=view.since))


async def _whole(access: Access, window: Window, *, since: float) -> dict[str, object]:
    now, past = await asyncio.gather(_now(access, since=since), _past(access, window, since=since))
    page = "overview" if access.may(Scope.QUEUE_READ) else "overview-cache"
    empty = {"empty": "1"} if now["is_empty"] else {}
    return {
        **now,
        "past": past,
        "window": window,
        "jobs_error": _error(past.jobs),
        "cache_error": _error(past.cache),
        "changes_error": _error(past.changes),
        "live_url": live_url(access, page, **window.params(), **empty),
    }


async def _now(access: Access, *, since: float) -> dict[str, object]:
    """The context of the sentences and the signs."""
    known = await _known(access, since=since)
    now, home = datetime.now(UTC), f"/p/{access.project.slug}"
    found = issues.issues(known, home, now)
    return {
        "issues": found[:SHOWN],
        "more_issues": found[SHOWN:],
        "said": issues.words(len(found)),
        "tiles": tiles.tiles(known, home, now),
        "off_habit": _off_habit(known),
        "quiet": _quiet(known),
        "missing": _missing(access),
        "is_empty": _is_empty(known),
        "steps": first_steps(settings.AERODASH_PUBLIC_URL, access.project.slug, missing=_missing(access)),
        "as_of": now,
    }


async def _known(access: Access, *, since: float) -> Known:
    project, actor = access.project_id, access.actor

    async def ask[T](
        name: str, what: str, look: Callable[[], Awaitable[T]], *, age_s: float = 0.0
    ) -> T | AeroDashError:
        try:
            return await see((name, project), look, since=since - age_s, what=what)
        except EngineDown as exc:
            return exc

    async def of_queue[T](
        name: str, read: Callable[[], T], *, age_s: float = 0.0
    ) -> T | AeroDashError | None:
        if not actor.may(Scope.QUEUE_READ):
            return None
        return await ask(name, "The database", database.ask(read), age_s=age_s)

    async def of_cache() -> cache.CacheNow | AeroDashError | None:
        if not actor.may(Scope.CACHE_READ):
            return None
        return await ask("cache", "The cache engine", lambda: cache.now(project, actor))

    in_house, in_queue, lately, in_cache = await asyncio.gather(
        ask("house", "The database", database.ask(house.now)),
        of_queue("queue", lambda: queue.now(project, actor)),
        of_queue("outcomes", lambda: outcomes.now(project, actor, at=datetime.now(UTC)), age_s=FRESH_S),
        of_cache(),
    )
    return Known(house=in_house, queue=in_queue, outcomes=lately, cache=in_cache)


async def _past(access: Access, window: Window, *, since: float) -> Past:
    project, actor, home = access.project_id, access.actor, f"/p/{access.project.slug}"
    shown = tuple(window.params().items())

    async def ask[T](name: str, read: Callable[..., T], *, age_s: float = 0.0) -> T | AeroDashError:
        look = database.ask(lambda: read(project, actor, window, home))
        # Markers and changes differ by what one may see, and with the role.
        key = (name, project, shown, access.role)
        try:
            return await see(key, look, since=since - age_s, what="The database")
        except EngineDown as exc:
            return exc

    async def nothing() -> None:
        return None

    jobs, of_cache, changes = await asyncio.gather(
        ask("jobs-past", history.of_jobs, age_s=FRESH_S) if actor.may(Scope.QUEUE_READ) else nothing(),
        ask("cache-past", history.of_cache, age_s=FRESH_S) if actor.may(Scope.CACHE_READ) else nothing(),
        ask("changes", history.changes),
    )
    return Past(jobs, of_cache, changes)


def _error(part: object) -> AeroDashError | None:
    return part if isinstance(part, AeroDashError) else None


def _missing(access: Access) -> str:
    """The half that this person may not see, if there is one."""
    if not access.may(Scope.QUEUE_READ):
        return "queue"
    return "" if access.may(Scope.CACHE_READ) else "cache"


def _is_empty(known: Known) -> bool:
    """Whether nothing was ever put into what she may see, so that first steps are shown and no charts of nothing."""
    jobs = isinstance(known.queue, queue.QueueNow) and not known.queue.counts.total
    keys = isinstance(known.cache, cache.CacheNow) and not known.cache.figures.keys.number
    return (jobs or known.queue is None) and (keys or known.cache is None)


def _off_habit(known: Known) -> set[str]:
    """The types that fail more than by habit."""
    lately = known.outcomes
    return {one.type for one in lately.failing} if isinstance(lately, outcomes.Outcomes) else set()


def _quiet(known: Known) -> Mapping[str, object]:
    """The figures of the sentence that nothing is wrong."""
    return {
        "queue": known.queue if isinstance(known.queue, queue.QueueNow) else None,
        "cache": known.cache if isinstance(known.cache, cache.CacheNow) else None,
    }
