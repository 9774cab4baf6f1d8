"""Every exception that AeroDash raises on purpose, and what a caller is told about it.

A missing key, a lost lease or a refused condition is a result, not an exception: these are for what a caller
cannot go on from. Each door (JSON body, page, socket frame) translates them once.
Source: wire contract, section 5.
"""

import enum
from collections.abc import Mapping
from typing import Literal

type Code = Literal[
    "AUTH_INVALID_KEY",
    "AUTH_INVALID_CREDENTIALS",
    "DB_QUERY_FAILED",
    "RATE_LIMIT_EXCEEDED",
    "VALIDATION_ERROR",
    "INTERNAL_ERROR",
    "FORBIDDEN",
]


class Reason(enum.StrEnum):
    """Every word that may stand in details.reason. One meaning has one word, whichever app or door says it.

    Callers branch on them, so a word is never given another meaning; tests/unit/test_reasons.py looks for others.
    """

    # The body, or a field of it, whatever the operation.
    INVALID = "invalid"
    MALFORMED_JSON = "malformed_json"
    INVALID_JSON = "invalid_json"
    NOT_AN_OBJECT = "not_an_object"
    CONTENT_LENGTH = "content_length"
    BODY_CUT_OFF = "body_cut_off"
    BODY_TOO_LARGE = "body_too_large"
    MISSING = "missing"
    INVALID_FIELD = "invalid_field"
    CONFLICTING_ALIASES = "conflicting_aliases"
    INVALID_CURSOR = "invalid_cursor"
    # Bounds: of a number, of how many there are, of a text, of a reply.
    OUT_OF_RANGE = "out_of_range"
    TOO_MANY = "too_many"
    TOO_LONG = "too_long"
    REPLY_TOO_LARGE = "reply_too_large"
    # Cache and flags.
    EMPTY_KEY = "empty_key"
    KEY_TOO_LONG = "key_too_long"
    VALUE_TOO_LARGE = "value_too_large"
    METADATA_TOO_LARGE = "metadata_too_large"
    CONFLICTING_CONDITIONS = "conflicting_conditions"
    NOT_AN_INTEGER = "not_an_integer"
    COUNTER_OVERFLOW = "counter_overflow"
    INVALID_NAME = "invalid_name"
    REASON_NEEDED = "reason_needed"
    # Jobs.
    INVALID_TYPE = "invalid_type"
    TOO_MANY_TYPES = "too_many_types"
    UNKNOWN_STATUS = "unknown_status"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    RESULT_TOO_LARGE = "result_too_large"
    INVALID_TEXT = "invalid_text"
    CONFLICTING_TIMES = "conflicting_times"
    UNKNOWN_BATCH = "unknown_batch"
    BATCH_SEALED = "batch_sealed"
    UNIQUE_TAKEN = "unique_taken"
    UNKNOWN_SCHEDULE = "unknown_schedule"
    UNKNOWN_TIMEZONE = "unknown_timezone"
    INVALID_CRON = "invalid_cron"
    INVALID_SETTINGS = "invalid_settings"
    # Where to and by whom.
    UNKNOWN_ROUTE = "unknown_route"
    WRONG_METHOD = "wrong_method"
    MISSING_KEY = "missing_key"
    INVALID_KEY = "invalid_key"
    MISSING_SCOPE = "missing_scope"
    OTHER_PROJECT = "other_project"
    RATE_LIMITED = "rate_limited"
    # Valkey or the database cannot take it now.
    ENGINE_DOWN = "engine_down"
    ENGINE_ERROR = "engine_error"
    NOT_STARTED = "not_started"
    OPERATION_UNFINISHED = "operation_unfinished"
    OPERATION_FAILED = "operation_failed"
    CLOSING = "closing"
    OVERLOADED = "overloaded"
    BUSY = "busy"
    OUT_OF_MEMORY = "out_of_memory"
    NOT_PERSISTING = "not_persisting"
    READ_ONLY = "read_only"
    TOO_FEW_REPLICAS = "too_few_replicas"
    NO_PERMISSION = "no_permission"
    DATABASE_UNAVAILABLE = "database_unavailable"
    DATABASE_LOCKED = "database_locked"
    DATABASE_READ_ONLY = "database_read_only"
    DATABASE_DAMAGED = "database_damaged"
    DATABASE_ERROR = "database_error"
    OUTCOME_UNKNOWN = "outcome_unknown"
    DISK_FULL = "disk_full"
    DISK_ERROR = "disk_error"
    # Commands that cannot start.
    CANNOT_START = "cannot_start"
    VALKEY_MISSING = "valkey_missing"
    VALKEY_START = "valkey_start"


class AeroDashError(Exception):
    """The base of them all.

    code, status: what the wire contract says for this meaning.
    reason: one of Reason's words, which programs may branch on; sent as details.reason.
    details: public facts for the reply; never a secret, a traceback or a driver's message.
    retry_after_s: whole seconds for the Retry-After header, where waiting helps.
    """

    code: Code = "INTERNAL_ERROR"
    status: int = 500
    reason: str = ""
    retry_after_s: int | None = None

    def __init__(self, message: str, *, reason: str = "", field: str = "", **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.reason
        self.details: Mapping[str, object] = {
            **({"reason": self.reason} if self.reason else {}),
            **({"field": field} if field else {}),
            **details,
        }


class InvalidInput(AeroDashError):
    """The request cannot be understood or breaks a bound; sending it again changes nothing."""

    code = "VALIDATION_ERROR"
    status = 400
    reason = "invalid"


class TooLarge(AeroDashError):
    """The request body is longer than the server reads."""

    code = "VALIDATION_ERROR"
    status = 413
    reason = "body_too_large"


class UnknownRoute(AeroDashError):
    """No operation lives at this path."""

    code = "VALIDATION_ERROR"
    status = 404
    reason = "unknown_route"


class WrongMethod(AeroDashError):
    """The path exists, the method does not."""

    code = "VALIDATION_ERROR"
    status = 405
    reason = "wrong_method"


class NotAuthenticated(AeroDashError):
    """No API key, or one that is unknown, revoked or expired."""

    code = "AUTH_INVALID_KEY"
    status = 401
    reason = "invalid_key"


class NotAllowed(AeroDashError):
    """The caller is known and may not do this."""

    code = "FORBIDDEN"
    status = 403
    reason = "missing_scope"


class RateLimited(AeroDashError):
    """The project has used up its rate for now. Part of the contract; nothing raises it before projects have quotas."""

    code = "RATE_LIMIT_EXCEEDED"
    status = 429
    reason = "rate_limited"

    def __init__(self, message: str, *, retry_after_s: int, **details: object) -> None:
        super().__init__(message, **details)  # type: ignore[arg-type]
        self.retry_after_s = retry_after_s


class EngineDown(AeroDashError):
    """Valkey or the database cannot be reached, is overloaded, or refuses writes (disk or memory full)."""

    code = "INTERNAL_ERROR"
    status = 503
    reason = "engine_down"

    def __init__(self, message: str, *, retry_after_s: int = 1, reason: str = "", **details: object) -> None:
        super().__init__(message, reason=reason, **details)  # type: ignore[arg-type]
        self.retry_after_s = retry_after_s


class OutcomeUnknown(EngineDown):
    """The connection to the database was lost while it committed: whether the change was made is not known.

    Of every other EngineDown nothing was written, so that a caller may send it again; here only what may be done twice.
    """

    reason = "outcome_unknown"


class CannotStart(AeroDashError):
    """A command cannot do what it was asked to; the message says why and what to mend."""

    reason = "cannot_start"
