"""Deleting every entry under a prefix: always asked, with what would go; typed above 100 entries and in production.

What goes is fixed when the question is shown: entries that are written later stay, also those that replace an entry.
So nothing goes that was not counted, however long the question stands open.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import FORM_AGAIN, answer
from aerodash.errors import InvalidInput
from aerodash.templatetags.aerodash_ui import grouped, size, spell
from cache_admin import edits, flushes, queries
from cache_admin.flushes import Range
from cache_admin.queries import EntryRow
from cache_admin.templatetags.cache_ui import visible
from cache_admin.views.present import line
from cache_admin.views.production import reason_of

TYPED_ABOVE = 100
WEIGHED = 200
SHOWN = 4
KEYS_A_SECOND = 20_000
"""About what the keeper removes with its pauses; said as "about" and in seconds or minutes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The question as it stands: what would go, some of it, and what must be typed (empty: nothing)."""

    wanted: Range
    sample: tuple[EntryRow, ...]
    typed: str

    @property
    def keys(self) -> str:
        number = self.wanted.count.number
        return f"{'' if self.wanted.count.exact else '≈ '}{grouped(number)} key{'' if number == 1 else 's'}"


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Scope.CACHE_WRITE)
async def cache_delete(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/cache/delete?prefix=…: GET asks; POST deletes a few at once and has the keeper delete many."""
    prefix = request.GET.get("prefix", "")
    if request.method != "POST":
        return await _ask(
            request, access, await flushes.measure(access.project_id, access.actor, prefix=prefix)
        )
    now = await flushes.measure(access.project_id, access.actor, prefix=prefix)
    try:
        wanted = now.as_of(request.POST.get("up_to", ""), request.POST.get("count", ""))
    except InvalidInput as exc:
        return await _ask(request, access, now, error=f"Nothing was deleted. {exc.message}")
    typed = request.POST.get("typed", "").replace(",", "").strip()
    if _to_type(access, wanted) and typed != str(wanted.count.number):
        why = "Nothing was deleted: the number typed is another one."
        return await _ask(request, access, wanted, error=why)
    try:
        deleted = await edits.delete_prefix(
            access.project_id, access.actor, wanted=wanted, reason=reason_of(request)
        )
    except InvalidInput as exc:
        return await _ask(request, access, wanted, error=f"Nothing was deleted. {exc.message}")
    if deleted.operation is not None:
        return HttpResponseRedirect(reverse("operation", args=[access.project.slug, deleted.operation.id]))
    messages.success(request, f"Deleted {grouped(deleted.number)} {_named(deleted.number, prefix)}.")
    return HttpResponseRedirect(_back(access, prefix))


async def _ask(request: HttpRequest, access: Access, wanted: Range, *, error: str = "") -> HttpResponse:
    if not wanted.count.number:
        messages.info(request, f"There are no {_named(0, wanted.prefix)}.")
        return HttpResponseRedirect(_back(access, wanted.prefix))
    page = await queries.list_entries(access.project_id, access.actor, prefix=wanted.prefix, limit=WEIGHED)
    asked = Asked(wanted, page.entries, str(wanted.count.number) if _to_type(access, wanted) else "")
    context = {
        "question": f"Delete {asked.keys}{f' under {visible(wanted.prefix)}' if wanted.prefix else ' from ' + access.project.slug}?",
        "verb": f"Delete {asked.keys}",
        "keep": "Keep them",
        "back_url": _back(access, wanted.prefix),
        "figures": _figures(asked),
        "hidden": {"up_to": str(wanted.up_to), "count": str(wanted.count.number)},
        "typed": asked.typed,
        "lines": [line(row, wanted.prefix) for row in asked.sample[:SHOWN]],
        "number": wanted.count.number,
        "wanted": wanted,
        "place_prefix": wanted.prefix,
        "is_everything": not wanted.prefix,
        "holds_flags": flushes.holds_flags(wanted.prefix),
        "asks_reason": access.project.is_production,
        "needs_reason": access.project.is_production and flushes.holds_flags(wanted.prefix),
        "reason": reason_of(request),
        "asked_at": datetime.now(UTC),
        "error": error,
    }
    return answer(request, "cache_admin/cache-delete.html", context, status=FORM_AGAIN if error else 200)


def _to_type(access: Access, wanted: Range) -> bool:
    return access.project.is_production or wanted.count.number > TYPED_ABOVE


def _figures(asked: Asked) -> list[tuple[str, str, str]]:
    count, weighed = asked.wanted.count, asked.sample
    total = sum(row.size_bytes for row in weighed)
    is_all = len(weighed) >= count.number
    weight = size(total) if is_all else f"≈ {size(total * count.number // max(len(weighed), 1))}"
    if asked.wanted.is_small:
        takes, how = "a moment", "at once"
    else:
        takes, how = spell(max(count.number / KEYS_A_SECOND, 1), coarse=True), "can be stopped"
    return [
        ("Keys", f"{'' if count.exact else '≈ '}{grouped(count.number)}", "exact" if count.exact else "many are just expiring"),
        ("Values", weight, "exact" if is_all else f"first {grouped(len(weighed))} weighed"),
        ("Takes about", takes, how),
    ]  # fmt: skip


def _named(number: int, prefix: str) -> str:
    keys = "key" if number == 1 else "keys"
    return f"{keys} under {visible(prefix)}" if prefix else keys


def _back(access: Access, prefix: str) -> str:
    url = reverse("cache", args=[access.project.slug])
    return f"{url}?{urlencode({'prefix': prefix})}" if prefix else url
