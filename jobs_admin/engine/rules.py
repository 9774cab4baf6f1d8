"""What follows from how a run ended, and what a limit lets through. Pure: every engine decides by these.

Source: jobs.md, sections States, What a job may carry.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

MAX_RETRIES = 3
LEASE_MS = 30_000
POISON_AFTER = 3
"""Leases that expire in a row before a job counts as the cause and fails."""

AGE_STEP_MS = 60_000
"""How much longer a job of the next lower priority waits behind newer ones: nothing starves."""

TIMEOUT_GRACE_MS = 10_000
"""How long after its time limit a run may still be settled: the worker is the first to end it."""

IDEMPOTENCY_MS = 24 * 3_600_000
"""How long an idempotency key answers with the job that it made."""

CLOCKS_DIFFER_MS = 60_000
"""By how much a machine's clock may be ahead of another's."""

type RetryKind = Literal["exponential", "fixed", "list"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long a failed job waits for its next run.

    exponential: equal jitter with a cap, half of min(cap, base * 2^(failures-1)) for sure and the other half by luck.
    fixed: base. list: the delays one after another, then the last again and again.
    """

    kind: RetryKind = "exponential"
    base_ms: int = 4_000
    cap_ms: int = 3_600_000
    delays_ms: tuple[int, ...] = ()

    def delay_ms(self, failures: int, luck: float) -> int:
        """After the failures-th failure (from 1); luck: 0..1, drawn once by the caller."""
        if self.kind == "list" and self.delays_ms:
            return self.delays_ms[min(failures, len(self.delays_ms)) - 1]
        if self.kind == "fixed":
            return self.base_ms
        # A base of 0 retries at once; the exponent is bounded so that the number stays small before the cap.
        longest = min(self.cap_ms, self.base_ms * 2 ** min(failures - 1, 40))
        return int(longest * (0.5 + 0.5 * luck))

    def text(self) -> str:
        """As it is stored."""
        return json.dumps(
            {
                "kind": self.kind,
                "base_ms": self.base_ms,
                "cap_ms": self.cap_ms,
                "delays_ms": self.delays_ms,
            }
        )

    @classmethod
    def parse(cls, *texts: str) -> "RetryPolicy":
        """The first of these stored ones that is not empty (the job's, then its type's), else the default."""
        for text in texts:
            if text:
                stored = json.loads(text)
                return cls(
                    stored["kind"], stored["base_ms"], stored["cap_ms"], tuple(stored.get("delays_ms", ()))
                )
        return cls()


@dataclass(frozen=True, slots=True)
class Next:
    """Where a job goes after a run that did not complete. due_at_ms: of the next run; None where it is over."""

    status: Literal["pending", "failed"]
    due_at_ms: int | None = None
    poison: bool = False


def after_failure(
    now_ms: int,
    *,
    attempts: int,
    max_retries: int,
    policy: RetryPolicy,
    luck: float,
    retry_after_ms: int | None = None,
    final: bool = False,
) -> Next:
    """After a worker said "failed": again while the budget lasts, at the worker's own time if it named one."""
    if final or attempts > max_retries:
        return Next("failed")
    if retry_after_ms is not None:
        return Next("pending", now_ms + retry_after_ms)
    return Next("pending", now_ms + policy.delay_ms(attempts, luck))


def after_crash(
    now_ms: int, *, crashes: int, attempts: int, max_retries: int, policy: RetryPolicy, luck: float
) -> Next:
    """After a lease expired or its worker was lost, the crashes-th time in a row.

    The first rerun is due at once: most crashes are the machine's, and the lease was wait enough. From the second on
    the job is the suspect and backs off like after a failure; the third makes it poison.
    """
    if crashes >= POISON_AFTER:
        return Next("failed", poison=True)
    if attempts > max_retries:
        return Next("failed")
    if crashes == 1:
        return Next("pending", now_ms)
    return after_failure(now_ms, attempts=attempts, max_retries=max_retries, policy=policy, luck=luck)


def urgency(priority: int, due_at_ms: int) -> int:
    """The order of leasing across priorities: lower first; time makes up for priority."""
    return due_at_ms + priority * AGE_STEP_MS


@dataclass(frozen=True, slots=True)
class Rate:
    """So many starts per per_ms; burst: how many may come at once after a quiet time. A token bucket."""

    starts: int
    per_ms: int
    burst: int

    def tokens(self, left: float, at_ms: int, now_ms: int) -> float:
        """How many there are now, if there were `left` at at_ms.

        An instant long after now is of a clock that was put back since: to wait for it again would stop the type.
        """
        if at_ms > now_ms + CLOCKS_DIFFER_MS:
            return float(self.burst)
        return min(float(self.burst), left + max(now_ms - at_ms, 0) * self.starts / self.per_ms)

    def ms_to_one(self, tokens: float) -> int:
        """How long until there is one more start."""
        return max(1, int((1 - tokens) * self.per_ms / self.starts) + 1) if tokens < 1 else 0


def rate_of(starts: int | None, per_ms: int | None, burst: int | None) -> Rate | None:
    """As a type's columns say it; None: unlimited."""
    return None if starts is None or per_ms is None else Rate(starts, per_ms, burst or starts)


def first_fitting(sizes: Sequence[int], most: int) -> int:
    """How many of these, from the first, are together at most `most`; one at least."""
    total = 0
    for number, size in enumerate(sizes):
        total += size
        if total > most:
            return max(number, 1)
    return len(sizes)
