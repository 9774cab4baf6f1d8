"""The rules of a run, whichever lane it runs in: when it may begin, when its time is over, and who has the last word."""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from aerodash_sdk.core.work import LeasedJob, Settlement
from aerodash_sdk.worker import outcomes
from aerodash_sdk.worker.leases import Held, Leases
from aerodash_sdk.worker.settling import Settler
from aerodash_sdk.worker.timers import Timers

# How long a handler may go on after it was told that its job was cancelled.
CANCEL_GRACE_S = 10.0

log = logging.getLogger("aerodash.worker")


class Runs:
    """limits: the longest run of a type, in seconds, as its handler declares it.

    on_stuck: called with a run whose handler goes on for limit_grace_s after it was told that its time is over.
    """

    def __init__(
        self,
        leases: Leases,
        settler: Settler,
        timers: Timers,
        *,
        limits: Mapping[str, float],
        limit_grace_s: float,
        on_stuck: Callable[[Held], None],
    ) -> None:
        self._leases = leases
        self._settler = settler
        self._timers = timers
        self._limits = limits
        self._limit_grace_s = limit_grace_s
        self._on_stuck = on_stuck

    def begin(self, held: Held, overdue: Callable[[Held], None]) -> bool:
        """Whether the run may begin; if not, it is given back. overdue: called when its time is over."""
        leased = held.leased
        log.debug("%s: begins, run %d of at most %d", held, leased.attempts, leased.max_retries + 1)
        if held.decided:
            return False
        if held.job.cancelled:
            self.release(held)  # the server, which has cancelled it, ends it as such
            return False
        if leased.deadline is not None and datetime.now(UTC) > leased.deadline:
            # The server fails it as expired when it would hand it out again.
            self.release(held)
            return False
        held.limit_s = limit_s = self._limit_s(leased)
        if limit_s is not None:
            self._timers.after(limit_s, held, lambda held: self._over(held, overdue))
        return True

    def decide(self, held: Held, settlement: Settlement) -> bool:
        """Say how a run ended. False if that was said before, by its time limit or at the end of the grace time."""
        if not self._leases.decide(held):
            return False
        self._settler.put(held, settlement)
        return True

    def release(self, held: Held) -> None:
        self.decide(held, outcomes.released(held.leased.id, held.token))

    def cancelled(self, held: Held, where: Callable[[Held], str]) -> None:
        """A handler was told that its job is cancelled: if it does not end soon, its run ends without it."""

        def give_up(held: Held) -> None:
            if self.decide(held, outcomes.cancelled(held.leased.id, held.token, where(held))):
                log.warning("%s: does not end although it was cancelled", held)

        self._timers.after(CANCEL_GRACE_S, held, give_up)

    def _limit_s(self, leased: LeasedJob) -> float | None:
        """The shorter of what the job and what the handler allow."""
        declared, asked = self._limits.get(leased.type), leased.timeout_seconds
        if declared is None or asked is None:
            return asked if declared is None else declared
        return min(declared, asked)

    def _over(self, held: Held, overdue: Callable[[Held], None]) -> None:
        overdue(held)
        self._timers.after(self._limit_grace_s, held, self._on_stuck)
