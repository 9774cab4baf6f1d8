"""Retry, run now and cancel of one job: a POST that acts at once, from the list and from the job's own page.

A retry with another payload has a page of its own: the payload as it is, to be edited.
"""

from channels.db import database_sync_to_async
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from aerodash import jsontext, limits
from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import FORM_AGAIN, answer, next_url
from aerodash.errors import InvalidInput
from jobs_admin import by_hand, queries

EDITED_CHARS = 256 * 1024
"""A longer payload is not laid out for editing: it stands in its field as it is."""

_REFUSALS = {
    "not_found": "There is no such job any more.",
    "not_finished": "This job has not ended yet, so there is nothing to retry.",
    "unique_taken": "Another unfinished job of its type has its unique key, so this one cannot be retried now.",
    "not_waiting": "This job does not wait any more: it runs, or has ended.",
    "due_already": "This job is due already: it starts as soon as a worker takes it.",
}


@project_page(Scope.QUEUE_READ)
async def retry(request: HttpRequest, access: Access, job_id: str) -> HttpResponse:
    """/p/<slug>/jobs/<id>/retry: back to pending, due now, with the whole budget."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    refused = await by_hand.retry(access.project_id, access.actor, job_id=job_id)
    if refused is not None:
        messages.error(request, _REFUSALS[refused])
    else:
        messages.success(request, f"Job …{job_id[-8:]} is pending again, with all its attempts.")
    return _back(request, access, job_id)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Scope.QUEUE_MANAGE)
async def retry_edited(request: HttpRequest, access: Access, job_id: str) -> HttpResponse:
    """/p/<slug>/jobs/<id>/retry-edited: GET shows the payload to be edited; POST retries with what was made of it.

    What is no JSON comes back as it was typed, with where it went wrong (422). The payload before stays on the timeline.
    """
    found = await database_sync_to_async(queries.job, thread_sensitive=False)(
        access.project_id, access.actor, job_id=job_id
    )
    if found is None:
        raise Http404("This project has no such job.")
    context: dict[str, object] = {
        "job": found.row,
        "payload_version": found.payload_version,
        "text": found.payload if len(found.payload) > EDITED_CHARS else jsontext.pretty(found.payload),
        "most": limits.PAYLOAD_BYTES,
    }
    if request.method != "POST":
        return answer(request, "jobs_admin/job-retry.html", context)
    text = request.POST.get("payload", "").replace("\r\n", "\n")
    try:
        payload = jsontext.check(text)
        refused = await by_hand.retry(access.project_id, access.actor, job_id=job_id, payload=payload)
    except InvalidInput as exc:
        context |= {"text": text, "error": exc.message}
        return answer(request, "jobs_admin/job-retry.html", context, status=FORM_AGAIN)
    if refused is not None:
        context |= {"text": text, "error": _REFUSALS[refused]}
        return answer(request, "jobs_admin/job-retry.html", context, status=FORM_AGAIN)
    messages.success(request, f"Job …{job_id[-8:]} is pending again with the edited payload.")
    return HttpResponseRedirect(_url(access, job_id))


@require_POST
@project_page(Scope.QUEUE_READ)
async def run_now(request: HttpRequest, access: Access, job_id: str) -> HttpResponse:
    """/p/<slug>/jobs/<id>/run-now: a job that waits for its time is due now."""
    refused = await by_hand.run_now(access.project_id, access.actor, job_id=job_id)
    if refused is not None:
        messages.error(request, _REFUSALS[refused])
    else:
        messages.success(request, f"Job …{job_id[-8:]} is due now.")
    return _back(request, access, job_id)


@project_page(Scope.QUEUE_READ)
async def cancel(request: HttpRequest, access: Access, job_id: str) -> HttpResponse:
    """/p/<slug>/jobs/<id>/cancel: a waiting job never starts, a running one is asked to end."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    done = await by_hand.cancel(access.project_id, access.actor, job_id=job_id)
    if done.success:
        messages.success(request, f"Job …{job_id[-8:]}: " + (done.note or "cancelled, it will not start."))
    else:
        messages.error(request, done.note or "It cannot be cancelled.")
    return _back(request, access, job_id)


def _url(access: Access, job_id: str) -> str:
    return reverse("job", args=[access.project.slug, job_id])


def _back(request: HttpRequest, access: Access, job_id: str) -> HttpResponse:
    """For htmx what is to be said (the socket brings the row); else the page that the form was on."""
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "components/said.html")
    return HttpResponseRedirect(next_url(request, _url(access, job_id)))
