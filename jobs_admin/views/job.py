"""The page of one job: where it stands and why, its runs, its payload and result."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self
from urllib.parse import urlencode

from channels.db import database_sync_to_async
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.jsontext import pretty
from aerodash.realtime.pages import LiveView, live_url
from jobs_admin import joblog, queries, waiting
from jobs_admin.views import timeline
from jobs_admin.views.axis import axis
from jobs_admin.views.why import why

_LIBRARY = re.compile(r'File "[^"]*(?:site-packages|dist-packages|/lib/python\d|<frozen)[^"]*"')


@dataclass(frozen=True, slots=True)
class Shown:
    """What the URL says. form: of JSON texts, pretty or raw. log: the cursor before which its lines are, "" for the newest."""

    form: str = "pretty"
    log: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Self:
        return cls("raw" if given.get("form") == "raw" else "pretty", given.get("log", ""))

    def url(self, **changes: str) -> str:
        fields = {"form": self.form, "log": self.log, **changes}
        return "?" + urlencode({name: value for name, value in fields.items() if value})


@project_page(Scope.QUEUE_READ)
async def job(request: HttpRequest, access: Access, job_id: str) -> HttpResponse:
    """/p/<slug>/jobs/<id>, and for htmx its live fragment."""
    shown = Shown.of(request.GET.dict())
    context = await database_sync_to_async(content, thread_sensitive=False)(access, job_id, shown)
    if context is None:
        raise Http404("This project has no such job.")
    part = "#live" if request.htmx else ""  # type: ignore[attr-defined]
    return render(request, f"jobs_admin/job.html{part}", context)


def push(view: LiveView) -> str:
    """What the socket sends when this very job changed, or anything may have."""
    job_id = view.params.get("job", "")
    if view.ids is not None and job_id not in view.ids:
        return ""
    context = content(view.access, job_id, Shown.of(view.params))
    return "" if context is None else view.render("jobs_admin/job.html#live", context)


def content(access: Access, job_id: str, shown: Shown) -> dict[str, object] | None:
    """The page's context; None if there is no such job."""
    project, actor = access.project_id, access.actor
    detail = queries.job(project, actor, job_id=job_id)
    if detail is None:
        return None
    now = datetime.now(UTC)
    type = waiting.of_type(project, actor, type=detail.row.type)
    standing = None
    if detail.row.status == "pending":
        standing = waiting.standing(project, actor, job=detail, type=type)
    log = joblog.tail(project, actor, job_id=job_id, before=shown.log)
    form = shown.form
    return {
        "detail": detail,
        "job": detail.row,
        "carried": detail.carried,
        "progress": detail.progress,
        "type_timeout_s": type.settings.timeout_ms and type.settings.timeout_ms / 1000,
        "trace_id": _trace_id(detail.carried.traceparent),
        "form": form,
        "pretty_url": shown.url(form="pretty"),
        "raw_url": shown.url(form="raw"),
        "payload": detail.payload if form == "raw" else pretty(detail.payload),
        "result": detail.result and (detail.result if form == "raw" else pretty(detail.result)),
        "why": why(detail, standing, now),
        "axis": axis(detail, now),
        "entries": [(entry, frames(entry.traceback)) for entry in timeline.entries(detail, now)],
        "log": log,
        "older_log_url": log.older and shown.url(log=log.older) + "#job-log",
        "newest_log_url": shown.url(log="") + "#job-log",
        "now": now,
        "may_change": access.may(Scope.QUEUE_MANAGE),
        "live_url": live_url(access, "job", job=str(detail.row.id), form=form, log=shown.log),
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


def _trace_id(traceparent: str) -> str:
    """The beginning of the trace's own id, by which tracing tools find it; "" for none. Source: W3C Trace Context."""
    return f"{traceparent.split('-')[1][:8]}…" if traceparent.count("-") == 3 else ""
