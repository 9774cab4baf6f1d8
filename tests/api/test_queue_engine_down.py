"""All queue operations while the database is away: writes by the job engine, reads by the reading thread."""

import time
from pathlib import Path

import pytest
from django.conf import settings

from aerodash import engines
from jobs_admin import reading
from jobs_admin.engine.sqlite import SqliteEngine
from tests.api.queue_calls import WORKER

ID = "0198f2a0-0000-7000-8000-000000000000"
LEASE = {"jobId": ID, "leaseToken": "t"}
SOON_S = 10.0
"""It takes milliseconds; a busy machine may stand still for some seconds."""
WRITES = {
    "enqueue": {"type": "t", "payload": 1},
    "enqueueMany": {"jobs": [{"type": "t", "payload": 1}]},
    "lease": {"worker": WORKER, "waitSeconds": 0.1},
    "heartbeat": {"worker": WORKER, "leases": [LEASE]},
    "settle": {"results": [LEASE | {"outcome": "completed"}]},
    "progress": {"reports": [LEASE | {"percent": 1}]},
    "worker-lost": {"worker": WORKER},
    "cancel": {"jobId": ID},
    "retry": {"jobIds": [ID]},
    "pause": {"type": "t"},
    "resume": {"type": "t"},
    "configure": {"type": "t", "settings": {}},
}
READS = {
    "job": {"jobId": ID},
    "jobs": {},
    "logs": {"jobId": ID},
    "types": {},
    "retry": {"filter": {}},
    "configure": {"type": "t", "settings": {}},
}


@pytest.fixture
def no_database(tmp_path: Path):
    engine = SqliteEngine(str(tmp_path / "nowhere" / "jobs.sqlite3"), valkey_url=settings.VALKEY_URL)
    engines.run(engine.open())
    with engines.replaced("jobs", engine):
        yield
    engines.run(engine.close())


@pytest.mark.usefixtures("no_database")
@pytest.mark.parametrize("verb", WRITES)
async def test_a_write_answers_503_with_retry_after_soon(api, verb):
    started = time.monotonic()
    status, body, headers = await api.post(f"/v1/queue/{verb}", WRITES[verb])
    assert time.monotonic() - started < SOON_S
    assert (status, body["code"], body["details"]["reason"]) == (
        503,
        "INTERNAL_ERROR",
        "database_unavailable",
    )
    assert headers["retry-after"] == "1"


@pytest.mark.parametrize("verb", READS)
async def test_a_read_without_its_thread_answers_503_with_retry_after(api, verb):
    with engines.replaced(reading.ENGINE, None):
        status, body, headers = await api.post(f"/v1/queue/{verb}", READS[verb])
    assert (status, body["code"], body["details"]["reason"]) == (503, "INTERNAL_ERROR", "not_started")
    assert headers["retry-after"] == "1"
