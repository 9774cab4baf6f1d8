"""Writing a new entry by hand."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_http_methods

from aerodash import jsontext
from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import FORM_AGAIN, answer
from aerodash.errors import InvalidInput
from cache_admin import edits
from cache_admin.bounds import check_key
from cache_admin.views.entry import typed_text, url_of
from cache_admin.views.entry_expiry import whole_seconds
from cache_admin.views.production import asks_first, reason_of

_PAGE = "cache_admin/entry-new.html"


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Scope.CACHE_WRITE)
async def entry_new(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/cache/new: a form; POST writes and leads to the entry, 409 if the key has one, 422 for what is not valid."""
    if request.method != "POST":
        key = request.GET.get("prefix", "")
        return answer(request, _PAGE, {"key": key, "asks_first": asks_first(access, key)})
    key = request.POST.get("key", "") or request.GET.get("key", "")
    text, seconds = typed_text(request, "value"), request.POST.get("seconds", "").strip()
    context: dict[str, object] = {
        "key": key,
        "text": text,
        "seconds": seconds,
        "reason": reason_of(request),
        "asks_first": asks_first(access, key),
    }
    try:
        check_key(key)
        result = await edits.create(
            access.project_id, access.actor, key=key, reason=reason_of(request),
            value=jsontext.check(text), ttl_s=whole_seconds(seconds) if seconds else None,
        )  # fmt: skip
    except InvalidInput as exc:
        return answer(request, _PAGE, {**context, "error": exc.message}, status=FORM_AGAIN)
    if not result.done:
        return answer(request, _PAGE, {**context, "exists_url": url_of(access, key)}, status=409)
    messages.success(request, "Written.")
    return HttpResponseRedirect(url_of(access, key))
