"""Making a schedule and editing one, with the next runs of what is typed, also without a script."""

import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from channels.db import database_sync_to_async
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from aerodash import instants, jsontext
from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import FORM_AGAIN
from aerodash.errors import InvalidInput
from jobs_admin import job_fields, queries, schedule_figures, schedules
from jobs_admin.schedule_figures import Next
from jobs_admin.schedules import ScheduleRow
from jobs_admin.views.schedule_changes import url_of

UNITS = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}
MISSED = (
    ("one", "Enqueue one job for all of them"),
    ("skip", "Skip them"),
    ("all", "Enqueue a job for each"),
)
EXAMPLES = (("0 3 * * *", "At 03:00 every day"), ("*/15 * * * *", "Every 15 minutes"), ("0 9 * * 1-5", "At 09:00 on weekdays"))  # fmt: skip
_PAGE = "jobs_admin/schedule-form.html"
_NEW = {
    "how": "cron", "cron": "", "every": "15", "unit": "minutes", "timezone": "UTC", "missed": "one", "priority": "5",
    "payload": "{}",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Preview:
    """What is typed about the times: in words, with the next slots, or what is wrong with it. All empty: nothing is typed."""

    words: str = ""
    following: tuple[Next, ...] = ()
    error: str = ""
    timezone: str = "UTC"


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Scope.QUEUE_MANAGE)
async def new(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/schedules/+/new: a form; POST makes the schedule and leads to it, 409 if there is one of its name."""
    if request.method != "POST":
        return await _form(request, access, {**_NEW, "type": request.GET.get("type", "")})
    given = _given(request)
    if "preview" in given:
        return await _form(request, access, given)
    try:
        name, job, times = (
            given.get("name", "").strip(),
            job_fields.new_job(given, given.get("payload", "")),
            _times(given),
        )
        found = await database_sync_to_async(schedules.get, thread_sensitive=False)(
            access.project_id, access.actor, name=name
        )
        if found is not None:
            return await _form(request, access, given, exists=name, status=409)
        await schedules.set_schedule(
            access.project_id, access.actor, name=name, job=job, missed=given.get("missed", "one"),
            paused="paused" in given, **times,
        )  # fmt: skip
    except InvalidInput as exc:
        return await _form(request, access, given, error=exc, status=FORM_AGAIN)
    messages.success(request, f"Made the schedule {name}.")
    return HttpResponseRedirect(url_of(access, name))


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Scope.QUEUE_MANAGE)
async def edit(request: HttpRequest, access: Access, name: str) -> HttpResponse:
    """/p/<slug>/schedules/<name>/edit: a form; POST replaces what is said, unless somebody changed it meanwhile (409)."""
    row = await database_sync_to_async(schedules.get, thread_sensitive=False)(
        access.project_id, access.actor, name=name
    )
    if row is None:
        raise Http404("This project has no such schedule.")
    if request.method != "POST":
        return await _form(request, access, _of(row), row=row)
    given = _given(request)
    if "preview" in given:
        return await _form(request, access, given, row=row)
    if given.get("version", "") != str(row.version):
        return await _form(request, access, given, row=row, changed=row, status=409)
    try:
        job = job_fields.new_job(given, given.get("payload", ""), was=row.job)
        done = await schedules.change(
            access.project_id,
            access.actor,
            was=row,
            job=job,
            missed=given.get("missed", "one"),
            **_times(given),
        )
    except InvalidInput as exc:
        return await _form(request, access, given, row=row, error=exc, status=FORM_AGAIN)
    if not done:
        return await _form(request, access, given, row=row, changed=row, status=409)
    messages.success(request, f"Saved the schedule {name}.")
    return HttpResponseRedirect(url_of(access, name))


@require_safe
@project_page(Scope.QUEUE_READ)
async def preview(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/schedules/+/preview: the next runs of the times that are typed, for the form that is open."""
    return render(request, f"{_PAGE}#preview", {"preview": _preview(request.GET.dict())})


async def _form(
    request: HttpRequest,
    access: Access,
    given: Mapping[str, str],
    *,
    row: ScheduleRow | None = None,
    error: InvalidInput | None = None,
    exists: str = "",
    changed: ScheduleRow | None = None,
    status: int = 200,
) -> HttpResponse:
    """The form as it was filled in. exists: the name of a schedule that is there already. changed: what it is now."""
    types = await database_sync_to_async(queries.types, thread_sensitive=False)(
        access.project_id, access.actor
    )
    context = {
        "row": row,
        "given": given,
        "error": "" if error is None else error.message,
        "wrong": "" if error is None else str(error.details.get("field", "")),
        "exists": exists,
        "changed": changed,
        "preview": _preview(given, row),
        "types": types,
        "zones": _zones(),
        "units": tuple(UNITS),
        "missed": MISSED,
        "examples": EXAMPLES,
        "priorities": job_fields.PRIORITIES,
    }
    return render(request, _PAGE, context, status=status)


def _given(request: HttpRequest) -> dict[str, str]:
    given = request.POST.dict()
    return {name: value.replace("\r\n", "\n") for name, value in given.items() if isinstance(value, str)}


def _of(row: ScheduleRow) -> dict[str, str]:
    """The form of a schedule as it is."""
    job = row.job
    unit = next(
        u for u in reversed(UNITS) if row.every_s is None or row.every_s % UNITS[u] == 0 or u == "seconds"
    )
    return {
        "version": str(row.version),
        "type": job.type,
        "how": "cron" if row.every_s is None else "every",
        "cron": row.cron,
        "every": "15" if row.every_s is None else f"{row.every_s / UNITS[unit]:g}",
        "unit": "minutes" if row.every_s is None else unit,
        "timezone": row.timezone,
        "missed": row.missed,
        "payload": jsontext.pretty(job.payload),
        "priority": str(job.priority),
        "retries": "" if job.max_retries is None else str(job.max_retries),
        "tags": ", ".join(job.tags),
        "unique": "" if job.unique is None else job.unique.key,
    }


@dataclass(frozen=True, slots=True)
class _Times:
    cron_line: str
    every_s: float | None
    timezone: str


def _times(given: Mapping[str, str]) -> dict[str, object]:
    """What the verbs take about the times. Raises InvalidInput."""
    said = _said(given)
    if said.every_s is None and not said.cron_line:
        raise InvalidInput(
            "When it runs is missing: a cron line, such as 0 3 * * *.", reason="missing", field="cron"
        )
    return {"cron_line": said.cron_line, "every_s": said.every_s, "timezone": said.timezone}


def _said(given: Mapping[str, str]) -> _Times:
    timezone = given.get("timezone", "").strip() or "UTC"
    if given.get("how") != "every":
        return _Times(given.get("cron", "").strip(), None, timezone)
    unit = UNITS.get(given.get("unit", ""), 1)
    number = job_fields.number(given.get("every", ""), "every")
    return _Times("", number * unit, timezone)


def _preview(given: Mapping[str, str], row: ScheduleRow | None = None) -> Preview:
    """row: the schedule that is edited, whose creation an interval is counted from."""
    try:
        said = _said(given)
        if said.every_s is None and not said.cron_line:
            return Preview()
        line, _ = schedules.check_times(said.cron_line, said.every_s, said.timezone)
    except InvalidInput as exc:
        return Preview(error=exc.message)
    now_ms = instants.now_ms()
    anchor_ms = now_ms if row is None else instants.ms_of(row.created_at)
    following = schedule_figures.next_slots(
        line, said.every_s, said.timezone, anchor_ms=anchor_ms, now_ms=now_ms
    )
    return Preview(schedule_figures.words(line, said.every_s), tuple(following), timezone=said.timezone)


@cache
def _zones() -> tuple[str, ...]:
    """The names that people choose from: no abbreviations, and none of the old aliases without a region."""
    names = zoneinfo.available_timezones() - {"localtime"}
    regions = {
        "Africa",
        "America",
        "Antarctica",
        "Asia",
        "Atlantic",
        "Australia",
        "Europe",
        "Indian",
        "Pacific",
    }
    return ("UTC", *sorted(name for name in names if name.partition("/")[0] in regions))
