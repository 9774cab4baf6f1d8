"""The reference model: the states table of jobs.md in the plainest Python, against which engines are driven.

It shares no code with the engines, their rules included. Drawn delays are checked for their bounds and then taken over.
"""

from dataclasses import dataclass, field

RETRY_BASE_MS = 4_000
RETRY_CAP_MS = 3_600_000
POISON_AFTER = 3


@dataclass
class ModelJob:
    type: str
    max_retries: int
    due_at_ms: int
    status: str = "pending"
    run: int = 0
    attempts: int = 0
    crashes: int = 0
    token: str = ""
    expires_at_ms: int = 0
    cancelling: bool = False
    payload_version: int = 1
    result: str = ""
    outcomes: list[str] = field(default_factory=list)
    late: int = 0
    due_between: tuple[int, int] | None = None
    """Bounds of a due time that the engine draws; None when due_at_ms is exact."""

    def lease(self, token: str, expires_at_ms: int) -> None:
        self.status, self.token, self.expires_at_ms = "processing", token, expires_at_ms
        self.run += 1
        self.attempts += 1

    def _end(self, status: str, outcome: str) -> None:
        self.status, self.token = status, ""
        self.outcomes.append(outcome)

    def _again(self, now_ms: int) -> None:
        longest = min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** (self.attempts - 1))
        self.due_between = (now_ms + longest // 2, now_ms + longest)

    def settle(
        self, now_ms: int, token: str, outcome: str, result: str, *, final: bool, retry_after_ms: int | None
    ) -> str:
        if self.status != "processing" or token != self.token:
            self.late += 1
            return "lease_lost"
        if self.cancelling:
            self._end("cancelled", "cancelled")
            self.late += outcome != "released"
            return "cancelled"
        self.crashes = 0
        if outcome == "completed":
            self.result = result
            self._end("completed", "completed")
        elif outcome == "released":
            self.attempts -= 1
            self.due_at_ms = now_ms
            self._end("pending", "released")
        elif final or self.attempts > self.max_retries:
            self._end("failed", "failed")
        else:
            self._end("pending", "failed")
            if retry_after_ms is None:
                self._again(now_ms)
            else:
                self.due_at_ms = now_ms + retry_after_ms
        return "accepted"

    def expire(self, now_ms: int) -> bool:
        if self.status != "processing" or self.expires_at_ms > now_ms:
            return False
        self.crashes += 1
        if self.cancelling:
            self._end("cancelled", "cancelled")
        elif self.crashes >= POISON_AFTER or self.attempts > self.max_retries:
            self._end("failed", "lease_expired")
        else:
            self._end("pending", "lease_expired")
            if self.crashes == 1:
                self.due_at_ms = now_ms
            else:
                self._again(now_ms)
        return True

    def heartbeat(self, token: str, expires_at_ms: int) -> str:
        if self.status != "processing" or token != self.token:
            return "lease_lost"
        self.expires_at_ms = expires_at_ms
        return "cancel_requested" if self.cancelling else "extended"

    def cancel(self) -> bool:
        if self.status == "pending":
            self.status, self.cancelling = "cancelled", True
            return True
        if self.status == "processing":
            self.cancelling = True
            return True
        return False

    def retry(self, now_ms: int, *, edited: bool) -> bool:
        if self.status in ("pending", "processing"):
            return False
        self.status, self.due_at_ms = "pending", now_ms
        self.attempts = self.crashes = 0
        self.cancelling, self.result = False, ""
        self.payload_version += edited
        return True
