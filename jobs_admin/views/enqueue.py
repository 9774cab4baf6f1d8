"""Enqueueing a job by hand: a form made from the last payloads of its type, or the payload as JSON, back and forth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from channels.db import database_sync_to_async
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from aerodash import instants, jsontext
from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import FORM_AGAIN
from aerodash.errors import InvalidInput
from jobs_admin import by_hand, job_fields, payload_forms, payloads, queries, waiting
from jobs_admin.payload_forms import Field
from jobs_admin.records import JobDetail

UNITS = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}
_PAGE = "jobs_admin/enqueue.html"
_EMPTY = {"priority": "5", "when": "now", "delay": "", "unit": "minutes", "at": "", "tags": "", "unique": "", "retries": ""}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Filled:
    """The page as it is filled in. mode: form or json; of the other one nothing counts.

    source: where the form comes from, in words. notice: why the mode is not the one that was asked for.
    """

    given: Mapping[str, str]
    mode: str
    fields: Sequence[Field] = ()
    text: str = ""
    source: str = ""
    notice: str = ""
    like: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Scope.QUEUE_ENQUEUE)
async def enqueue(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/jobs/new?type=…&like=…&mode=…: a form; POST enqueues and leads to the job, or changes between the forms.

    like: a job whose payload and options it begins with.
    """
    if request.method != "POST":
        filled = await database_sync_to_async(_begin, thread_sensitive=False)(access, request.GET.dict())
        return await _answer(request, access, filled)
    given = {name: str(value) for name, value in request.POST.dict().items()}
    filled = _sent(given)
    if given.get("do") == "json":
        return await _answer(request, access, _as_json(filled))
    if given.get("do") == "form":
        return await _answer(request, access, _as_form(filled))
    return await _enqueue(request, access, filled)


async def _enqueue(request: HttpRequest, access: Access, filled: Filled) -> HttpResponse:
    text = filled.text
    if filled.mode == "form":
        text, fields = payload_forms.compose(filled.fields)
        filled = replace(filled, fields=fields)
        if any(one.error for one in fields):
            return await _answer(request, access, filled, status=FORM_AGAIN)
    try:
        job = job_fields.new_job(filled.given, text)
        _set_time(job, filled.given)
        added = await by_hand.enqueue(access.project_id, access.actor, job=job)
    except InvalidInput as exc:
        wrong = str(exc.details.get("field", "") or "payload")
        filled = replace(filled, errors={wrong: exc.message})
        return await _answer(request, access, filled, status=FORM_AGAIN)
    if added.duplicate:
        messages.info(request, "Nothing was enqueued: this job has the unique key already.")
    else:
        messages.success(request, f"Enqueued job …{added.job_id[-8:]}.")
    return HttpResponseRedirect(reverse("job", args=[access.project.slug, added.job_id]))


async def _answer(request: HttpRequest, access: Access, filled: Filled, *, status: int = 200) -> HttpResponse:
    def ask() -> dict[str, object]:
        project, actor = access.project_id, access.actor
        type = filled.given.get("type", "").strip()
        return {
            "types": queries.types(project, actor),
            "paused": next(iter(waiting.paused(project, actor, type=type)), None) if type else None,
        }

    context = await database_sync_to_async(ask, thread_sensitive=False)()
    context |= {
        "filled": filled,
        "given": filled.given,
        "rows": list(enumerate(filled.fields)),
        "units": tuple(UNITS),
        "priorities": job_fields.PRIORITIES,
        "error": next(iter(filled.errors.values()), ""),
        "wrong": next(iter(filled.errors), ""),
    }
    return render(request, _PAGE, context, status=status)


def _begin(access: Access, asked: Mapping[str, str]) -> Filled:
    """The page as it is opened."""
    project, actor = access.project_id, access.actor
    if asked.get("like"):
        found = queries.job(project, actor, job_id=asked["like"])
        if found is not None:
            return _like(access, found, asked)
    type = asked.get("type", "").strip()
    given = {**_EMPTY, "type": type}
    if not type:
        return Filled(given, "json", text="{}")
    texts = payloads.last(project, actor, type=type)
    secret = payload_forms.secret_members(waiting.of_type(project, actor, type=type).settings.secret_paths)
    fields = payload_forms.infer(texts, secret=sorted(secret)) if texts else None
    if fields is None:
        return Filled(
            given, "json", text="{}",
            notice="" if not texts else "The last payloads of this type are no objects that a form can carry.",
            source="" if texts else "It has no jobs to make a form from, so its payload is written as JSON.",
        )  # fmt: skip
    said = "the last payload" if len(texts) == 1 else f"the last {len(texts)} payloads"
    filled = Filled(given, "form", fields=fields, source=f"made from {said} of {type}")
    return _as_json(filled) if asked.get("mode") == "json" else filled


def _like(access: Access, job: JobDetail, asked: Mapping[str, str]) -> Filled:
    """Filled with what a job has; its unique key is left out, which it may hold itself. So are secret members."""
    settings = waiting.of_type(access.project_id, access.actor, type=job.row.type).settings
    secret = payload_forms.secret_members(settings.secret_paths)
    given = {
        **_EMPTY,
        "type": job.row.type,
        "priority": str(job.row.priority),
        "tags": ", ".join(job.carried.tags),
        "retries": str(job.row.max_retries),
    }
    source = f"filled with the payload of job …{job.row.id[-8:]}"
    fields = payload_forms.split(job.payload)
    if fields is not None and (not secret or all(path.count("/") == 1 for path in settings.secret_paths)):
        fields = tuple(replace(one, value="") if one.name in secret else one for one in fields)
        filled = Filled(given, "form", fields=fields, source=source, like=job.row.id)
        return _as_json(filled) if asked.get("mode") == "json" and not secret else filled
    if secret:
        return Filled(
            given, "json", text="{}", source="Its payload has secret values, so it is not copied here."
        )
    return Filled(given, "json", text=jsontext.pretty(job.payload), source=source, like=job.row.id)


def _sent(given: Mapping[str, str]) -> Filled:
    """The page as it came back."""
    mode = "form" if given.get("mode") == "form" else "json"
    return Filled(
        given,
        mode,
        fields=payload_forms.posted(given),
        text=given.get("payload", "").replace("\r\n", "\n"),
        source=given.get("source", ""),
        like=given.get("like", ""),
    )


def _as_json(filled: Filled) -> Filled:
    """The same payload as JSON; the fields stay beside it, so that the way back knows them. Not with a wrong field."""
    if filled.mode == "json":
        return filled
    text, fields = payload_forms.compose(filled.fields)
    if any(one.error for one in fields if one.value):
        return replace(filled, fields=fields, notice="As JSON it can be shown once these fields are right.")
    return replace(filled, mode="json", text=jsontext.pretty(text), fields=filled.fields)


def _as_form(filled: Filled) -> Filled:
    """The same payload in fields; as JSON, with why, where they cannot carry it."""
    if filled.mode == "form":
        return filled
    try:
        jsontext.check(filled.text)
    except InvalidInput as exc:
        return replace(filled, errors={"payload": exc.message})
    fields = payload_forms.split(filled.text, filled.fields)
    if fields is None:
        notice = (
            "A form cannot carry this payload without changing it: it needs one object of up to "
            f"{payload_forms.FIELDS_MAX} members, each name once."
        )
        return replace(filled, notice=notice)
    return replace(filled, mode="form", fields=fields)


def _set_time(job: job_fields.NewJob, given: Mapping[str, str]) -> None:
    """Due at once, after a delay, or at an instant, as `when` says. Raises InvalidInput."""
    match given.get("when"):
        case "delay":
            number = job_fields.number(given.get("delay", ""), "delay")
            job.delay_ms = int(number * UNITS.get(given.get("unit", ""), 1) * 1000)
        case "at":
            job.due_at_ms = instants.ms_of(job_fields.instant(given.get("at", ""), "at"))
