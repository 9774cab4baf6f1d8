"""The jobs that this worker holds, and how many more it may take."""

import threading
import time
from dataclasses import dataclass, field

from aerodash_sdk.core.records import LeasedJob
from aerodash_sdk.worker.job import Job

# How many finished runs may wait for their settlement before no more jobs are taken.
UNSETTLED_MAX = 1000


@dataclass(slots=True, eq=False)
class Held:
    """A leased job. ends_at: when its lease surely has ended, by time.monotonic()."""

    job: Job
    token: str
    ends_at: float
    begun_at: float | None = None
    decided: bool = False

    @classmethod
    def of(cls, leased: LeasedJob, ends_at: float) -> "Held":
        record = leased.job
        job = Job(record.id, record.type, record.payload, record.attempts, record.max_retries)
        return cls(job, leased.lease_token, ends_at)

    def __str__(self) -> str:
        return f"{self.job.type} {self.job.id}"


@dataclass(slots=True)
class Leases:
    """All of them, under one lock. Kept by token: a job may come back while its lost run still goes on here."""

    capacity: int
    _held: dict[str, Held] = field(default_factory=dict)
    _undecided: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _closed: bool = False

    def wait_for_room(self) -> int:
        """How many jobs may be taken, once it is one or more; 0 once `close` was called."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._room() > 0)
            return 0 if self._closed else self._room()

    def close(self) -> None:
        """Take no more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def add(self, held: Held) -> None:
        with self._changed:
            self._held[held.token] = held
            self._undecided += 1

    def decide(self, held: Held) -> bool:
        """Claim the right to say how this run ended. False if that was said before."""
        with self._changed:
            if held.decided:
                return False
            held.decided = True
            self._undecided -= 1
            self._changed.notify_all()
            return True

    def drop(self, held: Held) -> None:
        """Forget a lease that is settled or lost for good."""
        with self._changed:
            self._held.pop(held.token, None)
            self._changed.notify_all()

    def holds(self, held: Held) -> bool:
        with self._changed:
            return held.token in self._held

    def all(self) -> list[Held]:
        with self._changed:
            return [*self._held.values()]

    def undecided(self) -> list[Held]:
        """Those whose handler has not ended."""
        return [held for held in self.all() if not held.decided]

    def extend(self, held: Held, lease_s: int) -> None:
        held.ends_at = time.monotonic() + lease_s

    def wait_decided(self, timeout_s: float) -> bool:
        """Wait until every handler has ended."""
        with self._changed:
            return self._changed.wait_for(lambda: self._undecided == 0, timeout_s)

    def _room(self) -> int:
        return min(self.capacity - self._undecided, self.capacity + UNSETTLED_MAX - len(self._held))
