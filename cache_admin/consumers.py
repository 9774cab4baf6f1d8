"""The live pages of this app: what each one renders when something changed.

Large ones are rendered in a thread: the loop serves the API meanwhile.
"""

import asyncio

from aerodash.auth import Scope
from aerodash.realtime import topics
from aerodash.realtime.pages import LiveView, live_page
from cache_admin.figures import STATS_ID, figures
from cache_admin.flags import views as flags
from cache_admin.views import cache, cache_import, engine, entry


async def cache_changed(view: LiveView) -> str:
    """Folders, counts and the rows on the page; rows stay where they are. Only the figures when only counters moved."""
    if view.ids == frozenset({STATS_ID}):
        now = await figures(view.access.project_id, view.access.actor, since=view.since)
        return await asyncio.to_thread(
            view.render, "cache_admin/cache.html#live-figures", {"figures": now, "total": now.keys}
        )
    place = cache.Place(**{name: view.params.get(name, "") for name in ("prefix", "after", "before", "tree")})
    context = cache.frame(view.access, place)
    context |= await cache.read(
        view.access, place, shown=view.shown, changed=view.ids or frozenset(), since=view.since
    )
    return await asyncio.to_thread(view.render, "cache_admin/cache.html#live", context)


async def entry_changed(view: LiveView) -> str:
    """The facts above the value, and a note if somebody wrote it: what is being read or edited stays as it is."""
    key = view.params.get("key", "")
    if view.ids is not None and key not in view.ids:
        return ""
    found = await entry.look(view.access, key)
    if found is None:
        return view.render("cache_admin/entry.html#gone", {"changed": "gone"})
    context = {**entry.frame(view.access, key), **await entry.facts(view.access, found)}
    same = entry.digest(found) == view.params.get("seen")
    return view.render("cache_admin/entry.html#live", context | {"changed": "" if same else "written"})


async def flags_changed(view: LiveView) -> str:
    """The switches and who changed them last; rows stay where they are."""
    filters = flags.Filters.of(dict(view.params))
    context = flags.frame(view.access, filters)
    context |= await flags.read(view.access, filters, shown=view.shown, changed=view.ids or frozenset())
    return view.render("cache_admin/flags.html#live", context)


live_page("cache", topics=(topics.CACHE, topics.CACHE_STATS), scope=Scope.CACHE_READ, render=cache_changed)
live_page("cache-entry", topics=(topics.CACHE,), scope=Scope.CACHE_READ, render=entry_changed)
live_page("engine", topics=(topics.ENGINE,), scope=Scope.CACHE_READ, render=engine.push)
live_page("cache-import", topics=(topics.OPERATIONS,), scope=Scope.CACHE_WRITE, render=cache_import.push)
live_page("flags", topics=(topics.FLAGS,), scope=Scope.FLAGS_READ, render=flags_changed)
