"""Every exception that AeroDash raises on purpose, and what a caller is told about it.

A missing key, a lost lease or a refused condition is a result, not an exception: these are for what a caller
cannot go on from. Each door (JSON body, page, socket frame) translates them once.
Source: wire contract, section 5.
"""

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


class AeroDashError(Exception):
    """The base of them all.

    code, status: what the wire contract says for this meaning.
    reason: a short snake_case word that programs may branch on, sent as details.reason.
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
    """The project has used up its rate for now."""

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


class CannotStart(AeroDashError):
    """A command cannot do what it was asked to; the message says why and what to mend."""

    reason = "cannot_start"
