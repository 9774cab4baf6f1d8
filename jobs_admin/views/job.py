"""The page of one job: where it stands and why, its runs, its payload and result."""

import re
from datetime import UTC, datetime

from channels.db import database_sync_to_async
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.jsontext import pretty
from aerodash.realtime.pages import LiveView, live_url
from jobs_admin import queries
from jobs_admin.views import timeline
from jobs_admin.views.axis import axis

_LIBRARY = re.compile(r'File "[^"]*(?:site-packages|dist-packages|/lib/python\d|<frozen)[^"]*"')


@project_page(Scope.QUEUE_READ)
async def job(request: HttpRequest, access: Access, job_id: str) -> HttpResponse:
    """/p/<slug>/jobs/<id>, and for htmx its live fragment."""
    form = "raw" if request.GET.get("form") == "raw" else "pretty"
    context = await database_sync_to_async(content, thread_sensitive=False)(access, job_id, form)
    if context is None:
        raise Http404("This project has no such job.")
    part = "#live" if request.htmx else ""  # type: ignore[attr-defined]
    return render(request, f"jobs_admin/job.html{part}", context)


def push(view: LiveView) -> str:
    """What the socket sends when this very job changed."""
    job_id = view.params.get("job", "")
    if view.ids is not None and job_id not in view.ids:
        return ""
    context = content(view.access, job_id, view.params.get("form", "pretty"))
    return "" if context is None else view.render("jobs_admin/job.html#live", context)


def content(access: Access, job_id: str, form: str) -> dict[str, object] | None:
    """The page's context; None if there is no such job."""
    detail = queries.job(access.project_id, access.actor, job_id=job_id)
    if detail is None:
        return None
    now = datetime.now(UTC)
    of_type = queries.counts(access.project_id, access.actor, type=detail.row.type)
    entries = timeline.entries(detail, now)
    return {
        "detail": detail,
        "job": detail.row,
        "form": form,
        "payload": detail.payload if form == "raw" else pretty(detail.payload),
        "result": detail.result and (detail.result if form == "raw" else pretty(detail.result)),
        "why": timeline.why(detail, of_type.processing, of_type.pending, now),
        "axis": axis(detail, now),
        "entries": [(entry, frames(entry.traceback)) for entry in entries],
        "may_change": access.may(Scope.QUEUE_MANAGE),
        "live_url": live_url(access, "job", job=str(detail.row.id), form=form),
    }


def frames(traceback: str) -> SafeString:
    """A Python traceback with the caller's own frames bold and those of libraries muted; other text as it is."""
    lines, look = [], "ad-lib"
    for line in traceback.splitlines():
        if line.lstrip().startswith('File "'):
            look = "ad-lib" if _LIBRARY.search(line) else "ad-app"
        elif line and not line[0].isspace():
            look = "ad-lib" if line.startswith("Traceback") else "ad-e"
        lines.append(format_html('<span class="{}">{}</span>', look, line))
    return format_html_join("\n", "{}", ((line,) for line in lines))
