"""Every component in every state on one page, for whoever builds or judges pages. In debug mode only.

The parts are the real ones with invented figures, one incident that adds up: 2026-03-18, a mail server refuses.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from aerodash.auth import ROLE_SCOPES, Actor, Door, Role
from aerodash.console import charts
from aerodash.console.access import Access
from aerodash.console.answer import problem
from aerodash.console.charts import Chart, Marker, Series
from aerodash.console.context import THEME_COOKIE, THEMES
from aerodash.console.views.operations import Shown, shown
from aerodash.errors import EngineDown, InvalidInput
from aerodash.ids import ProjectId
from aerodash.models import Project, User
from aerodash.operations.record import Operation
from aerodash.templatetags.aerodash_ui import STATUS
from cache_admin import flushes

WORDS = {
    "pending": "due, waits for a worker",
    "scheduled": "pending, due later, has not run",
    "retrying": "pending after a failed attempt",
    "processing": "a worker holds the lease",
    "cancelling": "processing, asked to stop",
    "completed": "ended well",
    "failed": "ended: no attempt left, final, or poison",
    "cancelled": "ended by a person or a program",
    "paused": "a type that starts nothing",
    "lost": "a worker without heartbeat",
    "due": "pending, and what a worker would get now",
    "waiting": "an operation that no keeper has taken up",
    "running": "an operation that goes on",
    "stopping": "an operation, asked to stop",
    "done": "an operation that did all of it",
    "stopped": "an operation that somebody stopped",
}
LIVE_STATES = ("connecting", "live", "paused", "behind", "degraded", "restarting", "lost")
TOASTS = (
    ("success", "Job …dda1494c runs again."),
    ("info", "It had ended already."),
    ("warning", "3 of 12 jobs could not be retried: their type is paused."),
    ("error", "The cache engine does not answer. Nothing was changed."),
)
ENVIRONMENTS = (("production", "shop"), ("staging", "shop-staging"), ("development", "shop-dev"))
MINUTES = 180


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the sample table. css: how it looks. chosen: its box is checked."""

    id: str
    state: str
    type: str
    at: datetime
    error: str = ""
    css: str = ""
    chosen: bool = False


def styleguide(request: HttpRequest) -> HttpResponse:
    """/styleguide?theme=light|dark: the page of all parts."""
    _pretend(request)
    now = datetime.now(UTC)
    window = charts.window(request.GET.dict(), now=now)
    context = {
        "now": now,
        "soon": now + timedelta(minutes=4, seconds=12),
        "very_soon": now + timedelta(seconds=41),
        "later": now + timedelta(days=30, hours=2),
        "earlier": now - timedelta(minutes=2, seconds=4),
        "words": [(word, WORDS.get(word, "")) for word in sorted(STATUS, key=list(WORDS).index)],
        "rows": _rows(now),
        "operations": _operations(request.console, now),  # type: ignore[attr-defined]
        "window": window,
        "busy": _busy(now),
        "memory": _memory(now),
        "gaps": _gaps(now),
        "nothing": Chart(
            "nothing", "Evaluations per minute", "", [], [Series("on", []), Series("off", [], "idle")]
        ),
        "live_states": LIVE_STATES,
        "toasts": TOASTS,
        "environments": ENVIRONMENTS,
    }
    return render(request, "console/styleguide.html", context)


def styleguide_page(request: HttpRequest, name: str) -> HttpResponse:
    """/styleguide/<name>: the states that are pages of their own."""
    _pretend(request)
    confirm = {
        "question": "Delete 40,212 keys under session:eu:?",
        "verb": "Delete 40,212 keys",
        "keep": "Keep them",
        "back_url": "/styleguide",
        "figures": [
            ("Keys", "40,212", "exact"),
            ("Size", "≈ 61.4 MiB", "by a sample of 1,000"),
            ("Undo", "none", ""),
        ],
        "typed": "40212",
    }
    match name:
        case "confirm":
            return render(request, "components/confirm.html", confirm)
        case "confirm-again":
            again = {"error": "That is not 40212. Nothing was deleted."}
            return render(request, "components/confirm.html", confirm | again, status=422)
        case "no-permission":
            return render(request, "console/no_permission.html", {"scope": "queue:read"}, status=403)
        case "engine-down":
            return problem(request, EngineDown("The cache engine does not answer."))
        case "not-possible":
            return problem(
                request, InvalidInput("'soon' is none of 1h, 3h, 24h, 3d, 30d, 1y.", field="range")
            )
    raise Http404("The style guide has no such page.")


def _pretend(request: HttpRequest) -> None:
    """Look at it as an owner of many projects would. Raises Http404 unless in debug mode."""
    if not settings.DEBUG:
        raise Http404("The style guide is there in debug mode only: AERODASH_DEBUG=1.")
    if (theme := request.GET.get("theme", "")) in THEMES:
        request.COOKIES[THEME_COOKIE] = theme
    projects = [
        Project(pk=n, slug=slug, name=slug, environment=where) for n, (where, slug) in enumerate(ENVIRONMENTS)
    ]
    projects += [
        Project(pk=n, slug=f"tenant-{n}", name=f"Tenant {n}", environment="development") for n in range(3, 12)
    ]
    user = User(pk=0, username="Ines")
    actor = Actor("user", "0", "Ines", ROLE_SCOPES[Role.OWNER], Door.CONSOLE)
    request.console = Access(user, projects[0], Role.OWNER, actor, tuple(projects))  # type: ignore[attr-defined]


def _rows(now: datetime) -> list[Row]:
    ago = timedelta
    return [
        Row("0197f2aa-41d5-7c1e-9a51-0c52dda1494c", "failed", "send-email", now - ago(seconds=12), "SMTPServerBusy: 421 too many connections from this host, try again later"),
        Row("0197f2aa-41d6-7aa0-8d04-5b1e77c0a1f2", "processing", "generate-report", now - ago(seconds=41), css="is-fresh"),
        Row("0197f2aa-41d7-7402-b7e3-90aa12cd34ef", "retrying", "deliver-webhook", now - ago(minutes=2), "HTTPStatusError: 502", chosen=True, css="is-sel"),
        Row("0197f2aa-41d8-79b1-a2c4-3f2e5d6c7b8a", "completed", "resize-image-with-a-name-that-does-not-fit-its-column", now - ago(minutes=3), css="is-gone"),
        Row("0197f2aa-41d9-7e55-9c11-aa00bb11cc22", "scheduled", "import-row", now - ago(hours=3)),
    ]  # fmt: skip


def _operations(access: Access, now: datetime) -> list[Shown]:
    """One in each state."""
    base = {
        "project": ProjectId(0), "kind": flushes.KIND, "params": {"prefix": "session:eu:", "upTo": 9}, "turn": 1,
        "cursor": None, "result": {}, "total": 40_212, "total_is_exact": True, "done": 18_304, "skipped": 0,
        "done_is_exact": True, "error": "", "by": "Ines", "door": "console", "created_at": now - timedelta(seconds=30),
        "started_at": now - timedelta(seconds=22), "written_at": now, "ended_at": None, "cancel_requested_at": None,
        "cancel_requested_by": "",
    }  # fmt: skip
    states = [
        {"state": "waiting", "started_at": None, "done": 0, "created_at": now},
        {"state": "running", "skipped": 11},
        {"state": "running", "error": "Valkey cannot be reached."},
        {"state": "running", "written_at": now - timedelta(seconds=40)},
        {"state": "running", "cancel_requested_at": now, "cancel_requested_by": "Ada"},
        {"state": "cancelled", "ended_at": now, "cancel_requested_at": now, "cancel_requested_by": "Ada"},
        {"state": "failed", "ended_at": now, "error": "The cache lost its data."},
        {"state": "done", "ended_at": now, "done": 40_201, "skipped": 11},
    ]
    return [
        shown(Operation(**(base | one | {"id": UUID(int=n)})), access, now)  # type: ignore[arg-type]
        for n, one in enumerate(states, 1)
    ]


def _minutes(now: datetime) -> list[float]:
    last = int(now.timestamp()) // 60 * 60
    return [float(last - 60 * ago) for ago in range(MINUTES - 1, -1, -1)]


def _busy(now: datetime) -> Chart:
    """Something broke 72 minutes ago."""
    at = _minutes(now)
    broken = MINUTES - 72
    wave = [math.sin(n * 1.7) + math.sin(n / 3.1) for n in range(MINUTES)]
    completed = [round(4400 + 90 * w - (1600 if n >= broken else 0)) for n, w in enumerate(wave)]
    retrying = [round(950 + 70 * w) if n >= broken else round(14 + 5 * w) for n, w in enumerate(wave)]
    failed = [round(600 + 40 * w) if n >= broken + 9 else round(5 + 2 * w) for n, w in enumerate(wave)]
    markers = [
        Marker(at[broken - 1], "flag new-mailer 25 → 100 %", "/styleguide"),
        Marker(at[-3], "worker mailer-3 lost", "/styleguide"),
    ]
    series = [
        Series("completed", completed, "good"),
        Series("retrying", retrying, "warn"),
        Series("failed", failed, "bad"),
    ]
    return Chart(
        "busy", "Jobs per minute", "", at, series, markers, range_url="/styleguide?", url="/styleguide"
    )


def _memory(now: datetime) -> Chart:
    used = [1_200_000_000 + 900_000 * n + 40_000_000 * math.sin(n / 9) for n in range(MINUTES)]
    return Chart("memory", "Memory", "bytes", _minutes(now), [Series("used", used, "accent")], small=True)


def _gaps(now: datetime) -> Chart:
    """The keeper was away for a while, twice; between that it came up for a moment."""
    waited = [
        840 + 600 * math.sin(n / 11) ** 2 if n < 60 or n == 75 or n > 90 else None for n in range(MINUTES)
    ]
    ran = [None if one is None else one / 3 for one in waited]
    series = [Series("waited, p95", waited, "warn"), Series("ran, p95", ran, "run")]
    return Chart("gaps", "Wait and run time", "ms", _minutes(now), series, small=True)
