"""Pausing and resuming a type. A pause is asked first, with what it holds up; in production the name is typed, too."""

import time

from channels.db import database_sync_to_async
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from aerodash import limits
from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import FORM_AGAIN, answer, next_url
from aerodash.errors import InvalidInput
from jobs_admin import job_types, type_figures
from jobs_admin.type_figures import TypeNow
from jobs_admin.views.types import check_name


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Scope.QUEUE_MANAGE)
async def pause(request: HttpRequest, access: Access, type: str) -> HttpResponse:
    """/p/<slug>/types/<type>/pause: GET asks, POST pauses."""
    check_name(type)
    if request.method != "POST":
        return await _ask(request, access, type)
    if access.project.is_production and request.POST.get("typed", "").strip() != type:
        return await _ask(request, access, type, error="Nothing was paused: the name typed is another one.")
    try:
        await job_types.pause(access.project_id, access.actor, type=type, reason=_reason(request))
    except InvalidInput as exc:
        return await _ask(request, access, type, error=f"Nothing was paused. {exc.message}")
    messages.success(request, f"{type} is paused: no job of it starts until it is resumed.")
    return HttpResponseRedirect(reverse("type", args=[access.project.slug, type]))


@project_page(Scope.QUEUE_READ)
async def resume(request: HttpRequest, access: Access, type: str) -> HttpResponse:
    """/p/<slug>/types/<type>/resume: a POST that acts at once."""
    check_name(type)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    await job_types.resume(access.project_id, access.actor, type=type)
    messages.success(request, f"{type} is resumed: its due jobs start as workers take them.")
    if request.htmx:  # type: ignore[attr-defined]  # the socket brings the row
        return render(request, "components/said.html")
    return HttpResponseRedirect(next_url(request, reverse("type", args=[access.project.slug, type])))


async def _ask(request: HttpRequest, access: Access, type: str, *, error: str = "") -> HttpResponse:
    now, schedules = await database_sync_to_async(_preview, thread_sensitive=False)(access, type)
    back_url = reverse("type", args=[access.project.slug, type])
    if now.row.paused is not None and not error:
        messages.info(request, f"{type} is paused already; the first pause stands.")
        return HttpResponseRedirect(back_url)
    context = {
        "question": f"Pause {type}?",
        "verb": f"Pause {type}",
        "keep": "Let it run",
        "back_url": back_url,
        "figures": _figures(now),
        "typed": type if access.project.is_production else "",
        "now": now,
        "schedules": schedules,
        "reason": _reason(request),
        "reason_chars": limits.PAUSE_REASON_CHARS,
        "error": error,
    }
    return answer(request, "jobs_admin/type-pause.html", context, status=FORM_AGAIN if error else 200)


def _preview(access: Access, type: str) -> tuple[TypeNow, list[str]]:
    [now] = type_figures.look(access.project_id, access.actor, names=[type], since=time.monotonic())
    schedules = type_figures.schedules_of(access.project_id, access.actor, type=type)
    return now, [one.name for one in schedules if one.next_at_ms is not None]


def _figures(now: TypeNow) -> list[tuple[str, str, str]]:
    counts, due = now.row.counts, now.due
    due_words = (
        f"more than {type_figures.DUE_COUNTED:,} due now" if due.number is None else f"{due.number:,} due now"
    )
    rate = "–" if now.hour is None else f"{now.hour.per_minute:,.1f}"
    return [
        ("Will wait", f"{counts.pending:,}", due_words),
        ("Run on to their end", f"{counts.processing:,}", "begun already"),
        ("Ended a minute", rate, "lately: about so many pile up"),
    ]


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "").strip()
