"""Writing a new entry by hand."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_http_methods

from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.errors import InvalidInput
from cache_admin import edits, jsontext
from cache_admin.bounds import check_key
from cache_admin.views.answer import answer
from cache_admin.views.entry import typed_text, url_of, whole_seconds
from cache_admin.views.entry_value import asks_for_the_name


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Scope.CACHE_WRITE)
async def entry_new(request: HttpRequest, access: Access) -> HttpResponse:
    if request.method != "POST":
        return answer(
            request, "entry-new.html", {"key": request.GET.get("prefix", ""), "text": "", "seconds": ""}
        )
    key = request.POST.get("key", "") or request.GET.get("key", "")
    text, seconds = typed_text(request, "value"), request.POST.get("seconds", "").strip()
    context: dict[str, object] = {"key": key, "text": text, "seconds": seconds}
    try:
        check_key(key)
        if asks_for_the_name(access.project, key):
            raise InvalidInput("In production a flag is made on the Flags page, with a reason.", field="key")
        result = await edits.create(
            access.project_id, access.actor, key=key,
            value=jsontext.check(text), ttl_s=whole_seconds(seconds) if seconds else None,
        )  # fmt: skip
    except InvalidInput as exc:
        return answer(request, "entry-new.html", {**context, "error": exc.message}, status=422)
    if not result.done:
        return answer(request, "entry-new.html", {**context, "exists_url": url_of(access, key)}, status=409)
    messages.success(request, "Written.")
    return HttpResponseRedirect(url_of(access, key))
