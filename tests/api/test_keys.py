"""API keys: stored as digests, refused when revoked or expired, and soon."""

from datetime import timedelta

from django.utils import timezone

from aerodash import engines, keys
from aerodash.auth import Scope
from aerodash.models import ApiKey
from aerodash.urls import ring
from tests.api.client import ApiClient


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
