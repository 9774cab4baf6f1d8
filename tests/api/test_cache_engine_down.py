"""All cache operations while Valkey is away."""

import time
from pathlib import Path

import pytest

from aerodash import engines
from cache_admin.engine.valkey import ValkeyCache

SOON_S = 10.0
"""It takes milliseconds; a busy machine may stand still for some seconds."""
REQUESTS = {
    "get": {"key": "k"},
    "set": {"key": "k", "value": 1},
    "has": {"key": "k"},
    "delete": {"key": "k"},
    "getMany": {"keys": ["k"]},
    "setMany": {"entries": {"k": 1}},
    "deleteMany": {"keys": ["k"]},
    "list": {},
    "keys": {},
    "flush": {},
    "expire": {"key": "k", "ttl": 1},
    "increment": {"key": "k"},
}


@pytest.fixture
def no_valkey(tmp_path: Path):
    engine = ValkeyCache(f"unix://{tmp_path}/nobody.sock")
    engines.run(engine.open())
    with engines.replaced("cache", engine):
        yield
    engines.run(engine.close())


@pytest.mark.usefixtures("no_valkey")
@pytest.mark.parametrize("verb", REQUESTS)
async def test_answers_503_with_retry_after_soon(api, verb):
    started = time.monotonic()
    status, body, headers = await api.post(f"/v1/cache/{verb}", REQUESTS[verb])
    assert time.monotonic() - started < SOON_S
    assert (status, body["code"], body["details"]["reason"]) == (503, "INTERNAL_ERROR", "engine_down")
    assert headers["retry-after"] == "1"
