"""The jobs that this worker holds."""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from aerodash_sdk.core.work import LeasedJob
from aerodash_sdk.worker.job import Job

DEFAULT_LEASE_S = 30.0


@dataclass(slots=True, eq=False)
class Held:
    """A leased job. ends_at: when its lease surely has ended, by time.monotonic().

    limit_s: how long its run may take, once it has begun. decided: how the run ends has been said. returned: its handler is over.
    """

    job: Job
    leased: LeasedJob
    ends_at: float
    lease_s: float = DEFAULT_LEASE_S
    begun_at: float | None = None
    limit_s: float | None = None
    decided: bool = False
    returned: bool = False

    @property
    def token(self) -> str:
        return self.leased.lease_token

    def __str__(self) -> str:
        return f"{self.leased.type} {self.leased.id}"


@dataclass(slots=True)
class Leases:
    """All of them, by what was handed out and not by job or token: a job may come back while its lost run still goes
    on here, and the jobs of one lease may share a token.

    The two tables are dicts whose single steps are atomic, so that a job costs no lock; a lock is taken only
    where somebody waits.
    """

    _held: dict[Held, bool] = field(default_factory=dict)
    _undecided: dict[Held, bool] = field(default_factory=dict)
    _all_decided: threading.Condition = field(default_factory=threading.Condition)
    _awaited: bool = False

    def add(self, some: Iterable[Held]) -> None:
        for held in some:
            self._undecided[held] = True
            self._held[held] = True

    def decide(self, held: Held) -> bool:
        """Claim the right to say how this run ended. False if that was said before."""
        if not self._undecided.pop(held, False):
            return False
        held.decided = True
        if self._awaited:
            with self._all_decided:
                self._all_decided.notify_all()
        return True

    def drop(self, held: Held) -> None:
        """Forget a lease that is settled or lost for good."""
        self._held.pop(held, None)

    def holds(self, held: Held) -> bool:
        return held in self._held

    def find(self, leased: LeasedJob) -> Held | None:
        return next((held for held in self.all() if held.leased is leased), None)

    def all(self) -> list[Held]:
        return [*self._held]

    def undecided(self) -> list[Held]:
        """Those whose handler has not ended."""
        return [*self._undecided]

    def unsettled(self) -> int:
        """How many runs have ended and wait for the server's answer."""
        return len(self._held) - len(self._undecided)

    def shortest_s(self) -> float:
        """The length of the shortest lease; the default if there is none."""
        return min((held.lease_s for held in self.all()), default=DEFAULT_LEASE_S)

    def extend(self, held: Held) -> None:
        held.ends_at = time.monotonic() + held.lease_s

    def wait_decided(self, timeout_s: float) -> bool:
        """Wait until every handler has ended."""
        with self._all_decided:
            self._awaited = True
            try:
                return self._all_decided.wait_for(lambda: not self._undecided, timeout_s)
            finally:
                self._awaited = False
