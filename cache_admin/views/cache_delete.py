"""Deleting every entry under a prefix, or the chosen ones: always asked, with what would go.

What goes is fixed when the question is shown: entries that are written later stay, also those that replace an entry.
So nothing goes that was not counted, however long the question stands open.
"""

from datetime import UTC, datetime

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import FORM_AGAIN, answer
from aerodash.errors import InvalidInput
from cache_admin import bulk, edits
from cache_admin.bulk import Range
from cache_admin.templatetags.cache_ui import visible
from cache_admin.views.bulk_question import DELETES_A_SECOND, about, before_text, figures, moved, none_left
from cache_admin.views.cache_selection import Chosen, chosen_by
from cache_admin.views.production import is_number_typed, number_to_type, reason_of


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Scope.CACHE_WRITE)
async def cache_delete(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/cache/delete?prefix=…|keys=…: GET asks; POST deletes a few at once and has the keeper delete many."""
    chosen = chosen_by(request)
    project, actor = access.project_id, access.actor
    if request.method != "POST":
        wanted = await bulk.measure(project, actor, prefix=chosen.prefix, keys=chosen.keys)
        return await _ask(request, access, chosen, wanted)
    wanted, is_as_shown = await bulk.remeasure(
        project, actor, shown=request.POST.dict(), prefix=chosen.prefix, keys=chosen.keys
    )
    if not is_as_shown:
        return await _ask(request, access, chosen, wanted, error=f"Nothing was deleted: {moved(chosen)}")
    if not is_number_typed(request, number_to_type(access, wanted.count.number, is_loss=True)):
        why = "Nothing was deleted: the number typed is another one."
        return await _ask(request, access, chosen, wanted, error=why)
    try:
        deleted = await edits.delete_range(
            project, actor, wanted=wanted, reason=reason_of(request), before=await before_text(access, wanted)
        )
    except InvalidInput as exc:
        return await _ask(request, access, chosen, wanted, error=f"Nothing was deleted. {exc.message}")
    if deleted.operation is not None:
        return HttpResponseRedirect(reverse("operation", args=[access.project.slug, deleted.operation.id]))
    messages.success(request, f"Deleted {chosen.said(deleted.number)}.")
    return HttpResponseRedirect(chosen.back_url(access))


async def _ask(
    request: HttpRequest, access: Access, chosen: Chosen, wanted: Range, *, error: str = ""
) -> HttpResponse:
    number = wanted.count.number
    if not number:
        return none_left(request, access, chosen)
    seen = await bulk.preview(access.project_id, access.actor, prefix=chosen.prefix, keys=wanted.keys)
    keys = f"{'' if wanted.count.exact else '≈ '}{Chosen('', chosen.keys).said(number)}"
    where = f" under {visible(chosen.prefix)}" if chosen.prefix and chosen.keys is None else ""
    context = {
        **about(request, access, chosen, wanted, seen),
        "question": f"Delete {keys}{where or (f' from {access.project.slug}' if chosen.is_everything else '')}?",
        "verb": f"Delete {keys}",
        "keep": "Keep them" if number > 1 else "Keep it",
        "figures": figures(wanted, seen, keys_a_second=DELETES_A_SECOND),
        "typed": number_to_type(access, number, is_loss=True),
        "export_url": chosen.url(access, "cache-export"),
        "asked_at": datetime.now(UTC),
        "error": error,
    }
    return answer(request, "cache_admin/cache-delete.html", context, status=FORM_AGAIN if error else 200)
