"""A job as its handler sees it."""

import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Job:
    """attempts: this run's number since the job was enqueued or last retried by hand, from 1.

    max_retries: how often the server runs it again after a failure, so max_retries + 1 runs in all.
    """

    id: str
    type: str
    payload: Any
    attempts: int
    max_retries: int
    _unwanted: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)

    @property
    def cancelled(self) -> bool:
        """True once nobody wants this run's result: the job was cancelled, or its lease is lost or given back.

        A long handler asks now and then, and returns early.
        """
        return self._unwanted.is_set()

    def wait_cancelled(self, timeout_s: float) -> bool:
        """Sleep, but wake as soon as the job is cancelled. Returns job.cancelled."""
        return self._unwanted.wait(timeout_s)

    def withdraw(self) -> None:
        """Make `cancelled` true; the worker calls this."""
        self._unwanted.set()
