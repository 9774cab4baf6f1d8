"""How a waiting worker learns that there is work: at once in this process, through Valkey in every other.

A wake is only a hint. Who waits polls once a second all the same, so a lost message or a lost Valkey costs time and
never a job. Source: architecture, decision 5.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Iterable, Iterator

from redis.asyncio import Redis
from redis.exceptions import RedisError

CHANNEL = "aerodash:wake"
SEND_TIMEOUT_S = 1.0
RECONNECT_S = 1.0
MERGE_S = 0.005
"""After a message was sent, what is to be sent waits so long for more: a message costs as much as an enqueue."""
QUIET_S = 0.02
"""After a message that nobody but this process heard, what is to be sent waits longer: in most installations there is
nobody else. Not much longer, for somebody may begin to listen meanwhile."""

logger = logging.getLogger(__name__)


class Wakes:
    """The waiting leases of one process, by project. Lives on the engine loop."""

    def __init__(self, valkey_url: str, *, channel: str = CHANNEL) -> None:
        self._url = valkey_url
        self._channel = channel
        self._origin = secrets.token_hex(4)
        self._waiting: dict[int, set[asyncio.Event]] = {}
        self._to_send: set[int] = set()
        self._something_to_send = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._listening = False
        self._hears_itself = False
        self.degraded = False

    def open(self) -> None:
        self._tasks = [asyncio.get_running_loop().create_task(self._send_all())]

    async def close(self) -> None:
        """Leave Valkey."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    @contextlib.contextmanager
    def waiting(self, project: int) -> Iterator[asyncio.Event]:
        """An event that is set when the project gets pending jobs, from the moment of entering."""
        if not self._listening:  # most processes enqueue and never lease
            self._listening = True
            self._tasks.append(asyncio.get_running_loop().create_task(self._listen_always()))
        event = asyncio.Event()
        events = self._waiting.setdefault(project, set())
        events.add(event)
        try:
            yield event
        finally:
            events.discard(event)
            if not events:
                self._waiting.pop(project, None)

    def wake(self, projects: Iterable[int]) -> None:
        """Tell all processes that these projects have new pending jobs. Never waits, never fails."""
        projects = set(projects)
        self._wake_here(projects)
        self._to_send |= projects
        self._something_to_send.set()

    def wake_everybody_here(self) -> None:
        """Have everybody who waits in this process look again."""
        self._wake_here(list(self._waiting))

    def _wake_here(self, projects: Iterable[int]) -> None:
        for project in projects:
            for event in self._waiting.get(project, ()):
                event.set()

    async def _send_all(self) -> None:
        async with Redis.from_url(self._url, socket_timeout=SEND_TIMEOUT_S, decode_responses=True) as client:
            while True:
                await self._something_to_send.wait()
                self._something_to_send.clear()
                projects, self._to_send = self._to_send, set()
                heard = 1
                try:
                    async with asyncio.timeout(SEND_TIMEOUT_S):
                        pipeline = client.pipeline(transaction=False)
                        for project in projects:
                            pipeline.publish(self._channel, f"{self._origin}:{project}")
                        heard = max(await pipeline.execute()) - self._hears_itself
                except (RedisError, OSError) as exc:  # TimeoutError is an OSError
                    self._mark(degraded=True, why=exc)
                else:
                    self._mark(degraded=False)
                await asyncio.sleep(MERGE_S if heard > 0 else QUIET_S)

    async def _listen_always(self) -> None:
        while True:
            try:
                await self._listen()
            except (RedisError, OSError) as exc:
                self._mark(degraded=True, why=exc)
                await asyncio.sleep(RECONNECT_S)

    async def _listen(self) -> None:
        async with Redis.from_url(self._url, decode_responses=True) as client, client.pubsub() as pubsub:
            await pubsub.subscribe(self._channel)
            try:
                async for message in pubsub.listen():
                    if message["type"] == "subscribe":
                        self._hears_itself = True
                        # Who waited while nobody listened looks once more.
                        self.wake_everybody_here()
                    elif message["type"] == "message":
                        origin, _, project = message["data"].partition(":")
                        if origin != self._origin and project.isdecimal():
                            self._wake_here([int(project)])
            finally:
                self._hears_itself = False

    def _mark(self, *, degraded: bool, why: Exception | None = None) -> None:
        if degraded and not self.degraded:
            logger.warning("Workers of other processes are woken by their polls only: %s", why or "unknown")
        elif self.degraded and not degraded:
            logger.warning("Wakes through Valkey are back.")
        self.degraded = degraded
