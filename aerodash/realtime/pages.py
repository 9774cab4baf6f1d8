"""The pages that are live: which facts each one listens to, and how it renders what changed.

An app registers its pages in its consumers.py; the console socket (consumer.py) knows nothing of what is on them.
A page's view puts live_url(…) into its context, by which the footer connects.
"""

from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.template.loader import render_to_string

from aerodash.auth import Scope
from aerodash.console.access import Access


@dataclass(frozen=True, slots=True)
class LiveView:
    """What one or many open pages show alike. params: what their view passed to live_url.

    access: of one of the people who look, all of whom have the same role: what is rendered may depend on the project and
    the role, never on the person. ids: what changed; None means look at everything. shown: the ids of the rows that the
    pages show now. nonce: without it htmx ignores what is pushed. since: when (time.monotonic()) this process last heard
    of a change, for aerodash.realtime.shared.once. everyone: the rows of all pages that are looked at together, to read
    them once for all.
    """

    access: Access
    params: Mapping[str, str]
    nonce: str
    ids: frozenset[str] | None
    shown: tuple[str, ...]
    since: float
    everyone: tuple[str, ...] = ()
    _shared: dict[Hashable, Any] = field(default_factory=dict)

    def once[T](self, key: Hashable, make: Callable[[], T]) -> T:
        """make(), or what a page of other params that is looked at together with this one made of the same key."""
        if key not in self._shared:
            self._shared[key] = make()
        return self._shared[key]

    def render(self, template: str, context: Mapping[str, Any]) -> str:
        """A template or a partial of one ("jobs_admin/jobs.html#live") as the page itself would have rendered it."""
        console = {"project": self.access.project, "role": self.access.role.value}
        return render_to_string(template, {"console": console, "csp_nonce": self.nonce, **context})


type Render = Callable[[LiveView], str] | Callable[[LiveView], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class LivePage:
    """every_s: how often at most it is looked at, where that is rarer than for all pages."""

    name: str
    topics: tuple[str, ...]
    scope: Scope
    render: Render
    every_s: float = 0.0


_pages: dict[str, LivePage] = {}


def live_page(
    name: str, *, topics: tuple[str, ...], scope: Scope, render: Render, every_s: float = 0.0
) -> None:
    """Register a page. render: async, or sync and then run in a thread; returns <hx-partial> pieces, "" for none.

    every_s: for pages of figures that nobody wants to see change faster; else as often as a room looks (room.py).
    """
    _pages[name] = LivePage(name, topics, scope, render, every_s)


def find(name: str) -> LivePage | None:
    return _pages.get(name)


def live_url(access: Access, page: str, **params: str) -> str:
    """The socket address for one page of one project, params included."""
    return f"/ws/console?{urlencode({'project': access.project.slug, 'page': page, **params})}"
