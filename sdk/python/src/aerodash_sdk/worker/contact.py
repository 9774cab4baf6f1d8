"""Whether the server answers: says so in the log once, not at every try, and spaces the tries."""

import logging
import threading
import time

from aerodash_sdk.core.errors import AeroDashError, RateLimited, Unavailable
from aerodash_sdk.core.retrying import backoff_s

REMIND_S = 60.0

log = logging.getLogger("aerodash.worker")


class Contact:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._away_since: float | None = None
        self._said_at = 0.0

    def failed(self, error: AeroDashError) -> None:
        now = time.monotonic()
        with self._lock:
            first = self._away_since is None
            self._away_since = self._away_since or now
            if first or now - self._said_at >= REMIND_S:
                self._said_at = now
                log.warning("no use of the server, trying on: %s", error)

    def answered(self) -> None:
        with self._lock:
            if self._away_since is None:
                return
            away_s = time.monotonic() - self._away_since
            self._away_since = None
        log.info("the server answers again, after %.1f s", away_s)


def pause_s(error: AeroDashError, tried: int, *, cap_s: float) -> float:
    """How long to wait after the tried-th failure in a row."""
    asked = error.retry_after_s if isinstance(error, RateLimited | Unavailable) else None
    return min(cap_s, asked or 0.0) + backoff_s(tried, base_s=0.2, cap_s=cap_s)
