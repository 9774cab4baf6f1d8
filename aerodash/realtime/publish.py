"""Change facts for the live pages: who wants to know that something changed says so here, after its commit.

A fact names a project, a topic and the ids that changed; it carries no content, because each page renders what it
shows itself. Facts of one project and topic are merged: the first leaves at once, later ones at most every 100 ms.
Source: architecture, decision 6.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from aerodash import engines
from aerodash.errors import EngineDown
from aerodash.ids import ProjectId
from aerodash.realtime import topics

IDS_MAX = 500
INTERVAL_S = 0.1
RETRY_S = 1.0
SEND_TIMEOUT_S = 2.0

logger = logging.getLogger(__name__)

type Send = Callable[[str, dict[str, Any]], Awaitable[None]]


def publish(project: ProjectId, topic: str, ids: Iterable[str] = ()) -> None:
    """Tell every open page of the project that things of this topic changed.

    topic: one of aerodash.realtime.topics. ids: what changed, as its page names it; none means "look at all".
    Cheap and never raises: a lost Valkey costs live updates, not the write. Callable from any thread.
    """
    try:
        feed: Feed = engines.get("feed")
    except (
        EngineDown
    ):  # a command that runs no engine loop, or a process about to end: nobody listens through it
        return
    feed.publish(project, topic, ids)


def degraded() -> bool:
    """Whether this process failed to send its last fact, so that live pages may be behind."""
    try:
        return bool(engines.get("feed").degraded)
    except EngineDown:
        return True


class Feed:
    """The merging sender of one process. Lives on the engine loop (aerodash.engines)."""

    def __init__(
        self, send: Send | None = None, *, interval_s: float = INTERVAL_S, retry_s: float = RETRY_S
    ) -> None:
        self._send = send or _group_send
        self._interval_s = interval_s
        self._retry_s = retry_s
        self._source = secrets.token_hex(4)
        self._streams: dict[tuple[ProjectId, str], _Stream] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self.degraded = False

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()

    async def drain(self) -> None:
        """Nothing to do: nobody waits for an answer."""

    async def check(self) -> None:
        if self.degraded:
            raise EngineDown("Live updates are interrupted: Valkey does not take the change facts.")

    async def close(self) -> None:
        """Let what is under way be sent; it is bounded by the send's own timeout."""
        tasks = [stream.task for stream in self._streams.values() if stream.task]
        for stream in self._streams.values():
            stream.closing.set()
        await asyncio.gather(*tasks, return_exceptions=True)

    def publish(self, project: ProjectId, topic: str, ids: Iterable[str] = ()) -> None:
        """See the function of this name."""
        assert self._loop is not None, "open() comes first"
        changed = tuple(ids)
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        if here:
            self._add(project, topic, changed)
        else:
            self._loop.call_soon_threadsafe(self._add, project, topic, changed)

    def _add(self, project: ProjectId, topic: str, ids: tuple[str, ...]) -> None:
        stream = self._streams.setdefault((project, topic), _Stream())
        stream.add(ids)
        if stream.task is None:
            stream.task = asyncio.get_running_loop().create_task(self._drain(project, topic, stream))

    async def _drain(self, project: ProjectId, topic: str, stream: "_Stream") -> None:
        """Send, rest for the interval, and go on as long as facts came in meanwhile or the last could not be sent."""
        closing = stream.closing
        try:
            while stream.waiting:
                fact = {
                    "type": "change",
                    "project": project,
                    "topic": topic,
                    "source": self._source,
                    "at": time.time(),
                    **stream.take(),
                }
                sent = await self._deliver(topics.group(project, topic), fact)
                if closing.is_set():
                    if not sent:
                        return
                    continue
                if not sent:
                    stream.add(())  # whoever listens then must look at everything
                await _wait(closing, self._interval_s if sent else self._retry_s)
        finally:
            stream.task = None

    async def _deliver(self, group: str, fact: dict[str, Any]) -> bool:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._send(group, fact)
        except (RedisError, OSError) as exc:  # TimeoutError is an OSError
            if not self.degraded:
                logger.warning("Live updates are interrupted, writes go on: %s", exc or type(exc).__name__)
            self.degraded = True
            return False
        if self.degraded:
            logger.warning("Live updates are back.")
        self.degraded = False
        return True


class _Stream:
    """What waits to be sent about one project and topic."""

    def __init__(self) -> None:
        self.seq = 0
        self.waiting = False
        self.task: asyncio.Task[None] | None = None
        self.closing = asyncio.Event()
        self._ids: dict[str, None] = {}
        self._many = False

    def add(self, ids: tuple[str, ...]) -> None:
        self.waiting = True
        if not ids or self._many:
            self._many = True
            return
        self._ids.update(dict.fromkeys(ids))
        if len(self._ids) > IDS_MAX:
            self._many = True
            self._ids.clear()

    def take(self) -> dict[str, Any]:
        """The next fact's own part: its number in the stream and what changed ("many" where ids are not listed)."""
        self.seq += 1
        part = {"seq": self.seq, "ids": "many" if self._many else list(self._ids)}
        self.waiting, self._many, self._ids = False, False, {}
        return part


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return


async def _group_send(group: str, fact: dict[str, Any]) -> None:
    await get_channel_layer().group_send(group, fact)
