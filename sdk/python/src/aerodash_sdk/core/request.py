"""One call to the API before it is sent, and what turns its reply into a value or an exception."""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aerodash_sdk.core import errors
from aerodash_sdk.core.json_text import decode_object, encode


class Repeat(enum.Enum):
    """When a call that failed may be sent again."""

    ALWAYS = "sent twice, it does what it does sent once"
    IF_REFUSED = "only if the server was not reached, or said that it did nothing (429, or a 503 of its own)"
    IF_UNSENT = "only if the server was not reached or limited the rate: its 503 may follow half a deed"


@dataclass(frozen=True, slots=True)
class Request[T]:
    """A call: path below /v1, JSON body, and how to read its reply.

    repeat: what a retry may follow.
    wait_s: how long the server may hold the call before it answers (a long poll), on top of the usual timeout.
    decode: turns a reply's bytes and status into what `parse` takes; raises BadReply.
    """

    path: str
    body: bytes
    parse: Callable[[Any], T]
    repeat: Repeat = Repeat.ALWAYS
    wait_s: float = 0.0
    decode: Callable[[bytes, int], Any] = decode_object


def request[T](
    path: str,
    parse: Callable[[Any], T],
    *,
    repeat: Repeat = Repeat.ALWAYS,
    wait_s: float = 0.0,
    decode: Callable[[bytes, int], Any] = decode_object,
    **fields: object,
) -> Request[T]:
    """Build a call from its fields, named as on the wire. A field that is None is left out."""
    sent = {name: value for name, value in fields.items() if value is not None}
    return Request(path, encode(sent), parse, repeat, wait_s, decode)


def read[T](call: Request[T], status: int, headers: Mapping[str, str], body: bytes) -> T:
    """The value that a reply holds. headers: looked up without regard to case. Raises what the reply says."""
    if 200 <= status < 300:
        reply = call.decode(body, status)
        try:
            return call.parse(reply)
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise errors.BadReply(
                f"The reply to {call.path} lacks what it should hold ({exc!r}).", status=status
            ) from exc
    raise failure(status, headers.get("Retry-After"), body)


_BY_STATUS: dict[int, type[errors.AeroDashError]] = {
    400: errors.InvalidInput,
    401: errors.NotAuthenticated,
    403: errors.NotAllowed,
    404: errors.UnknownRoute,
    405: errors.UnknownRoute,
    413: errors.TooLarge,
    429: errors.RateLimited,
    503: errors.Unavailable,
}


def failure(status: int, retry_after: str | None, body: bytes) -> errors.AeroDashError:
    """The exception for a reply that is not a success. A proxy's own 429, 502 or 503 page will do, too."""
    kind = _BY_STATUS.get(status) or (errors.ServerFault if status >= 500 else errors.BadReply)
    try:
        reply = decode_object(body, status)
    except errors.BadReply as exc:
        if status < 500 and status != 429:
            return exc
        reply = {}
    details = reply.get("details")
    error = kind(
        str(reply.get("message") or f"The server answered with status {status}."),
        status=status,
        code=str(reply.get("code", "")),
        details=details if isinstance(details, dict) else None,
    )
    if isinstance(error, errors.RateLimited | errors.Unavailable):
        error.retry_after_s = _seconds(retry_after)
    return error


def _seconds(retry_after: str | None) -> float | None:
    """The API sends whole seconds; a proxy may send a date, which is worth no more than not knowing."""
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:
        return None
