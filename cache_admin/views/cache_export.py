"""Exporting the entries under a prefix, or the chosen ones, as a file of JSON Lines."""

import re
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.http import require_http_methods

from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import answer
from aerodash.errors import EngineDown
from cache_admin import bulk, queries, transfer
from cache_admin.views.bulk_question import SHOWN, none_left, weight_source, weight_text
from cache_admin.views.cache_selection import Chosen, chosen_by
from cache_admin.views.present import line

NAME_CHARS = 60


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Scope.CACHE_READ)
async def cache_export(request: HttpRequest, access: Access) -> HttpResponse | StreamingHttpResponse:
    """/p/<slug>/cache/export?prefix=…|keys=…: what the file would hold; POST answers it, piece by piece."""
    chosen = chosen_by(request)
    if request.method == "POST":
        return await _file(access, chosen)
    context: dict[str, object] = {"chosen": chosen, "back_url": chosen.back_url(access)}
    try:
        seen = await bulk.preview(access.project_id, access.actor, prefix=chosen.prefix, keys=chosen.keys)
        count = await queries.count(access.project_id, access.actor, prefix=chosen.prefix)
    except EngineDown as exc:
        return answer(request, "cache_admin/cache-export.html", context, part="export", down=exc)
    number = count.number if chosen.keys is None else len(seen.rows)
    if not number:
        return none_left(request, access, chosen)
    is_exact = count.exact or chosen.keys is not None
    context |= {
        "said": f"{'' if is_exact else '≈ '}{chosen.said(number)}",
        "number": number,
        "weight": weight_text(seen),
        "weight_source": weight_source(seen),
        "lines": [line(row, chosen.prefix) for row in seen.rows[:SHOWN]],
        "file_name": _name(access, chosen),
    }
    return answer(request, "cache_admin/cache-export.html", context, part="export")


async def _file(access: Access, chosen: Chosen) -> StreamingHttpResponse:
    pieces = await transfer.export(
        access.project_id, access.actor, slug=access.project.slug, prefix=chosen.prefix, keys=chosen.keys
    )
    return StreamingHttpResponse(
        pieces,
        content_type="application/jsonl; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{_name(access, chosen)}"',
            "Cache-Control": "no-store",
        },
    )


def _name(access: Access, chosen: Chosen) -> str:
    """shop-cache-session_eu-20260705T080910Z.jsonl: plain characters only, whatever the prefix has."""
    which = (
        "chosen" if chosen.keys is not None else re.sub(r"[^A-Za-z0-9.-]+", "_", chosen.prefix).strip("_.")
    )
    parts = [access.project.slug, "cache", which[:NAME_CHARS], f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"]
    return "-".join(filter(None, parts)) + ".jsonl"
