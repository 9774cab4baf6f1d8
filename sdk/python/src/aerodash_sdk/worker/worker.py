"""The worker that a program declares its handlers on."""

import inspect
import logging
import re
import threading
from collections.abc import Callable

from aerodash_sdk.client import Client
from aerodash_sdk.worker.session import Handler, Session

JOB_TYPE = re.compile(r"[A-Za-z0-9._:-]{1,128}")

log = logging.getLogger("aerodash.worker")


class Worker:
    """Runs jobs of the types it has handlers for, several at a time, until it is stopped.

    client, or url and api_key: where the jobs are; by default AERODASH_URL and AERODASH_API_KEY, read when it
    starts. The key needs the right queue:work.
    concurrency: how many handlers run at once, each on a thread (async ones share one event loop besides).
    prefetch: how many jobs more to hold ready; they are given back if the worker stops.
    lease_s: after how many seconds without a sign of life another worker may take a job over (1..3600).
    grace_s: how long running jobs may go on once the worker is told to stop; then they are given back.
    wait_s: how long one poll for jobs waits (0..30).
    """

    def __init__(
        self,
        client: Client | None = None,
        *,
        url: str | None = None,
        api_key: str | None = None,
        concurrency: int = 8,
        prefetch: int = 0,
        lease_s: int = 30,
        grace_s: float = 20.0,
        wait_s: int = 20,
    ) -> None:
        if client is not None and (url or api_key):
            raise ValueError("Give a client, or url and api_key, not both.")
        _in_bounds("concurrency", concurrency, 1, 1000)
        _in_bounds("prefetch", prefetch, 0, 1000)
        _in_bounds("lease_s", lease_s, 1, 3600)
        _in_bounds("wait_s", wait_s, 0, 30)
        self._client = client
        self._url = url
        self._api_key = api_key
        self.concurrency = concurrency
        self.prefetch = prefetch
        self.lease_s = lease_s
        self.grace_s = grace_s
        self.wait_s = wait_s
        self._handlers: dict[str, Handler] = {}
        self._stop = threading.Event()
        self._failed = False
        self._session: Session | None = None

    def job[H: Handler](self, type: str) -> Callable[[H], H]:
        """Declare the handler of a job type. It takes the Job; what it returns is the job's result (any JSON).

        An exception makes the run a failed one, retried by the job's policy; raise Retry or Fail to decide.
        The same job may run more than once (after a crash, for one): a handler must bear that.
        """
        if not JOB_TYPE.fullmatch(type):
            raise ValueError(f"{type!r} is not a job type: 1 to 128 of A-Z a-z 0-9 . _ : -")
        if type in self._handlers:
            raise ValueError(f"{type} has a handler already.")

        def declare(handler: H) -> H:
            if inspect.isasyncgenfunction(handler) or inspect.isgeneratorfunction(handler):
                raise ValueError(f"The handler of {type} is a generator; it must return.")
            self._handlers[type] = handler
            return handler

        return declare

    @property
    def types(self) -> list[str]:
        """The job types it has handlers for."""
        return sorted(self._handlers)

    def handler(self, type: str) -> Handler:
        """The handler of a job type; a program's own tests may call it with a Job. Raises KeyError."""
        return self._handlers[type]

    def run(self) -> int:
        """Run jobs until `stop` is called. Returns how many outcomes the server could not be told (0 is well).

        A server that is away is waited for. Raises Misconfigured without an API key, ValueError without a handler,
        RuntimeError if a thread of the worker itself failed (the log says how).
        """
        if not self._handlers:
            raise ValueError("This worker has no handlers: declare some with @worker.job(type).")
        client = self._client or Client(self._url, self._api_key)
        session = self._session = Session(
            client,
            self._handlers,
            concurrency=self.concurrency,
            prefetch=self.prefetch,
            lease_s=self.lease_s,
            wait_s=self.wait_s,
            on_fault=self._fail,
        )
        session.start()
        log.info(
            "worker %s at %r runs %s, %d at a time",
            session.identity.id,
            client,
            ", ".join(self.types),
            self.concurrency,
        )
        self._stop.wait()
        log.info("stopping: no new jobs; running ones have %g s", self.grace_s)
        undelivered = session.stop(self.grace_s)
        log.info("stopped")
        if self._failed:
            raise RuntimeError("A thread of the worker failed; see its log.")
        return undelivered

    def stop(self) -> None:
        """Begin to stop; from any thread (`run` in aerodash_sdk.worker maps signals to it). Called again, it cuts the grace time short."""
        if self._stop.is_set() and self._session is not None:
            self._session.hurry()
        self._stop.set()

    def _fail(self) -> None:
        self._failed = True
        self._stop.set()


def _in_bounds(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} must be from {low} to {high}, not {value}.")
