"""What the two ways of running handlers share: how many jobs to hold, and when to ask for more.

A lane leases for itself, so that a crowd of slow jobs of one kind never holds up the other kind.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence

from aerodash_sdk.worker.leases import Held, Leases

# With no prefetch given, as many jobs are held ready as the handlers need for this long.
AHEAD_S = 0.2
# Of no-op jobs, a server on the same two cores gives out and takes back 8 200 a second in batches of 100 to 300, 6 800
# in batches of 500 and 5 900 in batches of 1000: one batch is read while the one before is written to disk.
BATCH_JOBS = 256
AHEAD_MAX = 1000
AHEAD_BYTES = 16 * 1024 * 1024
# What waits longer for a free handler than this, with none having begun, is given back to others.
HOARD_S = 1.0
# Runs shorter than this are worth settling together.
BRISK_S = 0.002
# How many finished runs may wait for their settlement before no more jobs are taken.
UNSETTLED_MAX = 5000
_LEARN = 0.05


class Lane(ABC):
    """types: the job types that it runs. concurrency: how many at once. prefetch: how many more to hold ready;
    None adapts it to how long the handlers take and how big the payloads are.
    """

    def __init__(
        self, leases: Leases, types: Sequence[str], *, concurrency: int, prefetch: int | None
    ) -> None:
        self.types = sorted(types)
        self.concurrency = concurrency
        self._prefetch = prefetch
        self._leases = leases
        self._mean_s: float | None = None
        self._payload_bytes = 1.0
        self._last_begun_at = time.monotonic()
        self._changed = threading.Condition()
        self._closed = False
        # Set while somebody waits for room: `freed` then says when so few jobs wait.
        self._awaited = False
        self._low = 0

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def submit(self, some: Sequence[Held]) -> None:
        """Run these jobs, as handlers become free."""

    @abstractmethod
    def take_waiting(self) -> list[Held]:
        """Take back the jobs that have not begun."""

    @abstractmethod
    def waiting(self) -> int:
        """How many jobs have not begun."""

    @abstractmethod
    def running(self) -> int:
        """How many handlers are at work; one that outlived its time limit counts until it returns."""

    @abstractmethod
    def cancel(self, held: Held) -> None:
        """Tell a running handler that nobody wants its result."""

    @abstractmethod
    def stuck(self, held: Held) -> None:
        """End a run whose handler goes on although its time is over and it was told."""

    @abstractmethod
    def stop(self) -> None:
        """End what the lane itself runs on; handlers that still run are left behind."""

    @property
    def brisk(self) -> bool:
        """Whether many more short runs are about to end."""
        return self._mean_s is not None and self._mean_s < BRISK_S and self.waiting() > 0

    def wait_for_room(self) -> int:
        """How many jobs to ask for, once there is reason to; 0 once `close` was called."""
        with self._changed:
            while not self._closed:
                ahead = self._ahead()
                self._low = ahead // 2
                self._awaited = True
                waiting = self.waiting()
                room = self.concurrency + ahead - waiting - self.running()
                too_many = self._leases.unsettled() > UNSETTLED_MAX
                if room > 0 and waiting <= self._low and not too_many:
                    self._awaited = False
                    return min(room, BATCH_JOBS)
                self._changed.wait(0.05 if too_many else None)
            self._awaited = False
            return 0

    def close(self) -> None:
        """Take no more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def leased(self, some: Sequence[Held]) -> None:
        """Learn from a lease how big payloads are."""
        if some:
            mean = sum(memoryview(held.leased.payload).nbytes for held in some) / len(some)
            self._payload_bytes = max(1.0, mean)

    def hoards(self) -> bool:
        """Whether jobs wait here that another worker could run: every handler has been at work for long."""
        return (
            self._prefetch is None and self.waiting() > 0 and time.monotonic() - self._last_begun_at > HOARD_S
        )

    def slowed(self) -> None:
        """What was short so far is not: hold less ready."""
        self._mean_s = max(self._mean_s or 0.0, HOARD_S)

    def begun(self, at: float) -> None:
        """A job has begun, and waits no more."""
        self._last_begun_at = at
        self._tell()

    def freed(self, took_s: float) -> None:
        """A handler has returned."""
        mean_s = self._mean_s
        self._mean_s = took_s if mean_s is None else mean_s + (took_s - mean_s) * _LEARN
        self._tell()

    def _tell(self) -> None:
        if self._awaited and self.waiting() <= self._low:
            with self._changed:
                self._changed.notify_all()

    def _ahead(self) -> int:
        if self._prefetch is not None:
            return self._prefetch
        if self._mean_s is None:
            return 0
        wanted = self.concurrency * AHEAD_S / max(self._mean_s, 1e-6)
        return int(min(wanted, AHEAD_MAX, AHEAD_BYTES / self._payload_bytes))
