"""The RPC route: the operations that say how (operation.Rpc), called by name with a list of arguments.

A call becomes the body of its operation and goes through the same decoder, right and verb; what comes back is the bare
result, without an envelope. Source: wire contract, section 6.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from aerodash.errors import InvalidInput
from aerodash.wire.execute import check_project
from aerodash.wire.inputs import Request
from aerodash.wire.operation import OPERATIONS, OPTIONS, Call, Operation, Rpc, operation

PATH = "/internal/hooks/rpc"
"""Below /v1, and at the origin itself: clients know the route without a version."""

_OBJECT = msgspec.json.Decoder(dict[str, Raw])


class RpcRequest(Request):
    """A method, and its arguments in order; those left out may be null or not there."""

    method: Annotated[str, Meta(description="As cache.get or queue.enqueue.")]
    args: list[Raw] | None = None
    projectId: Annotated[str | int, Meta(description="The key's own project, by id or slug.")] | None = None


@operation(PATH, request=RpcRequest, reply=Any, scope=None)
async def rpc(call: Call, body: RpcRequest) -> Any:
    """Call an operation by its method's name.

    Answers the bare result: `cache.get` the value itself or null, `cache.keys` a list of keys, `cache.getMany` the list
    of results, all others what their operation replies. Always 200; refusals are those of the operation.
    """
    target, how = _method(body.method)
    check_project(call.project, call.slug, "" if body.projectId is None else str(body.projectId))
    fields = _fields(how, body.args or [])

    async def ask(**more: str) -> Any:
        return await target.do(call, msgspec.json.encode(fields | more))

    return await how.result(await ask(), ask)


def _method(name: str) -> tuple[Operation, Rpc]:
    target = OPERATIONS.get("/" + name.replace(".", "/", 1))
    if target is None or target.rpc is None:
        known = (op.path[1:].replace("/", ".") for op in OPERATIONS.values() if op.rpc is not None)
        raise InvalidInput(
            f"There is no method {name!r}; there are {', '.join(known)}.",
            reason="invalid_field",
            field="method",
        )
    return target, target.rpc


def _fields(how: Rpc, args: list[Raw]) -> dict[str, Any]:
    """The body's fields, each the text that was sent. Arguments past those that a method takes are ignored."""
    fields: dict[str, Any] = {}
    for number, (name, sent) in enumerate(zip(how.args, args, strict=False)):
        if name != OPTIONS:
            fields[name] = sent
        elif bytes(sent) != b"null":
            try:
                options = _OBJECT.decode(sent)
            except msgspec.ValidationError:
                field = f"args[{number}]"
                raise InvalidInput(
                    f"{field} must be an object of options.", reason="invalid_field", field=field
                ) from None
            for field, value in options.items():
                if bytes(fields.setdefault(field, value)) == b"null":
                    fields[field] = value
                elif bytes(value) not in {b"null", bytes(fields[field])}:
                    raise InvalidInput(
                        f"args says two different things of {field}.",
                        reason="conflicting_aliases",
                        field=field,
                    )
    return fields
