"""What follows from how a run ended. Pure: every engine decides by these, and so does the reference model's reader.

Source: jobs.md, section States.
"""

from dataclasses import dataclass
from typing import Literal

RETRY_BASE_MS = 4_000
RETRY_CAP_MS = 3_600_000
POISON_AFTER = 3
"""Leases that expire in a row before a job counts as the cause and fails."""

AGE_STEP_MS = 60_000
"""How much longer a job of the next lower priority waits behind newer ones: nothing starves."""


@dataclass(frozen=True, slots=True)
class Next:
    """Where a job goes after a run that did not complete. due_at_ms: of the next run; None where it is over."""

    status: Literal["pending", "failed"]
    due_at_ms: int | None = None
    poison: bool = False


def retry_delay_ms(failures: int, base_ms: int, cap_ms: int, luck: float) -> int:
    """Equal jitter with a cap: half of min(cap, base * 2^(failures-1)) for sure, the other half by luck (0..1)."""
    # A base of 0 retries at once; the exponent is bounded so that the number stays small before the cap.
    longest = min(cap_ms, base_ms * 2 ** min(failures - 1, 40))
    return int(longest * (0.5 + 0.5 * luck))


def after_failure(
    now_ms: int,
    *,
    attempts: int,
    max_retries: int,
    base_ms: int | None,
    cap_ms: int | None,
    luck: float,
    retry_after_ms: int | None = None,
    final: bool = False,
) -> Next:
    """After a worker said "failed": again while the budget lasts, at the worker's own time if it named one."""
    if final or attempts > max_retries:
        return Next("failed")
    if retry_after_ms is not None:
        return Next("pending", now_ms + retry_after_ms)
    base = RETRY_BASE_MS if base_ms is None else base_ms
    cap = RETRY_CAP_MS if cap_ms is None else cap_ms
    return Next("pending", now_ms + retry_delay_ms(attempts, base, cap, luck))


def after_crash(
    now_ms: int,
    *,
    crashes: int,
    attempts: int,
    max_retries: int,
    base_ms: int | None,
    cap_ms: int | None,
    luck: float,
) -> Next:
    """After a lease expired, the crashes-th time in a row.

    The first rerun is due at once: most crashes are the machine's, and the lease was wait enough. From the second on
    the job is the suspect and backs off like after a failure; the third makes it poison.
    """
    if crashes >= POISON_AFTER:
        return Next("failed", poison=True)
    if attempts > max_retries:
        return Next("failed")
    if crashes == 1:
        return Next("pending", now_ms)
    return after_failure(
        now_ms, attempts=attempts, max_retries=max_retries, base_ms=base_ms, cap_ms=cap_ms, luck=luck
    )


def urgency(priority: int, due_at_ms: int) -> int:
    """The order of leasing across priorities: lower first; time makes up for priority."""
    return due_at_ms + priority * AGE_STEP_MS
