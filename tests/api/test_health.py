"""/healthz and /readyz: what a load balancer asks."""

import json

import pytest

from aerodash import engines
from aerodash.errors import EngineDown


async def test_healthz_answers_without_a_key(api) -> None:
    api.key = ""
    reply = await api.request("GET", "/healthz")
    assert (reply.status, json.loads(reply.body)) == (200, {"status": "ok"})


async def test_readyz_names_each_part_that_answers(api) -> None:
    reply = await api.request("GET", "/readyz")
    assert reply.status == 200
    assert reply.json["checks"] == dict.fromkeys(engines.names(), "ok")
    assert {"cache", "jobs", "feed"} <= set(reply.json["checks"])


async def test_readyz_is_503_and_says_which_part_is_away(api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away() -> None:
        raise EngineDown("Valkey cannot be reached.")

    monkeypatch.setattr(engines.get("cache"), "check", away)
    reply = await api.request("GET", "/readyz")
    assert reply.status == 503
    assert reply.json["checks"]["cache"] == "Valkey cannot be reached."
    assert reply.json["checks"]["jobs"] == "ok"
