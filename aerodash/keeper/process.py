"""The keeper process: runs each task at its interval for as long as it holds the lease.

A task is (name, interval_s, async callable); the apps' own keeper.TASKS, and those of aerodash.operations and
aerodash.rollups, list them. Tasks must bear that one run is cut off and begun again elsewhere.
"""

import asyncio
import logging
import os
import secrets
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from django.db import DatabaseError, close_old_connections, connections

from aerodash import engines
from aerodash.errors import AeroDashError
from aerodash.keeper import lease

type Task = tuple[str, float, Callable[[], Awaitable[object]]]

LONGEST_PAUSE_S = 30.0

log = logging.getLogger("aerodash.keeper")


def run() -> None:
    """Keep house until SIGINT or SIGTERM, then finish cleanly."""
    keeper = Keeper(tasks())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: keeper.stop())
    try:
        engines.run(keeper.run())
    finally:
        engines.stop()


def tasks() -> list[Task]:
    """What there is to do, from both apps, for the operations of either, and for what both put on the timeline."""
    from aerodash.operations.keeper import TASKS as operations
    from aerodash.rollups.keeper import TASKS as rollups
    from cache_admin.keeper import TASKS as cache
    from jobs_admin.keeper import TASKS as jobs

    return [*cache, *jobs, *operations, *rollups]


class Keeper:
    """Holds the lease and runs the tasks meanwhile. Lives on the engine loop."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.holder = f"{socket.gethostname()[:80]}:{os.getpid()}:{secrets.token_hex(6)}"
        self._tasks = tasks
        self._stopping = asyncio.Event()
        self._stop_asked = False
        self._loop: asyncio.AbstractEventLoop | None = None
        # Django's connections belong to threads; the lease gets one of each.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="keeper-lease")
        self._running: list[asyncio.Task[None]] = []
        self._good_until = 0.0
        self._problem = ""

    def stop(self) -> None:
        """Make `run` return soon; from any thread, also before it has begun."""
        self._stop_asked = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def run(self) -> None:
        """Until `stop`: try for the lease, and run the tasks for as long as it is ours for certain."""
        self._loop = asyncio.get_running_loop()
        if self._stop_asked:
            return
        try:
            fence = await self._keep()
            await self._give_up(fence)
        finally:
            self._cancel()
            self._thread.submit(connections.close_all)
            self._thread.shutdown(wait=False)

    async def _keep(self) -> int | None:
        """Until `stop`; returns the fence of the lease it then still has."""
        fence: int | None = None
        while not self._stopping.is_set():
            asked_at = time.monotonic()
            try:
                held = await self._before_it_ends(self._in_thread(lease.hold, self.holder, fence))
            except DatabaseError as exc:
                self._say_once(f"the lease cannot be asked for: {exc}")
                if time.monotonic() + lease.RENEW_S > self._good_until:
                    await self._halt()
            else:
                self._problem = ""
                if held != fence:
                    await self._halt()
                if held is not None:
                    self._good_until = asked_at + lease.LASTS_S
                    self._begin(held)
                fence = held
            await _rest(self._stopping, lease.RENEW_S)
        await self._halt()
        return fence

    async def _before_it_ends[T](self, asking: Awaitable[T]) -> T:
        """The answer about the lease; if it takes longer than the lease lasts, the tasks are cut off meanwhile."""
        asked = asyncio.ensure_future(asking)
        if self._running:
            await asyncio.wait([asked], timeout=max(0.0, self._good_until - time.monotonic()))
            if not asked.done():
                await self._halt()
        return await asked

    async def _give_up(self, fence: int | None) -> None:
        if fence is not None:
            try:
                await self._in_thread(lease.give_up, self.holder, fence)
            except DatabaseError as exc:
                log.warning("the lease was not given back and ends by itself: %s", exc)

    def _begin(self, fence: int) -> None:
        if self._running:
            return
        log.info("this process keeps house (fence %d)", fence)
        self._running = [asyncio.create_task(repeat(task), name=task[0]) for task in self._tasks]

    async def _halt(self) -> None:
        """Cut off every task: another process may begin them now."""
        await asyncio.gather(*self._cancel(), return_exceptions=True)

    def _cancel(self) -> list[asyncio.Task[None]]:
        cut_off, self._running = self._running, []
        for task in cut_off:
            task.cancel()
        return cut_off

    async def _in_thread(self, call: Callable, *arguments: object):
        def fresh():
            close_old_connections()
            return call(*arguments)

        return await asyncio.get_running_loop().run_in_executor(self._thread, fresh)

    def _say_once(self, problem: str) -> None:
        if problem != self._problem:
            log.warning("%s", problem)
        self._problem = problem


async def repeat(task: Task) -> None:
    """Run one task at its interval for ever. A failure is logged once for as long as it stays the same, and rests longer."""
    name, interval_s, call = task
    failing, pause_s = "", interval_s
    while True:
        try:
            await call()
        except Exception as exc:  # one task must not stop the others
            problem = f"{type(exc).__name__}: {exc}"
            if problem != failing:
                expected = isinstance(exc, AeroDashError)
                log.warning("%s failed: %s", name, problem, exc_info=None if expected else exc)
            failing, pause_s = problem, min(max(pause_s * 2, 1.0), LONGEST_PAUSE_S)
        else:
            if failing:
                log.warning("%s works again", name)
            failing, pause_s = "", interval_s
        await asyncio.sleep(pause_s)


async def _rest(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
