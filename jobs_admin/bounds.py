"""What the queue takes: types, payloads, leases and results, checked the same for every door.

Source: wire contract, sections 4 and 9.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from aerodash import limits
from aerodash.errors import InvalidInput
from jobs_admin.engine.contract import LeaseRef, RunResult, WorkerInfo

_TYPE = re.compile(limits.JOB_TYPE_PATTERN)


def check_type(type: str, field: str) -> None:
    """1..128 of A-Za-z0-9._:-"""
    if not _TYPE.fullmatch(type):
        raise InvalidInput(f"{field} must be 1..128 of A-Za-z0-9._:-", reason="invalid_type", field=field)


def check_within(field: str, value: float, low: float, high: float) -> None:
    """A number from low to high, both included."""
    if not low <= value <= high:
        raise InvalidInput(f"{field} must be {low}..{high}.", reason="out_of_range", field=field)


def check_number(field: str, items: Sequence[object], most: int) -> None:
    """At most so many items."""
    if len(items) > most:
        raise InvalidInput(
            f"{field} has {len(items)} items, over the limit of {most}.",
            reason="too_many", field=field, limit=most,
        )  # fmt: skip


def check_worker(worker: WorkerInfo) -> None:
    """An id, and what it says of itself within bounds."""
    _check_chars("worker.id", worker.id, limits.WORKER_ID_CHARS, least=1)
    _check_chars("worker.hostname", worker.hostname, limits.HOSTNAME_CHARS)
    _check_chars("worker.version", worker.version, limits.VERSION_CHARS)
    check_within("worker.pid", worker.pid, 0, limits.PID_MAX)


def check_leases(leases: Sequence[LeaseRef]) -> None:
    """Up to 1000 leases, each with a token that could be one."""
    check_number("leases", leases, limits.SETTLE_RESULTS)
    for index, lease in enumerate(leases):
        _check_chars(f"leases[{index}].leaseToken", lease.lease_token, limits.LEASE_TOKEN_CHARS, least=1)


def json_text(payload: bytes, field: str) -> str:
    """The payload's JSON text. Raises InvalidInput if it is over 1 MiB."""
    _check_bytes(field, len(payload), limits.PAYLOAD_BYTES, "payload_too_large")
    return payload.decode()


def run_results(results: Sequence[RunResult]) -> list[RunResult]:
    """Up to 1000 results, each within its bounds; an error's message and traceback are cut to theirs.

    Of these two a part is worth more than a refusal, which would lose what every run of the call came to: of a message
    the end goes, of a traceback the middle, and what stays says how long it was.
    """
    check_number("results", results, limits.SETTLE_RESULTS)
    return [_run_result(sent, f"results[{index}].") for index, sent in enumerate(results)]


def _run_result(sent: RunResult, within: str) -> RunResult:
    _check_chars(f"{within}leaseToken", sent.lease_token, limits.LEASE_TOKEN_CHARS, least=1)
    _check_bytes(f"{within}result", _size_bytes(sent.result), limits.RESULT_BYTES, "result_too_large")
    _check_bytes(f"{within}error.type", _size_bytes(sent.error_type), limits.ERROR_TYPE_BYTES, "too_long")
    if sent.retry_after_ms is not None:
        check_within(f"{within}retryAfterSeconds", sent.retry_after_ms / 1000, 0, limits.DELAY_MAX_S)
    message = cut_end(sent.error_message, limits.ERROR_MESSAGE_BYTES)
    traceback = cut_middle(sent.traceback, limits.TRACEBACK_BYTES)
    if message is sent.error_message and traceback is sent.traceback:
        return sent
    return replace(sent, error_message=message, traceback=traceback)


def cut_end(text: str, most: int) -> str:
    """The text, or as much of its beginning as fits into `most` bytes of UTF-8 with a note of how long it was."""
    if (size := _size_bytes(text)) <= most:
        return text
    note = f"… (cut: it had {size} bytes)"
    return _head(text.encode(), most - _size_bytes(note)) + note


def cut_middle(text: str, most: int) -> str:
    """The text, or as much of its beginning and end as fits into `most` bytes, with a note of how long it was."""
    if (size := _size_bytes(text)) <= most:
        return text
    note = f"\n… (cut here: it had {size} bytes) …\n"
    whole, left = text.encode(), most - _size_bytes(note)
    tail = whole[size - left // 2 :].decode(errors="ignore")
    return _head(whole, left - left // 2) + note + tail


def _head(text: bytes, most: int) -> str:
    return text[:most].decode(errors="ignore")  # half a character at the cut goes


def _size_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _check_bytes(field: str, size: int, most: int, reason: str) -> None:
    if size > most:
        raise InvalidInput(
            f"{field} has {size} bytes, over the limit of {most}.", reason=reason, field=field, limit=most
        )


def _check_chars(field: str, text: str, most: int, *, least: int = 0) -> None:
    if len(text) < least:
        raise InvalidInput(f"{field} must not be empty.", reason="missing", field=field)
    if len(text) > most:
        raise InvalidInput(
            f"{field} is longer than {most} characters.", reason="too_long", field=field, limit=most
        )
