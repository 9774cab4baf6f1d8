"""The ninja lane: the same operations as a django-ninja API, with its OpenAPI document and docs page.

Each operation of the table becomes one ninja route whose view hands the request to `execute`; the schemas come from
the same Structs that decode and encode, so the document cannot say anything else than the lanes do.
"""

from typing import Any, get_args

import msgspec
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI

import aerodash
from aerodash import limits
from aerodash.errors import Code, UnknownRoute
from aerodash.keys import KeyRing
from aerodash.wire import execute as wire
from aerodash.wire.execute import Answer
from aerodash.wire.express import headers_of
from aerodash.wire.inputs import requests_in
from aerodash.wire.operation import OPERATIONS, Operation

_DESCRIPTION = """
Cache, flags and background jobs. Every operation is a POST with a JSON body and answers JSON; send the API key in
`X-Aerostack-Key`. Values, metadata and payloads come back as the very JSON text that was sent.
"""
_ERROR_SCHEMA = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {
        "code": {
            "type": "string",
            "enum": list(get_args(Code.__value__)),
        },
        "message": {"type": "string"},
        "details": {"type": "object", "additionalProperties": True},
    },
}
_ERRORS = {
    400: "The body is malformed, misses a field or breaks a bound",
    401: "No key, or an unknown, revoked or expired one",
    403: "The key lacks the scope, or belongs to another project",
    413: "The body is too large",
    429: "The project has used up its rate",
    500: "A fault of the server; its log has the request id",
    503: "The cache engine or the database is away or overloaded",
}


_KEYS = {
    "key": {"type": "apiKey", "in": "header", "name": "X-Aerostack-Key"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}


class Api(NinjaAPI):
    """A NinjaAPI whose document also holds the Structs' schemas and the key's security scheme."""

    def get_openapi_schema(self, **kwargs: Any) -> Any:
        schema = super().get_openapi_schema(**kwargs)
        types = [t for op in OPERATIONS.values() for t in (op.request, op.reply) if t is not Any]
        _, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
        for request in {op.request for op in OPERATIONS.values()}:
            _say_what_is_taken(request, components)
        for (path, said), op in zip(schema["paths"].items(), OPERATIONS.values(), strict=True):
            if not path.endswith(op.path):
                raise RuntimeError(f"{path} is documented in the place of {op.path}.")
            if op.status != 200:  # ninja adds one of its own
                said["post"]["responses"].pop(200, None)
        schema["components"]["schemas"] |= components | {"Error": _ERROR_SCHEMA}
        schema["components"]["securitySchemes"] = _KEYS
        schema["security"] = [{name: []} for name in _KEYS]
        return schema


def build(ring: KeyRing) -> NinjaAPI:
    """The API of every operation that has been declared so far."""
    api = Api(
        title="AeroDash",
        version=aerodash.__version__,
        description=_DESCRIPTION.strip(),
        urls_namespace="api",
        openapi_url="/openapi.json",
        docs_url="/docs",
    )
    for op in OPERATIONS.values():
        api.post(
            op.path,
            operation_id=op.handler.__name__,
            summary=op.summary,
            description=op.description,
            tags=[op.tag],
            openapi_extra=_documented(op),
            url_name=op.handler.__name__,
        )(_view(ring, op))
    return api


def _view(ring: KeyRing, op: Operation) -> Any:
    async def view(request: HttpRequest) -> HttpResponse:
        headers = headers_of(request.scope)  # type: ignore[attr-defined]
        request_id = request.request_id  # type: ignore[attr-defined]
        principal = None
        try:
            wire.find(request.path, request.method or "")
            principal = await wire.identify(ring, headers)
            wire.check_length(headers)
            if len(request.body) > limits.BODY_BYTES:
                raise wire.too_large()
            answer = await wire.execute(op, principal, headers, request.body, request_id=request_id)
        except Exception as exc:  # noqa: BLE001 - the lane's one translator
            answer = wire.refuse(exc, request_id, headers, principal)
        return to_django(answer)

    view.__name__ = op.handler.__name__
    view.__doc__ = op.handler.__doc__
    return view


async def unknown(request: HttpRequest) -> HttpResponse:
    """Whatever else is asked for below /v1: refused in the API's own shape, not in HTML."""
    request_id = request.request_id  # type: ignore[attr-defined]
    try:
        wire.find(request.path, request.method or "")
        raise UnknownRoute(f"There is no operation at {request.path}.")
    except Exception as exc:  # noqa: BLE001 - the lane's one translator
        return to_django(wire.refuse(exc, request_id))


def to_django(answer: Answer) -> HttpResponse:
    """The answer as Django's response. wire_headers tells the middleware which headers may stay."""
    response = HttpResponse(
        answer.body, status=answer.status, content_type=answer.headers.get("content-type")
    )
    for name, value in answer.headers.items():
        response.headers[name] = value
    response.wire_headers = answer.headers  # type: ignore[attr-defined]
    return response


def _say_what_is_taken(request: type[msgspec.Struct], components: dict[str, Any]) -> None:
    """Tell the aliases of a request's fields, and that unknown fields are ignored, in it and in what it holds.

    The Structs forbid unknown fields only to send such a body the long way.
    """
    for nested in {request, *requests_in(request)}:
        schema = components[nested.__name__]
        schema.pop("additionalProperties", None)
        for field, names in getattr(nested, "aliases", {}).items():
            told = schema["properties"][field]
            also = f"Also taken as {', '.join(names)}."
            told["description"] = f"{told['description']} {also}" if "description" in told else also


def _documented(op: Operation) -> dict[str, Any]:
    def json_of(name: str) -> dict[str, Any]:
        return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}

    return {
        "requestBody": {"required": True, "content": json_of(op.request.__name__)},
        "responses": {
            op.status: {
                "description": "Done",
                "content": {"application/json": {"schema": {}}}
                if op.reply is Any
                else json_of(op.reply.__name__),
            },
            **{
                status: {"description": text, "content": json_of("Error")} for status, text in _ERRORS.items()
            },
        },
    }
