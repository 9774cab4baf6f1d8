"""A job as its handler sees it."""

import math
import threading
from collections.abc import Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from aerodash_sdk.core.json_text import decode, encode
from aerodash_sdk.core.work import LeasedJob

type Level = Literal["debug", "info", "warning", "error"]

_UNREAD: Any = object()
_events_lock = threading.Lock()
_current: ContextVar["Job | None"] = ContextVar("aerodash_job", default=None)


class Listener(Protocol):
    """Who passes on what a handler says about its run."""

    def progress(self, leased: LeasedJob, percent: float, message: str | None) -> None: ...
    def log(self, leased: LeasedJob, level: Level, message: str) -> None: ...


class Job:
    """What a handler is given. A program's own tests may make one to call a handler with."""

    __slots__ = ("_event", "_leased", "_listener", "_payload", "_unwanted", "spoke")

    def __init__(
        self,
        id: str,
        type: str,
        payload: Any = None,
        attempts: int = 1,
        max_retries: int = 3,
        *,
        run: int = 1,
        tags: Sequence[str] = (),
        batch: str | None = None,
        partition_key: str | None = None,
        traceparent: str | None = None,
        deadline: datetime | None = None,
        timeout_s: float | None = None,
    ) -> None:
        self._leased = LeasedJob(
            id,
            type,
            msgspec.Raw(encode(payload)),
            attempts,
            max_retries,
            "",
            run=run,
            tags=tuple(tags),
            batch=batch,
            partition_key=partition_key,
            traceparent=traceparent,
            deadline=deadline,
            timeout_seconds=timeout_s,
        )
        self._payload = payload
        self._listener: Listener | None = None
        self._unwanted = False
        self._event: threading.Event | None = None
        self.spoke = False

    @classmethod
    def of(cls, leased: LeasedJob, listener: Listener | None) -> "Job":
        """The job of a lease. Its payload is decoded when it is first asked for."""
        job = cls.__new__(cls)
        job._leased = leased
        job._payload = _UNREAD
        job._listener = listener
        job._unwanted = False
        job._event = None
        job.spoke = False
        return job

    @property
    def id(self) -> str:
        return self._leased.id

    @property
    def type(self) -> str:
        return self._leased.type

    @property
    def payload(self) -> Any:
        """The job's JSON value."""
        if self._payload is _UNREAD:
            self._payload = decode(self._leased.payload)
        return self._payload

    @property
    def attempts(self) -> int:
        """This run's number since the job was enqueued or last retried by hand, from 1."""
        return self._leased.attempts

    @property
    def max_retries(self) -> int:
        """How often the server runs it again after a failure, so max_retries + 1 runs in all."""
        return self._leased.max_retries

    @property
    def run(self) -> int:
        """The number of this run among all that the job ever had, which a retry by hand does not reset."""
        return self._leased.run

    @property
    def tags(self) -> tuple[str, ...]:
        return self._leased.tags

    @property
    def batch(self) -> str | None:
        """The id of the batch that it belongs to."""
        return self._leased.batch

    @property
    def partition_key(self) -> str | None:
        return self._leased.partition_key

    @property
    def traceparent(self) -> str | None:
        """The W3C trace that it was enqueued under."""
        return self._leased.traceparent

    @property
    def deadline(self) -> datetime | None:
        """When it must have begun; an aware instant."""
        return self._leased.deadline

    @property
    def timeout_s(self) -> float | None:
        """The longest run that its enqueuer or its type allows, in seconds."""
        return self._leased.timeout_seconds

    @property
    def cancelled(self) -> bool:
        """True once nobody wants this run's result: the job was cancelled, its time is over, or its lease is lost or given back.

        A long handler asks now and then, and returns early.
        """
        return self._unwanted

    def wait_cancelled(self, timeout_s: float) -> bool:
        """Sleep, but wake as soon as the job is cancelled. Returns job.cancelled. For sync handlers."""
        with _events_lock:
            if self._unwanted:
                return True
            event = self._event = self._event or threading.Event()
        return event.wait(timeout_s)

    def withdraw(self) -> None:
        """Make `cancelled` true; the worker calls this."""
        with _events_lock:
            self._unwanted = True
            event = self._event
        if event is not None:
            event.set()

    def progress(self, percent: float, message: str | None = None) -> None:
        """Say how far the run is, from 0 to 100, and in what. Cheap: the last word counts, sent a few times a second."""
        if math.isnan(percent):
            raise ValueError("percent is not a number.")
        if self._listener is not None:
            self.spoke = True
            self._listener.progress(self._leased, min(100.0, max(0.0, percent)), message)

    def log(self, message: str, level: Level = "info") -> None:
        """Write a line to the job's log: at most 4 KiB, and 1000 lines a job; what is over is counted."""
        if self._listener is not None:
            self.spoke = True
            self._listener.log(self._leased, level, message)

    def __repr__(self) -> str:
        return f"Job({self.id!r}, {self.type!r}, attempts={self.attempts})"


def current_job() -> Job | None:
    """The job whose handler is calling, on its own thread or task; None elsewhere."""
    return _current.get()


enter = _current.set
"""The worker calls this before the handler; a thread's next job, and a task's end, undo it."""
