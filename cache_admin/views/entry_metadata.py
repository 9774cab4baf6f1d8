"""An entry's metadata: changed alone, at the revision that the page showed."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

from aerodash import jsontext
from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import FORM_AGAIN, answer
from aerodash.errors import InvalidInput
from cache_admin import edits
from cache_admin.views.entry import frame, look, page, the_key, typed_text, url_of
from cache_admin.views.production import asks_first, is_typed, reason_of


@require_POST
@project_page(Scope.CACHE_WRITE)
async def entry_metadata(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/cache/entry/metadata; of a flag in production with its name and a reason typed beside it."""
    key, text = the_key(request), typed_text(request, "metadata")
    try:
        if asks_first(access, key) and not is_typed(request, key):
            raise InvalidInput("The key typed is another one.", field="typed")
        result = await edits.save_metadata(
            access.project_id, access.actor, key=key,
            metadata=jsontext.compact(jsontext.check(text).decode()).encode(),
            revision=request.POST.get("revision", ""), reason=reason_of(request),
        )  # fmt: skip
    except InvalidInput as exc:
        error = exc.message
    else:
        if result.done:
            messages.success(request, "Saved the metadata. Value and expiry are as they were.")
            return HttpResponseRedirect(url_of(access, key))
        error = "Nothing was saved: the entry changed meanwhile. Look at it, then save again."
    current = await look(access, key)
    if current is None:
        return answer(request, "cache_admin/entry.html", {**frame(access, key), "absent": True}, status=404)
    context = await page(access, current)
    context |= {"metadata_text": text, "metadata_error": error, "reason": reason_of(request)}
    return answer(request, "cache_admin/entry.html", context, status=FORM_AGAIN)
