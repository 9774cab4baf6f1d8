"""When a failed call is sent again, and after how long. Pure: the clients sleep."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from aerodash_sdk.core.errors import AeroDashError, NotSent, RateLimited, ReplyLost, Unavailable
from aerodash_sdk.core.request import Repeat


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient a client is.

    tries: how often a call is sent at most; 1 never retries. Pauses double from base_s up to cap_s, each drawn
    from the upper half, and are never shorter than the reply's Retry-After. A Retry-After beyond
    patience_s is not waited for: the exception is the caller's.
    """

    tries: int = 4
    base_s: float = 0.1
    cap_s: float = 5.0
    patience_s: float = 30.0

    def pause_s(
        self,
        error: AeroDashError,
        *,
        tried: int,
        repeat: Repeat,
        draw: Callable[[], float] = random.random,
    ) -> float | None:
        """How long to wait before the next try; None if there must be none.

        tried: how often the call was sent, 1 or more. repeat: what a retry of this call may follow.
        """
        if tried >= self.tries or not may_repeat(error, repeat):
            return None
        pause = backoff_s(tried, base_s=self.base_s, cap_s=self.cap_s, draw=draw)
        asked = error.retry_after_s if isinstance(error, RateLimited | Unavailable) else None
        if asked is None:
            return pause
        return None if asked > self.patience_s else asked + pause


def may_repeat(error: AeroDashError, repeat: Repeat) -> bool:
    """Whether the same call may succeed later, and a second one cannot do harm.

    A 503 without the API's error code comes from a proxy, which cannot know what the server did.
    """
    if isinstance(error, NotSent | RateLimited):
        return True
    if isinstance(error, Unavailable) and error.code:
        return repeat is not Repeat.IF_UNSENT
    return repeat is Repeat.ALWAYS and isinstance(error, ReplyLost | Unavailable)


def backoff_s(tried: int, *, base_s: float, cap_s: float, draw: Callable[[], float] = random.random) -> float:
    """Equal jitter with a cap, as the server draws retry delays of jobs."""
    ceiling = min(cap_s, base_s * 2.0 ** min(tried - 1, 32))
    return ceiling * (0.5 + 0.5 * draw())
