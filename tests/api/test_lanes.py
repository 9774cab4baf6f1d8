"""One corpus of good and bad requests through both lanes: the same status, headers and bytes come back."""

import json

import pytest

from aerodash import engines, keys, limits
from aerodash.auth import Scope
from aerodash.wire.operation import OPERATIONS
from tests.api.client import ApiClient
from tests.api.lanes import RID, same

GOOD = [
    ("/v1/cache/set", {"key": "a", "value": {"n": 1}, "metadata": {"m": "x"}}),
    ("/v1/cache/set", b'{"key":"big","value":123456789012345678901234567890.10}'),
    ("/v1/cache/get", {"key": "a"}),
    ("/v1/cache/get", {"key": "nope"}),
    ("/v1/cache/has", {"key": "a"}),
    ("/v1/cache/setMany", {"entries": [{"key": "b", "value": None}, {"key": "c", "value": "é"}]}),
    ("/v1/cache/setMany", {"entries": {"d": 1, "e": [1, 2]}, "ttl": 60.0}),
    ("/v1/cache/getMany", {"keys": ["a", "zz", "b"]}),
    ("/v1/cache/increment", {"key": "n", "amount": 5, "initial_value": 2}),
    ("/v1/cache/expire", {"key": "a", "ttl": None}),
    ("/v1/cache/expire", {"key": "missing", "ttl": 5}),
    ("/v1/cache/keys", {"prefix": ""}),
    ("/v1/cache/list", {"limit": 2, "unknown": True}),
    ("/v1/cache/delete", {"key": "b"}),
    ("/v1/cache/deleteMany", {"keys": ["c", "none"]}),
    ("/v1/cache/flush", {"prefix": "d"}),
    ("/v1//cache/get", {"key": "a"}),
    ("/v1/operations/get", {"operationId": "0198f2a0-0000-7000-8000-000000000000"}),
    ("/v1/operations/list", {"state": "running", "limit": 5.0}),
    ("/v1/operations/cancel", {"operationId": "none"}),
    ("/v1/queue/job", {"jobId": "0198f2a0-0000-7000-8000-000000000000"}),
    ("/v1/queue/jobs", {"status": "queued", "type": None}),
    ("/v1/queue/cancel", {"job_id": "0198f2a0-0000-7000-8000-000000000000"}),
    ("/v1/queue/lease", {"limit": 1, "leaseSeconds": 5, "waitSeconds": 0, "worker": {"id": "w"}}),
    ("/v1/queue/settle", {"results": []}),
    ("/v1/queue/heartbeat", {"worker": {"id": "w"}, "leases": [{"id": "x", "leaseToken": "t"}]}),
    ("/v1/queue/progress", {"reports": [{"job_id": "x", "leaseToken": "t", "percent": 5.0, "logs": []}]}),
    ("/v1/queue/progress", {"reports": [{"jobId": "x", "leaseToken": "t", "logs": [{"message": "é\0"}]}]}),
    ("/v1/queue/logs", {"jobId": "0198f2a0-0000-7000-8000-000000000000", "after": "7"}),
    ("/v1/queue/worker-lost", {"worker": {"id": "w"}, "reason": "killed", "begun": []}),
    ("/v1/queue/jobs", {"tag": "ä", "batchId": "none"}),
    ("/v1/queue/retry", {"ids": ["0198f2a0-0000-7000-8000-000000000000"]}),
    ("/v1/queue/retry", {"filter": {"status": "cancelled", "tag": "t", "unknown": 1}}),
    ("/v1/queue/pause", {"type": "mail", "reason": "provider"}),
    ("/v1/queue/resume", {"type": "mail"}),
    ("/v1/queue/configure", {"type": "mail", "settings": {"retryDelay": 5, "rate_limit": {"limit": 2.0}}}),
    ("/v1/queue/types", {}),
]
BAD = [
    ("/v1/cache/get", b""),
    ("/v1/cache/get", b"[]"),
    ("/v1/cache/get", b'{"key":'),
    ("/v1/cache/get", b'{"key":"\\ud800"}'),
    ("/v1/cache/get", {}),
    ("/v1/cache/get", {"key": 5}),
    ("/v1/cache/get", {"key": "x" * 1025}),
    ("/v1/cache/set", {"key": "a"}),
    ("/v1/cache/set", b'{"key":"a","value":NaN}'),
    ("/v1/cache/set", b'{"key":"a","value":1e999}'),
    ("/v1/cache/set", {"key": "a", "value": 1, "ttl": 0}),
    ("/v1/cache/set", {"key": "a", "value": 1, "ttl": True}),
    ("/v1/cache/set", {"key": "a", "value": 1, "ttl": "60"}),
    ("/v1/cache/set", {"key": "a", "value": 1, "ttl": 1, "expirationTtl": 2}),
    ("/v1/cache/increment", {"key": "a"}),
    ("/v1/cache/list", {"limit": 1001}),
    ("/v1/operations/get", {}),
    ("/v1/operations/list", {"state": "lost"}),
    ("/v1/queue/enqueue", {"type": "no spaces", "payload": {}}),
    ("/v1/queue/enqueue", {"payload": {}}),
    ("/v1/queue/enqueue", {"type": "t", "payload": 1, "runAt": "2026-01-01T00:00:00"}),
    ("/v1/queue/enqueue", {"type": "t", "payload": 1, "retryDelay": {"kind": "fixed"}}),
    ("/v1/queue/enqueue", {"type": "t", "payload": 1, "uniqueKey": {"while": 5}}),
    ("/v1/queue/enqueue", {"type": "t", "payload": 1, "uniqueKey": "\0"}),
    ("/v1/queue/enqueue", {"type": "t", "payload": 1, "tags": [5]}),
    ("/v1/queue/enqueueMany", {"jobs": [{"type": "t", "payload": 1, "traceparent": "x"}]}),
    ("/v1/queue/lease", {"worker": []}),
    ("/v1/queue/progress", {"reports": [{"jobId": "x", "leaseToken": "t", "percent": 101}]}),
    ("/v1/queue/logs", {"jobId": "x", "after": "y"}),
    ("/v1/queue/worker-lost", {}),
    ("/v1/queue/retry", {}),
    ("/v1/queue/retry", {"jobIds": ["x"], "filter": {}}),
    ("/v1/queue/pause", {"type": "a b"}),
    ("/v1/queue/resume", {}),
    ("/v1/queue/configure", {"type": "t", "settings": {"rateLimit": {"limit": 0}}}),
    ("/v1/queue/configure", {"type": "t", "settings": []}),
    ("/v1/queue/jobs", {"tag": ""}),
    ("/v1/queue/jobs", {"status": "sleeping"}),
    ("/v1/nothing/here", {}),
    ("/v1/cache/get/", {"key": "a"}),
]


async def test_a_session_of_good_requests_is_answered_alike(lanes) -> None:
    for path, body in GOOD:
        replies = [await lane.post(path, body, headers=RID) for lane in lanes]
        assert replies[0].status == 200, (path, replies[0].body)
        same(*replies)
        assert replies[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize(("path", "body"), BAD)
async def test_bad_requests_are_refused_alike(lanes, path: str, body: object) -> None:
    await lanes[0].post("/v1/cache/set", {"key": "a", "value": "text"})
    await lanes[1].post("/v1/cache/set", {"key": "a", "value": "text"})
    replies = [await lane.post(path, body, headers=RID) for lane in lanes]
    same(*replies)
    assert replies[0].status in {400, 404}
    assert replies[0].json["code"] == "VALIDATION_ERROR"
    assert set(replies[0].json) <= {"code", "message", "details"}


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"x-aerostack-key": ""}, 401, "AUTH_INVALID_KEY"),
        ({"x-aerostack-key": "ac_secret_wrong"}, 401, "AUTH_INVALID_KEY"),
        ({"x-aerostack-key": "", "x-as-dispatch-token": "t"}, 401, "AUTH_INVALID_KEY"),
        ({"x-project-id": "another"}, 403, "FORBIDDEN"),
        ({"content-length": str(limits.BODY_BYTES + 1)}, 413, "VALIDATION_ERROR"),
        ({"content-length": "many"}, 400, "VALIDATION_ERROR"),
    ],
)
async def test_refusals_before_the_body_is_read_are_alike(lanes, headers, status: int, code: str) -> None:
    replies = [await lane.post("/v1/cache/get", {"key": "a"}, headers=RID | headers) for lane in lanes]
    same(*replies)
    assert (replies[0].status, replies[0].json["code"]) == (status, code)


@pytest.mark.parametrize("host", ["evil.example", "", "a b", "10.0.0.7:9000"])
async def test_the_name_that_a_caller_knows_the_server_by_does_not_matter(lanes, host: str) -> None:
    replies = [await lane.post("/v1/cache/get", {"key": "a"}, headers=RID | {"host": host}) for lane in lanes]
    same(*replies)
    assert replies[0].status == 200


async def test_of_a_header_sent_twice_both_lanes_take_the_last(lanes) -> None:
    twice = [("x-project-id", "another"), ("x-project-id", "")]
    replies = [await lane.post("/v1/cache/get", {"key": "a"}, headers=RID, more=twice) for lane in lanes]
    same(*replies)
    assert replies[0].status == 200


async def test_a_body_that_is_cut_off_is_refused_alike(lanes) -> None:
    """By a caller that hangs up, who hears nothing, or by broken chunks, and then the answer arrives."""
    cut = [b'{"key":', None]
    replies = [await lane.request("POST", "/v1/cache/get", cut, headers=RID) for lane in lanes]
    same(*replies)
    assert (replies[0].status, replies[0].json["details"]["reason"]) == (400, "body_cut_off")


async def test_the_bare_prefix_is_an_unknown_route_in_json(lanes) -> None:
    replies = [await lane.post("/v1", {}, headers=RID) for lane in lanes]
    same(*replies)
    assert (replies[0].status, replies[0].json["code"]) == (404, "VALIDATION_ERROR")


def test_a_refusal_can_be_read_by_a_listed_origin_on_both_lanes(project) -> None:
    project.allowed_origins = ["https://shop.example"]
    project.save()
    key = keys.mint(project, "browser", [Scope.CACHE_READ])[1]
    headers = RID | {"origin": "https://shop.example", "content-length": str(limits.BODY_BYTES + 1)}
    lanes = [ApiClient(key, express=express) for express in (True, False)]
    replies = [engines.run(lane.post("/v1/cache/get", {"key": "a"}, headers=headers)) for lane in lanes]
    same(*replies)
    assert replies[0].status == 413
    assert replies[0].headers["access-control-allow-origin"] == "https://shop.example"


async def test_a_body_that_grows_too_large_in_pieces_is_refused_alike(lanes) -> None:
    pieces = [b" " * (8 * 1024 * 1024)] * 4 + [b"{}"]
    replies = [await lane.request("POST", "/v1/cache/get", pieces, headers=RID) for lane in lanes]
    same(*replies)
    assert replies[0].status == 413


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_other_methods_are_405_in_json_on_both_lanes(lanes, method: str) -> None:
    replies = [await lane.request(method, "/v1/cache/get", headers=RID) for lane in lanes]
    same(*replies)
    assert replies[0].status == 405
    assert replies[0].headers["allow"] == "POST"
    assert replies[0].json["code"] == "VALIDATION_ERROR"


def test_every_operation_refuses_a_key_without_its_scope_alike(project) -> None:
    for op in OPERATIONS.values():
        if op.scope is None:  # RPC asks for the right of the method: test_rpc.py
            continue
        other = next(s for s in (Scope.FLAGS_EVALUATE, Scope.FLAGS_READ) if s != op.scope)
        key = keys.mint(project, "narrow", [other])[1]
        lanes = [ApiClient(key, express=express) for express in (True, False)]
        replies = [engines.run(lane.post(f"/v1{op.path}", {}, headers=RID)) for lane in lanes]
        same(*replies)
        assert (replies[0].status, replies[0].json["code"]) == (403, "FORBIDDEN"), op.path


async def test_the_three_key_headers_are_one(api, api_key) -> None:
    for headers in (
        {"x-aerostack-key": api_key},
        {"x-aerostack-key": "", "authorization": f"Bearer {api_key}"},
        {"x-aerostack-key": "", "x-api-key": api_key},
    ):
        assert (await api.post("/v1/cache/get", {"key": "a"}, headers=headers)).status == 200


async def test_an_empty_project_header_and_the_own_project_are_accepted(api, project) -> None:
    for named in ("", project.slug, str(project.pk)):
        reply = await api.post("/v1/cache/get", {"key": "a"}, headers={"x-project-id": named})
        assert reply.status == 200


async def test_preflight_names_an_origin_only_if_some_project_lists_it(api, project) -> None:
    ask = {"origin": "https://unlisted.example", "access-control-request-method": "POST"}
    before = await api.request("OPTIONS", "/v1/cache/get", headers=ask)
    assert before.status == 204
    assert "access-control-allow-origin" not in before.headers


def test_a_listed_origin_may_read_answers_and_another_may_not(project) -> None:
    project.allowed_origins = ["https://shop.example"]
    project.save()
    key = keys.mint(project, "browser", [Scope.CACHE_READ])[1]
    for express in (True, False):
        caller = ApiClient(key, express=express)
        shared = [
            engines.run(caller.post("/v1/cache/get", {"key": "a"}, headers={"origin": origin})).headers
            for origin in ("https://shop.example", "https://evil.example")
        ]
        assert shared[0]["access-control-allow-origin"] == "https://shop.example"
        assert "access-control-allow-origin" not in shared[1]


async def test_openapi_document_describes_every_operation(api) -> None:
    reply = await api.request("GET", "/v1/openapi.json")
    document = json.loads(reply.body)
    assert {f"/v1{path}" for path in OPERATIONS} == set(document["paths"])
    schemas = document["components"]["schemas"]
    text = reply.body.decode()
    for ref in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert ref in schemas, ref
    for path, op in OPERATIONS.items():
        answers = document["paths"][f"/v1{path}"]["post"]["responses"]
        assert [status for status in answers if status < "300"] == [str(op.status)], path
    delay = schemas["EnqueueRequest"]["properties"]["delaySeconds"]
    assert delay["description"].endswith("Also taken as delay, delay_seconds.")
    assert "additionalProperties" not in schemas["SetRequest"]


async def test_docs_page_is_served(api) -> None:
    reply = await api.request("GET", "/v1/docs")
    assert reply.status == 200
    assert b"swagger" in reply.body
