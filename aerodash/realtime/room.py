"""The open pages of one kind in one project, as this process serves them: one look for all of them.

A room hears the facts about its topics (publish.py). At most every INTERVAL_S it asks who may still look (audience.py),
renders what changed once for all tabs that show the same, and sends it to each under its own nonce. Tabs that show
something else share what they can (LiveView.once, LiveView.everyone). So a hundred open tabs ask the database and
Valkey no more than one does.
"""

import asyncio
import inspect
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from typing import Any

from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.db import DatabaseError
from redis.exceptions import RedisError

from aerodash.errors import AeroDashError
from aerodash.ids import ProjectId
from aerodash.realtime import audience, topics
from aerodash.realtime.audience import Seat
from aerodash.realtime.pages import LivePage, LiveView
from aerodash.realtime.publish import degraded

INTERVAL_S = 0.25
BEAT_S = 5.0
RECHECK_S = 15.0
"""After so long a page looks at everything once, in case a fact was lost with the process that should have sent it."""
IDS_MAX = 1000
"""Changes that a paused page counts one by one."""

NOT_ALLOWED = 4403
FAULT = 1011

# Stands for the page's nonce in what is rendered once for many; it never leaves this process.
_NONCE = f"nonce-{secrets.token_hex(16)}"

log = logging.getLogger(__name__)


class Tab:
    """One open page, as its socket knows it.

    send: a frame to the page. close: end the socket with a code. nonce: "" until the page said its own. asked: the number
    of the last refresh that it asked for. ids: what changed and is not shown yet; None: it must look at everything.
    """

    def __init__(
        self,
        seat: Seat,
        params: dict[str, str],
        *,
        send: Callable[[dict[str, Any]], Awaitable[None]],
        close: Callable[[int], Awaitable[None]],
    ) -> None:
        self.seat = seat
        self.params = params
        self.nonce = ""
        self.shown: tuple[str, ...] = ()
        self.paused = False
        self.asked = 0
        self.answered = 0
        self.ids: set[str] | None = set()
        self.changed_at: float | None = None
        self.is_faulty = False  # could not be shown; the next beat tries again
        self._told: int | str = 0
        self._send, self._close = send, close
        self._sending: asyncio.Task[None] | None = None
        self._is_ended = False

    def hear(self, ids: list[str] | None, at: float) -> None:
        """These changed at this time; None: nobody can say what."""
        if ids is None or self.ids is None or len(self.ids) > IDS_MAX:
            self.ids = None
        else:
            self.ids.update(ids)
        if self.changed_at is None:
            self.changed_at = at

    def look_at_all(self) -> None:
        self.ids = None
        # What is shown next is a catching up: it says nothing about how fast changes come.
        self.changed_at = None

    @property
    def is_busy(self) -> bool:
        """Whether its last frame is still under way: a slow connection gets fewer frames, and holds up nobody."""
        return self._is_ended or (self._sending is not None and not self._sending.done())

    @property
    def wants(self) -> bool:
        """Whether there is something to show it."""
        if not self.nonce or self.is_faulty or self._is_ended:
            return False
        return self.asked > self.answered or (not self.paused and (self.ids is None or bool(self.ids)))

    @property
    def is_due(self) -> bool:
        return self.wants and not self.is_busy

    @property
    def waiting(self) -> int | str:
        """How many changes a paused page does not show; "many" if nobody counted."""
        return "many" if self.ids is None else len(self.ids)

    @property
    def has_untold(self) -> bool:
        return self.paused and not self.is_busy and bool(self.waiting) and self.waiting != self._told

    def begin_look(self) -> tuple[frozenset[str] | None, int, float | None]:
        """What a look that begins now is about, and counts as seen: ids, the refresh it answers, since when."""
        is_asked = self.asked > self.answered
        ids = None if is_asked or self.ids is None else frozenset(self.ids)
        found = ids, self.asked, None if is_asked else self.changed_at
        self.ids, self.changed_at, self._told = set(), None, 0
        return found

    def push(self, frame: dict[str, Any]) -> None:
        """Send a frame without waiting for it."""
        if "waiting" in frame:
            self._told = frame["waiting"]
        self._sending = asyncio.get_running_loop().create_task(self._deliver(frame))

    def end(self, code: int) -> None:
        self._is_ended = True
        self._sending = asyncio.get_running_loop().create_task(self._finish(code))

    async def _deliver(self, frame: dict[str, Any]) -> None:
        try:
            await self._send(frame)
        except Exception as exc:  # noqa: BLE001 - the peer went; its socket's own end follows and cleans up
            log.debug("a frame did not reach its page: %s", exc)

    async def _finish(self, code: int) -> None:
        with suppress(Exception):  # a peer that is gone already need not be told
            await self._close(code)


_rooms: dict[tuple[ProjectId, str], "Room"] = {}


async def join(page: LivePage, tab: Tab) -> "Room":
    """Put a tab among those of its project and page. When this returns, nothing that changes is missed."""
    key = (tab.seat.access.project_id, page.name)
    room = _rooms.get(key)
    if room is None:
        room = _rooms[key] = Room(key[0], page)
    await room.enter(tab)
    return room


class Room:
    """See the module. Lives on the loop of the sockets, from the first tab to the last."""

    def __init__(self, project: ProjectId, page: LivePage) -> None:
        self._project, self._page = project, page
        self.tabs: dict[Tab, None] = {}
        self.is_subscribed = False
        self._groups = [topics.group(project, topic) for topic in page.topics]
        self._channel = ""
        self._opening = asyncio.Lock()
        self._heard_at = time.monotonic()
        self._looked_at = time.monotonic()
        self._streams: dict[tuple[str, str], int] = {}
        self._stale = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._listening: asyncio.Task[None] | None = None

    async def enter(self, tab: Tab) -> None:
        self.tabs[tab] = None
        async with self._opening:
            if not self._tasks and self.tabs:
                await self._subscribe()
                self._tasks = [asyncio.create_task(self._serve()), asyncio.create_task(self._beat())]

    async def leave(self, tab: Tab) -> None:
        """Take a tab out; the last one puts out the light."""
        self.tabs.pop(tab, None)
        if self.tabs:
            return
        _rooms.pop((self._project, self._page.name), None)
        async with self._opening:
            await self._end()

    @property
    def state(self) -> str:
        return "degraded" if degraded() or not self.is_subscribed else "live"

    def hear(self, fact: dict[str, Any]) -> None:
        """A fact from the feed; a gap in its numbers makes every tab look at everything."""
        stream, seq = (fact["source"], fact["topic"]), fact["seq"]
        before = self._streams.get(stream)
        self._streams[stream] = seq
        ids = fact["ids"]
        if ids == "many" or (before is not None and seq != before + 1):
            ids = None
        for tab in self.tabs:
            tab.hear(ids, fact["at"])
        self._heard_at = time.monotonic()
        self._stale.set()

    def wake(self, *, fresh: bool = False) -> None:
        """A tab has something to be shown. fresh: even what was read a moment ago will not do."""
        if fresh:
            self._heard_at = time.monotonic()
        self._stale.set()

    async def _serve(self) -> None:
        """Look and push whenever something is new: at most every INTERVAL_S, and at most half of the time."""
        while True:
            await self._stale.wait()
            self._stale.clear()
            began = time.monotonic()
            try:
                await self._push()
            except Exception:
                log.exception("live page %s could not be served", self._page.name)
                for tab in self.tabs:  # they come back, to a room that looks at everything
                    tab.end(FAULT)
            took = time.monotonic() - began
            await asyncio.sleep(max(INTERVAL_S - took, self._page.every_s - took, took))
            if any(tab.wants for tab in self.tabs):  # one that was busy, or asked meanwhile
                self._stale.set()

    async def _push(self) -> None:
        for tab in self.tabs:
            if tab.has_untold:
                tab.push({"state": self.state, "waiting": tab.waiting})
        due = [tab for tab in self.tabs if tab.is_due]
        if not due:
            return
        try:
            allowed = await audience.still(self._project, {tab.seat for tab in due}, self._page.scope)
        except DatabaseError as exc:
            self._could_not_look(due, exc)
            return
        looks: dict[Hashable, list[Tab]] = {}
        about: dict[Tab, tuple[frozenset[str] | None, int, float | None]] = {}
        for tab in due:
            access = allowed.get(tab.seat)
            if access is None:
                tab.end(NOT_ALLOWED)
                continue
            about[tab] = tab.begin_look()
            same = (tuple(tab.params.items()), tab.shown, access.role, about[tab][0])
            looks.setdefault(same, []).append(tab)
        everyone = tuple(sorted({id for tab in about for id in tab.shown}))
        shared: dict[Hashable, Any] = {}
        since = self._heard_at
        # The oldest rows first: what is read for those may do for the others (see LiveView.once).
        for tabs in sorted(looks.values(), key=lambda tabs: tabs[0].shown):
            first = tabs[0]
            view = LiveView(
                allowed[first.seat],
                first.params,
                _NONCE,
                about[first][0],
                first.shown,
                since,
                everyone,
                shared,
            )
            try:
                content = await self._render(view)
            except (AeroDashError, DatabaseError) as exc:
                self._could_not_look(tabs, exc)
                continue
            except Exception:
                log.exception("live page %s could not be rendered", self._page.name)
                for tab in tabs:
                    tab.end(FAULT)
                continue
            for tab in tabs:
                _, asked, changed_at = about[tab]
                self._show(tab, content, asked, changed_at)

    def _show(self, tab: Tab, content: str, asked: int, changed_at: float | None) -> None:
        frame: dict[str, Any] = {"state": self.state}
        if content:
            frame["content"] = content.replace(_NONCE, tab.nonce)
            if changed_at is not None:
                frame["changed_at"] = changed_at * 1000
        if asked > tab.answered:
            frame["refreshed"] = tab.answered = asked
        if len(frame) > 1:
            tab.push(frame)

    async def _render(self, view: LiveView) -> str:
        if inspect.iscoroutinefunction(self._page.render):
            return await self._page.render(view)
        return await database_sync_to_async(self._page.render, thread_sensitive=False)(view)  # type: ignore[arg-type]

    def _could_not_look(self, tabs: list[Tab], exc: Exception) -> None:
        """The next beat tries again."""
        log.warning("live page %s: %s", self._page.name, getattr(exc, "message", exc))
        for tab in tabs:
            tab.look_at_all()
            tab.is_faulty = True
            tab.push({"state": "degraded"})

    async def _beat(self) -> None:
        """Say "nothing new" now and then; look at everything while the feed is interrupted, or after a fault."""
        while True:
            await asyncio.sleep(BEAT_S)
            was_away = not self.is_subscribed
            if was_away:
                await self._subscribe()
            look = was_away or degraded() or time.monotonic() - self._looked_at > RECHECK_S
            if look:
                self._looked_at = time.monotonic()
                self.wake(fresh=True)
            for tab in self.tabs:
                # A paused one looks at everything anyway when it goes on.
                if tab.is_faulty or (look and not tab.paused):
                    tab.is_faulty = False
                    tab.look_at_all()
                    self._stale.set()
                elif not tab.is_busy:
                    tab.push({"state": self.state})

    async def _subscribe(self) -> None:
        layer = get_channel_layer()
        try:
            self._channel = self._channel or await layer.new_channel()
            for group in self._groups:
                await layer.group_add(group, self._channel)
        except (RedisError, OSError):
            return
        self.is_subscribed = True
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        layer = get_channel_layer()
        while True:
            self.hear(await layer.receive(self._channel))

    async def _end(self) -> None:
        ending = [*self._tasks, *([self._listening] if self._listening else [])]
        if self.is_subscribed:
            layer = get_channel_layer()
            for group in self._groups:
                with suppress(RedisError, OSError):  # the group dies with the connection to it
                    await layer.group_discard(group, self._channel)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
