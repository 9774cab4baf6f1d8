"""What the questions before a bulk change have in common: how many, about what weight, some of them."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from aerodash.console.access import Access
from aerodash.templatetags.aerodash_ui import grouped, size, spell
from cache_admin import bulk
from cache_admin.bulk import Preview, Range
from cache_admin.views.cache_selection import Chosen
from cache_admin.views.present import line
from cache_admin.views.production import reason_of

SHOWN = 4
DELETES_A_SECOND, CHANGES_A_SECOND = 20_000, 10_000
"""About what the keeper does with its pauses; said as "about" and in seconds or minutes."""


def about(
    request: HttpRequest, access: Access, chosen: Chosen, wanted: Range, seen: Preview
) -> dict[str, object]:
    """The part of a question's context that every bulk change has."""
    holds_flags = wanted.holds_flags
    return {
        "chosen": chosen,
        "wanted": wanted,
        "number": wanted.count.number,
        "lines": [line(row, chosen.prefix) for row in seen.rows[:SHOWN]],
        "back_url": chosen.back_url(access),
        "hidden": {
            "up_to": str(wanted.up_to),
            "count": str(wanted.count.number),
            "digest": wanted.digest,
        },
        "holds_flags": holds_flags,
        "needs_reason": access.project.is_production and holds_flags,
        "reason": reason_of(request),
    }


def figures(wanted: Range, seen: Preview, *, keys_a_second: int) -> list[tuple[str, str, str]]:
    """How many, their weight and how long it takes; each with how it is known."""
    number = wanted.count.number
    if wanted.is_small:
        takes, how = "a moment", "at once"
    else:
        takes, how = spell(max(number / keys_a_second, 1), coarse=True), "can be stopped"
    return [
        ("Keys", count_text(wanted), "exact" if wanted.count.exact else "many are just expiring"),
        ("Values", weight_text(seen), weight_source(seen)),
        ("Takes about", takes, how),
    ]


def count_text(wanted: Range) -> str:
    return f"{'' if wanted.count.exact else '≈ '}{grouped(wanted.count.number)}"


def weight_text(seen: Preview) -> str:
    return f"{'' if seen.is_all else '≈ '}{size(seen.size_bytes)}"


def weight_source(seen: Preview) -> str:
    """How the weight is known: "exact", "± 4 %, from 2,000 keys"."""
    if seen.is_all:
        return "exact"
    return f"± {100 * seen.error_bytes / max(seen.size_bytes, 1):.0f} %, from {grouped(seen.sampled)} keys"


def moved(chosen: Chosen) -> str:
    """Why the question is asked again."""
    if chosen.keys is None:
        return "the entries are not those that were shown. These are those of now: look again."
    return (
        "some of the chosen entries were written or went away meanwhile. These are those of now: look again."
    )


async def before_text(access: Access, wanted: Range) -> str:
    """The range's figures, for the audit log."""
    seen = await bulk.preview(access.project_id, access.actor, prefix=wanted.prefix, keys=wanted.keys)
    return f"{count_text(wanted)} keys, {weight_text(seen)}"


def none_left(request: HttpRequest, access: Access, chosen: Chosen) -> HttpResponse:
    """Back to the cache page: there is nothing to ask about."""
    if chosen.keys is not None:
        messages.info(request, "The chosen entries are all gone already.")
    else:
        messages.info(request, f"There are no {chosen.said(0).removeprefix('0 ')}.")
    return HttpResponseRedirect(chosen.back_url(access))
