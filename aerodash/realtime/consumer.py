"""The console's socket: one open page, and the frames between it and the room where its kind is served (room.py).

A frame to the page is JSON: seq (1, 2, … on this socket), at (server time, ms), state ("live", "degraded",
"restarting"); in a push, content (HTML) and changed_at (when the oldest of its facts happened, ms); refreshed (the number
of the page's last refresh that is shown now); waiting (how many changes a paused page does not show, or "many").
A frame from the page is JSON: nonce (first frame, required), shown (ids of its rows), paused, refresh (a number, higher
than the last: look at everything now, paused or not), sent_at (answered in a frame of its own as echo, by which the page
learns its clock's offset).
"""

import asyncio
import json
import re
import time
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from channels.generic.websocket import AsyncWebsocketConsumer

from aerodash.console.access import find_access
from aerodash.realtime import pages, room
from aerodash.realtime.audience import Seat
from aerodash.realtime.room import NOT_ALLOWED, Room, Tab

FRAME_BYTES = 64 * 1024
SHOWN_MAX = 200

BAD_FRAME = 4400
RESTART = 1012

_NONCE = re.compile(r"[A-Za-z0-9+/_=-]{8,128}")

_open: set["ConsoleConsumer"] = set()


async def say_restarting() -> None:
    """Tell every open page that this process ends, and close: they come back by themselves, to whoever serves then."""

    async def tell(consumer: ConsoleConsumer) -> None:
        with suppress(Exception):  # a peer that is gone already need not be told
            await consumer.send_frame({"state": "restarting"})
            await consumer.close(code=RESTART)

    await asyncio.gather(*map(tell, list(_open)))  # at once: a slow one must not hold up the others' notice


class ConsoleConsumer(AsyncWebsocketConsumer):
    """One open page. The session has been looked up by AuthMiddlewareStack, the Origin checked by OriginValidator."""

    channel_layer_alias = None  # its room has the one channel that all need

    tab: Tab
    room: Room | None = None

    async def connect(self) -> None:
        query = dict(parse_qsl(self.scope["query_string"].decode("latin-1")))
        page = pages.find(query.pop("page", ""))
        user = self.scope.get("user")
        signed_in = user is not None and user.is_authenticated
        access = await find_access(user, query.pop("project", "")) if signed_in and page else None
        if page is None or access is None or not access.may(page.scope):
            await self.close(code=NOT_ALLOWED)
            return
        self._seq = 0
        self._order = asyncio.Lock()
        seat = Seat(access, self.scope["session"].session_key)
        self.tab = Tab(seat, query, send=self.send_frame, close=self.close)
        await self.accept()
        _open.add(self)
        self.room = await room.join(page, self.tab)

    async def disconnect(self, code: int) -> None:
        _open.discard(self)
        if self.room is not None:
            await self.room.leave(self.tab)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """A frame from the page."""
        try:
            frame = json.loads(text_data or "") if len((text_data or "").encode()) <= FRAME_BYTES else None
        except ValueError:
            frame = None
        if not isinstance(frame, dict):
            await self.close(code=BAD_FRAME)
            return
        if self.room is None:
            return
        tab = self.tab
        if isinstance(nonce := frame.get("nonce"), str) and _NONCE.fullmatch(nonce):
            tab.nonce = nonce
        if isinstance(shown := frame.get("shown"), list):
            tab.shown = tuple(str(one) for one in shown[:SHOWN_MAX])
        if isinstance(paused := frame.get("paused"), bool):
            tab.paused = paused
        if isinstance(asked := frame.get("refresh"), int) and asked > tab.asked:
            tab.asked = asked
            self.room.wake(fresh=True)
        elif tab.is_due or tab.has_untold:
            self.room.wake()
        if (sent_at := frame.get("sent_at")) is not None:
            await self.send_frame({"state": self.room.state, "echo": sent_at})

    async def send_frame(self, frame: dict[str, Any]) -> None:
        """Number it and send it; numbers arrive in their order, whoever sends."""
        async with self._order:
            self._seq += 1
            await self.send(json.dumps({"seq": self._seq, "at": time.time() * 1000, **frame}))
