"""The fences of the wire contract, section 8, that every reply to a published client must stay inside."""

import json
import re
from collections.abc import Set
from typing import Any

from tests.api.client import Reply

STATUSES = {"pending", "processing", "completed", "failed", "cancelled"}
CODES = {
    "AUTH_INVALID_KEY",
    "AUTH_INVALID_CREDENTIALS",
    "DB_QUERY_FAILED",
    "RATE_LIMIT_EXCEEDED",
    "VALIDATION_ERROR",
    "INTERNAL_ERROR",
    "FORBIDDEN",
}
USERS_OWN = {"value", "values", "payload", "data", "metadata", "result"}
"""What users put in comes back as it is, null too."""
MAY_BE_NULL = {"job"}
INT32_MAX = 2_147_483_647
TIMES = {"createdAt", "scheduledAt", "startedAt", "completedAt", "expiresAt", "deadline", "at"}
BOOLS = {"success", "exists", "list_complete", "truncated", "duplicate"}
STRINGS = {
    "id",
    "jobId",
    "cursor",
    "key",
    "name",
    "projectId",
    "status",
    "revision",
    "note",
    "error",
    "reason",
}
WHOLE = {"count", "deleted", "attempts", "maxRetries", "run", "priority"}
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def check(reply: Reply, *, status: int = 200, words: Set[str] = frozenset()) -> Any:
    """The reply's JSON, once it was seen to break no published client. words: statuses that this one knows besides."""
    assert reply.status == status, reply.body
    assert reply.headers["content-type"] == "application/json"
    parsed = json.loads(reply.body)
    if status >= 400:
        assert set(parsed) <= {"code", "message", "details"}
        assert parsed["code"] in CODES
        assert isinstance(parsed.get("details", {}), dict)
    else:
        _walk(parsed, STATUSES | words)
    return parsed


def _walk(part: Any, statuses: Set[str]) -> None:
    if isinstance(part, list):
        for item in part:
            _walk(item, statuses)
    if isinstance(part, dict):
        for name, value in part.items():
            if name not in USERS_OWN:
                _field(name, value, statuses)
                _walk(value, statuses)


def _field(name: str, value: Any, statuses: Set[str]) -> None:
    assert name != "listComplete"
    assert value is not None or name in MAY_BE_NULL, f"{name} is null and not left out"
    if name in TIMES:
        assert _RFC3339.fullmatch(value), f"{name}: {value!r}"
    if name in BOOLS:
        assert isinstance(value, bool), f"{name}: {value!r}"
    if name in STRINGS:
        assert isinstance(value, str), f"{name}: {value!r}"
    if name in WHOLE:
        assert type(value) is int, f"{name}: {value!r}"
    if name == "expiration":
        assert type(value) is int, value
        assert 1_000_000_000 < value <= INT32_MAX, f"seconds within 32 bits: {value}"
    if name == "status":
        assert value in statuses
