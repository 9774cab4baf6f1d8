"""Retry and cancel of one job: a POST that acts at once, from the list and from the job's own page."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import render

from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import next_url
from jobs_admin import services

_REFUSALS = {
    "not_found": "There is no such job any more.",
    "not_finished": "This job has not ended yet, so there is nothing to retry.",
    "unique_taken": "Another unfinished job of its type has its unique key, so this one cannot be retried now.",
}


@project_page(Scope.QUEUE_READ)
async def retry(request: HttpRequest, access: Access, job_id: str) -> HttpResponse:
    """/p/<slug>/jobs/<id>/retry: back to pending, due now, with the whole budget."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    done = await services.retry(access.project_id, access.actor, job_ids=[job_id])
    if refusal := done.refused.get(job_id):
        messages.error(request, _REFUSALS[refusal])
    else:
        messages.success(request, f"Job …{job_id[-8:]} is pending again, with all its attempts.")
    return _back(request, access, job_id)


@project_page(Scope.QUEUE_READ)
async def cancel(request: HttpRequest, access: Access, job_id: str) -> HttpResponse:
    """/p/<slug>/jobs/<id>/cancel: a waiting job never starts, a running one is asked to end."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    done = await services.cancel(access.project_id, access.actor, job_id=job_id)
    if done.success:
        messages.success(request, f"Job …{job_id[-8:]}: " + (done.note or "cancelled, it will not start."))
    else:
        messages.error(request, done.note or "It cannot be cancelled.")
    return _back(request, access, job_id)


def _back(request: HttpRequest, access: Access, job_id: str) -> HttpResponse:
    """For htmx what is to be said (the socket brings the row); else the page that the form was on."""
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "components/said.html")
    return HttpResponseRedirect(next_url(request, f"/p/{access.project.slug}/jobs/{job_id}"))
