"""What a worker wraps around its handlers."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aerodash_sdk.worker.job import Job

type Handler = Callable[[Job], Any]
type SyncMiddleware = Callable[[Job, Callable[[Job], Any]], Any]
type AsyncMiddleware = Callable[[Job, Callable[[Job], Awaitable[Any]]], Awaitable[Any]]
type Middleware = SyncMiddleware | AsyncMiddleware


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it makes a coroutine: an async def, a partial of one, or an object whose call is one."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or (
        not inspect.isfunction(function) and inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
    )


def wrapped(handler: Handler, middleware: Sequence[Middleware]) -> Handler:
    """The handler within all middleware of its own kind, the first declared outermost."""
    kind = is_async(handler)
    for outer in reversed([each for each in middleware if is_async(each) == kind]):
        handler = _within(outer, handler, kind)
    return handler


def _within(outer: Middleware, inner: Handler, kind: bool) -> Handler:
    if kind:

        async def run_async(job: Job) -> Any:
            return await outer(job, inner)

        return run_async

    def run_sync(job: Job) -> Any:
        return outer(job, inner)

    return run_sync
