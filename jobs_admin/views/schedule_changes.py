"""Run now, pause, resume and delete of one schedule. Pause and delete ask first."""

from channels.db import database_sync_to_async
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import FORM_AGAIN, answer, next_url
from aerodash.errors import InvalidInput
from jobs_admin import schedule_figures, schedules
from jobs_admin.schedules import ScheduleRow


@require_POST
@project_page(Scope.QUEUE_READ)
async def run(request: HttpRequest, access: Access, name: str) -> HttpResponse:
    """Enqueue its job now, beside its slots, and lead to that job."""
    try:
        added = await schedules.run(access.project_id, access.actor, name=name)
    except InvalidInput as exc:
        messages.error(request, exc.message)
        return _back(request, reverse("schedules", args=[access.project.slug]))
    if added.duplicate:
        messages.info(request, f"Nothing was enqueued: job …{added.job_id[-8:]} has its unique key already.")
    else:
        messages.success(request, f"Enqueued job …{added.job_id[-8:]}.")
    return HttpResponseRedirect(reverse("job", args=[access.project.slug, added.job_id]))


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Scope.QUEUE_MANAGE)
async def pause(request: HttpRequest, access: Access, name: str) -> HttpResponse:
    """GET asks; POST keeps it from firing."""
    row = await _the_schedule(access, name)
    if request.method != "POST":
        return _ask_pause(request, access, row)
    reason = request.POST.get("reason", "").strip()
    try:
        done = await schedules.set_paused(
            access.project_id, access.actor, name=name, paused=True, reason=reason
        )
    except InvalidInput as exc:
        return _ask_pause(request, access, row, error=f"Nothing was changed. {exc.message}")
    if done is None:
        raise Http404("This project has no such schedule.")
    messages.success(request, f"{name} is paused." if done else f"{name} was paused already.")
    return HttpResponseRedirect(url_of(access, name))


@require_POST
@project_page(Scope.QUEUE_READ)
async def resume(request: HttpRequest, access: Access, name: str) -> HttpResponse:
    """Let it go on from its next slot after now."""
    done = await schedules.set_paused(access.project_id, access.actor, name=name, paused=False)
    if done is None:
        raise Http404("This project has no such schedule.")
    said = f"{name} goes on from its next slot." if done else f"{name} was not paused."
    messages.success(request, said)
    return _back(request, url_of(access, name))


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Scope.QUEUE_MANAGE)
async def delete(request: HttpRequest, access: Access, name: str) -> HttpResponse:
    """GET asks, in production for its name; POST deletes it. Jobs that it enqueued stay."""
    row = await _the_schedule(access, name)
    if request.method != "POST":
        return _ask_delete(request, access, row)
    if access.project.is_production and request.POST.get("typed", "").strip() != name:
        return _ask_delete(request, access, row, error="Nothing was deleted: the name typed is another one.")
    if request.POST.get("version", "") != str(row.version):
        error = "Nothing was deleted: the schedule changed while you read. This is what it is now."
        return _ask_delete(request, access, row, error=error)
    if await schedules.delete(access.project_id, access.actor, name=name):
        messages.success(request, f"Deleted the schedule {name}. The jobs that it enqueued stay.")
    else:
        messages.info(request, f"There was no schedule {name} any more.")
    return HttpResponseRedirect(reverse("schedules", args=[access.project.slug]))


def url_of(access: Access, name: str) -> str:
    return reverse("schedule", args=[access.project.slug, name])


async def _the_schedule(access: Access, name: str) -> ScheduleRow:
    found = await database_sync_to_async(schedules.get, thread_sensitive=False)(
        access.project_id, access.actor, name=name
    )
    if found is None:
        raise Http404("This project has no such schedule.")
    return found


def _ask_pause(request: HttpRequest, access: Access, row: ScheduleRow, *, error: str = "") -> HttpResponse:
    context = {
        "question": f"Pause {row.name}?",
        "verb": "Pause the schedule",
        "keep": "Leave it on",
        "back_url": url_of(access, row.name),
        "row": row,
        "words": schedule_figures.words(row.cron, row.every_s),
        "pauses": True,
        "reason": request.POST.get("reason", ""),
        "error": error,
    }
    return answer(request, "jobs_admin/schedule-confirm.html", context, status=FORM_AGAIN if error else 200)


def _ask_delete(request: HttpRequest, access: Access, row: ScheduleRow, *, error: str = "") -> HttpResponse:
    context = {
        "question": f"Delete the schedule {row.name}?",
        "verb": "Delete the schedule",
        "keep": "Keep it",
        "back_url": url_of(access, row.name),
        "row": row,
        "words": schedule_figures.words(row.cron, row.every_s),
        "hidden": {"version": str(row.version)},
        "typed": row.name if access.project.is_production else "",
        "error": error,
    }
    return answer(request, "jobs_admin/schedule-confirm.html", context, status=FORM_AGAIN if error else 200)


def _back(request: HttpRequest, otherwise: str) -> HttpResponse:
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "components/said.html")
    return HttpResponseRedirect(next_url(request, otherwise))
