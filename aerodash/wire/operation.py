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
from aerodash.wire import compat
from aerodash.wire.inputs import Decoder


@dataclass(slots=True)
class Call:
    """One request, after the key was checked: for whom, by whom, and what the reply's headers will carry.

    quirks: how the reply bends to the calling client; only wire.compat knows what they mean.
    seen_revision: the newest that the caller has seen of the project, "" if it did not say.
    reply_revision: set by a handler that wrote or read one.
    is_connected: False once the caller has gone; long polls ask before they take work.
    """

    project: ProjectId
    actor: Actor
    reply_revision: str = ""
    is_connected: Callable[[], bool] = field(default=lambda: True)
    slug: str = ""
    seen_revision: str = ""
    quirks: compat.Quirks = compat.NONE


type Handler = Callable[[Call, Any], Awaitable[Any]]


type Ask = Callable[..., Awaitable[Any]]
type Result = Callable[[Any, Ask], Awaitable[Any]]

OPTIONS = "*"
"""An argument that is an object of fields, in place of one field."""


async def whole(reply: Any, ask: Ask) -> Any:
    """The result of a method that answers what its operation replies."""
    return reply


@dataclass(frozen=True, slots=True)
class Rpc:
    """How an operation is called by RPC: as the method of its path's name (/cache/get is cache.get).

    args: the request's field for each argument, or OPTIONS.
    result: makes the bare result of the reply; ask(cursor=...) does the same again with these fields besides.
    """

    args: tuple[str, ...]
    result: Result = whole


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of the contract: path below /v1, types, right, success status, and the verb that does it.

    scope: None where the handler asks for the right itself.
    """

    path: str
    request: type[msgspec.Struct]
    reply: Any
    scope: Scope | None
    status: int
    handler: Handler
    decoder: Decoder
    summary: str
    description: str
    tag: str
    long_poll: bool
    rpc: Rpc | None

    async def do(self, call: Call, body: bytes) -> Any:
        """Check the right, decode the body, and do it: the reply, as this caller's client reads it."""
        if self.scope is not None:
            call.actor.require(self.scope)
        reply = await self.handler(call, self.decoder.decode(body))
        return compat.bent(self.path, reply, call.quirks) if call.quirks else reply


OPERATIONS: dict[str, Operation] = {}


def operation[F: Handler](
    path: str,
    *,
    request: type[msgspec.Struct],
    reply: Any,
    scope: Scope | None,
    status: int = 200,
    long_poll: bool = False,
    rpc: Rpc | None = None,
) -> Callable[[F], F]:
    """Enter a handler in the table. Its docstring's first line is the summary in the API's documentation.

    path: below /v1. status: of success. long_poll: the handler may wait, and asks call.is_connected before it acts.
    reply: a Struct, or Any for an operation whose reply depends on what is asked. rpc: how it is called by RPC, if it is.
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
            rpc=rpc,
        )
        return handler

    return enter
