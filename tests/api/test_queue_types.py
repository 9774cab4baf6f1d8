"""Types: pause, resume, configure, and what /queue/types says of them."""

import asyncio
import json
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from jobs_admin.engine import engine
from tests.api.queue_calls import INSTANT, enqueue, lease, record, refused, settle

SETTINGS: dict[str, Any] = {
    "retryDelay": {"kind": "exponential", "base": 2.5, "cap": 60},
    "leaseSeconds": 60,
    "timeoutSeconds": 90.5,
    "maxRetries": 0,
    "concurrency": 4,
    "rateLimit": {"limit": 10, "perSeconds": 60, "burst": 20},
    "partitionConcurrency": 1,
    "partitionRateLimit": {"limit": 1, "perSeconds": 0.5},
    "retention": {"completed": 3600, "failed": 86400, "cancelled": 60},
    "secretPaths": ["/card/number", "/a~1b/~0c"],
}


async def types(api) -> dict[str, dict[str, Any]]:
    reply = await api.post("/v1/queue/types", {})
    assert reply.status == 200, reply.body
    return {row.pop("type"): row for row in reply.json["types"]}


async def call(api, verb: str, **body: Any) -> None:
    reply = await api.post(f"/v1/queue/{verb}", body)
    assert (reply.status, reply.json) == (200, {"success": True}), reply.body


def audited(project_id) -> list[tuple[str, str, dict[str, Any]]]:
    from aerodash.models import AuditEntry

    lines = AuditEntry.objects.filter(project_id=project_id).order_by("id")
    return [(line.verb, line.target, line.details) for line in lines]


async def test_a_project_without_jobs_has_no_types(api):
    assert await types(api) == {}


async def test_types_have_exact_counts(api):
    for _ in range(3):
        await enqueue(api, "mail")
    await enqueue(api, "report")
    jobs = await lease(api, types=["mail"], limit=2)
    await settle(api, jobs[0])
    none = {"pending": 0, "processing": 0, "completed": 0, "failed": 0, "cancelled": 0}
    assert await types(api) == {
        "mail": {"counts": none | {"pending": 1, "processing": 1, "completed": 1}, "settings": {}},
        "report": {"counts": none | {"pending": 1}, "settings": {}},
    }


async def test_a_paused_type_is_not_leased_until_it_is_resumed(api, project_id, monkeypatch):
    await enqueue(api, "mail")
    await call(api, "pause", type="mail", reason="provider is down")
    await call(api, "pause", type="mail", reason="again")
    assert await lease(api) == []
    paused = (await types(api))["mail"]["paused"]
    assert INSTANT.fullmatch(paused.pop("at"))
    assert paused == {"by": "key test", "reason": "provider is down"}

    monkeypatch.setattr(engine, "POLL_S", 3600.0)  # who waits does not look by itself
    waiting = asyncio.ensure_future(lease(api, waitSeconds=30))
    await call(api, "resume", type="mail")
    assert len(await waiting) == 1
    assert "paused" not in (await types(api))["mail"]
    await call(api, "resume", type="mail")
    assert [line[:2] for line in await sync_to_async(audited)(project_id)] == [
        ("type.pause", "mail"), ("type.pause", "mail"), ("type.resume", "mail"), ("type.resume", "mail")
    ]  # fmt: skip


async def test_settings_come_back_as_they_were_sent(api):
    await call(api, "configure", type="mail", settings=SETTINGS)
    assert (await types(api))["mail"]["settings"] == SETTINGS


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"retryDelay": 5}, {"retryDelay": {"kind": "exponential", "base": 5, "cap": 3600}}),
        ({"retryDelay": {"kind": "fixed", "base": 5}}, {"retryDelay": {"kind": "fixed", "base": 5}}),
        (
            {"retry_delay": {"kind": "list", "delays": [1, 2.5]}},
            {"retryDelay": {"kind": "list", "delays": [1, 2.5]}},
        ),
        ({"rate_limit": {"limit": 3}}, {"rateLimit": {"limit": 3, "perSeconds": 1}}),
        ({"lease_seconds": 9.0, "max_retries": 1.0}, {"leaseSeconds": 9, "maxRetries": 1}),
        ({"timeout": 9, "retention": {"failed": None}}, {"timeoutSeconds": 9}),
        (dict.fromkeys(SETTINGS), {}),
    ],
)
async def test_settings_in_other_words(api, sent, kept):
    await call(api, "configure", type="mail", settings=sent)
    assert (await types(api))["mail"]["settings"] == kept


async def test_configure_replaces_everything_but_the_pause_and_is_audited(api, project_id):
    await call(api, "pause", type="mail")
    await call(api, "configure", type="mail", settings=SETTINGS)
    await call(api, "configure", type="mail", settings={"concurrency": 2})
    said = (await types(api))["mail"]
    assert (said["settings"], said["paused"]["reason"]) == ({"concurrency": 2}, "")
    *_, (verb, target, details) = await sync_to_async(audited)(project_id)
    assert (verb, target, json.loads(details["after"])) == ("type.configure", "mail", {"concurrency": 2})
    assert json.loads(details["before"])["max_retries"] == 0


async def test_settings_hold_for_the_jobs_that_do_not_say(api):
    await call(
        api, "configure", type="mail", settings={"maxRetries": 7, "timeoutSeconds": 30, "leaseSeconds": 20}
    )
    job_id = await enqueue(api, "mail")
    own = await enqueue(api, "mail", maxRetries=1, timeoutSeconds=60)
    assert [(await record(api, id))["maxRetries"] for id in (job_id, own)] == [7, 1]
    jobs = {job["id"]: job for job in await lease(api)}
    assert [jobs[id]["timeoutSeconds"] for id in (job_id, own)] == [30, 60]


async def test_concurrency_bounds_what_runs_at_once(api):
    await call(api, "configure", type="mail", settings={"concurrency": 2})
    for _ in range(3):
        await enqueue(api, "mail")
    jobs = await lease(api)
    assert len(jobs) == 2
    assert await lease(api) == []
    await settle(api, jobs[0])
    assert len(await lease(api)) == 1


async def test_types_of_another_project_are_its_own(api, other_api):
    await call(api, "pause", type="mail")
    await enqueue(other_api, "mail")
    assert len(await lease(other_api)) == 1


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"retryDelay": -1}, "retryDelay"),
        ({"retryDelay": {"kind": "fixed"}}, "retryDelay.base"),
        ({"retryDelay": {"kind": "list", "delays": [1] * 101}}, "retryDelay.delays"),
        ({"leaseSeconds": 0.5}, "leaseSeconds"),
        ({"leaseSeconds": 3601}, "leaseSeconds"),
        ({"timeoutSeconds": 0}, "timeoutSeconds"),
        ({"timeoutSeconds": 7 * 86400 + 1}, "timeoutSeconds"),
        ({"maxRetries": -1}, "maxRetries"),
        ({"maxRetries": 1001}, "maxRetries"),
        ({"maxRetries": 1.5}, "maxRetries"),
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": "2"}, "concurrency"),
        ({"concurrency": True}, "concurrency"),
        ({"partitionConcurrency": 0}, "partitionConcurrency"),
        ({"rateLimit": 5}, "rateLimit"),
        ({"rateLimit": {}}, "rateLimit.limit"),
        ({"rateLimit": {"limit": 0}}, "rateLimit.limit"),
        ({"rateLimit": {"limit": 1, "perSeconds": 0}}, "rateLimit.perSeconds"),
        ({"rateLimit": {"limit": 1, "perSeconds": 86401}}, "rateLimit.perSeconds"),
        ({"rateLimit": {"limit": 1, "burst": 0}}, "rateLimit.burst"),
        ({"partitionRateLimit": {"limit": 1_000_001}}, "partitionRateLimit.limit"),
        ({"retention": {"completed": 0}}, "retention.completed"),
        ({"retention": {"failed": 11 * 365 * 86400}}, "retention.failed"),
        ({"retention": {"cancelled": 1.5}}, "retention.cancelled"),
        ({"secretPaths": "/a"}, "secretPaths"),
        ({"secretPaths": [""]}, "secretPaths"),
        ({"secretPaths": ["card"]}, "secretPaths[0]"),
        ({"secretPaths": ["/a", "/b~2"]}, "secretPaths[1]"),
        ({"secretPaths": ["/\0"]}, "secretPaths[0]"),
        ({"secretPaths": ["/a"] * 51}, "secretPaths"),
    ],
)
async def test_a_bad_setting_is_refused_by_its_path_and_changes_nothing(api, bad, field):
    await call(api, "configure", type="mail", settings=SETTINGS)
    reply = await api.post("/v1/queue/configure", {"type": "mail", "settings": SETTINGS | bad})
    refused(reply, f"settings.{field}")
    assert (await types(api))["mail"]["settings"] == SETTINGS


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("pause", {}, "type"),
        ("pause", {"type": "a b"}, "type"),
        ("pause", {"type": "t", "reason": "x" * 257}, "reason"),
        ("pause", {"type": "t", "reason": "\0"}, "reason"),
        ("pause", {"type": "t", "reason": 5}, "reason"),
        ("resume", {}, "type"),
        ("resume", {"type": ""}, "type"),
        ("configure", {"type": "t"}, "settings"),
        ("configure", {"settings": {}}, "type"),
        ("configure", {"type": "t", "settings": []}, "settings"),
        ("configure", {"type": "t", "settings": None}, "settings"),
    ],
)
async def test_bad_input_is_refused(api, verb, body, field):
    refused(await api.post(f"/v1/queue/{verb}", body), field)
