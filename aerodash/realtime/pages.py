"""The pages that are live: which facts each one listens to, and how it renders what changed.

An app registers its pages in its consumers.py; the console socket (consumer.py) knows nothing of what is on them.
A page's view puts live_url(…) into its context, by which the footer connects.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.template.loader import render_to_string

from aerodash.auth import Scope
from aerodash.console.access import Access


@dataclass(frozen=True, slots=True)
class LiveView:
    """One open page. params: what its view passed to live_url. ids: what changed; None means look at everything.

    shown: the ids of the rows that the page shows now. nonce: the page's own, without which htmx ignores what is pushed.
    since: when (time.monotonic()) this process last heard of a change, for aerodash.realtime.shared.once.
    """

    access: Access
    params: Mapping[str, str]
    nonce: str
    ids: frozenset[str] | None
    shown: tuple[str, ...]
    since: float

    def render(self, template: str, context: Mapping[str, Any]) -> str:
        """A template or a partial of one ("jobs_admin/jobs.html#live") as the page itself would have rendered it."""
        access = self.access
        console = {
            "project": access.project,
            "role": access.role.value,
            "actor": access.actor,
            "user": access.user,
        }
        return render_to_string(template, {"console": console, "csp_nonce": self.nonce, **context})


type Render = Callable[[LiveView], str] | Callable[[LiveView], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class LivePage:
    name: str
    topics: tuple[str, ...]
    scope: Scope
    render: Render


_pages: dict[str, LivePage] = {}


def live_page(name: str, *, topics: tuple[str, ...], scope: Scope, render: Render) -> None:
    """Register a page. render: async, or sync and then run in a thread; returns <hx-partial> pieces, "" for none."""
    _pages[name] = LivePage(name, topics, scope, render)


def find(name: str) -> LivePage | None:
    return _pages.get(name)


def live_url(access: Access, page: str, **params: str) -> str:
    """The socket address for one page of one project, params included."""
    return f"/ws/console?{urlencode({'project': access.project.slug, 'page': page, **params})}"
