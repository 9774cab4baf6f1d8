"""How a run ends: what a handler may raise, and what the server is told."""

import traceback
from datetime import timedelta

from aerodash_sdk.core.errors import InvalidInput
from aerodash_sdk.core.json_text import encode
from aerodash_sdk.core.records import JobError, Settlement

# The server would cut more; the end of a traceback says most.
TYPE_CHARS = 100
MESSAGE_CHARS = 2_000
TRACEBACK_CHARS = 16_000


class Retry(Exception):
    """Raised by a handler: this run failed, run the job again `after` seconds from now.

    It uses up one of the job's retries; when none is left, the job has failed. after: None leaves the delay to
    the job's retry policy. Raise it `from` an exception to keep that one's traceback.
    """

    def __init__(self, reason: str = "", *, after: float | timedelta | None = None) -> None:
        super().__init__(reason or "the handler asked for another run")
        seconds = after.total_seconds() if isinstance(after, timedelta) else after
        self.after_s = None if seconds is None else max(0.0, seconds)


class Fail(Exception):
    """Raised by a handler: the job has failed for good, whatever retries it has left."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or "the handler gave up")


def completed(job_id: str, lease_token: str, result: object) -> Settlement:
    """A run that returned. A result that JSON cannot carry makes it a failed one."""
    try:
        encode(result)
    except InvalidInput as exc:
        error = JobError("InvalidResult", f"The handler's result is no JSON: {exc.__cause__}", "")
        return Settlement(job_id, lease_token, "failed", error=error)
    return Settlement(job_id, lease_token, "completed", result=result)


def failed(job_id: str, lease_token: str, exc: BaseException) -> Settlement:
    """A run that raised."""
    return Settlement(
        job_id,
        lease_token,
        "failed",
        error=_described(exc),
        retry_after_s=exc.after_s if isinstance(exc, Retry) else None,
        final=isinstance(exc, Fail),
    )


def released(job_id: str, lease_token: str) -> Settlement:
    """A run that was given back: another worker takes the job up at once."""
    return Settlement(job_id, lease_token, "released")


def _described(exc: BaseException) -> JobError:
    raised = exc.__traceback__
    if raised is not None and raised.tb_next is not None:
        exc = exc.with_traceback(
            raised.tb_next
        )  # without the worker's own frame, where the handler is called
    return JobError(
        type=type(exc).__qualname__[:TYPE_CHARS],
        message=_sendable(str(exc))[:MESSAGE_CHARS],
        traceback=_sendable("".join(traceback.format_exception(exc)))[-TRACEBACK_CHARS:],
    )


def _sendable(text: str) -> str:
    """Without the lone surrogates that JSON cannot carry (from file names, for one)."""
    return text.encode("utf-8", "backslashreplace").decode()
