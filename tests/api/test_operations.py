"""POST /v1/operations/get, list and cancel; POST /v1/cache/flush of so much that it becomes an operation."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from django.utils import timezone

from aerodash import database, engines, keys, operations
from aerodash.auth import Scope
from aerodash.models import AuditEntry
from aerodash.models import Operation as Row
from aerodash.operations.keeper import Runner
from cache_admin import bulk, flushes
from tests.api.client import ApiClient

UNKNOWN = "0198f2a0-0000-7000-8000-000000000000"


@pytest.fixture(autouse=True)
def _many_is_few(monkeypatch):
    """So that the tests need few entries; what other tests left open would be worked on here too."""
    monkeypatch.setattr(bulk, "AT_ONCE_KEYS", 20)
    monkeypatch.setattr(flushes, "STEP_KEYS", 5)
    # One by one: a keeper of the test before may still write its own.
    for open_one in Row.objects.filter(state__in=Row.OPEN):
        mine = Row.objects.filter(pk=open_one.pk, state__in=Row.OPEN)
        mine.update(state=Row.State.CANCELLED, ended_at=timezone.now())


@pytest.fixture
async def keeper() -> AsyncIterator[None]:
    """Somebody who works on operations meanwhile."""
    future = asyncio.wrap_future(engines.submit(_keep()))
    yield
    future.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await future


async def _keep() -> None:
    runner = Runner()
    while True:
        await runner.run()
        await asyncio.sleep(0.01)


async def fill(api: ApiClient, count: int, prefix: str = "s:") -> None:
    await api.post("/v1/cache/setMany", {"entries": {f"{prefix}{n:06}": n for n in range(count)}})


async def newest(api: ApiClient) -> dict:
    return (await api.post("/v1/operations/list", {"limit": 1})).json["operations"][0]


async def until(api: ApiClient, condition, within_s: float = 20) -> dict:
    """The newest operation, once there is one and the condition holds."""
    deadline = time.monotonic() + within_s
    while True:
        found = (await api.post("/v1/operations/list", {"limit": 1})).json["operations"]
        if found and condition(found[0]):
            return found[0]
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.02)


async def test_a_large_flush_answers_when_the_keeper_has_done_it(api, keeper):
    await fill(api, 200)
    await fill(api, 3, "t:")
    status, body, headers = await api.post("/v1/cache/flush", {"prefix": "s:"})
    assert (status, body) == (200, {"success": True, "deleted": 200})
    assert headers["x-aerodash-revision"]
    assert len((await api.post("/v1/cache/keys", {})).json["keys"]) == 3
    one = await newest(api)
    assert one == {
        "id": one["id"], "kind": "cache.flush", "params": {"prefix": "s:", "upTo": one["params"]["upTo"]},
        "state": "done", "total": 200, "totalIsExact": True, "done": 200, "doneIsExact": True, "skipped": 0,
        "createdAt": one["createdAt"], "createdBy": "key test", "startedAt": one["startedAt"],
        "endedAt": one["endedAt"],
    }  # fmt: skip


async def test_what_is_written_after_the_call_stays(api):
    await fill(api, 100)
    flush = asyncio.ensure_future(api.post("/v1/cache/flush", {"prefix": "s:"}))
    await until(api, lambda one: one["state"] == "waiting")
    await api.post("/v1/cache/set", {"key": "s:000050", "value": "again"})
    await api.post("/v1/cache/set", {"key": "s:new", "value": 1})
    await Runner().run()
    assert (await flush).json == {"success": True, "deleted": 99}
    assert (await api.post("/v1/cache/keys", {})).json["keys"] == ["s:000050", "s:new"]
    assert (await newest(api))["skipped"] == 2


async def test_a_flush_goes_on_when_its_caller_has_left(api):
    await fill(api, 100)
    flush = asyncio.ensure_future(api.post("/v1/cache/flush", {}))
    await until(api, lambda one: one["state"] == "waiting")
    flush.cancel()
    await Runner().run()
    assert (await api.post("/v1/cache/keys", {})).json["keys"] == []


async def test_without_a_keeper_the_caller_is_told_the_id(api, monkeypatch):
    monkeypatch.setattr(operations, "PATIENCE_S", 0.2)
    await fill(api, 100)
    status, body, headers = await api.post("/v1/cache/flush", {"prefix": "s:"})
    assert (status, body["code"], headers["retry-after"]) == (503, "INTERNAL_ERROR", "10")
    assert body["details"]["reason"] == "operation_unfinished"
    assert body["details"]["operationId"] == (await newest(api))["id"]
    await Runner().run()
    found = (await api.post("/v1/operations/get", {"operationId": body["details"]["operationId"]})).json
    assert (found["exists"], found["operation"]["state"], found["operation"]["done"]) == (True, "done", 100)


async def test_a_flush_that_is_stopped_answers_so(api):
    await fill(api, 100)
    flush = asyncio.ensure_future(api.post("/v1/cache/flush", {"prefix": "s:"}))
    one = await until(api, lambda one: one["state"] == "waiting")
    assert (await api.post("/v1/operations/cancel", {"operationId": one["id"]})).json == {"success": True}
    assert (await flush).json == {"success": False, "deleted": 0}
    assert (await api.post("/v1/operations/cancel", {"operationId": one["id"]})).json == {"success": True}
    assert (await newest(api))["state"] == "cancelled"


async def test_cancel_of_one_that_is_done_changes_nothing(api, keeper):
    await fill(api, 50)
    await api.post("/v1/cache/flush", {})
    one = await newest(api)
    reply = await api.post("/v1/operations/cancel", {"operationId": one["id"]})
    assert reply.json == {"success": False, "note": "It has ended already: done."}
    assert await newest(api) == one


async def test_start_and_cancel_stand_in_the_audit_log(api, project_id, monkeypatch):
    monkeypatch.setattr(operations, "PATIENCE_S", 0.1)
    await fill(api, 50)
    await api.post("/v1/cache/flush", {"prefix": "s:"})
    one = await newest(api)
    await api.post("/v1/operations/cancel", {"operationId": one["id"]})

    def lines() -> list[tuple[str, str, str, str]]:
        found = AuditEntry.objects.filter(project_id=project_id).order_by("id")
        return [(line.verb, line.target, line.actor_label, line.door) for line in found]

    assert await database.ask(lines)() == [
        ("cache.flush.start", one["id"], "key test", "api"),
        ("cache.flush.cancel", one["id"], "key test", "api"),
    ]


async def test_unknown_ids_and_strangers_see_nothing(api, other_api, monkeypatch):
    monkeypatch.setattr(operations, "PATIENCE_S", 0.1)
    await fill(api, 50)
    await api.post("/v1/cache/flush", {})
    id = (await newest(api))["id"]
    for caller, wanted in ((api, UNKNOWN), (api, "x"), (other_api, id)):
        reply = await caller.post("/v1/operations/get", {"operationId": wanted})
        assert reply.json == {"operation": None, "exists": False}
        reply = await caller.post("/v1/operations/cancel", {"operationId": wanted})
        assert reply.json == {"success": False, "note": "There is no such operation."}
    assert (await other_api.post("/v1/operations/list", {})).json == {"operations": [], "list_complete": True}
    assert (await newest(api))["state"] == "waiting"


async def test_a_key_needs_the_right_that_the_work_takes(api, project, monkeypatch):
    monkeypatch.setattr(operations, "PATIENCE_S", 0.1)
    await fill(api, 50)
    await api.post("/v1/cache/flush", {})
    id = (await newest(api))["id"]
    minted = await database.ask(keys.mint)(project, "reader", [Scope.CACHE_READ])
    reader = ApiClient(minted[1])
    assert (await reader.post("/v1/operations/get", {"operationId": id})).json["exists"] is True
    status, body, _ = await reader.post("/v1/operations/cancel", {"operationId": id})
    assert (status, body["code"]) == (403, "FORBIDDEN")
    minted = await database.ask(keys.mint)(project, "worker", [Scope.QUEUE_WORK])
    worker = ApiClient(minted[1])
    assert (await worker.post("/v1/operations/get", {"operationId": id})).json["exists"] is False
    assert (await worker.post("/v1/operations/list", {})).json["operations"] == []


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("get", {}, "missing"),
        ("get", {"operationId": 5}, "invalid_field"),
        ("list", {"state": "lost"}, "invalid_field"),
        ("list", {"limit": 201}, "invalid_field"),
        ("list", {"cursor": "x"}, "invalid_cursor"),
        ("cancel", {"operationId": ""}, "invalid_field"),
    ],
)
async def test_bad_requests_are_refused(api, path, body, reason):
    status, reply, _ = await api.post(f"/v1/operations/{path}", body)
    assert (status, reply["details"]["reason"]) == (400, reason)


async def test_pages_and_states_of_the_list(api, monkeypatch):
    monkeypatch.setattr(operations, "PATIENCE_S", 0.01)
    await fill(api, 30)
    for _ in range(3):
        await api.post("/v1/cache/flush", {})
    first = (await api.post("/v1/operations/list", {"limit": 2})).json
    rest = (await api.post("/v1/operations/list", {"limit": 2, "cursor": first["cursor"]})).json
    assert [first["list_complete"], rest["list_complete"]] == [False, True]
    ids = [one["id"] for one in first["operations"] + rest["operations"]]
    assert len(ids) == 3
    assert ids == sorted(ids, reverse=True)
    await api.post("/v1/operations/cancel", {"operationId": ids[1]})
    stopped = (await api.post("/v1/operations/list", {"state": "cancelled"})).json["operations"]
    assert [one["id"] for one in stopped] == [ids[1]]


async def test_while_valkey_is_away_the_work_waits_and_goes_on(api):
    from cache_admin.engine.valkey import ValkeyCache

    await fill(api, 100)
    flush = asyncio.ensure_future(api.post("/v1/cache/flush", {"prefix": "s:"}))
    await until(api, lambda one: one["state"] == "waiting")
    away = ValkeyCache("redis://127.0.0.1:1/0")
    await _on_engine_loop(away.open())
    try:
        with engines.replaced("cache", away):
            keeper = asyncio.wrap_future(engines.submit(_keep()))
            held_up = await until(api, lambda one: "error" in one)
            assert (held_up["state"], held_up["error"]) == ("running", "Valkey cannot be reached.")
        done = await flush
    finally:
        keeper.cancel()
        await _on_engine_loop(away.close())
    assert done.json == {"success": True, "deleted": 100}


async def _on_engine_loop(coro) -> None:
    await asyncio.wrap_future(engines.submit(coro))
