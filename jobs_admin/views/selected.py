"""Retry or cancel the jobs that were chosen on the list: a preview of exactly those, then one POST."""

import asyncio
import hashlib
from collections import Counter
from dataclasses import dataclass

from channels.db import database_sync_to_async
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import FORM_AGAIN, answer, is_ours
from aerodash.errors import InvalidInput
from jobs_admin import queries, services
from jobs_admin.records import JobRow

CHOSEN_MAX = 50
"""The rows of a page; larger sets are taken by their filter."""


@dataclass(frozen=True, slots=True)
class Act:
    """What can be done to chosen jobs. statuses: of those to which it applies. left: why not to others, by status."""

    name: str
    verb: str
    done: str
    keep: str
    statuses: tuple[str, ...]
    left: dict[str, str]


ACTS = {
    act.name: act
    for act in (
        Act(
            name="retry",
            verb="Retry",
            done="retried",
            keep="Leave them",
            statuses=("completed", "failed", "cancelled"),
            left={"pending": "has not ended yet", "processing": "is running"},
        ),
        Act(
            name="cancel",
            verb="Cancel",
            done="cancelled",
            keep="Keep them",
            statuses=("pending", "processing"),
            left={name: f"is {name} already" for name in ("completed", "failed", "cancelled")},
        ),
    )
}
_REFUSED = {
    "not_found": "are gone",
    "not_finished": "have not ended yet",
    "unique_taken": "could not: another unfinished job has their unique key",
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """One of the jobs. left: why nothing will happen to it, "" where something will."""

    job: JobRow
    left: str


@require_http_methods(["GET", "POST"])
@project_page(Scope.QUEUE_READ)
async def selected(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/jobs/selected?act=retry&job=…&job=…: asks with an exact count; POST does it, if the set is still the same."""
    access.actor.require(Scope.QUEUE_MANAGE)
    act = ACTS.get(request.GET.get("act", ""))
    ids = list(dict.fromkeys(request.GET.getlist("job")))
    if act is None:
        raise InvalidInput("Say what to do with the chosen jobs: retry or cancel.", field="act")
    if len(ids) > CHOSEN_MAX:
        raise InvalidInput(f"At most {CHOSEN_MAX} jobs can be chosen one by one.", field="job")
    back = request.GET.get("next", "")
    back = back if is_ours(request, back) else reverse("jobs", args=[access.project.slug])
    rows = await database_sync_to_async(queries.rows, thread_sensitive=False)(
        access.project_id, access.actor, ids=ids
    )
    lines = [Chosen(row, "" if row.status in act.statuses else act.left[row.status]) for row in rows]
    wanted = [line.job for line in lines if not line.left]
    error = ""
    if request.method == "POST" and wanted:
        if request.POST.get("seen") == _digest(wanted):
            await _do(request, access, act, wanted)
            return HttpResponseRedirect(back)
        error = "Some of them have changed meanwhile. This is what would happen now."
    number = len(wanted)
    jobs = f"{number} job{'' if number == 1 else 's'}"
    context = {
        "question": f"{act.verb} {jobs}?" if number else f"None of the chosen jobs can be {act.done}",
        "verb": f"{act.verb} {jobs}",
        "keep": act.keep if number else "Back to the jobs",
        "back_url": back,
        "figures": _figures(act, lines, len(ids)) if number else (),
        "act": act,
        "lines": lines,
        "hidden": {"seen": _digest(wanted)},
        "is_empty": not number,
        "error": error,
    }
    return answer(request, "jobs_admin/jobs-selected.html", context, status=FORM_AGAIN if error else 200)


async def _do(request: HttpRequest, access: Access, act: Act, jobs: list[JobRow]) -> None:
    """Say afterwards how many did and why the others did not: a worker may have been quicker than the reader."""
    project, actor, ids = access.project_id, access.actor, [job.id for job in jobs]
    if act.name == "retry":
        retried = await services.retry(project, actor, job_ids=ids)
        done, refused = retried.count, Counter(_REFUSED[reason] for reason in retried.refused.values())
        said = "pending again, with all attempts"
    else:
        # One at a time for the caller, one commit for the engine, which groups them.
        cancelled = await asyncio.gather(*(services.cancel(project, actor, job_id=id) for id in ids))
        done = sum(one.success for one in cancelled)
        refused = Counter("had ended already" for one in cancelled if not one.success)
        running = sum(job.status == "processing" for job in jobs)
        said = (
            "cancelled"
            if not running
            else "cancelled or asked to end: running ones end at their worker's next heartbeat"
        )
    if done:
        messages.success(request, f"{done} job{' is' if done == 1 else 's are'} {said}.")
    for why, number in refused.items():
        messages.warning(request, f"{number} {why}, and {'is' if number == 1 else 'are'} left as before.")


def _figures(act: Act, lines: list[Chosen], chosen: int) -> list[tuple[str, str]]:
    wanted = sum(not line.left for line in lines)
    figures = [(act.verb, f"{wanted}")]
    if left := sum(bool(line.left) for line in lines):
        figures.append(("Left as they are", f"{left}"))
    if gone := chosen - len(lines):
        figures.append(("Gone meanwhile", f"{gone}"))
    return figures


def _digest(jobs: list[JobRow]) -> str:
    """What the reader was shown: which jobs, and in which run and status each is."""
    text = " ".join(f"{job.id}:{job.status}:{job.run}" for job in jobs)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
