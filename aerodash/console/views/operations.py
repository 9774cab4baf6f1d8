"""The pages of long work: /p/<slug>/operations lists it, /p/<slug>/operations/<id> shows one go on, and stops it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from aerodash import operations
from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import answer, next_url
from aerodash.errors import InvalidInput
from aerodash.operations import kinds
from aerodash.operations.kinds import Words
from aerodash.operations.record import Operation
from aerodash.realtime.pages import LiveView, live_url

PAGE = 50
LATE_S = 5.0
"""A keeper takes up what waits within a second, and one that was killed is replaced within five."""
SHOW_RATE_AFTER_S = 1.0
SHOWS = {"": "All", "open": "Open", "done": "Done", "stopped": "Stopped", "failed": "Failed"}
_STATES = {
    "open": ("waiting", "running"),
    "done": ("done",),
    "stopped": ("cancelled",),
    "failed": ("failed",),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One operation as the component shows it. state: waiting, running, stopping, done, stopped or failed.

    passed: how many things it has looked at. percent: of the total, at most 100. left_s: about how long it still takes.
    is_late: nobody has taken it up for longer than it takes a keeper.
    """

    one: Operation
    words: Words
    unit: str
    state: str
    may_stop: bool
    passed: int
    percent: float
    took_s: float | None
    per_s: float | None
    left_s: float | None
    is_late: bool

    @property
    def title(self) -> str:
        """What it does, or once it is done, what it did; the target is left to the page."""
        return f"{self.words.did if self.state == 'done' else self.words.doing} {self.words.what}"

    @property
    def row_id(self) -> str:
        return str(self.one.id)


@require_GET
@project_page(Scope.CACHE_READ)
async def operation_list(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/operations?show=…&before=…: what runs and what has ended, newest first; for htmx the list alone."""
    context = await _list(access, request.GET.get("show", ""), request.GET.get("before", ""))
    return answer(request, "console/operations.html", context)


@require_GET
@project_page(Scope.CACHE_READ)
async def operation(request: HttpRequest, access: Access, id: str) -> HttpResponse:
    """/p/<slug>/operations/<id>: how far it is, or how it ended; for htmx that part alone."""
    context = await _one(access, id)
    if context is None:
        raise Http404("This project has no such operation.")
    return answer(request, "console/operation.html", context)


@require_POST
@project_page(Scope.CACHE_READ)
async def operation_stop(request: HttpRequest, access: Access, id: str) -> HttpResponse:
    """Ask the keeper to stop it, and lead back to where the button was. The kind's own right is asked for by the verb."""
    found = await operations.cancel(access.project_id, access.actor, id=id)
    if found is None:
        raise Http404("This project has no such operation.")
    if found.is_open:
        messages.success(request, "Asked to stop. What is done stays done.")
    elif found.state == "cancelled":
        messages.success(request, "Stopped. What is done stays done.")
    else:
        messages.info(request, "It had ended already.")
    return HttpResponseRedirect(next_url(request, url_of(access, id)))


async def push_list(view: LiveView) -> str:
    """What the socket sends to an open list."""
    context = await _list(view.access, view.params.get("show", ""), view.params.get("before", ""))
    return view.render("console/operations.html#live", context)


async def push_one(view: LiveView) -> str:
    """What the socket sends to the page of an operation that moved."""
    id = view.params.get("id", "")
    context = await _one(view.access, id) if view.ids is None or id in view.ids else None
    return "" if context is None else view.render("console/operation.html#live", context)


def url_of(access: Access, id: object) -> str:
    return reverse("operation", args=[access.project.slug, id])


def shown(one: Operation, access: Access, now: datetime) -> Shown:
    """The operation in words and figures."""
    kind = kinds.find(one.kind)
    passed = one.done + one.skipped
    began, ended = one.started_at, one.ended_at
    took_s = ((ended or now) - began).total_seconds() if began else None
    per_s = passed / took_s if took_s and took_s >= SHOW_RATE_AFTER_S and passed else None
    is_running = one.state == "running"
    waits_since = one.written_at or one.created_at
    return Shown(
        one=one,
        words=kind.words(one.params),
        unit=kind.unit,
        state=_state(one),
        may_stop=access.may(kind.scope),
        passed=passed,
        percent=100.0 if one.state == "done" else min(100 * passed / one.total, 100) if one.total else 0.0,
        took_s=took_s,
        per_s=per_s,
        left_s=max(one.total - passed, 0) / per_s if per_s and is_running and not one.error else None,
        is_late=one.is_open and (now - waits_since).total_seconds() > LATE_S,
    )


def _state(one: Operation) -> str:
    if one.state == "cancelled":
        return "stopped"
    return "stopping" if one.is_open and one.cancel_requested_at else one.state


async def _one(access: Access, id: str) -> dict[str, object] | None:
    found = await operations.get(access.project_id, access.actor, id=id)
    if found is None:
        return None
    op = shown(found, access, datetime.now(UTC))
    return {"op": op, "may_stop": op.may_stop, "live_url": live_url(access, "operation", id=id)}


async def _list(access: Access, show: str, before: str) -> dict[str, object]:
    if show not in SHOWS:
        raise InvalidInput(f"{show!r} is none of {', '.join(filter(None, SHOWS))}.", field="show")
    found, older = await operations.list_page(
        access.project_id, access.actor, states=_STATES.get(show, ()), limit=PAGE, cursor=before or None
    )
    now = datetime.now(UTC)
    lines = [shown(one, access, now) for one in found]
    return {
        "lines": lines,
        "show": show,
        "shows": [(name, label, _url(show=name)) for name, label in SHOWS.items()],
        "newest_url": _url(show=show) if before else "",
        "older_url": _url(show=show, before=older) if older else "",
        "may_stop": all(line.may_stop for line in lines),
        "live_url": live_url(access, "operations", show=show, before=before),
    }


def _url(**params: str) -> str:
    return "?" + urlencode({name: value for name, value in params.items() if value})
