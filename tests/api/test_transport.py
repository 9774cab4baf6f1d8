"""Base URL, headers and transport: each line of the wire contract, section 2, on both lanes."""

import re

import pytest

from aerodash import engines, keys, limits
from aerodash.auth import Scope
from aerodash.wire.operation import OPERATIONS
from tests.api.client import ApiClient
from tests.api.lanes import RID, same

GET = {"key": "k"}
MISS = b'{"value":null,"exists":false}'


@pytest.mark.parametrize(
    "path", ["/v1//cache/get", "//v1/cache/get", "/v1/cache//get", "///v1///cache///get", "//v1//cache/get"]
)
async def test_doubled_slashes_are_one_without_a_redirect(lane, path) -> None:
    reply = await lane.post(path, GET)
    assert (reply.status, reply.body) == (200, MISS)


@pytest.mark.parametrize(
    "path", ["/v1/cache/get/", "/v1//cache/get//", "/v1/", "/v1", "/v1//", "/v1/cache", "/v1/CACHE/GET"]
)
async def test_a_slash_at_the_end_is_another_route_and_no_redirect(lanes, path) -> None:
    replies = [await lane.post(path, GET, headers=RID) for lane in lanes]
    same(*replies)
    assert (replies[0].status, replies[0].json["code"]) == (404, "VALIDATION_ERROR")
    assert "location" not in replies[0].headers


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "application/json; charset=utf-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ],
)
async def test_the_body_is_json_whatever_its_type_says(lane, kind) -> None:
    reply = await lane.post("/v1/cache/get", GET, headers={"content-type": kind})
    assert (reply.status, reply.body) == (200, MISS)


async def test_neither_cookie_nor_token_nor_referer_is_asked_for(lane) -> None:
    sent = {
        "origin": "https://elsewhere.example",
        "referer": "https://elsewhere.example/",
        "cookie": "sessionid=x",
    }
    reply = await lane.post("/v1/cache/set", {"key": "k", "value": 1}, headers=sent)
    assert reply.status == 200
    assert "set-cookie" not in reply.headers


async def test_answers_are_json_on_every_status(lanes, monkeypatch) -> None:
    def crash(*arguments: object) -> None:
        raise RuntimeError("a fault of ours: secret")

    too_long = {"content-length": str(limits.BODY_BYTES + 1)}
    asked = {
        200: ("POST", "/v1/cache/get", b'{"key":"k"}', {}),
        400: ("POST", "/v1/cache/get", b"{", {}),
        401: ("POST", "/v1/cache/get", b"{}", {"x-aerostack-key": "ac_secret_no"}),
        403: ("POST", "/v1/cache/get", b"{}", {"x-project-id": "other"}),
        404: ("POST", "/v1/cache/nothing", b"{}", {}),
        405: ("GET", "/v1/cache/get", b"", {}),
        413: ("POST", "/v1/cache/get", b"{}", too_long),
        500: ("POST", "/v1/cache/has", b'{"key":"k"}', {}),
    }
    monkeypatch.setattr("cache_admin.queries.has", crash)
    for status, (method, path, body, headers) in asked.items():
        replies = [await lane.request(method, path, body, headers=RID | headers) for lane in lanes]
        same(*replies)
        assert replies[0].status == status
        assert replies[0].headers["content-type"] == "application/json"
        assert replies[0].headers["x-request-id"] == "rid-1"
        assert isinstance(replies[0].json, dict)
        assert b"secret" not in replies[0].body


def key_headers(key: str) -> list[dict[str, str]]:
    none = {"x-aerostack-key": ""}
    return [
        {"x-aerostack-key": key},
        none | {"authorization": f"Bearer {key}"},
        none | {"authorization": f"bearer   {key} "},
        none | {"x-api-key": key},
        {"x-aerostack-key": key, "authorization": "Bearer of-another-service", "x-as-dispatch-token": "t"},
    ]


async def test_a_key_comes_in_any_of_three_headers(lane) -> None:
    for headers in key_headers(lane.key):
        assert (await lane.post("/v1/cache/get", GET, headers=headers)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-aerostack-key": "", "authorization": "", "x-api-key": ""},
        {"authorization": "Basic YTpi"},
        {"authorization": "Bearer"},
        {"x-as-dispatch-token": "t"},
        {"x-as-dispatch-token": "t", "x-as-project-id": "p", "x-project-id": ""},
        {"x-aerostack-key": "é"},
        {"x-aerostack-key": "ac_secret_unknown"},
        {"x-api-key": "ac_secret_unknown"},
    ],
)
async def test_without_a_valid_key_it_is_401(lanes, headers) -> None:
    replies = [
        await lane.post("/v1/cache/get", GET, headers=RID | {"x-aerostack-key": ""} | headers)
        for lane in lanes
    ]
    same(*replies)
    assert (replies[0].status, replies[0].json["code"]) == (401, "AUTH_INVALID_KEY")


async def test_a_project_may_be_named_by_id_and_by_slug_and_an_empty_name_names_none(lane, project) -> None:
    for named in (project.slug, str(project.pk), ""):
        assert (await lane.post("/v1/cache/get", GET, headers={"x-project-id": named})).status == 200


async def test_another_project_is_403(lanes) -> None:
    for named in ("another", "0", " ", "é"):
        replies = [
            await lane.post("/v1/cache/get", GET, headers=RID | {"x-project-id": named}) for lane in lanes
        ]
        same(*replies)
        assert (replies[0].status, replies[0].json["code"]) == (403, "FORBIDDEN")
        assert replies[0].json["details"] == {"reason": "other_project"}


def test_keys_have_only_characters_that_a_websocket_protocol_may_have(project) -> None:
    for _ in range(20):
        assert re.fullmatch(r"ac_secret_[A-Za-z0-9_-]{43}", keys.mint(project, "k", [Scope.ADMIN])[1])


@pytest.mark.parametrize(
    "path", ["/v1/cache/get", "/v1//cache/get", "/internal/hooks/rpc", "/v1/queue/enqueue"]
)
def test_a_preflight_allows_what_clients_send_and_answers_expose_what_they_read(project, path) -> None:
    origin = f"https://{project.slug}.example"
    project.allowed_origins = [origin]
    project.save()
    text = keys.mint(project, "browser", [Scope.ADMIN])[1]
    asked = "content-type, x-aerostack-key, authorization, x-api-key, x-project-id, x-request-id, x-sdk-version, x-aerostack-function, if-none-match"
    ask = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": asked}
    for express in (True, False):
        caller = ApiClient(text, express=express)
        until = engines.run(_allowed(ApiClient(express=express), path, ask))
        assert (until.status, until.body) == (204, b"")
        assert until.headers["access-control-allow-origin"] == origin
        assert until.headers["access-control-allow-methods"] == "POST"
        assert set(asked.split(", ")) <= set(until.headers["access-control-allow-headers"].split(", "))
        assert "access-control-allow-credentials" not in until.headers
        answer = engines.run(caller.post(path, {}, headers={"origin": origin}))
        assert answer.headers["access-control-allow-origin"] == origin
        exposed = set(answer.headers["access-control-expose-headers"].split(", "))
        assert {"etag", "retry-after", "x-aerodash-revision"} <= exposed
        assert answer.headers["vary"] == "origin"


async def _allowed(caller: ApiClient, path: str, ask: dict[str, str]):
    from aerodash.urls import ring

    ring._origins = (0.0, frozenset())  # what was known a moment ago need not hold the new origin
    return await caller.request("OPTIONS", path, headers=ask)


def test_every_operation_has_a_path_without_a_slash_at_its_end() -> None:
    assert all(re.fullmatch(r"(/[A-Za-z-]+)+", path) for path in OPERATIONS)
