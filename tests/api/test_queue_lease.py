import asyncio
import time

import pytest

from jobs_admin.engine import engine
from jobs_admin.engine.steps import lease as lease_step
from tests.api.queue_calls import INSTANT, WORKER, enqueue, lease, record, refused

PATH = "/v1/queue/lease"


async def test_lease_answers_the_record_with_token_and_expiry(api):
    job_id = await enqueue(api, payload={"n": 1}, priority=2)
    [job] = await lease(api, types=["email"])
    assert (job["id"], job["status"], job["payload"], job["data"]) == (
        job_id,
        "processing",
        {"n": 1},
        {"n": 1},
    )
    assert (job["attempts"], job["run"], job["priority"]) == (1, 1, 2)
    assert len(job["leaseToken"]) == 32
    assert INSTANT.fullmatch(job["leaseExpiresAt"])
    assert job["leaseExpiresAt"] > job["startedAt"]
    shown = await record(api, job_id)
    assert {name: job[name] for name in shown} == shown


async def test_a_long_poll_answers_as_soon_as_there_is_work(api, monkeypatch):
    monkeypatch.setattr(engine, "POLL_S", 3600.0)  # it does not look by itself
    waiting = asyncio.create_task(lease(api, waitSeconds=30))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    job_id = await enqueue(api)
    assert [job["id"] for job in await waiting] == [job_id]


async def test_a_long_poll_without_work_ends_empty_in_time(api):
    began = time.monotonic()
    assert await lease(api, waitSeconds=0.4) == []
    assert 0.4 <= time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "worker"),
        ({"worker": {}}, "worker.id"),
        ({"worker": WORKER, "limit": 0}, "limit"),
        ({"worker": WORKER, "limit": 1001}, "limit"),
        ({"worker": WORKER, "leaseSeconds": 0}, "leaseSeconds"),
        ({"worker": WORKER, "leaseSeconds": 3601}, "leaseSeconds"),
        ({"worker": WORKER, "waitSeconds": 31}, "waitSeconds"),
        ({"worker": WORKER, "types": "email"}, "types"),
    ],
)
async def test_bad_input_is_refused(api, body, field):
    refused(await api.post(PATH, body), field)


async def test_a_lease_holds_no_more_payload_than_an_answer_should(api, monkeypatch):
    monkeypatch.setattr(lease_step, "LEASE_BYTES", 3_000)
    small, large = "x" * 998, "x" * 4_000
    for payload in (small, small, small, small, large):
        await enqueue(api, payload=payload)
    sizes = [[len(job["payload"]) for job in await lease(api, limit=100)] for _ in range(4)]
    assert sizes == [[998, 998, 998], [998], [4_000], []]
