"""API keys: stored as digests, refused when revoked or expired, and soon."""

import asyncio
import os
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.utils import timezone

from aerodash import engines, keys
from aerodash.auth import Scope
from aerodash.errors import NotAllowed
from aerodash.models import ApiKey, AuditEntry
from aerodash.urls import ring
from tests.api.client import ApiClient
from tests.fixtures import database_url


def test_only_a_digest_is_stored(project) -> None:
    key, text = keys.mint(project, "shop-api", [Scope.CACHE_READ])
    stored = ApiKey.objects.values().get(pk=key.pk)
    assert text.startswith("ac_secret_")
    assert all(text not in str(value) for value in stored.values())
    assert stored["digest"] == keys.digest(text)


def test_an_expired_key_is_refused(project) -> None:
    _, text = keys.mint(project, "old", [Scope.ADMIN], expires_at=timezone.now() - timedelta(seconds=1))
    reply = engines.run(ApiClient(text).post("/v1/cache/get", {"key": "a"}))
    assert (reply.status, reply.json["code"]) == (401, "AUTH_INVALID_KEY")


def test_a_revoked_key_is_refused_once_its_second_of_trust_is_over(project, monkeypatch) -> None:
    key, text = keys.mint(project, "leaked", [Scope.ADMIN])
    caller = ApiClient(text)
    assert engines.run(caller.post("/v1/cache/get", {"key": "a"})).status == 200
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    later = ring.clock() + keys.TRUSTED_FOR_S
    monkeypatch.setattr(ring, "clock", lambda: later)
    assert engines.run(caller.post("/v1/cache/get", {"key": "a"})).status == 401


async def test_many_unknown_keys_do_not_grow_the_memory_without_bound(monkeypatch) -> None:
    monkeypatch.setattr(keys, "REMEMBERED", 5)
    for i in range(20):
        assert (await ApiClient(f"ac_secret_{i}").post("/v1/cache/get", {"key": "a"})).status == 401
    assert len(ring._seen) <= 5


def test_a_key_of_one_project_never_sees_another(project, api) -> None:
    from aerodash.models import Project

    other = Project.objects.create(slug=f"{project.slug}-other", name="Other")
    stranger = ApiClient(keys.mint(other, "stranger", [Scope.ADMIN])[1])

    def ask(caller: ApiClient, path: str, body: object) -> object:
        return engines.run(caller.post(path, body)).json

    ask(api, "/v1/cache/set", {"key": "secret", "value": 1})
    assert ask(stranger, "/v1/cache/get", {"key": "secret"})["exists"] is False
    job = ask(api, "/v1/queue/enqueue", {"type": "t", "payload": {}})["jobId"]
    assert ask(stranger, "/v1/queue/job", {"jobId": job}) == {"job": None, "exists": False}
    assert ask(stranger, "/v1/queue/cancel", {"jobId": job})["success"] is False


async def test_all_who_wait_for_one_look_up_hear_that_the_database_is_away(monkeypatch) -> None:
    def away(token: str) -> None:
        time.sleep(0.1)  # so that the others come while the first one waits
        raise OperationalError("disk I/O error")

    monkeypatch.setattr(keys, "_look_up", away)
    caller = ApiClient("ac_secret_of_many")
    replies = await asyncio.gather(*(caller.post("/v1/cache/get", {"key": "a"}) for _ in range(5)))
    assert [(reply.status, reply.headers["retry-after"]) for reply in replies] == [(503, "1")] * 5


async def test_a_preflight_hears_that_the_database_is_away(monkeypatch) -> None:
    def away() -> None:
        raise OperationalError("disk I/O error")

    monkeypatch.setattr(keys, "_all_origins", away)
    monkeypatch.setattr(ring, "_origins", (0.0, frozenset()))
    reply = await ApiClient().request("OPTIONS", "/v1/cache/get", headers={"origin": "https://keys.example"})
    assert (reply.status, reply.json["code"]) == (503, "INTERNAL_ERROR")


def test_creating_a_key_is_audited_without_its_text(project, project_id, actor) -> None:
    key, text = engines.run(keys.create(project_id, actor, name="shop-api", scopes=[Scope.CACHE_READ]))
    assert engines.run(ApiClient(text).post("/v1/cache/get", {"key": "a"})).status == 200
    line = AuditEntry.objects.values().get(project=project)
    assert (line["verb"], line["target"], line["actor_label"]) == (
        "key.create",
        f"key {key.pk} (shop-api)",
        actor.label,
    )
    assert line["details"] == {"after": "cache:read"}
    assert text not in str(line)


def test_revoking_a_key_is_audited_once(project, project_id, actor) -> None:
    key, text = keys.mint(project, "leaked", [Scope.ADMIN])
    assert engines.run(keys.revoke(project_id, actor, key_id=key.pk)) is True
    assert engines.run(keys.revoke(project_id, actor, key_id=key.pk)) is False
    assert engines.run(ApiClient(text).post("/v1/cache/get", {"key": "a"})).status == 401
    lines = AuditEntry.objects.filter(project=project).values_list("verb", "target")
    assert list(lines) == [("key.revoke", f"key {key.pk} (leaked)")]


def test_a_key_of_another_project_cannot_be_revoked(project, actor) -> None:
    from aerodash.ids import ProjectId
    from aerodash.models import Project

    other = Project.objects.create(slug=f"{project.slug}-other", name="Other")
    key, _ = keys.mint(project, "mine", [Scope.ADMIN])
    assert engines.run(keys.revoke(ProjectId(other.pk), actor, key_id=key.pk)) is False
    assert ApiKey.objects.get(pk=key.pk).revoked_at is None


def test_only_an_administrator_makes_or_revokes_keys(project, project_id, reader) -> None:
    key, _ = keys.mint(project, "mine", [Scope.ADMIN])
    with pytest.raises(NotAllowed):
        engines.run(keys.create(project_id, reader, name="mine too", scopes=[Scope.CACHE_READ]))
    with pytest.raises(NotAllowed):
        engines.run(keys.revoke(project_id, reader, key_id=key.pk))
    assert ApiKey.objects.filter(project=project, revoked_at=None).count() == 1


def test_the_command_makes_and_revokes_keys_and_notes_it(project) -> None:
    created = _aerodash("key", "create", "--project", project.slug, "--name", "ci", "--scope", "cache:read")
    key = ApiKey.objects.get(project=project)
    assert key.digest == keys.digest(created.stdout.strip())
    assert key.scopes == ["cache:read"]
    assert _aerodash("key", "compat", str(key.pk), "on").stdout == f"Key {key.pk} has compat on.\n"
    assert "compat on" in _aerodash("key", "list", "--project", project.slug).stdout
    assert _aerodash("key", "revoke", str(key.pk)).stdout == f"Key {key.pk} is revoked.\n"
    refused = _aerodash("key", "revoke", str(key.pk))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"aerodash: There is no valid key {key.pk}; ")
    lines = AuditEntry.objects.filter(project=project).order_by("pk").values_list("verb", "door")
    assert [verb for verb, _ in lines] == ["key.create", "key.compat", "key.revoke"]
    assert {door for _, door in lines} == {"command"}


def _aerodash(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, over the tests' database and Valkey."""
    variables = {
        "DATABASE_URL": database_url(),
        "VALKEY_URL": settings.VALKEY_URL,
    }
    return subprocess.run(
        [sys.executable, "-m", "aerodash", *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_a_connection_that_was_lost_meanwhile_is_not_noticed(api_key) -> None:
    ring = keys.KeyRing()

    def break_connection() -> None:
        connection.ensure_connection()
        connection.connection.close()  # behind Django's back, as a database that restarts does

    ring._threads.submit(break_connection).result()
    assert (await ring.principal(api_key)).label == "key test"
    ring._threads.submit(break_connection).result()
    assert await ring.knows_origin("https://keys.example") is False
    ring._threads.submit(lambda: connection.close()).result()


async def test_many_preflights_ask_the_database_once(monkeypatch) -> None:
    asked = []

    def origins() -> frozenset[str]:
        asked.append(1)
        time.sleep(0.1)  # so that the others come while the first one waits
        return frozenset({"https://keys.example"})

    monkeypatch.setattr(keys, "_all_origins", origins)
    ring = keys.KeyRing()
    answers = await asyncio.gather(*(ring.knows_origin("https://keys.example") for _ in range(5)))
    assert answers == [True] * 5
    assert len(asked) == 1


async def test_who_waits_for_a_look_up_is_served_when_the_first_asker_hangs_up(monkeypatch, api_key) -> None:
    asked = []
    look_up = keys._look_up

    def slow(token: str) -> keys.Principal | None:
        asked.append(token)
        time.sleep(0.1)
        return look_up(token)

    monkeypatch.setattr(keys, "_look_up", slow)
    ring = keys.KeyRing()
    first, second = (asyncio.create_task(ring.principal(api_key)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).label == "key test"
    assert (await ring.principal(api_key)).label == "key test"
    assert len(asked) == 1
    ring._threads.submit(lambda: connection.close()).result()
