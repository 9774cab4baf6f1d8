"""The process's one engine loop, and the engines that live on it.

Engine clients (Valkey connections, the SQL writer, pub/sub) belong to exactly one event loop a process. Under
the ASGI server that is the server's own loop (`adopt`); anywhere else (commands, keeper, tests) it is a thread
that `start` runs. Verbs carry `@on_engine_loop`, so a caller on any loop, or none (`run`), reaches them safely.
"""

import asyncio
import concurrent.futures
import contextlib
import functools
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, Protocol

from aerodash.errors import EngineDown


class Engine(Protocol):
    async def open(self) -> None:
        """Start tasks and threads; must not fail when the store behind it is away."""

    async def drain(self) -> None:
        """The process is about to end: answer those who are made to wait (long polls). A no-op where nobody is."""

    async def close(self) -> None:
        """Answer what is queued, then release everything."""

    async def check(self) -> None:
        """Return if the store behind it answers; raise EngineDown if not."""


_factories: dict[str, Callable[[], Engine]] = {}
_open: dict[str, Engine] = {}
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None
_lock = threading.RLock()


def register(name: str, factory: Callable[[], Engine]) -> None:
    """Say how the engine of this name is made; called once from an app's ready()."""
    _factories[name] = factory


def get(name: str) -> Any:
    """The open engine of this name. Raises EngineDown before the loop has opened it or after it has closed."""
    try:
        return _open[name]
    except KeyError:
        raise EngineDown(f"The {name} engine is not running in this process.", reason="not_started") from None


def names() -> list[str]:
    """The engines that are open in this process."""
    return list(_open)


async def adopt() -> None:
    """Make the running loop the engine loop and open every registered engine on it."""
    global _loop
    if _loop is not None:
        raise RuntimeError("This process already has an engine loop.")
    _loop = asyncio.get_running_loop()
    for name, factory in _factories.items():
        engine = factory()
        await engine.open()
        _open[name] = engine


async def drain() -> None:
    """The process is about to end: have each engine that makes callers wait (long polls) answer them now.

    Everything else goes on as before; `release` comes once the requests that are under way have ended.
    """
    for engine in list(_open.values()):
        await engine.drain()


async def release() -> None:
    """Close every engine, in the opposite order, and forget the loop."""
    global _loop
    for name in reversed(list(_open)):
        engine = _open.pop(name)
        await engine.close()
    _loop = None


def start() -> None:
    """Run the engine loop in a thread of its own, for processes that are not an ASGI server. Safe to repeat."""
    global _thread
    with _lock:
        if _loop is not None:
            return
        loop = asyncio.new_event_loop()
        _thread = threading.Thread(target=_serve, args=(loop,), name="engine-loop", daemon=True)
        _thread.start()
        asyncio.run_coroutine_threadsafe(adopt(), loop).result()


def stop() -> None:
    """Close the engines and end the thread that `start` made."""
    global _thread
    with _lock:
        if _thread is None or _loop is None:
            return
        loop = _loop
        asyncio.run_coroutine_threadsafe(release(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        _thread.join()
        _thread = None


def run[T](coro: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the engine loop from synchronous code and return its result.

    Starts the loop's thread if this process has none. Must not be called on the engine loop itself.
    """
    if _loop is not None and _running_loop() is _loop:
        coro.close()
        raise RuntimeError("engines.run() would wait for itself: await the coroutine instead.")
    return submit(coro).result()


def submit[T](coro: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
    """Start a coroutine on the engine loop, from any thread or loop, and return at once with its future.

    Starts the loop's thread if this process has none.
    """
    if _loop is None:
        start()
    assert _loop is not None
    return asyncio.run_coroutine_threadsafe(coro, _loop)


@contextlib.contextmanager
def replaced(name: str, engine: Engine | None) -> Iterator[None]:
    """For tests: meanwhile `get` answers with this engine, which the caller opens and closes; None: with EngineDown.

    The engine that was open before stays as it is and is back afterwards.
    """
    before = _open.get(name)
    if engine is not None:
        _open[name] = engine
    elif before is not None:
        del _open[name]
    try:
        yield
    finally:
        if before is not None:
            _open[name] = before
        else:
            _open.pop(name, None)


def on_engine_loop[**P, T](verb: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Awaitable[T]]:
    """Let an async verb be awaited from any loop: on the engine loop it runs as it is, elsewhere it is handed over."""

    @functools.wraps(verb)
    def call(*args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        running = _running_loop()
        if running is _loop and running is not None:
            return verb(*args, **kwargs)
        coro = verb(*args, **kwargs)
        if running is None:
            return coro  # not awaited yet: engines.run() will place it
        return asyncio.wrap_future(submit(coro), loop=running)

    return call


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
