"""POST /internal/hooks/rpc: every method of the wire contract, section 6, on both lanes."""

import pytest

from aerodash import engines, keys
from aerodash.auth import Scope
from cache_admin import api as cache_api
from tests.api.client import ApiClient
from tests.api.lanes import RID, same

RPC = "/internal/hooks/rpc"
UNKNOWN_JOB = "0198f2a0-0000-7000-8000-000000000000"


def call(caller: ApiClient, method: str, *args: object, **more: object):
    return caller.post(RPC, {"method": method, "args": list(args), **more})


async def result(caller: ApiClient, method: str, *args: object) -> object:
    reply = await call(caller, method, *args)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json"), reply.body
    return reply.json


async def test_get_answers_the_bare_value_or_null(lane) -> None:
    assert await result(lane, "cache.get", "user:1") is None
    for value in ({"name": "Jane"}, "text", 0, False, None, [1.5]):
        await result(lane, "cache.set", "user:1", value, None)
        assert await result(lane, "cache.get", "user:1") == value


async def test_a_value_comes_back_byte_for_byte(lane) -> None:
    text = b'{ "n": 1.50, "big":123456789012345678901234567890, "s":"\\u00e9" }'
    await lane.post(RPC, b'{"method":"cache.set","args":["k",' + text + b"]}")
    assert (await call(lane, "cache.get", "k")).body == text


async def test_set_takes_a_ttl_and_answers_in_json(lane) -> None:
    assert (await result(lane, "cache.set", "k", 1, 60))["success"] is True
    assert "expiresAt" in (await lane.post("/v1/cache/get", {"key": "k"})).json
    await result(lane, "cache.set", "k", 1)
    assert "expiresAt" not in (await lane.post("/v1/cache/get", {"key": "k"})).json


async def test_delete(lane) -> None:
    await result(lane, "cache.set", "k", 1)
    assert (await result(lane, "cache.delete", "k"))["success"] is True
    assert await result(lane, "cache.get", "k") is None


async def test_list_pages_by_name_with_expiration(lane) -> None:
    await result(lane, "cache.setMany", [{"key": "s:1", "value": 1, "ttl": 60}, {"key": "s:2", "value": 2}])
    first = await result(lane, "cache.list", "s:", {"limit": 1, "cursor": None})
    assert (first["keys"][0]["name"], type(first["keys"][0]["expiration"])) == ("s:1", int)
    assert first["list_complete"] is False
    last = await result(lane, "cache.list", "s:", {"limit": 1, "cursor": first["cursor"]})
    assert ([row["name"] for row in last["keys"]], last["list_complete"]) == (["s:2"], True)
    assert "cursor" not in last


@pytest.mark.parametrize(
    "args", [["s:", {}], ["s:"], ["s:", None], [{"prefix": "s:"}, {}], [None, {"prefix": "s:"}]]
)
async def test_list_takes_every_shape_of_a_prefix(lane, args) -> None:
    await result(lane, "cache.setMany", {"s:1": 1, "t:1": 1})
    assert [row["name"] for row in (await result(lane, "cache.list", *args))["keys"]] == ["s:1"]


@pytest.mark.parametrize(
    ("args", "count"), [([], 2), ([None], 2), ([{}], 2), (["s:"], 1), ([{"prefix": "s:"}], 1)]
)
async def test_keys_answers_a_bare_list(lane, args, count) -> None:
    await result(lane, "cache.setMany", {"s:1": 1, "t:1": 1})
    assert await result(lane, "cache.keys", *args) == ["s:1", "t:1"][:count]


async def test_keys_has_no_silent_cap(api, monkeypatch) -> None:
    names = [f"k{number:05}" for number in range(10_500)]
    for start in range(0, len(names), 1000):
        await result(api, "cache.setMany", dict.fromkeys(names[start : start + 1000], 1))
    assert await result(api, "cache.keys", "k") == names
    monkeypatch.setattr(cache_api, "RPC_KEYS_BYTES", 1000)
    reply = await call(api, "cache.keys", "k")
    assert (reply.status, reply.json["details"]["reason"]) == (400, "reply_too_large")


async def test_get_many_answers_a_bare_list_in_request_order(lane) -> None:
    await result(lane, "cache.setMany", [{"key": "a", "value": {"n": 1}}])
    rows = await result(lane, "cache.getMany", ["miss", "a"])
    assert [(row["key"], row["value"]) for row in rows] == [("miss", None), ("a", {"n": 1})]


@pytest.mark.parametrize(
    "entries", [{"a": 1, "b": None}, [{"key": "a", "value": 1}, {"key": "b", "value": None}]]
)
async def test_set_many_and_delete_many(lane, entries) -> None:
    assert (await result(lane, "cache.setMany", entries))["count"] == 2
    assert await result(lane, "cache.keys") == ["a", "b"]
    assert (await result(lane, "cache.deleteMany", ["a", "b", "c"]))["deleted"] == 2


@pytest.mark.parametrize("args", [["s:"], [{"prefix": "s:"}]])
async def test_flush_of_a_prefix(lane, args) -> None:
    await result(lane, "cache.setMany", {"s:1": 1, "s:2": 1, "t:1": 1})
    assert (await result(lane, "cache.flush", *args))["deleted"] == 2
    assert await result(lane, "cache.keys") == ["t:1"]


@pytest.mark.parametrize("args", [[], [None]])
async def test_flush_of_everything(lane, args) -> None:
    await result(lane, "cache.setMany", {"s:1": 1, "t:1": 1})
    assert (await result(lane, "cache.flush", *args))["deleted"] == 2


async def test_flush_with_options_that_name_no_prefix_removes_nothing(lane) -> None:
    await result(lane, "cache.set", "k", 1)
    assert (await call(lane, "cache.flush", {})).status == 400
    assert await result(lane, "cache.keys") == ["k"]


async def test_expire(lane) -> None:
    await result(lane, "cache.set", "k", 1)
    assert await result(lane, "cache.expire", "k", 60) == {"success": True}
    assert await result(lane, "cache.expire", "none", 60) == {"success": False}
    assert (await call(lane, "cache.expire", "k")).status == 400


async def test_increment(lane) -> None:
    assert await result(lane, "cache.increment", "n", 5, {"initialValue": 10, "ttl": 60}) == {"value": 15}
    assert await result(lane, "cache.increment", "n", -1, {"initialValue": 0}) == {"value": 14}
    assert await result(lane, "cache.increment", "n", None, None) == {"value": 15}
    assert await result(lane, "cache.increment", "n") == {"value": 16}
    assert "expiresAt" in (await lane.post("/v1/cache/get", {"key": "n"})).json


async def test_a_jobs_life(lane) -> None:
    job_id = (await result(lane, "queue.enqueue", "send-email", {"to": "jane"}, 60))["jobId"]
    found = await result(lane, "queue.job", job_id)
    assert (found["exists"], found["job"]["payload"], found["job"]["state"]) == (
        True,
        {"to": "jane"},
        "scheduled",
    )
    page = await result(lane, "queue.jobs", {"status": "queued", "type": "send-email", "limit": 5})
    assert ([job["id"] for job in page["jobs"]], page["list_complete"]) == ([job_id], True)
    assert (await result(lane, "queue.cancel", job_id))["success"] is True
    assert (await result(lane, "queue.jobs", {"status": "pending"}))["jobs"] == []
    for args in ([], [None], [{}], [{"limit": None, "cursor": None}]):
        assert len((await result(lane, "queue.jobs", *args))["jobs"]) == 1


async def test_an_unknown_job_is_no_error(lane) -> None:
    assert await result(lane, "queue.job", UNKNOWN_JOB) == {"job": None, "exists": False}
    assert (await result(lane, "queue.cancel", UNKNOWN_JOB))["success"] is False


async def test_data_may_be_null_and_a_delay_left_out(lane) -> None:
    for args in (["t", None, None], ["t", None]):
        job_id = (await result(lane, "queue.enqueue", *args))["jobId"]
        assert (await result(lane, "queue.job", job_id))["job"]["payload"] is None


REFUSED = [
    ({"method": "queue.enqueue", "args": [None, None, None]}, "missing", "type"),
    ({"method": "queue.enqueue", "args": []}, "missing", "type"),
    ({"method": "queue.enqueue", "args": ["no spaces", {}]}, "invalid_field", "type"),
    ({"method": "cache.get", "args": []}, "missing", "key"),
    ({"method": "cache.get"}, "missing", "key"),
    ({"method": "cache.get", "args": None}, "missing", "key"),
    ({"method": "cache.get", "args": [None]}, "missing", "key"),
    ({"method": "cache.get", "args": [5]}, "invalid_field", "key"),
    ({"method": "cache.get", "args": [""]}, "invalid_field", "key"),
    ({"method": "cache.get", "args": {"key": "a"}}, "invalid_field", "args"),
    ({"method": "cache.set", "args": ["k"]}, "missing", "value"),
    ({"method": "cache.set", "args": ["k", 1, "60"]}, "invalid_field", "ttl"),
    ({"method": "cache.list", "args": ["a", 5]}, "invalid_field", "args[1]"),
    ({"method": "cache.list", "args": ["a", {"prefix": "b"}]}, "conflicting_aliases", "prefix"),
    ({"method": "cache.increment", "args": ["n", 1, {"amount": 2}]}, "conflicting_aliases", "amount"),
    ({"method": "cache.has", "args": ["k"]}, "invalid_field", "method"),
    ({"method": "db.query", "args": ["select 1", []]}, "invalid_field", "method"),
    ({"method": "queue.lease", "args": []}, "invalid_field", "method"),
    ({"method": "internal.hooks.rpc", "args": []}, "invalid_field", "method"),
    ({"method": "", "args": []}, "invalid_field", "method"),
    ({"method": None}, "missing", "method"),
    ({"method": 5}, "invalid_field", "method"),
    ({"args": ["k"]}, "missing", "method"),
    ([], "malformed_json", None),
    (b"{", "malformed_json", None),
    (b'{"method":"cache.set","args":["k",NaN]}', "malformed_json", None),
    (b'{"method":"cache.set","args":["k",1e999]}', "malformed_json", None),
]  # fmt: skip


@pytest.mark.parametrize(("body", "reason", "field"), REFUSED)
async def test_a_bad_call_is_refused_alike(lanes, body, reason, field) -> None:
    replies = [await lane.post(RPC, body, headers=RID) for lane in lanes]
    same(*replies)
    assert (replies[0].status, replies[0].json["code"]) == (400, "VALIDATION_ERROR")
    details = replies[0].json["details"]
    assert (details["reason"], details.get("field")) == (reason, field)


@pytest.mark.parametrize("path", [RPC, f"/{RPC}", f"/v1{RPC}", f"/v1/{RPC}", "//v1//internal/hooks//rpc"])
async def test_the_route_is_found_with_and_without_a_version_and_behind_doubled_slashes(lane, path) -> None:
    reply = await lane.post(path, {"method": "cache.get", "args": ["k"]})
    assert (reply.status, reply.body) == (200, b"null")


@pytest.mark.parametrize(
    "path", ["/internal/hooks/rpc/", "/internal/hooks", "/internal/cache/get", "/cache/get"]
)
async def test_nothing_else_is_served_without_a_version(lane, path) -> None:
    assert (await lane.post(path, {"method": "cache.get", "args": ["k"]})).status == 404


async def test_another_method_is_405_in_json(lanes) -> None:
    replies = [await lane.request("GET", RPC, headers=RID) for lane in lanes]
    same(*replies)
    assert (replies[0].status, replies[0].json["code"]) == (405, "VALIDATION_ERROR")


async def test_the_core_client_sends_a_bearer_key_only(lane) -> None:
    bearer = {"x-aerostack-key": "", "authorization": f"Bearer {lane.key}"}
    reply = await lane.post(RPC, {"method": "cache.get", "args": ["k"]}, headers=bearer)
    assert (reply.status, reply.body) == (200, b"null")


async def test_a_dispatch_token_without_a_key_is_401(lane) -> None:
    sent = {"x-aerostack-key": "", "x-as-dispatch-token": "t", "x-as-project-id": "p"}
    reply = await lane.post(RPC, {"method": "cache.get", "args": ["k"], "projectId": "p"}, headers=sent)
    assert (reply.status, reply.json["code"]) == (401, "AUTH_INVALID_KEY")


async def test_project_id_may_name_the_keys_own_project(lane, project) -> None:
    for named in (project.slug, str(project.pk), project.pk, "", None):
        assert (await call(lane, "cache.get", "k", projectId=named)).status == 200


async def test_project_id_of_another_project_is_403(lane) -> None:
    for named in ("another", 0, "0"):
        reply = await call(lane, "cache.get", "k", projectId=named)
        assert (reply.status, reply.json["code"]) == (403, "FORBIDDEN")
        assert reply.json["details"]["reason"] == "other_project"


def test_a_method_asks_for_the_right_of_its_operation(project) -> None:
    text = keys.mint(project, "reader", [Scope.CACHE_READ])[1]
    for express in (True, False):
        caller = ApiClient(text, express=express)
        assert engines.run(call(caller, "cache.get", "k")).status == 200
        for method in ("cache.set", "queue.enqueue", "queue.job", "queue.cancel"):
            refused = engines.run(call(caller, method, "k", 1))
            assert (refused.status, refused.json["code"]) == (403, "FORBIDDEN")


async def test_the_revision_is_in_the_header(lane) -> None:
    reply = await call(lane, "cache.set", "k", 1)
    assert reply.headers["x-aerodash-revision"] == reply.json["revision"]


async def test_a_preflight_is_answered_as_for_any_route(lane) -> None:
    assert (await lane.request("OPTIONS", RPC, headers={"origin": "https://unlisted.example"})).status == 204
