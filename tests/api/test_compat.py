"""Replies that bend to generated clients, and that nobody else's do: wire contract, section 8, on both lanes."""

import ast
from pathlib import Path

import pytest

from aerodash import engines, keys
from aerodash.auth import Scope
from aerodash.models import ApiKey, AuditEntry
from aerodash.urls import ring
from tests.api.client import ApiClient

PYTHON = {"user-agent": "OpenAPI-Generator/1.0.0/python"}
GO = {"user-agent": "OpenAPI-Generator/1.0.0/go"}
OTHERS = [
    {},
    {"user-agent": "aerostack-python/0.1.2"},
    {"user-agent": "OpenAPI-Generator/1.0.0/java"},
    {"user-agent": "OpenAPI-Generator/1.0.0/python extra"},
    {"user-agent": "openapi-generator/1.0.0/python"},
    {"user-agent": "OpenAPI-Generator/python"},
]
VALUES = [
    (b'{ "a": [1, 2.50], "b": "x y" }', '{"a":[1,2.50],"b":"x y"}'),
    (b"[1, 2]", "[1,2]"),
    (b"123456789012345678901234567890", "123456789012345678901234567890"),
    (b"1.50", "1.50"),
    (b"true", "true"),
    (b'{"q": "\\u00e9\\n"}', '{"q":"\\u00e9\\n"}'),
    (b'"text"', "text"),
    (b'"{\\"a\\": 1}"', '{"a": 1}'),
    (b'""', ""),
    (b"null", None),
]


async def get(caller: ApiClient, headers: dict[str, str], key: str = "k"):
    return (await caller.post("/v1/cache/get", {"key": key}, headers=headers)).json


@pytest.mark.parametrize(("text", "seen"), VALUES)
async def test_a_value_that_is_no_string_is_compact_json_text_for_generated_clients(lane, text, seen) -> None:
    await lane.post("/v1/cache/set", b'{"key":"k","value":' + text + b"}", headers=PYTHON)
    for agent in (PYTHON, GO):
        reply = await get(lane, agent)
        assert (reply["value"], reply["exists"]) == (seen, True)


async def test_a_miss_is_null_for_everybody(lane) -> None:
    for agent in (PYTHON, GO, {}):
        assert await get(lane, agent, "none") == {"value": None, "exists": False}


@pytest.mark.parametrize("agent", OTHERS)
async def test_other_clients_get_what_was_stored(lane, agent) -> None:
    await lane.post("/v1/cache/set", {"key": "k", "value": {"a": 1}})
    job_id = (await lane.post("/v1/queue/enqueue", {"type": "t", "payload": 5}, headers=agent)).json["jobId"]
    assert (await get(lane, agent))["value"] == {"a": 1}
    job = (await lane.post("/v1/queue/job", {"jobId": job_id}, headers=agent)).json["job"]
    assert (job["status"], job["data"], job["payload"]) == ("pending", 5, 5)


async def test_what_else_holds_values_is_bent_for_nobody(lane) -> None:
    """getMany types its values as anything, so they need no text."""
    await lane.post("/v1/cache/set", {"key": "k", "value": {"a": 1}})
    reply = (await lane.post("/v1/cache/getMany", {"keys": ["k"]}, headers=PYTHON)).json
    assert (reply["results"][0]["value"], reply["values"]) == ({"a": 1}, {"k": {"a": 1}})


async def test_the_python_client_reads_queued_where_a_job_is_pending(lane) -> None:
    added = (await lane.post("/v1/queue/enqueue", {"type": "t", "data": {}}, headers=PYTHON)).json
    assert added["status"] == "queued"
    job = (await lane.post("/v1/queue/job", {"jobId": added["jobId"]}, headers=PYTHON)).json["job"]
    assert (job["status"], job["state"], job["data"], job["payload"]) == ("queued", "pending", {}, {})
    page = (await lane.post("/v1/queue/jobs", {"status": "queued"}, headers=PYTHON)).json
    assert [job["status"] for job in page["jobs"]] == ["queued"]
    await lane.post("/v1/queue/cancel", {"jobId": added["jobId"]}, headers=PYTHON)
    job = (await lane.post("/v1/queue/job", {"jobId": added["jobId"]}, headers=PYTHON)).json["job"]
    assert job["status"] == "cancelled"


@pytest.mark.parametrize(
    ("payload", "data"), [({"a": 1}, {"a": 1}), ({}, {}), ([1], None), ("x", None), (5, None), (None, None)]
)
async def test_the_go_client_reads_data_as_an_object_or_null(lane, payload, data) -> None:
    added = (await lane.post("/v1/queue/enqueue", {"type": "t", "data": payload}, headers=GO)).json
    job = (await lane.post("/v1/queue/job", {"jobId": added["jobId"]}, headers=GO)).json["job"]
    assert (job["data"], job["payload"], job["status"]) == (data, payload, "pending")
    page = (await lane.post("/v1/queue/jobs", {}, headers=GO)).json
    assert [(job["data"], job["payload"]) for job in page["jobs"]] == [(data, payload)]
    assert (await lane.post("/v1/queue/job", {"jobId": "none"}, headers=GO)).json == {
        "job": None,
        "exists": False,
    }


async def test_queued_means_pending_in_filters_from_everyone(lane) -> None:
    await lane.post("/v1/queue/enqueue", {"type": "t", "data": {}})
    for status in ("queued", "pending"):
        jobs = (await lane.post("/v1/queue/jobs", {"status": status})).json["jobs"]
        assert [job["status"] for job in jobs] == ["pending"]


@pytest.fixture
def lane_with(project):
    """A caller whose key says how replies bend."""

    def lane_with(mode: str, express: bool) -> ApiClient:
        return ApiClient(keys.mint(project, "test", [Scope.ADMIN], compat=mode)[1], express=express)

    return lane_with


@pytest.mark.parametrize("express", [True, False])
def test_a_key_may_say_that_replies_always_or_never_bend(lane_with, express) -> None:
    always, never = lane_with("on", express), lane_with("off", express)
    engines.run(always.post("/v1/cache/set", {"key": "k", "value": [1]}))
    job_id = engines.run(always.post("/v1/queue/enqueue", {"type": "t", "data": 5})).json["jobId"]

    def seen(caller: ApiClient, agent: dict[str, str]) -> list[object]:
        job = engines.run(caller.post("/v1/queue/job", {"jobId": job_id}, headers=agent)).json["job"]
        return [engines.run(get(caller, agent))["value"], job["status"], job["data"]]

    assert seen(always, {"user-agent": "Dart/3.4 (dart:io)"}) == ["[1]", "queued", None]
    assert seen(always, PYTHON) == ["[1]", "queued", 5]
    for agent in (PYTHON, GO, {}):
        assert seen(never, agent) == [[1], "pending", 5]


def test_the_change_of_a_key_holds_within_its_second_and_is_audited(
    project, project_id, actor, monkeypatch
) -> None:
    key, text = keys.mint(project, "flutter", [Scope.ADMIN])
    caller = ApiClient(text)
    engines.run(caller.post("/v1/cache/set", {"key": "k", "value": 1}))
    assert engines.run(get(caller, {}))["value"] == 1
    assert engines.run(keys.set_compat(project_id, actor, key_id=key.pk, compat="on")) is True
    later = ring.clock() + keys.TRUSTED_FOR_S
    monkeypatch.setattr(ring, "clock", lambda: later)
    assert engines.run(get(caller, {}))["value"] == "1"
    line = AuditEntry.objects.values().get(project=project)
    assert (line["verb"], line["target"]) == ("key.compat", f"key {key.pk} (flutter)")
    assert line["details"] == {"before": "auto", "after": "on"}


def test_a_key_of_another_project_or_a_revoked_one_is_not_changed(project, project_id, actor) -> None:
    from aerodash.models import Project

    other = Project.objects.create(slug=f"{project.slug}-other", name="Other")
    theirs, _ = keys.mint(other, "theirs", [Scope.ADMIN])
    mine, _ = keys.mint(project, "mine", [Scope.ADMIN])
    engines.run(keys.revoke(project_id, actor, key_id=mine.pk))
    for key in (theirs, mine):
        assert engines.run(keys.set_compat(project_id, actor, key_id=key.pk, compat="on")) is False
        assert ApiKey.objects.get(pk=key.pk).compat == "auto"


def test_one_module_alone_knows_the_quirks() -> None:
    """The User-Agent's form and the word queued, but for its place in a filter, stand in aerodash/wire/compat.py only."""
    root = Path(__file__).resolve().parents[2]
    knowing = {
        str(path.relative_to(root))
        for package in ("aerodash", "cache_admin", "jobs_admin")
        for path in (root / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and (node.value == "queued" or "OpenAPI-Generator" in node.value)
    }
    assert knowing == {"aerodash/wire/compat.py", "jobs_admin/api/jobs.py"}
