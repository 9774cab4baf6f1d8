"""How a run ends: what a handler may raise, and what the server is told."""

import asyncio
import sys
import traceback
from collections.abc import Coroutine, Iterable
from datetime import timedelta
from types import FrameType
from typing import Any

import msgspec

from aerodash_sdk.core.errors import InvalidInput
from aerodash_sdk.core.json_text import encode
from aerodash_sdk.core.records import JobError
from aerodash_sdk.core.work import Settlement

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
    if result is None:
        return Settlement(job_id, lease_token, "completed")
    try:
        text = encode(result)
    except InvalidInput as exc:
        error = JobError("InvalidResult", f"The handler's result is no JSON: {exc.__cause__}", "")
        return Settlement(job_id, lease_token, "failed", error=error)
    return Settlement(job_id, lease_token, "completed", result=msgspec.Raw(text))


def failed(job_id: str, lease_token: str, exc: BaseException) -> Settlement:
    """A run that raised."""
    return Settlement(
        job_id,
        lease_token,
        "failed",
        error=_described(exc),
        retry_after_seconds=exc.after_s if isinstance(exc, Retry) else None,
        final=isinstance(exc, Fail),
    )


def cancelled(job_id: str, lease_token: str, where: str) -> Settlement:
    """A run that was cancelled while it went on; the server, which asked for it, records it as such."""
    error = JobError("CancelledError", "the job was cancelled while it ran", where[-TRACEBACK_CHARS:])
    return Settlement(job_id, lease_token, "failed", error=error)


def overdue(job_id: str, lease_token: str, limit_s: float | None, where: str) -> Settlement:
    """A run that went on for longer than it may. where: the stack it was seen in, or its traceback."""
    message = f"the run took longer than its limit of {limit_s or 0:g} s"
    error = JobError("TimeLimitExceeded", message, _sendable(where)[-TRACEBACK_CHARS:])
    return Settlement(job_id, lease_token, "failed", error=error)


def released(job_id: str, lease_token: str) -> Settlement:
    """A run that was given back: another worker takes the job up at once."""
    return Settlement(job_id, lease_token, "released")


def traceback_of(exc: BaseException) -> str:
    """Its traceback as text, without the worker's own frame where the handler is called."""
    raised = exc.__traceback__
    if raised is not None and raised.tb_next is not None:
        exc = exc.with_traceback(raised.tb_next)
    return "".join(traceback.format_exception(exc))


def stack_of_thread(ident: int | None) -> str:
    """Where a thread is just now, outermost call first; without the frames of the worker itself."""
    frame = sys._current_frames().get(ident) if ident is not None else None
    frames: list[FrameType] = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    frames.reverse()
    handler = [number for number, each in enumerate(frames) if each.f_globals.get("__name__") in _OURS]
    return _listed((each, each.f_lineno) for each in frames[(handler[-1] + 1 if handler else 0) :])


def stack_of_coroutine(coroutine: Coroutine[Any, Any, Any] | None) -> str:
    """Where a suspended coroutine is, outermost call first: along what each awaits."""
    frames: list[tuple[FrameType, int]] = []
    awaited: Any = coroutine
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None and frame.f_globals.get("__name__") not in _OURS:
            frames.append((frame, frame.f_lineno))
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    return _listed(frames)


def is_cancellation(exc: BaseException) -> bool:
    return isinstance(exc, asyncio.CancelledError)


_OURS = frozenset(
    {"aerodash_sdk.worker.threads", "aerodash_sdk.worker.tasks", "aerodash_sdk.worker.middleware"}
)


def _listed(frames: Iterable[tuple[FrameType, int]]) -> str:
    summary = traceback.StackSummary.extract(iter(frames))
    return "Stack (most recent call last):\n" + "".join(summary.format())


def _described(exc: BaseException) -> JobError:
    return JobError(
        type=type(exc).__qualname__[:TYPE_CHARS],
        message=_sendable(str(exc))[:MESSAGE_CHARS],
        traceback=_sendable(traceback_of(exc))[-TRACEBACK_CHARS:],
    )


def _sendable(text: str) -> str:
    """Without the lone surrogates that JSON cannot carry (from file names, for one)."""
    return text.encode("utf-8", "backslashreplace").decode()
