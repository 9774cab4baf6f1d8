"""The page of one job: where it stands and why, its runs, its payload and result."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import urlencode

from channels.db import database_sync_to_async
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import answer
from aerodash.errors import InvalidInput
from aerodash.realtime.pages import LiveView, live_url
from jobs_admin import batches, joblog, queries, waiting
from jobs_admin.batches import BatchRow
from jobs_admin.records import EventRow, JobDetail
from jobs_admin.views import timeline
from jobs_admin.views.axis import axis
from jobs_admin.views.calls import calls
from jobs_admin.views.texts import text_of, traceback_of
from jobs_admin.views.why import why

_SCHEDULE = re.compile(r"(?:^schedule |\(schedule )([A-Za-z0-9._:-]{1,128})\)?$")


@dataclass(frozen=True, slots=True)
class Shown:
    """What the URL says. form: of JSON texts, pretty or raw. log: the cursor before which its lines are, "" for the newest.

    runs: the newest run of the timeline, "" for all that came after it, too.
    """

    form: str = "pretty"
    log: str = ""
    runs: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Self:
        """Raises InvalidInput for what is no run."""
        runs = given.get("runs", "")
        if runs and not (runs.isascii() and runs.isdigit() and len(runs) <= 9):
            raise InvalidInput("This cursor is not one of ours.", reason="invalid_cursor", field="runs")
        return cls("raw" if given.get("form") == "raw" else "pretty", given.get("log", ""), runs)

    @property
    def up_to_run(self) -> int | None:
        return int(self.runs) if self.runs else None

    def url(self, **changes: str) -> str:
        fields = {"form": "" if self.form == "pretty" else self.form, "log": self.log, "runs": self.runs}
        given = {name: value for name, value in (fields | changes).items() if value}
        return "?" + urlencode(given)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a cancel. at: when it was done, None where it is still to come."""

    title: str
    at: datetime | None
    by: str = ""


@project_page(Scope.QUEUE_READ)
async def job(request: HttpRequest, access: Access, job_id: str) -> HttpResponse:
    """/p/<slug>/jobs/<id>, and for htmx its live fragment."""
    shown = Shown.of(request.GET.dict())
    context = await database_sync_to_async(content, thread_sensitive=False)(access, job_id, shown)
    if context is None:
        raise Http404("This project has no such job.")
    context["calls"] = calls(context["detail"])
    return answer(request, "jobs_admin/job.html", context)


@require_safe
@project_page(Scope.QUEUE_READ)
async def job_raw(request: HttpRequest, access: Access, job_id: str, part: str) -> HttpResponse:
    """/p/<slug>/jobs/<id>/payload.json and …/result.json: the text as it is kept, as a download."""
    found = await database_sync_to_async(queries.job, thread_sensitive=False)(
        access.project_id, access.actor, job_id=job_id
    )
    text = None if found is None else found.payload if part == "payload" else found.result
    if text is None:
        raise Http404("This project has no such job, or it has no result.")
    response = HttpResponse(text, content_type="application/json")
    response["Content-Disposition"] = content_disposition_header(True, f"{part}.json")
    return response


def push(view: LiveView) -> str:
    """What the socket sends when this very job changed, or anything may have."""
    job_id = view.params.get("job", "")
    if view.ids is not None and job_id not in view.ids:
        return ""
    context = content(view.access, job_id, Shown.of(view.params))
    if context is None:
        return ""
    # Both are long, and change hardly ever.
    context["sends_payload"] = str(context["payload_version"]) != view.params.get("version")
    return view.render("jobs_admin/job.html#live", context)


def content(access: Access, job_id: str, shown: Shown) -> dict[str, Any] | None:
    """The page's context; None if there is no such job."""
    project, actor = access.project_id, access.actor
    detail = queries.job(project, actor, job_id=job_id, up_to_run=shown.up_to_run)
    if detail is None:
        return None
    now, row = datetime.now(UTC), detail.row
    type = waiting.of_type(project, actor, type=row.type)
    standing = None
    if row.status == "pending":
        standing = waiting.standing(project, actor, job=detail, type=type)
    log = joblog.tail(project, actor, job_id=job_id, before=shown.log)
    batch = batches.get(project, actor, batch=detail.carried.batch) if detail.carried.batch else None
    form = shown.form
    entries = timeline.entries(detail, now, up_to=shown.up_to_run)
    return {
        "detail": detail,
        "job": row,
        "carried": detail.carried,
        "progress": detail.progress,
        "batch": batch,
        "batch_ended": batch and _ended(batch),
        "schedule": _schedule(detail),
        "type": type,
        "type_timeout_s": type.settings.timeout_ms and type.settings.timeout_ms / 1000,
        "trace_id": _trace_id(detail.carried.traceparent),
        "form": form,
        "pretty_url": shown.url(form=""),
        "raw_url": shown.url(form="raw"),
        "payload": text_of(detail.payload, form),
        "payload_version": detail.payload_version,
        "sends_payload": True,
        "result": detail.result and text_of(detail.result, form),
        "why": why(detail, standing, waiting.keeper(), now),
        "steps": _cancel_steps(detail),
        "axis": axis(detail, now, up_to=shown.up_to_run),
        "entries": [(entry, traceback_of(entry.traceback), _opens(entry, entries, detail)) for entry in entries],
        "older_runs_url": detail.older_runs and shown.url(runs=str(detail.older_runs)) + "#job-runs",
        "newest_runs_url": shown.runs and shown.url(runs="") + "#job-runs",
        "log": log,
        "older_log_url": log.older and shown.url(log=log.older) + "#job-log",
        "newest_log_url": shown.url(log="") + "#job-log",
        "now": now,
        "may_run_now": row.status == "pending" and row.due_at > now,
        "may_change": access.may(Scope.QUEUE_MANAGE),
        "may_enqueue": access.may(Scope.QUEUE_ENQUEUE),
        "live_url": live_url(
            access, "job", job=str(row.id), form=form, log=shown.log, runs=shown.runs,
            version=str(detail.payload_version),
        ),
    }  # fmt: skip


def _opens(entry: timeline.Entry, entries: list[timeline.Entry], detail: JobDetail) -> bool:
    """Whether its traceback stands open: the newest one of a job that has failed, or is tried again."""
    if detail.row.status not in ("failed", "pending"):
        return False
    newest = next((one for one in entries if one.traceback), None)
    return newest is entry


def _cancel_steps(detail: JobDetail) -> tuple[Step, ...]:
    """A cancel of a running job as asked, seen by its worker, ended; none where no running job was asked to end."""
    asked = _newest(detail, "cancel_requested")
    if asked is None or detail.row.status not in ("processing", "cancelled") or asked.run != detail.row.run:
        return ()
    seen = _newest(detail, "cancel_seen")
    if seen is not None and seen.run != asked.run:
        seen = None
    ended = detail.row.ended_at if detail.row.status == "cancelled" else None
    return (
        Step("Asked", asked.at, asked.by),
        Step("Seen by its worker", seen.at if seen else None, seen.by if seen else ""),
        Step("Ended", ended),
    )


def _newest(detail: JobDetail, kind: str) -> EventRow | None:
    return next((event for event in detail.events if event.kind == kind), None)


def _schedule(detail: JobDetail) -> str:
    """The name of the schedule that enqueued it; "" for none. The label says it: schedules.py writes it so."""
    found = _SCHEDULE.search(detail.enqueued_by)
    return found[1] if found else ""


def _ended(batch: BatchRow) -> int:
    counts = batch.counts
    return counts.completed + counts.failed + counts.cancelled


def _trace_id(traceparent: str) -> str:
    """The beginning of the trace's own id, by which tracing tools find it; "" for none. Source: W3C Trace Context."""
    return f"{traceparent.split('-')[1][:8]}…" if traceparent.count("-") == 3 else ""
