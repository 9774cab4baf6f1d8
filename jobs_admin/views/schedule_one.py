"""The page of one schedule: when it fires, what it enqueues, and how its last jobs ended."""

from datetime import UTC, datetime

from channels.db import database_sync_to_async
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from aerodash import instants
from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import answer
from aerodash.realtime.pages import LiveView, live_url
from jobs_admin import schedule_figures, schedules, waiting
from jobs_admin.views.texts import text_of

MISSED_WORDS = {
    "skip": "skipped",
    "one": "made up for by one job",
    "all": "each made up for",
}


@require_safe
@project_page(Scope.QUEUE_READ)
async def schedule(request: HttpRequest, access: Access, name: str) -> HttpResponse:
    """/p/<slug>/schedules/<name>; for htmx what changes by itself."""
    context = await database_sync_to_async(content, thread_sensitive=False)(access, name)
    if context is None:
        raise Http404("This project has no such schedule.")
    return answer(request, "jobs_admin/schedule-one.html", context)


def push(view: LiveView) -> str:
    """What the socket sends after jobs or schedules of the project changed."""
    context = content(view.access, view.params.get("name", ""))
    if context is None:
        return view.render("jobs_admin/schedule-one.html#gone", {"name": view.params.get("name", "")})
    return view.render("jobs_admin/schedule-one.html#live", context)


def content(access: Access, name: str) -> dict[str, object] | None:
    """The page's context; None if there is no such schedule."""
    project, actor = access.project_id, access.actor
    row = schedules.get(project, actor, name=name)
    if row is None:
        return None
    following = schedule_figures.next_slots(
        row.cron,
        row.every_s,
        row.timezone,
        anchor_ms=instants.ms_of(row.created_at),
        now_ms=instants.now_ms(),
    )
    return {
        "row": row,
        "words": schedule_figures.words(row.cron, row.every_s),
        "missed": MISSED_WORDS[row.missed],
        "following": following,
        "slots": schedule_figures.last_slots(project, actor, name=name),
        "payload": text_of(row.job.payload, "pretty"),
        "keeper": waiting.keeper(),
        "paused_type": next(iter(waiting.paused(project, actor, type=row.job.type)), None),
        "now": datetime.now(UTC),
        "may_change": access.may(Scope.QUEUE_MANAGE),
        "live_url": live_url(access, "schedule", name=name),
    }
