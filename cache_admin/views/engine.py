"""The engine's health: what in it needs a person, its vital signs, each server, slow commands, and the last hours."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from aerodash.auth import Scope
from aerodash.console import charts
from aerodash.console.access import Access, project_page
from aerodash.console.answer import answer
from aerodash.console.charts import Chart, Marker, Series, Window
from aerodash.database import ask
from aerodash.errors import EngineDown
from aerodash.realtime.pages import LiveView, live_url
from aerodash.rollups import markers as changes
from aerodash.rollups import queries as rollups
from aerodash.rollups.queries import Rollup
from cache_admin import health
from cache_admin.concerns import Concern, concerns
from cache_admin.figures import figures
from cache_admin.health import Health, Node, SlowCommand
from cache_admin.views.present import instant

SHOWN_HOURS = "3h"
STEPS_SHOWN = 360
"""Of a chart: as many as its width can tell apart."""
CHARTS_EVERY_S = 10.0
"""The figures' own buckets are so long: an open page gets new charts no more often."""


@dataclass(frozen=True, slots=True)
class Server:
    """A node as its row shows it. part: per cent of what its memory is bound by, None if that is not known."""

    node: Node
    part: float | None
    saved_at: datetime | None


@dataclass(frozen=True, slots=True)
class SlowLine:
    """A slow command as its row shows it. is_mine: it was about this project's keys; is_other: about another project's."""

    command: SlowCommand
    at: datetime | None
    is_mine: bool
    is_other: bool


@require_GET
@project_page(Scope.CACHE_READ)
async def engine(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/engine: for htmx the parts that change; 503 with the charts still there if no server answers."""
    window = charts.window(request.GET.dict(), now=datetime.now(UTC), default=SHOWN_HOURS)
    context = {
        **frame(access, window),
        **(await _charts(access, window) if not request.htmx else {}),  # type: ignore[attr-defined]
    }
    try:
        context |= await read(access)
    except EngineDown as exc:
        return answer(request, "cache_admin/engine.html", context, down=exc)
    return answer(request, "cache_admin/engine.html", context)


async def push(view: LiveView) -> str:
    """What the socket sends when this process has had a new look, and every CHARTS_EVERY_S the charts too."""
    await health.watch(view.access.project_id)
    if view.ids is not None and health.TICK not in view.ids:
        return ""
    window = charts.window(view.params, now=datetime.now(UTC), default=SHOWN_HOURS)
    context = frame(view.access, window)
    try:
        context |= await read(view.access)
    except EngineDown as exc:
        context["down"] = exc
    parts = await asyncio.to_thread(view.render, "cache_admin/engine.html#live", context)
    if window.is_zoomed or (view.ids is not None and time.time() % CHARTS_EVERY_S > health.REST_S):
        return parts
    drawn = await _charts(view.access, window)
    return parts + await asyncio.to_thread(view.render, "cache_admin/engine.html#live-charts", drawn)


def frame(access: Access, window: Window) -> dict[str, object]:
    """What the page shows whether the engine answers or not."""
    return {
        "window": window,
        "base_url": f"/p/{access.project.slug}/engine",
        "live_url": live_url(access, "engine", **window.params()),
    }


async def read(access: Access) -> dict[str, object]:
    """What the page shows of one look. Raises EngineDown."""
    await health.watch(access.project_id)
    now = await health.health(access.project_id, access.actor)
    mine = await figures(access.project_id, access.actor, since=time.monotonic() - health.REST_S)
    servers = [_server(node) for node in now.nodes]
    found = concerns(now)
    return {
        "now": now,
        "concerns": found,
        "servers": servers,
        "tightest": max(servers, key=lambda one: one.part or 0.0),
        "first": servers[0],
        "is_one": len(servers) == 1 and not now.vitals.is_cluster,
        "mine": mine,
        "behind": max((one.lag_bytes for one in now.replicas), default=None),
        "silent_s": max((one.silent_s for one in now.replicas), default=None),
        "slow": [_slow_line(one, access) for one in now.slow.commands],
        "tones": _tones(now, found),
    }


def _server(node: Node) -> Server:
    memory = node.memory
    taken = memory.used_bytes if memory.limit_bytes else memory.held_bytes
    part = 100 * taken / memory.bound_bytes if memory.bound_bytes else None
    return Server(node, part, instant(node.persistence.saved_at_s * 1000 or None))


def _slow_line(one: SlowCommand, access: Access) -> SlowLine:
    is_mine = one.project == access.project_id
    return SlowLine(one, instant(one.at_s * 1000), is_mine, one.project is not None and not is_mine)


def _tones(now: Health, found: list[Concern]) -> dict[str, str]:
    """Which tiles a rule tints, and how: by the word that the rule's sentence is filed under."""
    tones: dict[str, str] = {}
    for concern in reversed(found):
        tones[concern.about] = "is-bad" if concern.is_bad else "is-warn"
    return tones


async def _charts(access: Access, window: Window) -> dict[str, object]:
    return await ask(_drawn)(access, window)


def _drawn(access: Access, window: Window) -> dict[str, object]:
    """Entries asked for and written, and memory, over the time shown."""
    span = {"start_at": window.start_at, "end_at": window.end_at}
    step_s = int(window.seconds // STEPS_SHOWN)
    project, actor, url = access.project_id, access.actor, "?"
    found = {
        metric: rollups.series(project, actor, f"cache.{metric}", **span, step_s=step_s)
        for metric in ("hits", "misses", "writes", "expired", "memory_bytes")
    }
    marks = [
        Marker(one.at.timestamp(), one.label, "")
        for one in changes.markers(project, actor, **span)
        if one.kind in {"cache", "key", "settings"}
    ]
    hits = found["hits"]
    per_second = Chart(
        "entries-per-second",
        "Entries a second",
        "",
        hits.at,
        [
            Series("hits", _per_second(hits), tone="good"),
            Series("misses", _per_second(found["misses"]), tone="warn"),
            Series("writes", _per_second(found["writes"]), tone="accent"),
            Series("expired", _per_second(found["expired"]), tone="idle"),
        ],
        markers=marks,
        range_url=url,
    )
    memory = found["memory_bytes"]
    used = Chart(
        "memory",
        "Memory used",
        "bytes",
        memory.at,
        [Series("used", memory.values[""], tone="run")],
        range_url=url,
    )
    return {"charts": [per_second, used]}


def _per_second(rollup: Rollup) -> list[float | None]:
    return [None if value is None else value / 60 for value in rollup.per_minute()]
