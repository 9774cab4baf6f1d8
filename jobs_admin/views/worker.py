"""The page of one worker: does it live, what does it run, what became of what it ran."""

from channels.db import database_sync_to_async
from django.http import Http404, HttpRequest, HttpResponse

from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import answer
from aerodash.realtime.pages import LiveView, live_url
from jobs_admin import worker_figures
from jobs_admin.views.workers import LOOKS, fate_words
from jobs_admin.worker_figures import RUNS_LOOKED_AT

RUNNING_SHOWN = 50

OUTCOMES = {
    # of a run: the word, the icon, the look
    "completed": ("completed", "circle-check", "completed"),
    "failed": ("failed", "circle-x", "failed"),
    "released": ("released", "arrow-back-up", "pending"),
    "lease_expired": ("lease ran out", "plug-connected-x", "lost"),
    "timed_out": ("over its time limit", "hourglass-off", "failed"),
    "worker_lost": ("lost with the worker", "plug-connected-x", "lost"),
    "cancelled": ("cancelled", "ban", "cancelled"),
}


@project_page(Scope.QUEUE_READ)
async def worker(request: HttpRequest, access: Access, worker_id: str) -> HttpResponse:
    """/p/<slug>/workers/<id>, and for htmx its live fragments."""
    context = await database_sync_to_async(content, thread_sensitive=False)(access, worker_id)
    if context is None:
        raise Http404("This project knows no such worker.")
    return answer(request, "jobs_admin/worker.html", context)


def push(view: LiveView) -> str:
    """What the socket sends after jobs of the project changed; "" once the worker is forgotten."""
    context = content(view.access, view.params.get("worker", ""))
    return "" if context is None else view.render("jobs_admin/worker.html#live", context)


def content(access: Access, worker_id: str) -> dict[str, object] | None:
    """The page's context; None for a worker that is unknown or forgotten."""
    if "\0" in worker_id:
        return None
    found = worker_figures.worker(access.project_id, access.actor, id=worker_id)
    if found is None:
        return None
    now, ended = found
    icon, look = LOOKS[now.state]
    return {
        "now": now,
        "icon": icon,
        "look": look,
        "running": now.running[:RUNNING_SHOWN],
        "running_more": max(len(now.running) - RUNNING_SHOWN, 0),
        "ended": ended,
        "runs": [(run, *OUTCOMES[run.outcome]) for run in ended.runs],
        "outcomes": [(OUTCOMES[name][0], count) for name, count in ended.outcomes.items()],
        "looked_at": RUNS_LOOKED_AT,
        "fates": fate_words(ended.fates),
        "live_url": live_url(access, "worker", worker=worker_id),
    }
