"""One search for a project: a pasted job id, cache key, flag or type leads to its page; else a list of what begins so.

Every question is bounded: one row by its id or name, the first keys from an index, the names of types, of which a
project has at most a thousand. Ids are found whole: heads of UUIDv7s are alike, and no index goes by their tails.
"""

import asyncio
from dataclasses import dataclass, field
from urllib.parse import urlencode

from channels.db import database_sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_GET

from aerodash import operations
from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import answer
from aerodash.console.context import SECTIONS
from aerodash.errors import EngineDown, InvalidInput
from cache_admin import queries as cache
from cache_admin.flags.stored import PREFIX as FLAG_PREFIX
from jobs_admin import batches, schedules
from jobs_admin import queries as jobs

FOUND_MAX = 6
"""Of each kind. Further ones are counted, or found by writing more."""


@dataclass(frozen=True, slots=True)
class Found:
    """One thing. kind: its word in the list. exact: it is what was asked for, not only like it."""

    kind: str
    label: str
    url: str
    icon: str
    note: str = ""
    exact: bool = False


@dataclass(slots=True)
class Answer:
    """What was found, the best first; more: what lists the rest; away: what cannot be searched now, and why."""

    found: list[Found] = field(default_factory=list)
    more: list[Found] = field(default_factory=list)
    away: list[str] = field(default_factory=list)

    @property
    def only(self) -> Found | None:
        """The one thing that was meant, if there is one."""
        exact = [one for one in self.found if one.exact]
        chosen = exact or ([] if self.more or self.away else self.found)
        return chosen[0] if len(chosen) == 1 else None


@require_GET
@project_page(Scope.CACHE_READ)
async def search(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/search?q=: on to the one thing that is meant, else a list; for htmx always the list alone."""
    q = request.GET.get("q", "").strip()
    said = await look(access, q) if q else Answer()
    if not request.htmx and said.only is not None:  # type: ignore[attr-defined]
        return HttpResponseRedirect(said.only.url)
    return answer(request, "console/search.html", {"q": q, "said": said}, part="found")


async def look(access: Access, q: str) -> Answer:
    """Everything in the project that is called q, or begins so. What cannot be asked now is said, the rest answers."""
    said, stored, work = await asyncio.gather(
        database_sync_to_async(_jobs, thread_sensitive=False)(access, q),
        _cache(access, q),
        operations.get(access.project_id, access.actor, id=q),
    )
    if work is not None:
        url = reverse("operation", args=[access.project.slug, work.id])
        said.found.append(Found("operation", str(work.id), url, icon="progress", note=work.state, exact=True))
    said.found += stored.found + _pages(access, q)
    said.found.sort(key=lambda one: not one.exact)
    said.more, said.away = stored.more, stored.away
    return said


def _jobs(access: Access, q: str) -> Answer:
    """A job or a batch by its id, a schedule by its name, and types by a part of theirs."""
    said = Answer()
    if not access.may(Scope.QUEUE_READ):
        return said
    slug, project, actor = access.project.slug, access.project_id, access.actor
    for row in jobs.rows(project, actor, ids=[q]):
        url, note = reverse("job", args=[slug, row.id]), f"{row.type}, {row.state}"
        said.found.append(Found("job", row.id, url, icon="stack-2", note=note, exact=True))
    if batch := batches.get(project, actor, batch=q):
        url = reverse("batch", args=[slug, batch.id])
        said.found.append(Found("batch", batch.id, url, icon="packages", exact=True))
    # PostgreSQL takes no NUL.
    if q.isprintable() and (schedule := schedules.get(project, actor, name=q)):
        url = reverse("schedule", args=[slug, schedule.name])
        said.found.append(Found("schedule", schedule.name, url, icon="calendar-repeat", exact=True))
    types = jobs.types(project, actor)
    like = [one for one in types if q.casefold() in one.name.casefold()]
    like.sort(key=lambda one: (one.name != q, not one.name.startswith(q)))
    for one in like[:FOUND_MAX]:
        url = reverse("type", args=[slug, one.name])
        note = f"{one.counts.total:,} jobs"
        said.found.append(Found("type", one.name, url, icon="category", note=note, exact=one.name == q))
    return said


async def _cache(access: Access, q: str) -> Answer:
    """Keys and flags by the beginning of their names. A flag is an entry, shown once, as what people know it by."""
    name = q.removeprefix(FLAG_PREFIX)
    try:
        keys, flags = await asyncio.gather(_first_keys(access, q), _first_keys(access, FLAG_PREFIX + name))
        count = (
            await cache.count(access.project_id, access.actor, prefix=q) if len(keys) > FOUND_MAX else None
        )
    except EngineDown as exc:
        return Answer(away=[f"Keys and flags cannot be searched right now. {exc.message}"])
    except InvalidInput:  # what was typed can be no key: it is too long, or has characters that none has
        return Answer()
    said = Answer()
    for key in flags[:FOUND_MAX]:
        url, label = _entry_url(access, key), key.removeprefix(FLAG_PREFIX)
        said.found.append(Found("flag", label, url, icon="flag", exact=label == name))
    for key in keys[:FOUND_MAX]:
        if not key.startswith(FLAG_PREFIX):
            said.found.append(Found("key", key, _entry_url(access, key), icon="database", exact=key == q))
    if count is not None:
        url = f"{reverse('cache', args=[access.project.slug])}?{urlencode({'prefix': q})}"
        about = "" if count.exact else "≈ "
        said.more.append(
            Found("keys", f"All {about}{count.number:,} keys that begin with this", url, icon="dots")
        )
    return said


async def _first_keys(access: Access, prefix: str) -> tuple[str, ...]:
    page = await cache.list_keys(access.project_id, access.actor, prefix=prefix, limit=FOUND_MAX + 1)
    return page.keys


def _entry_url(access: Access, key: str) -> str:
    return f"{reverse('cache-entry', args=[access.project.slug])}?{urlencode({'key': key})}"


def _pages(access: Access, q: str) -> list[Found]:
    """The console's own pages, by the beginning of their names."""
    return [
        Found("page", one.label, f"/p/{access.project.slug}/{one.name}", icon=one.icon)
        for one in SECTIONS
        if one.label.casefold().startswith(q.casefold()) and (one.needs is None or access.may(one.needs))
    ]
