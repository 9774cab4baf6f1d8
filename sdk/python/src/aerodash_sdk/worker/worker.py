"""The worker that a program declares its handlers on."""

import inspect
import logging
import re
import threading
from collections.abc import Callable
from typing import Any

from aerodash_sdk.client import Client
from aerodash_sdk.worker.leases import DEFAULT_LEASE_S, Held
from aerodash_sdk.worker.memory import parse_bytes
from aerodash_sdk.worker.middleware import Handler, Middleware, is_async, wrapped
from aerodash_sdk.worker.parent import Hello, Parent
from aerodash_sdk.worker.session import Plan, Session

JOB_TYPE = re.compile(r"[A-Za-z0-9._:-]{1,128}")
CONCURRENCY_MAX = 1000

log = logging.getLogger("aerodash.worker")


class Worker:
    """Runs jobs of the types it has handlers for, several at a time, until it is stopped.

    client, or url and api_key: where the jobs are; by default AERODASH_URL and AERODASH_API_KEY, read when it
    starts. The key needs the right queue:work.
    concurrency: how many sync handlers run at once, each on a thread. async_concurrency: how many async ones, as tasks
    of one event loop; as many as threads by default.
    prefetch: how many jobs more to hold ready, which are given back if the worker stops; None holds what the handlers
    need for a fifth of a second, measured as they run.
    lease_s: after how many seconds without a sign of life another worker may take a job over (1..3600); None leaves it
    to the job's type (30).
    grace_s: how long running jobs may go on once the worker is told to stop; then they are given back.
    wait_s: how long one poll for jobs waits (0..30).
    limit_grace_s: how long a handler may go on after its time limit before its process is replaced.
    memory_limit: "512M" or bytes; a process that uses more is ended and replaced by its supervisor (`aerodash worker`).
    """

    def __init__(
        self,
        client: Client | None = None,
        *,
        url: str | None = None,
        api_key: str | None = None,
        concurrency: int = 8,
        async_concurrency: int | None = None,
        prefetch: int | None = None,
        lease_s: int | None = None,
        grace_s: float = 20.0,
        wait_s: int = 20,
        limit_grace_s: float = 5.0,
        memory_limit: str | int | None = None,
    ) -> None:
        if client is not None and (url or api_key):
            raise ValueError("Give a client, or url and api_key, not both.")
        _in_bounds("concurrency", concurrency, 1, CONCURRENCY_MAX)
        _in_bounds("async_concurrency", async_concurrency, 1, CONCURRENCY_MAX)
        _in_bounds("prefetch", prefetch, 0, 1000)
        _in_bounds("lease_s", lease_s, 1, 3600)
        _in_bounds("wait_s", wait_s, 0, 30)
        self._client = client
        self._url = url
        self._api_key = api_key
        self.concurrency = concurrency
        self.async_concurrency = async_concurrency
        self.prefetch = prefetch
        self.lease_s = lease_s
        self.grace_s = grace_s
        self.wait_s = wait_s
        self.limit_grace_s = limit_grace_s
        self.memory_limit = parse_bytes(memory_limit) if memory_limit is not None else None
        self._handlers: dict[str, Handler] = {}
        self._limits_s: dict[str, float] = {}
        self._middleware: list[Middleware] = []
        self._at_start: list[Callable[[], Any]] = []
        self._at_stop: list[Callable[[], Any]] = []
        self._stop = threading.Event()
        self._failed = False
        self._session: Session | None = None
        self._parent: Parent | None = None
        self.wants_replacement = False
        """Whether it stopped because a handler goes on for ever: its supervisor starts another process."""

    def job[H: Handler](self, type: str, *, timeout_s: float | None = None) -> Callable[[H], H]:
        """Declare the handler of a job type. It takes the Job; what it returns is the job's result (any JSON).

        An exception makes the run a failed one, retried by the job's policy; raise Retry or Fail to decide.
        The same job may run more than once (after a crash, for one): a handler must bear that.
        timeout_s: the longest run; a job's own limit counts if it is shorter. A run over it has failed with
        TimeLimitExceeded: an async handler is cancelled, a sync one sees job.cancelled.
        """
        if not JOB_TYPE.fullmatch(type):
            raise ValueError(f"{type!r} is not a job type: 1 to 128 of A-Z a-z 0-9 . _ : -")
        if type in self._handlers:
            raise ValueError(f"{type} has a handler already.")
        if timeout_s is not None and not timeout_s > 0:
            raise ValueError(f"timeout_s must be above 0, not {timeout_s}.")

        def declare(handler: H) -> H:
            if inspect.isasyncgenfunction(handler) or inspect.isgeneratorfunction(handler):
                raise ValueError(f"The handler of {type} is a generator; it must return.")
            self._handlers[type] = handler
            if timeout_s is not None:
                self._limits_s[type] = timeout_s
            return handler

        return declare

    def middleware[M: Middleware](self, middleware: M) -> M:
        """Wrap every handler: `def m(job, call_next): return call_next(job)`; `async def` wraps async handlers.

        The first declared is the outermost. What it returns is the result; what it raises ends the run, as if the
        handler had.
        """
        self._middleware.append(middleware)
        return middleware

    def on_start[F: Callable[[], Any]](self, function: F) -> F:
        """Call it in the worker's process before the first job, in order. Sync or async. An exception ends the worker."""
        self._at_start.append(function)
        return function

    def on_stop[F: Callable[[], Any]](self, function: F) -> F:
        """Call it after the last job is settled, in order, also after an exception in another. Sync or async."""
        self._at_stop.append(function)
        return function

    @property
    def types(self) -> list[str]:
        """The job types it has handlers for."""
        return sorted(self._handlers)

    def handler(self, type: str) -> Handler:
        """The handler of a job type; a program's own tests may call it with a Job. Raises KeyError."""
        return self._handlers[type]

    def run(self, *, parent: Parent | None = None) -> int:
        """Run jobs until `stop` is called. Returns how many outcomes the server could not be told (0 is well).

        A server that is away is waited for. Raises Misconfigured without an API key, ValueError without a handler,
        RuntimeError if a thread of the worker itself failed (the log says how).
        parent: who supervises this process, if anybody does.
        """
        if not self._handlers:
            raise ValueError("This worker has no handlers: declare some with @worker.job(type).")
        client = self._client or Client(self._url, self._api_key)
        self._parent = parent
        session = self._session = Session(
            client, self._plan(), parent=parent, on_fault=self._fail, on_stuck=self._stuck
        )
        try:
            for function in self._at_start:
                self._call(session, function)
            if parent is not None:
                parent.greet(self._hello(client))
            session.start()
            log.info("worker %s at %r runs %s", session.identity.id, client, ", ".join(self.types))
            self._stop.wait()
            log.info("stopping: no new jobs; running ones have %g s", self.grace_s)
            undelivered = session.stop(self.grace_s)
        finally:
            self._call_at_stop(session)
            session.end_loop()
        log.info("stopped")
        if self._failed:
            raise RuntimeError("A thread of the worker failed; see its log.")
        return undelivered

    def stop(self) -> None:
        """Begin to stop; from any thread (`run` in aerodash_sdk.worker maps signals to it). Called again, it cuts the grace time short."""
        if self._stop.is_set() and self._session is not None:
            self._session.hurry()
        self._stop.set()

    def _plan(self) -> Plan:
        return Plan(
            {type: wrapped(handler, self._middleware) for type, handler in self._handlers.items()},
            self._limits_s,
            self.concurrency,
            self.async_concurrency or self.concurrency,
            self.prefetch,
            self.lease_s,
            self.wait_s,
            self.limit_grace_s,
        )

    def _hello(self, client: Client) -> Hello:
        endpoint = client.endpoint
        return Hello(
            endpoint.url, endpoint.api_key, self.memory_limit, self.grace_s, self.lease_s or DEFAULT_LEASE_S
        )

    def _call(self, session: Session, function: Callable[[], Any]) -> None:
        if is_async(function):
            session.loop.run(function())
        else:
            function()

    def _call_at_stop(self, session: Session) -> None:
        for function in self._at_stop:
            try:
                self._call(session, function)
            except Exception:
                log.exception("a function to call at the worker's stop failed")

    def _stuck(self, held: Held) -> None:
        if self._parent is None:
            log.critical(
                "%s: its handler goes on for ever, and keeps its place: a thread cannot be ended. "
                "Run the worker with `aerodash worker`, and its process is replaced.",
                held,
            )
        elif not self._stop.is_set():
            log.critical("%s: its handler goes on for ever; this process ends and is replaced", held)
            self.wants_replacement = True
            self._stop.set()

    def _fail(self) -> None:
        self._failed = True
        self._stop.set()


def _in_bounds(name: str, value: int | None, low: int, high: int) -> None:
    if value is not None and not low <= value <= high:
        raise ValueError(f"{name} must be from {low} to {high}, not {value}.")
