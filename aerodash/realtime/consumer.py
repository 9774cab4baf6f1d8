"""The console's socket: renders, for one open page, what changed, and pushes it as htmx partials.

A frame to the page is JSON: seq (1, 2, … on this socket), at (server time, ms), state ("live", "degraded",
"restarting") and, in a push, content (HTML) and changed_at (when the oldest of its facts happened, ms).
A frame from the page is JSON: nonce (first frame, required), shown (ids of its rows), paused, refresh (render everything
now), sent_at (answered in a frame of its own as echo, by which the page learns its clock's offset).
"""

import asyncio
import inspect
import json
import logging
import re
import time
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from redis.exceptions import RedisError

from aerodash.console.access import Access, find_access, is_signed_in
from aerodash.errors import AeroDashError
from aerodash.realtime import pages, topics
from aerodash.realtime.publish import degraded

INTERVAL_S = 0.25
BEAT_S = 5.0
FRAME_BYTES = 64 * 1024
SHOWN_MAX = 200

NOT_ALLOWED = 4403
BAD_FRAME = 4400
RESTART = 1012
TRY_AGAIN_LATER = 1013

_NONCE = re.compile(r"[A-Za-z0-9+/_=-]{8,128}")

log = logging.getLogger(__name__)

_open: set["ConsoleConsumer"] = set()


async def say_restarting() -> None:
    """Tell every open page that this process ends, and close: they come back by themselves, to whoever serves then."""

    async def tell(consumer: ConsoleConsumer) -> None:
        with suppress(Exception):  # a peer that is gone already need not be told
            await consumer.push_state("restarting")
            await consumer.close(code=RESTART)

    await asyncio.gather(*map(tell, list(_open)))  # at once: a slow one must not hold up the others' notice


class ConsoleConsumer(AsyncWebsocketConsumer):
    """One open page. The session has been looked up by AuthMiddlewareStack, the Origin checked by OriginValidator."""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve the socket; while Valkey is away there is no feed to serve, so it is told to come back later."""
        try:
            await super().__call__(scope, receive, send)
        except (RedisError, OSError):
            with suppress(Exception):  # the peer may be gone as well
                await send({"type": "websocket.close", "code": TRY_AGAIN_LATER})

    async def connect(self) -> None:
        query = dict(parse_qsl(self.scope["query_string"].decode("latin-1")))
        page = pages.find(query.pop("page", ""))
        user = self.scope.get("user")
        signed_in = user is not None and user.is_authenticated
        access = await find_access(user, query.pop("project", "")) if signed_in and page else None
        if page is None or access is None or not access.may(page.scope):
            await self.close(code=NOT_ALLOWED)
            return
        self._page, self._access, self._params = page, access, query
        self._nonce = ""
        self._shown: tuple[str, ...] = ()
        self._paused = False
        self._seq = 0
        self._streams: dict[tuple[str, str], int] = {}
        self._ids: set[str] | None = set()
        self._changed_at: float | None = None
        self._heard_at = time.monotonic()
        self._stale = asyncio.Event()
        self._groups = [topics.group(access.project_id, topic) for topic in page.topics]
        await self.accept()
        _open.add(self)
        self._subscribed = await self._subscribe()
        self._tasks = [asyncio.create_task(self._pushes()), asyncio.create_task(self._beats())]

    async def disconnect(self, code: int) -> None:
        _open.discard(self)
        for task in getattr(self, "_tasks", ()):
            task.cancel()
        for group in getattr(self, "_groups", ()):
            with suppress(RedisError, OSError):  # the group dies with the connection to it
                await self.channel_layer.group_discard(group, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """A frame from the page."""
        try:
            frame = json.loads(text_data or "") if len((text_data or "").encode()) <= FRAME_BYTES else None
        except ValueError:
            frame = None
        if not isinstance(frame, dict):
            await self.close(code=BAD_FRAME)
            return
        if isinstance(nonce := frame.get("nonce"), str) and _NONCE.fullmatch(nonce):
            self._nonce = nonce
        if isinstance(shown := frame.get("shown"), list):
            self._shown = tuple(str(one) for one in shown[:SHOWN_MAX])
        if isinstance(paused := frame.get("paused"), bool):
            self._paused = paused
        if frame.get("refresh"):
            self._look_at_all()
        elif not self._paused and (self._ids is None or self._ids):
            self._stale.set()
        if (sent_at := frame.get("sent_at")) is not None:
            await self._send({"state": self._state(), "echo": sent_at})

    async def change(self, fact: dict[str, Any]) -> None:
        """A fact from the feed (publish.py)."""
        stream, seq = (fact["source"], fact["topic"]), fact["seq"]
        before = self._streams.get(stream)
        self._streams[stream] = seq
        if fact["ids"] == "many" or (before is not None and seq != before + 1):
            self._ids = None
        elif self._ids is not None:
            self._ids.update(fact["ids"])
        if self._changed_at is None:
            self._changed_at = fact["at"]
        self._heard_at = time.monotonic()
        self._stale.set()
        if self._paused:
            count = "many" if self._ids is None else len(self._ids)
            await self._send({"state": self._state(), "waiting": count})

    def _look_at_all(self) -> None:
        self._ids = None
        # What is shown next is a catching up: it says nothing about how fast changes come.
        self._changed_at = None
        self._heard_at = time.monotonic()
        self._stale.set()

    async def _subscribe(self) -> bool:
        try:
            for group in self._groups:
                await self.channel_layer.group_add(group, self.channel_name)
        except (RedisError, OSError):
            return False
        return True

    async def _pushes(self) -> None:
        """Render and send whenever something changed, at most every INTERVAL_S, unless the page has paused."""
        while True:
            await self._stale.wait()
            self._stale.clear()
            if self._paused or not self._nonce:
                continue
            began = time.monotonic()
            ids, self._ids = self._ids, set()
            changed_at, self._changed_at = self._changed_at, None
            if not await self._access_holds():
                await self.close(code=NOT_ALLOWED)
                return
            try:
                content = await self._render(None if ids is None else frozenset(ids))
            except AeroDashError as exc:
                log.warning("live page %s: %s", self._page.name, exc.message)
                await self.push_state("degraded")
                self._ids = None  # look again at the next beat
            except Exception:
                log.exception("live page %s could not be rendered", self._page.name)
                await self.close(code=1011)
                return
            else:
                if content:
                    happened = {"changed_at": changed_at * 1000} if changed_at else {}
                    await self._send({"state": self._state(), "content": content, **happened})
            await asyncio.sleep(max(INTERVAL_S - (time.monotonic() - began), 0))

    async def _beats(self) -> None:
        """Say "nothing new" now and then; look at everything while the feed is interrupted, or after a fault."""
        while True:
            await asyncio.sleep(BEAT_S)
            if not self._subscribed:
                self._subscribed = await self._subscribe()
                self._look_at_all()
            elif degraded() or self._ids is None:
                self._look_at_all()
            else:
                await self._send({"state": self._state()})

    async def _access_holds(self) -> bool:
        """The session or the membership may have ended while the page was open; a push shows data, so both are
        checked like a page view."""
        if not await is_signed_in(self._access.user, self.scope["session"].session_key):
            return False
        access = await find_access(self._access.user, self._access.project.slug)
        if access is None or not access.may(self._page.scope):
            return False
        self._access: Access = access
        return True

    async def _render(self, ids: frozenset[str] | None) -> str:
        view = pages.LiveView(self._access, self._params, self._nonce, ids, self._shown, self._heard_at)
        if inspect.iscoroutinefunction(self._page.render):
            return await self._page.render(view)
        return await database_sync_to_async(self._page.render, thread_sensitive=False)(view)  # type: ignore[arg-type]

    def _state(self) -> str:
        return "degraded" if degraded() or not self._subscribed else "live"

    async def push_state(self, state: str) -> None:
        await self._send({"state": state})

    async def _send(self, frame: dict[str, Any]) -> None:
        self._seq += 1
        await self.send(json.dumps({"seq": self._seq, "at": time.time() * 1000, **frame}))
