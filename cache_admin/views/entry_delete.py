"""Deleting one entry: always asked, in production by typing its key."""

from datetime import UTC, datetime

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_http_methods

from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.models import Project
from aerodash.templatetags.aerodash_ui import left_text, size
from cache_admin import edits, queries
from cache_admin.queries import Entry
from cache_admin.views.answer import answer
from cache_admin.views.entry import folder_url, frame, plain_name, the_key, url_of
from cache_admin.views.present import instant, size_bytes


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Scope.CACHE_WRITE)
async def entry_delete(request: HttpRequest, access: Access) -> HttpResponse:
    key = the_key(request)
    if request.method != "POST":
        found = await queries.get(access.project_id, access.actor, key=key)
        return _ask(request, access, key, found)
    revision = request.POST.get("revision", "")
    if is_typed(access.project) and request.POST.get("typed", "").strip() != plain_name(key).strip():
        found = await queries.get(access.project_id, access.actor, key=key)
        return _ask(request, access, key, found, error="Nothing was deleted: the key typed is another one.")
    result = await edits.delete(access.project_id, access.actor, key=key, revision=revision)
    if result.removed:
        messages.success(request, f"Deleted {plain_name(key)}.")
        return HttpResponseRedirect(folder_url(access, key))
    found = await queries.get(access.project_id, access.actor, key=key)
    error = "Nothing was deleted: the entry changed while you read. This is what it is now."
    return _ask(request, access, key, found, error=error if found else "")


def is_typed(project: Project) -> bool:
    """Whether the key must be typed to delete an entry."""
    return project.environment == Project.Environment.PRODUCTION


def _ask(
    request: HttpRequest, access: Access, key: str, found: Entry | None, *, error: str = ""
) -> HttpResponse:
    if found is None:
        return answer(request, "entry.html", {**frame(access, key), "absent": True}, status=404)
    expires_at = instant(found.expires_at_ms)
    context = {
        **frame(access, key),
        "question": f"Delete {plain_name(key)}?",
        "verb": "Delete the entry",
        "keep": "Keep it",
        "back_url": url_of(access, key),
        "figures": [
            ("Size", size(size_bytes(found))),
            (
                "Expires in",
                left_text((expires_at - datetime.now(UTC)).total_seconds()) if expires_at else "never",
            ),
        ],
        "hidden": {"revision": found.revision},
        "typed": plain_name(key) if is_typed(access.project) else "",
        "preview": found.value[:2000].decode(errors="ignore"),
        "is_cut": len(found.value) > 2000,
        "error": error,
    }
    return answer(request, "entry-delete.html", context, status=422 if error else 200)
