"""What the queue takes: jobs, leases, results, reports and settings, checked the same for every door.

Keys and tags, which must stay what they are, are refused with a NUL in them: PostgreSQL keeps none. In what people
only read (errors, tracebacks, log lines, progress) it is replaced by ␀. Both hold on every database.
Source: wire contract, sections 4 and 9.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from aerodash import instants, limits
from aerodash.errors import InvalidInput
from jobs_admin.engine.contract import (
    LeaseRef,
    LogLine,
    Lost,
    NewJob,
    Report,
    RunResult,
    TypeSettings,
    WorkerInfo,
)
from jobs_admin.engine.rules import RetryPolicy

NUL_SHOWN = "\N{SYMBOL FOR NULL}"

_TYPE = re.compile(limits.JOB_TYPE_PATTERN)
_TRACEPARENT = re.compile(limits.TRACEPARENT_PATTERN)
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)+")
_JOB_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DELAY_MAX_MS = limits.DELAY_MAX_S * 1000
_TIMEOUT_MAX_MS = limits.TIMEOUT_MAX_S * 1000


def is_job_id(id: str) -> bool:
    """Whether it has the form of an id, in lower case; no other can be one of ours."""
    return _JOB_ID.fullmatch(id) is not None


def check_job(job: NewJob, within: str = "") -> None:
    """Everything that an enqueue may carry. within: what stands before a field's name in the refusal."""
    # In line: this runs for each job of an enqueue, and its fields are mostly the defaults.
    if not _TYPE.fullmatch(job.type):
        check_type(job.type, f"{within}type")
    if job.payload_bytes > limits.PAYLOAD_BYTES:
        _check_bytes(f"{within}payload", job.payload_bytes, limits.PAYLOAD_BYTES, "payload_too_large")
    if not 0 <= job.delay_ms <= _DELAY_MAX_MS:
        check_within(f"{within}delaySeconds", job.delay_ms / 1000, 0, limits.DELAY_MAX_S)
    if not 0 <= job.priority <= limits.PRIORITY_MAX:
        check_within(f"{within}priority", job.priority, 0, limits.PRIORITY_MAX)
    if job.max_retries is not None and not 0 <= job.max_retries <= limits.MAX_RETRIES:
        check_within(f"{within}maxRetries", job.max_retries, 0, limits.MAX_RETRIES)
    if job.due_at_ms is not None:
        _check_due(job, job.due_at_ms, within)
    if job.retry is not None:
        check_retry(job.retry, f"{within}retryDelay")
    if job.unique is not None:
        _check_key(f"{within}uniqueKey", job.unique.key)
        if job.unique.period_ms is not None and not 0 < job.unique.period_ms <= _DELAY_MAX_MS:
            check_within(f"{within}uniqueKey.while", job.unique.period_ms / 1000, 0.001, limits.DELAY_MAX_S)
    if job.idempotency_key:
        _check_key(f"{within}idempotencyKey", job.idempotency_key)
    if job.partition_key:
        _check_key(f"{within}partitionKey", job.partition_key)
    if job.timeout_ms is not None and not 1000 <= job.timeout_ms <= _TIMEOUT_MAX_MS:
        check_within(f"{within}timeoutSeconds", job.timeout_ms / 1000, 1, limits.TIMEOUT_MAX_S)
    if job.deadline_at_ms is not None:
        _check_instant(f"{within}deadline", job.deadline_at_ms)
    if job.tags:
        check_number(f"{within}tags", job.tags, limits.TAGS)
        for tag in job.tags:
            check_text(f"{within}tags", tag, limits.TAG_CHARS, least=1)
    if job.batch is not None and not is_job_id(job.batch):
        raise InvalidInput(
            f"There is no batch {job.batch!r}.", reason="unknown_batch", field=f"{within}batch"
        )
    if job.traceparent and not _TRACEPARENT.fullmatch(job.traceparent):
        raise InvalidInput(
            f"{within}traceparent is not of the form 00-<32 hex digits>-<16 hex digits>-<2 hex digits> in lower case, "
            "as W3C Trace Context says.",
            reason="invalid_field", field=f"{within}traceparent",
        )  # fmt: skip


def _check_due(job: NewJob, due_at_ms: int, within: str) -> None:
    if job.delay_ms:
        raise InvalidInput(
            f"{within}runAt and {within}delaySeconds say both when it is due: send one of them.",
            reason="conflicting_times", field=f"{within}runAt",
        )  # fmt: skip
    if not 0 <= due_at_ms <= instants.now_ms() + _DELAY_MAX_MS:
        raise InvalidInput(
            f"{within}runAt must lie between 1970 and ten years from now.",
            reason="out_of_range", field=f"{within}runAt",
        )  # fmt: skip


def check_retry(policy: RetryPolicy, field: str) -> None:
    """Delays from 0 to ten years, up to 100 of them in a list."""
    check_within(f"{field}.base", policy.base_ms / 1000, 0, limits.DELAY_MAX_S)
    check_within(f"{field}.cap", policy.cap_ms / 1000, 0, limits.DELAY_MAX_S)
    check_number(f"{field}.delays", policy.delays_ms, limits.RETRY_DELAYS)
    for delay_ms in policy.delays_ms:
        check_within(f"{field}.delays", delay_ms / 1000, 0, limits.DELAY_MAX_S)
    if bool(policy.delays_ms) != (policy.kind == "list"):
        raise InvalidInput(
            f"{field}.delays belongs to the kind list, and only to that.",
            reason="invalid_field", field=f"{field}.delays",
        )  # fmt: skip


def check_text(field: str, text: str, most: int, *, least: int = 0) -> None:
    """From `least` to `most` characters that every database keeps: no NUL, no half of a surrogate pair."""
    _check_chars(field, text, most, least=least)
    if not _is_storable(text):
        raise InvalidInput(
            f"{field} has a NUL or a lone surrogate in it, which cannot be kept.",
            reason="invalid_text", field=field,
        )  # fmt: skip


def check_pause_reason(reason: str) -> None:
    """Up to 256 characters."""
    check_text("reason", reason, limits.PAUSE_REASON_CHARS)


def check_settings(settings: TypeSettings) -> None:
    """Each setting within its bounds; a refusal names the setting by its path on the wire."""
    if settings.retry is not None:
        check_retry(settings.retry, "settings.retryDelay")
    for name, value, low, high in (
        ("maxRetries", settings.max_retries, 0, limits.MAX_RETRIES),
        ("leaseSeconds", _seconds(settings.lease_ms), 1, limits.LEASE_MAX_S),
        ("timeoutSeconds", _seconds(settings.timeout_ms), 1, limits.TIMEOUT_MAX_S),
        ("concurrency", settings.concurrency, 1, limits.CONCURRENCY_MAX),
        ("partitionConcurrency", settings.partition_concurrency, 1, limits.CONCURRENCY_MAX),
        ("rateLimit.limit", settings.rate, 1, limits.RATE_MAX),
        ("rateLimit.perSeconds", _seconds(settings.rate_per_ms), 0.001, limits.RATE_PERIOD_MAX_S),
        ("rateLimit.burst", settings.rate_burst, 1, limits.RATE_MAX),
        ("partitionRateLimit.limit", settings.partition_rate, 1, limits.RATE_MAX),
        (
            "partitionRateLimit.perSeconds",
            _seconds(settings.partition_rate_per_ms), 0.001, limits.RATE_PERIOD_MAX_S,
        ),
        ("partitionRateLimit.burst", settings.partition_rate_burst, 1, limits.RATE_MAX),
        ("retention.completed", settings.retention_completed_s, 1, limits.RETENTION_MAX_S),
        ("retention.failed", settings.retention_failed_s, 1, limits.RETENTION_MAX_S),
        ("retention.cancelled", settings.retention_cancelled_s, 1, limits.RETENTION_MAX_S),
    ):  # fmt: skip
        if value is not None:
            check_within(f"settings.{name}", value, low, high)
    for name, starts, per_ms in (
        ("rateLimit", settings.rate, settings.rate_per_ms),
        ("partitionRateLimit", settings.partition_rate, settings.partition_rate_per_ms),
    ):
        if (starts is None) != (per_ms is None):
            raise InvalidInput(
                f"settings.{name} needs both limit and perSeconds.",
                reason="missing", field=f"settings.{name}",
            )  # fmt: skip
    check_number("settings.secretPaths", settings.secret_paths, limits.SECRET_PATHS)
    for index, path in enumerate(settings.secret_paths):
        field = f"settings.secretPaths[{index}]"
        check_text(field, path, limits.SECRET_PATH_CHARS, least=1)
        if not _POINTER.fullmatch(path):
            raise InvalidInput(
                f"{field} is no JSON Pointer such as /card/number (RFC 6901).",
                reason="invalid_field", field=field,
            )  # fmt: skip


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000


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
    check_text("worker.id", worker.id, limits.WORKER_ID_CHARS, least=1)
    check_text("worker.hostname", worker.hostname, limits.HOSTNAME_CHARS)
    check_text("worker.version", worker.version, limits.VERSION_CHARS)
    check_within("worker.pid", worker.pid, 0, limits.PID_MAX)


def check_leases(leases: Sequence[LeaseRef]) -> None:
    """Up to 1000 leases, each with a token that could be one."""
    check_number("leases", leases, limits.SETTLE_RESULTS)
    for index, lease in enumerate(leases):
        if not 1 <= len(lease.lease_token) <= limits.LEASE_TOKEN_CHARS or "\0" in lease.lease_token:
            _check_token(f"leases[{index}].", lease.lease_token)


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
    return [_run_result(sent, index) for index, sent in enumerate(results)]


def _run_result(sent: RunResult, index: int) -> RunResult:
    # The common case, a run that completed, costs a few comparisons; nothing is formatted for it.
    if not 1 <= len(sent.lease_token) <= limits.LEASE_TOKEN_CHARS or "\0" in sent.lease_token:
        _check_token(f"results[{index}].", sent.lease_token)
    if len(sent.result) > limits.RESULT_BYTES // 4:  # a character has at most four bytes
        size = _size_bytes(sent.result)
        _check_bytes(f"results[{index}].result", size, limits.RESULT_BYTES, "result_too_large")
    if sent.retry_after_ms is not None:
        field = f"results[{index}].retryAfterSeconds"
        check_within(field, sent.retry_after_ms / 1000, 0, limits.DELAY_MAX_S)
    if not sent.error_type and not sent.error_message and not sent.traceback:
        return sent
    type = shown(sent.error_type)
    _check_bytes(f"results[{index}].error.type", _size_bytes(type), limits.ERROR_TYPE_BYTES, "too_long")
    message = cut_end(shown(sent.error_message), limits.ERROR_MESSAGE_BYTES)
    traceback = cut_middle(shown(sent.traceback), limits.TRACEBACK_BYTES)
    if type is sent.error_type and message is sent.error_message and traceback is sent.traceback:
        return sent
    return replace(sent, error_type=type, error_message=message, traceback=traceback)


def reports(sent: Sequence[Report]) -> list[Report]:
    """Up to 1000 reports of up to 100 lines, 10 000 in all; messages and lines are cut to their bounds, and say so."""
    check_number("reports", sent, limits.PROGRESS_REPORTS)
    lines = sum(len(one.logs) for one in sent)
    if lines > limits.REPORTS_LINES:
        raise InvalidInput(
            f"The reports have {lines} log lines together, over the limit of {limits.REPORTS_LINES}.",
            reason="too_many", field="reports", limit=limits.REPORTS_LINES,
        )  # fmt: skip
    return [_report(one, f"reports[{index}].") for index, one in enumerate(sent)]


def _report(sent: Report, within: str) -> Report:
    _check_token(within, sent.lease_token)
    check_number(f"{within}logs", sent.logs, limits.REPORT_LINES)
    if sent.percent is not None:
        check_within(f"{within}percent", sent.percent, 0, 100)
    message = sent.message
    if message is not None:
        message = cut_end(shown(message), limits.PROGRESS_MESSAGE_BYTES)
    if message is sent.message and not sent.logs:
        return sent
    return replace(sent, message=message, logs=tuple(_log_lines(sent.logs, within)))


def _log_lines(lines: Iterable[LogLine], within: str) -> Iterable[LogLine]:
    for index, line in enumerate(lines):
        if line.at_ms is not None:
            _check_instant(f"{within}logs[{index}].at", line.at_ms)
        yield replace(line, message=cut_end(shown(line.message), limits.LOG_LINE_BYTES))


def lost_worker(lost: Lost) -> Lost:
    """An id that could be a worker's; reason and traceback are cut to their bounds."""
    check_text("worker.id", lost.worker_id, limits.WORKER_ID_CHARS, least=1)
    if lost.begun is not None and len(lost.begun) > limits.BEGUN_JOBS:
        check_number("begun", tuple(lost.begun), limits.BEGUN_JOBS)
    return replace(
        lost,
        reason=cut_end(shown(lost.reason), limits.LOST_REASON_BYTES),
        traceback=cut_middle(shown(lost.traceback), limits.TRACEBACK_BYTES),
    )


def shown(text: str) -> str:
    """The text with NULs made visible, and with no half of a surrogate pair."""
    if _is_storable(text):
        return text
    return text.encode(errors="replace").decode().replace("\0", NUL_SHOWN)


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


def _is_storable(text: str) -> bool:
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_instant(field: str, at_ms: int) -> None:
    if not 0 <= at_ms <= instants.LAST_MS:
        raise InvalidInput(
            f"{field} must lie between the years 1970 and 9999, in UTC.", reason="out_of_range", field=field
        )


def _check_key(field: str, key: str) -> None:
    check_text(field, key, limits.UNIQUE_KEY_CHARS, least=1)


def _check_token(within: str, token: str) -> None:
    check_text(f"{within}leaseToken", token, limits.LEASE_TOKEN_CHARS, least=1)


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
