"""The express lane: wire operations straight from ASGI to their verb, with no Django in between.

Measured on one process with 2 cores, Django's own handler costs about 1 ms a request; this lane does the same
operation in a fraction of that (bench/wire_lanes.py). Source: architecture, decision 1.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from aerodash import limits
from aerodash.keys import KeyRing
from aerodash.middleware import new_request_id
from aerodash.wire import execute as wire
from aerodash.wire.execute import Answer

type Scope = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
type Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def serve(ring: KeyRing, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request below /v1."""
    headers = headers_of(scope)
    request_id = new_request_id(headers.get("x-request-id", ""))
    watch: asyncio.Task[None] | None = None
    principal = None
    try:
        try:
            op = wire.find(scope["path"], scope["method"])
            principal = await wire.identify(ring, headers)
            wire.check_length(headers)
            body = await read_body(receive, headers.get("content-length", ""))
            if op.long_poll:
                watch = asyncio.ensure_future(_hung_up(receive))
                answer = await wire.execute(
                    op, principal, headers, body, request_id=request_id, is_connected=lambda: not watch.done()
                )
            else:
                answer = await wire.execute(op, principal, headers, body, request_id=request_id)
        except Exception as exc:  # noqa: BLE001 - the lane's one translator
            answer = wire.refuse(exc, request_id, headers, principal)
        await reply(send, answer)
    finally:
        if watch is not None:
            watch.cancel()


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers by lower-case name; of one sent twice the last counts."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


async def read_body(receive: Receive, length: str = "") -> bytes:
    """The whole body, at most limits.BODY_BYTES of it. Raises TooLarge, and InvalidInput for one that is cut off.

    length: the Content-Length that was announced. Once so much is there nothing more is waited for: the server's own
    word that this was all costs a fifth of a small request. A caller who hung up does not hear of the refusal; one
    whose chunks were broken does.
    """
    message = await receive()
    if message["type"] == "http.disconnect":
        raise wire.cut_off()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False) or str(len(body)) == length:
        if len(body) > limits.BODY_BYTES:
            raise wire.too_large()
        return body
    chunks, size = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise wire.cut_off()
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limits.BODY_BYTES:
            raise wire.too_large()
        chunks.append(chunk)
    return b"".join(chunks)


async def reply(send: Send, answer: Answer) -> None:
    """Send the answer, with the length of its body."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
    headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
