"""From a request's headers and body to its answer: the part that both lanes share.

The lanes differ in how bytes arrive and leave; what a request means, and every byte of its answer, is decided here.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from aerodash import limits
from aerodash.auth import Actor, Door
from aerodash.errors import AeroDashError, InvalidInput, NotAllowed, TooLarge, UnknownRoute, WrongMethod
from aerodash.ids import ProjectId
from aerodash.keys import KeyRing, Principal
from aerodash.wire import compat
from aerodash.wire.operation import OPERATIONS, Call, Operation

log = logging.getLogger(__name__)

PREFIX = "/v1"
ALLOWED_HEADERS = (
    "content-type, x-aerostack-key, authorization, x-api-key, x-project-id, x-request-id, x-sdk-version, "
    "x-aerostack-function, x-aerodash-revision, if-none-match"
)
EXPOSED_HEADERS = "etag, retry-after, x-aerodash-revision, x-request-id"

_encoder = msgspec.json.Encoder()


@dataclass(slots=True)
class Answer:
    """What goes back: a status, JSON text (empty for a preflight), and headers by lower-case name."""

    status: int
    body: bytes
    headers: dict[str, str]


def find(path: str, method: str) -> Operation:
    """The operation at this path below /v1. Raises UnknownRoute, or WrongMethod for anything but POST."""
    op = OPERATIONS.get(path.removeprefix(PREFIX))
    if op is None:
        raise UnknownRoute(f"There is no operation at {path}.")
    if method != "POST":
        raise WrongMethod(f"{path} answers POST only.", allowed=["POST"])
    return op


async def identify(ring: KeyRing, headers: Mapping[str, str]) -> Principal:
    """Whose key came with the request, in any of the three headers that clients use.

    Raises NotAuthenticated; NotAllowed when X-Project-Id names another project than the key's.
    Source: wire contract, section 2.
    """
    text = headers.get("x-aerostack-key") or headers.get("x-api-key", "")
    if not text:
        kind, _, token = headers.get("authorization", "").partition(" ")
        text = token.strip() if kind.lower() == "bearer" else ""
    principal = await ring.principal(text)
    if named := headers.get("x-project-id"):
        check_project(principal.project, principal.slug, named)
    return principal


def check_project(project: ProjectId, slug: str, named: str) -> None:
    """Refuse a request that names another project than its key's, by id or slug; "" names none. Raises NotAllowed."""
    if named and named not in {slug, str(project)}:
        raise NotAllowed(
            "This key belongs to another project than the request names.", reason="other_project"
        )


def check_length(headers: Mapping[str, str]) -> None:
    """Refuse a body by the length that it announces, before reading any of it. Raises TooLarge, InvalidInput."""
    length = headers.get("content-length", "")
    if not length:
        return
    if not length.isascii() or not length.isdigit():
        raise InvalidInput("Content-Length is not a whole number.", reason="content_length")
    if int(length) > limits.BODY_BYTES:
        raise too_large()


def too_large() -> TooLarge:
    """The refusal of a body that is, or says that it is, over limits.BODY_BYTES."""
    return TooLarge(f"The body is longer than {limits.BODY_BYTES} bytes.", limit=limits.BODY_BYTES)


def cut_off() -> InvalidInput:
    """The refusal of a body that stopped before its length, or before its last chunk."""
    return InvalidInput("The body ended before its end.", reason="body_cut_off")


async def execute(
    op: Operation,
    principal: Principal,
    headers: Mapping[str, str],
    body: bytes,
    *,
    request_id: str,
    is_connected: Callable[[], bool] = lambda: True,
) -> Answer:
    """Decode, do and answer one operation for a caller who was identified. Raises AeroDashError only."""
    actor = Actor("key", principal.key_id, principal.label, principal.scopes, Door.API, request_id)
    call = Call(
        project=principal.project,
        actor=actor,
        is_connected=is_connected,
        slug=principal.slug,
        seen_revision=headers.get("x-aerodash-revision", ""),
        quirks=compat.quirks(principal.compat, headers.get("user-agent", "")),
    )
    reply = await op.do(call, body)
    answer = Answer(op.status, _encoder.encode(reply), common_headers(request_id))
    if call.reply_revision:
        answer.headers["x-aerodash-revision"] = call.reply_revision
    if origin := headers.get("origin"):
        share(answer, origin, principal)
    return answer


def share(answer: Answer, origin: str, principal: Principal) -> None:
    """Let the page of an origin that the project lists read the answer."""
    answer.headers["vary"] = "origin"
    if origin in principal.origins:
        answer.headers["access-control-allow-origin"] = origin
        answer.headers["access-control-expose-headers"] = EXPOSED_HEADERS


def preflight(request_id: str, origin: str, known: bool) -> Answer:
    """The answer to a browser's question before a call. known: some project lists this origin."""
    answer = Answer(204, b"", {"x-request-id": request_id, "vary": "origin"})
    if known:
        answer.headers |= {
            "access-control-allow-origin": origin,
            "access-control-allow-methods": "POST",
            "access-control-allow-headers": ALLOWED_HEADERS,
            "access-control-max-age": "600",
        }
    return answer


def common_headers(request_id: str) -> dict[str, str]:
    """What every answer with a body carries, refusals too."""
    return {
        "content-type": "application/json",
        "x-request-id": request_id,
        "x-content-type-options": "nosniff",
    }


def refuse(
    exc: Exception,
    request_id: str,
    headers: Mapping[str, str] | None = None,
    principal: Principal | None = None,
) -> Answer:
    """The one translator of failures to the API's error body. What nobody raised on purpose is logged once, here.

    headers and principal, where the request got so far: let the page of a listed origin read the refusal.
    """
    if not isinstance(exc, AeroDashError):
        log.error("request %s failed", request_id, exc_info=exc)
        exc = AeroDashError(
            "The server failed on this request; its log has the request id.", request_id=request_id
        )
    body = {"code": exc.code, "message": exc.message}
    if exc.details:
        body["details"] = dict(exc.details)  # type: ignore[assignment]
    answer = Answer(exc.status, _encoder.encode(body), common_headers(request_id))
    if exc.retry_after_s is not None:
        answer.headers["retry-after"] = str(exc.retry_after_s)
    if isinstance(exc, WrongMethod):
        answer.headers["allow"] = "POST"
    if principal is not None and headers is not None and (origin := headers.get("origin")):
        share(answer, origin, principal)
    return answer
