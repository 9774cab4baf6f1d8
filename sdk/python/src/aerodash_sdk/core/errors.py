"""Every exception of the SDK, one class per meaning.

A missing key, an unknown job or a refused cancel is a result, not an exception.
"""

from collections.abc import Mapping


class AeroDashError(Exception):
    """The base of them all.

    status: the HTTP status, or 0 where no reply came. code: one of the API's closed set, or "".
    reason: a snake_case word to branch on, from the reply's details, or "". details: the rest of them.
    """

    def __init__(
        self, message: str, *, status: int = 0, code: str = "", details: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.details: Mapping[str, object] = details or {}
        self.reason = str(self.details.get("reason", ""))


class Misconfigured(AeroDashError):
    """The address or the API key is missing or cannot be used; nothing was sent."""


class ConnectionFailed(AeroDashError):
    """No reply came. The two subclasses say whether the server may have carried the request out."""


class NotSent(ConnectionFailed):
    """The server could not be reached, so it surely did nothing."""


class ReplyLost(ConnectionFailed):
    """The request went out and no whole reply came back: the server may or may not have carried it out."""


class BadReply(AeroDashError):
    """Something answered that does not speak this API: a proxy's page, another program, a newer server."""


class InvalidInput(AeroDashError):
    """The request breaks a rule or a bound; sending it again changes nothing. details.field names the field."""


class TooLarge(InvalidInput):
    """The request body is longer than the server reads."""


class UnknownRoute(AeroDashError):
    """The address answers, but has no such operation: a wrong base URL or an older server."""


class NotAuthenticated(AeroDashError):
    """The API key is unknown, revoked or expired."""


class NotAllowed(AeroDashError):
    """The API key is good and lacks the right for this."""


class RateLimited(AeroDashError):
    """The project has used up its rate; retry_after_s says when to come back. The request did nothing."""

    retry_after_s: float | None = None


class Unavailable(AeroDashError):
    """The server cannot serve this just now (503); retry_after_s says when to come back, if it is known."""

    retry_after_s: float | None = None


class ServerFault(AeroDashError):
    """The server failed in a way it did not expect (any other 5xx)."""


class NoSuchJob(AeroDashError):
    """A job that was waited for does not exist."""


class WaitTimedOut(AeroDashError):
    """A job that was waited for had not ended in time; it goes on."""


class Stopped(AeroDashError):
    """Somebody stopped the work in the console before it was done; details.deleted says how much of it was."""
