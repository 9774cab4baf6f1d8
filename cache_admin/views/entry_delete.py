"""Deleting one entry: always asked, in production by typing its key, a flag's there with a reason."""

from datetime import UTC, datetime

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_http_methods

from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import FORM_AGAIN, answer
from aerodash.errors import InvalidInput
from aerodash.templatetags.aerodash_ui import left_text, size
from cache_admin import edits, queries
from cache_admin.queries import Entry
from cache_admin.templatetags.cache_ui import visible
from cache_admin.views.entry import folder_url, frame, the_key, url_of
from cache_admin.views.present import instant, size_bytes
from cache_admin.views.production import asks_first, is_typed, reason_of


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Scope.CACHE_WRITE)
async def entry_delete(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/cache/entry/delete: GET asks; POST deletes and leads to the key's folder, or asks again and says why."""
    key = the_key(request)
    if request.method != "POST":
        return await _ask(request, access, key)
    if access.project.is_production and not is_typed(request, key):
        return await _ask(request, access, key, error="Nothing was deleted: the key typed is another one.")
    try:
        result = await edits.delete(
            access.project_id, access.actor, key=key, revision=request.POST.get("revision", ""),
            reason=reason_of(request),
        )  # fmt: skip
    except InvalidInput as exc:
        return await _ask(request, access, key, error=f"Nothing was deleted. {exc.message}")
    if not result.removed:
        error = "Nothing was deleted: the entry changed while you read. This is what it is now."
        return await _ask(request, access, key, error=error)
    messages.success(request, f"Deleted {visible(key)}.")
    return HttpResponseRedirect(folder_url(access, key))


async def _ask(request: HttpRequest, access: Access, key: str, *, error: str = "") -> HttpResponse:
    found = await queries.get(access.project_id, access.actor, key=key)
    if found is None:
        return answer(request, "cache_admin/entry.html", {**frame(access, key), "absent": True}, status=404)
    context = {
        **frame(access, key),
        "question": f"Delete {visible(key)}?",
        "verb": "Delete the entry",
        "keep": "Keep it",
        "back_url": url_of(access, key),
        "figures": _figures(found),
        "hidden": {"revision": found.revision},
        "typed": visible(key) if access.project.is_production else "",
        "asks_reason": asks_first(access, key),
        "reason": reason_of(request),
        "preview": found.value[:2000].decode(errors="ignore"),
        "is_cut": len(found.value) > 2000,
        "error": error,
    }
    return answer(request, "cache_admin/entry-delete.html", context, status=FORM_AGAIN if error else 200)


def _figures(found: Entry) -> list[tuple[str, str]]:
    expires_at = instant(found.expires_at_ms)
    left = left_text((expires_at - datetime.now(UTC)).total_seconds()) if expires_at else "never"
    return [("Size", size(size_bytes(found))), ("Expires in", left)]
