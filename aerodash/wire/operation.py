"""The operation table: every wire operation is declared once, and both lanes are built from it.

    @operation("/cache/get", request=GetRequest, reply=GetReply, scope=Scope.CACHE_READ)
    async def cache_get(call: Call, body: GetRequest) -> GetReply: ...

Source: architecture, decision 1.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from aerodash.auth import Actor, Scope
from aerodash.ids import ProjectId
from aerodash.wire.inputs import Decoder


@dataclass(slots=True)
class Call:
    """One request, after the key was checked: for whom, by whom, and what the reply's headers will carry.

    reply_revision: set by a handler that wrote or read one.
    is_connected: False once the caller has gone; long polls ask before they take work.
    """

    project: ProjectId
    actor: Actor
    reply_revision: str = ""
    is_connected: Callable[[], bool] = field(default=lambda: True)


type Handler = Callable[[Call, Any], Awaitable[msgspec.Struct]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of the contract: path below /v1, types, right, success status, and the verb that does it."""

    path: str
    request: type[msgspec.Struct]
    reply: type[msgspec.Struct]
    scope: Scope
    status: int
    handler: Handler
    decoder: Decoder
    summary: str
    description: str
    tag: str
    long_poll: bool


OPERATIONS: dict[str, Operation] = {}


def operation[F: Handler](
    path: str,
    *,
    request: type[msgspec.Struct],
    reply: type[msgspec.Struct],
    scope: Scope,
    status: int = 200,
    long_poll: bool = False,
) -> Callable[[F], F]:
    """Enter a handler in the table. Its docstring's first line is the summary in the API's documentation.

    path: below /v1. status: of success. long_poll: the handler may wait, and asks call.is_connected before it acts.
    """

    def enter(handler: F) -> F:
        if path in OPERATIONS:
            raise RuntimeError(f"{path} is declared twice.")
        doc = (handler.__doc__ or "").strip()
        summary, _, rest = doc.partition("\n")
        OPERATIONS[path] = Operation(
            path=path,
            request=request,
            reply=reply,
            scope=scope,
            status=status,
            handler=handler,
            decoder=Decoder(request),
            summary=summary,
            description=rest.strip(),
            tag=path.split("/")[1],
            long_poll=long_poll,
        )
        return handler

    return enter
