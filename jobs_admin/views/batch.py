"""The page of one batch, and what can be done to it: seal, cancel and retry as a whole. The last two ask first."""

from datetime import UTC, datetime

from channels.db import database_sync_to_async
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import FORM_AGAIN, answer, next_url
from aerodash.realtime.pages import LiveView, live_url
from aerodash.templatetags.aerodash_ui import grouped
from jobs_admin import batches as batch_verbs
from jobs_admin import queries
from jobs_admin.batches import BatchRow
from jobs_admin.records import JobRow
from jobs_admin.views.batches import shown

FAILED_SHOWN = 5
SAMPLE = 4
TYPED_ABOVE = 100


@require_safe
@project_page(Scope.QUEUE_READ)
async def batch(request: HttpRequest, access: Access, batch_id: str) -> HttpResponse:
    """/p/<slug>/batches/<id>; for htmx what changes by itself."""
    context = await database_sync_to_async(content, thread_sensitive=False)(access, batch_id)
    if context is None:
        raise Http404("This project has no such batch.")
    return answer(request, "jobs_admin/batch.html", context)


def push(view: LiveView) -> str:
    """What the socket sends after jobs or batches of the project changed."""
    context = content(view.access, view.params.get("batch", ""))
    return "" if context is None else view.render("jobs_admin/batch.html#live", context)


def content(access: Access, batch_id: str) -> dict[str, object] | None:
    """The page's context; None if there is no such batch."""
    project, actor = access.project_id, access.actor
    row = batch_verbs.get(project, actor, batch=batch_id)
    if row is None:
        return None
    failed: tuple[JobRow, ...] = ()
    if row.counts.failed:
        failed = queries.page(project, actor, status="failed", batch=row.id, limit=FAILED_SHOWN).jobs
    follow_up = None
    if row.completion_job_id is not None:
        follow_up = next(iter(queries.rows(project, actor, ids=[row.completion_job_id])), None)
    return {
        "batch": shown(row, datetime.now(UTC)),
        "failed": failed,
        "follow_up": follow_up,
        "unfinished": _unfinished(row),
        "again": _again(row),
        "follows": batch_verbs.follow_up_type(project, actor, batch=row.id),
        "may_change": access.may(Scope.QUEUE_MANAGE),
        "may_seal": access.may(Scope.QUEUE_ENQUEUE),
        "live_url": live_url(access, "batch", batch=row.id),
    }


@require_POST
@project_page(Scope.QUEUE_READ)
async def seal(request: HttpRequest, access: Access, batch_id: str) -> HttpResponse:
    """Let no more jobs in, so that it can end."""
    row = await _the_batch(access, batch_id)
    await batch_verbs.seal(access.project_id, access.actor, batch=row.id)
    messages.success(request, "Sealed: no more jobs get in, and it ends with its last one.")
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "components/said.html")
    return HttpResponseRedirect(next_url(request, url_of(access, row.id)))


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Scope.QUEUE_MANAGE)
async def cancel(request: HttpRequest, access: Access, batch_id: str) -> HttpResponse:
    """GET asks, with how many; POST cancels every member that has not ended."""
    row = await _the_batch(access, batch_id)
    if request.method == "POST":
        if error := _refusal(request, access, _unfinished(row)):
            return await _ask_cancel(request, access, row, error=error)
        count = await batch_verbs.cancel(access.project_id, access.actor, batch=row.id)
        messages.success(request, f"{_jobs(count)} cancelled, or asked to end where they run.")
        return HttpResponseRedirect(url_of(access, row.id))
    return await _ask_cancel(request, access, row)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Scope.QUEUE_MANAGE)
async def retry(request: HttpRequest, access: Access, batch_id: str) -> HttpResponse:
    """GET asks, with how many; POST puts every failed and cancelled member back."""
    row = await _the_batch(access, batch_id)
    if request.method == "POST":
        if error := _refusal(request, access, _again(row)):
            return await _ask_retry(request, access, row, error=error)
        done = await batch_verbs.retry(access.project_id, access.actor, batch=row.id)
        messages.success(request, f"{_jobs(done.count)} put back.")
        if left := len(done.refused) + done.more_refused:
            messages.info(
                request, f"{_jobs(left)} stayed: they had begun again, or another holds their unique key."
            )
        return HttpResponseRedirect(url_of(access, row.id))
    return await _ask_retry(request, access, row)


def url_of(access: Access, batch_id: str) -> str:
    return reverse("batch", args=[access.project.slug, batch_id])


def _refusal(request: HttpRequest, access: Access, count: int) -> str:
    """Why the form that was sent does not count; "" if it does: the set moved, or the number is not typed as asked."""
    if request.POST.get("count", "") != str(count):
        return "Nothing was changed: the batch moved on while you read. This is how many there are now."
    typed = request.POST.get("typed", "").replace(",", "").strip()
    if count > TYPED_ABOVE and typed != str(count):
        return "Nothing was changed: the number typed is another one."
    return ""


async def _ask_cancel(
    request: HttpRequest, access: Access, row: BatchRow, *, error: str = ""
) -> HttpResponse:
    count, counts = _unfinished(row), row.counts
    if not count:
        messages.info(request, "Every job of this batch has ended already.")
        return HttpResponseRedirect(url_of(access, row.id))
    figures = [
        ("Waiting", grouped(counts.pending), "never start"),
        ("Running", grouped(counts.processing), "asked to end"),
        ("Ended", grouped(counts.total - count), "stay as they are"),
    ]
    sample = await _sample(access, row, ("processing", "pending"))
    context = {
        "question": f"Cancel {_jobs(count)} of this batch?",
        "verb": f"Cancel {_jobs(count)}",
        "figures": figures,
        "note": ""
        if row.sealed_at
        else "The batch is open: jobs that get in later are not touched. Seal it first if none shall come.",
    }
    return _ask(request, access, row, count, sample, context, error)


async def _ask_retry(request: HttpRequest, access: Access, row: BatchRow, *, error: str = "") -> HttpResponse:
    count, counts = _again(row), row.counts
    if not count:
        messages.info(request, "No job of this batch has failed or was cancelled.")
        return HttpResponseRedirect(url_of(access, row.id))
    figures = [
        ("Failed", grouped(counts.failed), "put back"),
        ("Cancelled", grouped(counts.cancelled), "put back"),
        ("Others", grouped(counts.total - count), "stay as they are"),
    ]
    sample = await _sample(access, row, ("failed", "cancelled"))
    note = "Counted with members that are kept no more: those cannot be put back."
    if row.ended_at and row.completion_job_id:
        note += " What followed the batch is not enqueued again."
    context = {
        "question": f"Retry {_jobs(count)} of this batch?",
        "verb": f"Retry {_jobs(count)}",
        "figures": figures,
        "note": note,
    }
    return _ask(request, access, row, count, sample, context, error)


def _ask(
    request: HttpRequest,
    access: Access,
    row: BatchRow,
    count: int,
    sample: list[JobRow],
    context: dict[str, object],
    error: str,
) -> HttpResponse:
    said = {
        "keep": "Leave them",
        "back_url": url_of(access, row.id),
        "hidden": {"count": str(count)},
        "typed": str(count) if count > TYPED_ABOVE else "",
        "row": row,
        "sample": sample,
        "number": count,
        "error": error,
    }
    return answer(
        request, "jobs_admin/batch-confirm.html", said | context, status=FORM_AGAIN if error else 200
    )


async def _sample(access: Access, row: BatchRow, statuses: tuple[str, ...]) -> list[JobRow]:
    """Some of those jobs, newest first."""

    def ask() -> list[JobRow]:
        of_each = [
            queries.page(access.project_id, access.actor, status=status, batch=row.id, limit=SAMPLE).jobs
            for status in statuses
        ]
        half = [job for jobs in of_each for job in jobs[: SAMPLE // 2]]
        rest = [job for jobs in of_each for job in jobs[SAMPLE // 2 :]]
        return [*half, *rest[: SAMPLE - len(half)]]

    return await database_sync_to_async(ask, thread_sensitive=False)()


async def _the_batch(access: Access, batch_id: str) -> BatchRow:
    found = await database_sync_to_async(batch_verbs.get, thread_sensitive=False)(
        access.project_id, access.actor, batch=batch_id
    )
    if found is None:
        raise Http404("This project has no such batch.")
    return found


def _unfinished(row: BatchRow) -> int:
    return row.counts.pending + row.counts.processing


def _again(row: BatchRow) -> int:
    return row.counts.failed + row.counts.cancelled


def _jobs(count: int) -> str:
    return f"{count:,} job{'' if count == 1 else 's'}"
