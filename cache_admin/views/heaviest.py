"""What takes the room: the folders below a prefix by weight, and the largest entries met on the way."""

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import answer
from aerodash.errors import EngineDown
from cache_admin import weights
from cache_admin.weights import Level, Weight

SORTS = {"bytes": "Size", "keys": "Keys", "mean": "A key"}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. share: of all bytes here, per cent, at least 1 if it has any. url: a level deeper, "" for none."""

    weight: Weight
    label: str
    share: int
    url: str


@require_GET
@project_page(Scope.CACHE_READ)
async def heaviest(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/cache/heaviest?prefix=…&sort=bytes|keys|mean: weighed when it is asked for; 503 if the engine is down."""
    prefix, sort = request.GET.get("prefix", ""), request.GET.get("sort", "")
    sort = sort if sort in SORTS else "bytes"
    context: dict[str, object] = {
        "prefix": prefix,
        "crumbs": _crumbs(prefix),
        "sort": sort,
        "sorts": {name: _query(prefix, name) for name in SORTS},
        "here": _query(prefix, sort) or "?",
    }
    try:
        level = await weights.heaviest(access.project_id, access.actor, prefix=prefix)
    except EngineDown as exc:
        return answer(request, "cache_admin/heaviest.html", context, down=exc)
    context |= {"level": level, "rows": _rows(level, prefix, sort), "at": datetime.now(UTC)}
    return answer(request, "cache_admin/heaviest.html", context)


def _rows(level: Level, prefix: str, sort: str) -> list[Row]:
    total = level.total.size_bytes
    rows = [
        Row(one, one.prefix.removeprefix(prefix), _share(one, total), _query(one.prefix, sort))
        for one in level.folders
    ]
    if level.loose is not None:
        rows.append(Row(level.loose, "", _share(level.loose, total), ""))
    by = {
        "bytes": lambda row: row.weight.size_bytes,
        "keys": lambda row: row.weight.count,
        "mean": lambda row: row.weight.mean_bytes,
    }
    return sorted(rows, key=by[sort], reverse=True)


def _share(one: Weight, total: int) -> int:
    return min(max(round(100 * one.size_bytes / total), 1), 100) if one.size_bytes and total else 0


def _crumbs(prefix: str) -> list[tuple[str, str]]:
    parts = prefix.split(":")[:-1]
    return [("".join(f"{part}:" for part in parts[: n + 1]), f"{part}:") for n, part in enumerate(parts)]


def _query(prefix: str, sort: str) -> str:
    named = {"prefix": prefix, "sort": "" if sort == "bytes" else sort}
    return "?" + urlencode({name: value for name, value in named.items() if value})
