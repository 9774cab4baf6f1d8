"""The event loop that async handlers and hooks run on, in a thread of its own. It starts when it is first needed."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from aerodash_sdk.worker.part import Part


class Loop:
    def __init__(self, on_fault: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = Part("async handlers", self._serve, on_fault)

    def get(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread.start()
            return self._loop

    @property
    def ident(self) -> int | None:
        return self._thread.ident

    def run[T](self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop, from another thread, and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.get()).result()

    def stop(self, timeout_s: float) -> None:
        """Cancel what still runs and close the loop; a loop that is blocked is left behind."""
        with self._lock:
            loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join(timeout_s)

    def _serve(self) -> None:
        loop = self._loop
        assert loop is not None
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        finally:
            loop.close()
