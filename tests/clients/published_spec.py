"""Our OpenAPI document, narrowed to what the published generated clients (P1, G1) were made from: 11 + 4 operations.

Every path, field and type comes from our own document, so that a client generated from this is one of ours too; only
names (of operations and schemas), and the four types in AS_PUBLISHED, are the original's.
Source: wire contract, sections 1 and 8.
"""

from typing import Any

OPERATIONS = {
    "/cache/get": "cacheGet",
    "/cache/set": "cacheSet",
    "/cache/delete": "cacheDelete",
    "/cache/getMany": "cacheGetMany",
    "/cache/setMany": "cacheSetMany",
    "/cache/deleteMany": "cacheDeleteMany",
    "/cache/list": "cacheList",
    "/cache/keys": "cacheKeys",
    "/cache/flush": "cacheFlush",
    "/cache/expire": "cacheExpire",
    "/cache/increment": "cacheIncrement",
    "/queue/enqueue": "queueEnqueue",
    "/queue/job": "queueGetJob",
    "/queue/jobs": "queueListJobs",
    "/queue/cancel": "queueCancelJob",
}
FIELDS = {
    "GetRequest": ["key"],
    "GetReply": ["value", "exists"],
    "SetRequest": ["key", "value", "ttl"],
    "SetReply": ["success"],
    "DeleteRequest": ["key"],
    "DeleteReply": ["success"],
    "GetManyRequest": ["keys"],
    "GetManyItem": ["key", "value", "exists"],
    "GetManyReply": ["results"],
    "SetManyEntry": ["key", "value", "ttl"],
    "SetManyRequest": ["entries"],
    "SetManyReply": ["success", "count"],
    "DeleteManyRequest": ["keys"],
    "DeleteManyReply": ["success", "count", "deleted"],
    "ListRequest": ["prefix", "limit", "cursor"],
    "ListItem": ["key", "expiration"],
    "ListReply": ["keys", "list_complete", "cursor"],
    "KeysRequest": ["prefix"],
    "KeysReply": ["keys", "truncated"],
    "FlushRequest": ["prefix"],
    "FlushReply": ["success", "deleted"],
    "ExpireRequest": ["key", "ttl"],
    "ExpireReply": ["success"],
    "IncrementRequest": ["key", "amount", "initialValue", "ttl"],
    "IncrementReply": ["value"],
    "EnqueueRequest": ["type", "data", "delay"],
    "EnqueueReply": ["jobId", "success"],
    "JobRequest": ["jobId"],
    "JobRecord": ["id", "type", "data", "status", "projectId", "createdAt"],
    "JobReply": ["job", "exists"],
    "JobsRequest": ["status", "type", "limit", "cursor"],
    "JobsReply": ["jobs", "list_complete", "cursor"],
    "CancelRequest": ["jobId"],
    "CancelReply": ["success", "note"],
}
ALIASES = {("EnqueueRequest", "data"): "payload", ("EnqueueRequest", "delay"): "delaySeconds"}
_OBJECT = {"type": "object", "additionalProperties": True}
_STATUS = {"type": "string", "enum": ["queued", "processing", "completed", "failed", "cancelled"]}
AS_PUBLISHED: dict[tuple[str, str], dict[str, Any]] = {
    ("GetReply", "value"): {"type": "string", "nullable": True},
    ("IncrementReply", "value"): {"type": "integer"},
    ("EnqueueRequest", "data"): _OBJECT,
    ("EnqueueRequest", "delay"): {"type": "integer"},
    ("JobRecord", "data"): _OBJECT | {"nullable": True},
    ("JobRecord", "status"): _STATUS,
    ("JobRecord", "createdAt"): {"type": "string", "format": "date-time"},
    ("JobsRequest", "status"): _STATUS,
}


def narrowed(document: dict[str, Any], server: str) -> dict[str, Any]:
    """The document of the published clients' shape, in OpenAPI 3.0. Raises KeyError where ours lacks what they know."""
    ours = document["components"]["schemas"]
    error = ours["Error"]
    return {
        "openapi": "3.0.3",
        "info": {"title": "Aerostack API", "version": "1.5.0"},
        "servers": [{"url": server}],
        "security": [{"ApiKeyAuth": []}],
        "paths": {path: {"post": _operation(path, document)} for path in OPERATIONS},
        "components": {
            "schemas": {
                "ErrorResponse": error,
                **{name: _schema(name, fields, ours[name]) for name, fields in FIELDS.items()},
            },
            "securitySchemes": {
                "ApiKeyAuth": {"type": "apiKey", "in": "header", "name": "X-Aerostack-Key"},
            },
        },
    }


def _operation(path: str, document: dict[str, Any]) -> dict[str, Any]:
    ours = document["paths"][f"/v1{path}"]["post"]
    done = {status: reply for status, reply in ours["responses"].items() if int(status) < 300}
    return {
        "operationId": OPERATIONS[path],
        "tags": [path.split("/")[1].capitalize()],
        "requestBody": ours["requestBody"],
        "responses": {str(status): reply for status, reply in done.items()},
    }


def _schema(name: str, fields: list[str], ours: dict[str, Any]) -> dict[str, Any]:
    of_ours = {field: ALIASES.get((name, field), field) for field in fields}
    told = {field: ours["properties"][our_name] for field, our_name in of_ours.items()}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {field: AS_PUBLISHED.get((name, field)) or _simple(told[field]) for field in fields},
    }
    if name.endswith(("Request", "Entry")):  # of replies nothing is required
        required = [field for field in fields if of_ours[field] in ours.get("required", [])]
        schema |= {"required": required} if required else {}
    return schema


def _simple(told: dict[str, Any]) -> dict[str, Any]:
    """A field's type as 3.0 says it: without null, the first of several, and without bounds, which the server checks."""
    if "anyOf" in told:
        others = [one for one in told["anyOf"] if one != {"type": "null"}]
        return _simple(others[0])
    kept = {name: told[name] for name in ("type", "items", "$ref", "format") if name in told}
    return kept if kept else {"nullable": True}
