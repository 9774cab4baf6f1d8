"""The cache page: folders of keys with exact counts, and the entries under one prefix, page by page."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import answer
from aerodash.errors import EngineDown, InvalidInput
from aerodash.realtime.pages import live_url
from cache_admin import queries
from cache_admin.bounds import from_cursor
from cache_admin.figures import figures
from cache_admin.queries import Count, EntryPage, Tree
from cache_admin.templatetags.cache_ui import visible
from cache_admin.views.present import Line, gone, line
from cache_admin.weights import Weight, glance

ENTRIES_A_PAGE = 50
ROWS_A_LEVEL = 200
LEVELS_SHOWN = 6
LOOSE_SHOWN = 8


@dataclass(slots=True)
class Node:
    """A folder in the tree. share: its keys of all keys, per cent, at least 1 if it has any. label, title: as they are
    written on the page. weight: about what it weighs, None while that is not known."""

    prefix: str
    label: str
    title: str
    query: str
    count: int
    share: int
    weight: Weight | None = None
    is_open: bool = False
    is_current: bool = False
    level: "Level | None" = None


@dataclass(slots=True)
class Level:
    """The folders and loose keys directly below a prefix. hidden: loose keys left to the table. more: the tree cursor
    of the level's next page."""

    prefix: str
    nodes: list[Node] = field(default_factory=list)
    keys: Sequence[str] = ()
    hidden: int = 0
    more: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where on the page one is, as the URL says it."""

    prefix: str = ""
    after: str = ""
    before: str = ""
    tree: str = ""

    def params(self) -> dict[str, str]:
        named = {"prefix": self.prefix, "after": self.after, "before": self.before, "tree": self.tree}
        return {name: value for name, value in named.items() if value}


@require_GET
@project_page(Scope.CACHE_READ)
async def cache(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/cache: folders and entries, for htmx the parts that change; 503 with empty panels if the engine is down."""
    place = Place(**{name: request.GET.get(name, "") for name in ("prefix", "after", "before", "tree")})
    context = frame(access, place)
    shown = [one for one in request.GET.get("shown", "").split(",") if one] if request.htmx else None  # type: ignore[attr-defined]
    try:
        context |= await read(access, place, shown=shown)
    except EngineDown as exc:
        return answer(request, "cache_admin/cache.html", context, down=exc)
    return answer(request, "cache_admin/cache.html", context)


def frame(access: Access, place: Place) -> dict[str, object]:
    """What the page shows whether the cache can be read or not."""
    return {
        "place": place,
        "here": "?" + urlencode(place.params()),
        "shown_prefix": visible(place.prefix),
        "entry_url": reverse("cache-entry", args=[access.project.slug]),
        "may_write": access.may(Scope.CACHE_WRITE),
        "live_url": live_url(access, "cache", **place.params()),
    }


async def read(
    access: Access,
    place: Place,
    *,
    shown: Sequence[str] | None = None,
    changed: frozenset[str] = frozenset(),
    since: float | None = None,
) -> dict[str, object]:
    """What the page shows of the cache.

    shown: the row ids of a page that is open already: its rows stay where they are, those that went are struck
    through, and new ones are only counted. None: a fresh page. changed: the keys that just did.
    since: figures that were read after this (time.monotonic()) will do; None: read now.
    """
    project, actor = access.project_id, access.actor
    cursor, reverse = place.before or place.after or None, bool(place.before)
    room = ENTRIES_A_PAGE if shown is None else 2 * ENTRIES_A_PAGE
    prefixes = _levels(place.prefix)
    now, under, page, *trees = await asyncio.gather(
        figures(project, actor, since=time.monotonic() if since is None else since),
        queries.count(project, actor, prefix=place.prefix),
        queries.list_entries(project, actor, prefix=place.prefix, limit=room, cursor=cursor, reverse=reverse),
        *(
            queries.tree(
                project,
                actor,
                prefix=prefix,
                limit=ROWS_A_LEVEL,
                after=place.tree if prefix == prefixes[-1] else None,
            )
            for prefix in prefixes
        ),
    )
    weighed = await asyncio.gather(
        *(
            glance(project, actor, prefix=prefix, folders=[folder.prefix for folder in tree.folders])
            for prefix, tree in zip(prefixes, trees, strict=True)
        )
    )
    weights = {prefix: weight for level in weighed for prefix, weight in level.items()}
    lines, unseen = _lines(page, place, shown, changed)
    total = now.keys
    return {
        "total": total,
        "figures": now,
        "under": under,
        "lines": lines,
        "present": sum(not line.is_gone for line in lines),
        "unseen": unseen,
        "page": page,
        "tree": _nest(prefixes, trees, total, place.prefix, weights),
        "is_exact": total.exact and under.exact,
        "outer": prefixes[0],
    }


def _lines(
    page: EntryPage, place: Place, shown: Sequence[str] | None, changed: frozenset[str]
) -> tuple[list[Line], int]:
    """The rows, and how many keys belong on this page that an open one does not show."""
    found = {row.key: row for row in page.entries}
    keys = [key for row_id in shown or () if (key := _key(row_id, place.prefix)) is not None]
    if not keys:
        return [line(row, place.prefix) for row in page.entries[:ENTRIES_A_PAGE]], 0
    lines = [
        line(found[key], place.prefix, is_fresh=key in changed) if key in found else gone(key, place.prefix)
        for key in keys
    ]
    last = max(key.encode() for key in keys)
    on_page = set(keys)
    return lines, sum(
        key not in on_page and (len(keys) < ENTRIES_A_PAGE or key.encode() < last) for key in found
    )


def _key(row_id: str, prefix: str) -> str | None:
    try:
        return from_cursor(row_id, prefix=prefix)
    except InvalidInput:
        return None


def _levels(prefix: str) -> list[str]:
    """The folders on the way to a prefix, outermost first: "", "session:", "session:eu:". Deep ones keep the last few."""
    parts = prefix.split(":")[:-1]
    return ["", *("".join(f"{part}:" for part in parts[: n + 1]) for n in range(len(parts)))][-LEVELS_SHOWN:]


def _nest(
    prefixes: list[str], trees: list[Tree], total: Count, chosen: str, weights: Mapping[str, Weight]
) -> Level:
    """The levels put into each other along the way to the chosen prefix."""
    inner: Level | None = None
    for prefix, tree in reversed(list(zip(prefixes, trees, strict=True))):
        is_deepest = inner is None
        level = Level(prefix, more=tree.after)
        if not prefix or not is_deepest:
            level.keys = tree.keys[:LOOSE_SHOWN]
            level.hidden = len(tree.keys) - len(level.keys)
        level.nodes = [
            _node(folder.prefix, prefix, folder.count, total.number, weights) for folder in tree.folders
        ]
        if inner is not None:
            _open(
                level, inner, dict(zip(prefixes, trees, strict=True))[inner.prefix].total.number, total.number
            )
        for node in level.nodes:
            node.is_current = node.prefix == chosen
        inner = level
    assert inner is not None
    return inner


def _open(level: Level, inner: Level, count: int, total: int) -> None:
    """Put the open folder's level into its node; one that lies behind the level's first page is added."""
    for node in level.nodes:
        if node.prefix == inner.prefix:
            break
    else:
        node = _node(inner.prefix, level.prefix, count, total, {})
        level.nodes.append(node)
    node.is_open = True
    node.level = inner


def _node(prefix: str, within: str, count: int, total: int, weights: Mapping[str, Weight]) -> Node:
    title = visible(prefix)
    label = visible(prefix.removeprefix(within))
    share = _share(count, total)
    return Node(prefix, label, title, quote(prefix, safe=""), count, share, weights.get(prefix))


def _share(count: int, total: int) -> int:
    return max(round(100 * count / total), 1) if count and total else 0
