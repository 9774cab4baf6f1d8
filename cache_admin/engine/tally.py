"""What this process did to each project's cache, counted here and told to the store once a second.

Counting costs a request no call. A process that is killed loses its last second.
"""

import asyncio
from collections.abc import Awaitable, Callable

from aerodash.errors import EngineDown
from aerodash.ids import ProjectId

FLUSH_S = 1.0

type Counts = tuple[int, int, int, int, int]
"""Hits, misses, writes, bytes written, expired."""


class Tally:
    """Counts per project, and when to send them. Lives on one event loop."""

    def __init__(self, send: Callable[[ProjectId, Counts], Awaitable[None]]) -> None:
        """send: adds counts to the store's; EngineDown keeps them here for the next second."""
        self._send = send
        self._counts: dict[ProjectId, list[int]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._sending: set[asyncio.Task[None]] = set()

    def read(self, project: ProjectId, hits: int, misses: int) -> None:
        counts = self._of(project)
        counts[0] += hits
        counts[1] += misses

    def wrote(self, project: ProjectId, entries: int, size_bytes: int = 0) -> None:
        counts = self._of(project)
        counts[2] += entries
        counts[3] += size_bytes

    def expired(self, project: ProjectId, entries: int) -> None:
        if entries:
            self._of(project)[4] += entries

    async def send(self, project: ProjectId | None = None) -> None:
        """Send what has been counted, of one project or all; what cannot be sent is kept."""
        waiting = list(self._counts) if project is None else [project]
        await asyncio.gather(*(self._send_one(one) for one in waiting))

    async def close(self) -> None:
        """Send what is left, if the store takes it."""
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*self._sending)
        await self.send()

    def _of(self, project: ProjectId) -> list[int]:
        counts = self._counts.get(project)
        if counts is None:
            counts = self._counts[project] = [0] * 5
            self._start()
        return counts

    def _start(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._turn)

    def _turn(self) -> None:
        self._timer = None
        task = asyncio.get_running_loop().create_task(self.send())
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send_one(self, project: ProjectId) -> None:
        counts = self._counts.pop(project, None)
        if counts is None:
            return
        hits, misses, writes, size_bytes, expired = counts
        try:
            await self._send(project, (hits, misses, writes, size_bytes, expired))
        except EngineDown:
            later = self._of(project)
            for at, number in enumerate(counts):
                later[at] += number
