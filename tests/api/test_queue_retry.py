import pytest
from asgiref.sync import sync_to_async

from aerodash import limits
from jobs_admin import services
from tests.api.queue_calls import ended, enqueue, lease, new_batch, record, refused, settle

PATH = "/v1/queue/retry"


async def test_a_failed_job_runs_again_with_its_whole_budget(api):
    job_id = await enqueue(api, maxRetries=0)
    [job] = await lease(api)
    await settle(api, job, "failed", error={"message": "no"})
    reply = await api.post(PATH, {"jobIds": [job_id]})
    assert (reply.status, reply.json) == (200, {"success": True, "count": 1, "refused": []})
    read = await record(api, job_id)
    assert (read["status"], read["attempts"], read["run"]) == ("pending", 0, 1)
    assert "error" not in read


async def test_retry_with_another_payload(api):
    job_id = await enqueue(api, payload={"to": "an"})
    await api.post("/v1/queue/cancel", {"jobId": job_id})
    await api.post(PATH, {"jobIds": [job_id], "payload": {"to": "ann"}})
    [job] = await lease(api)
    assert job["payload"] == {"to": "ann"}


async def test_a_null_payload_is_an_absent_one(api):
    job_id = await enqueue(api, payload={"to": "an"})
    await api.post("/v1/queue/cancel", {"jobId": job_id})
    await api.post(PATH, {"jobIds": [job_id], "payload": None})
    [job] = await lease(api)
    assert job["payload"] == {"to": "an"}


async def test_what_cannot_be_retried_is_listed_with_its_reason(api):
    waiting = await enqueue(api)
    reply = await api.post(PATH, {"jobIds": [waiting, "nonsense"]})
    assert reply.json == {
        "success": False,
        "count": 0,
        "refused": [
            {"jobId": "nonsense", "reason": "not_found"},
            {"jobId": waiting, "reason": "not_finished"},
        ],
    }


async def test_ids_are_required(api):
    refused(await api.post(PATH, {}), "jobIds")
    refused(await api.post(PATH, {"jobIds": []}), "jobIds")
    refused(await api.post(PATH, {"jobIds": ["x"], "filter": {}}), "jobIds")


async def statuses(api, *ids: str) -> list[str]:
    return [(await record(api, job_id))["status"] for job_id in ids]


async def test_a_filter_without_a_status_retries_the_failed_ones(api):
    failed = [await ended(api) for _ in range(2)]
    others = [await ended(api, "completed"), await ended(api, "cancelled")]
    reply = await api.post(PATH, {"filter": {}})
    assert (reply.status, reply.json) == (200, {"success": True, "count": 2, "refused": []})
    assert await statuses(api, *failed, *others) == ["pending", "pending", "completed", "cancelled"]


async def test_a_filter_takes_what_matches_all_of_it(api):
    mail = await ended(api, "cancelled", type="mail", tags=["a", "b"])
    others = [
        await ended(api, "cancelled", type="mail", tags=["b"]),
        await ended(api, "cancelled", type="report", tags=["a"]),
        await ended(api, "failed", type="mail", tags=["a"]),
    ]
    reply = await api.post(PATH, {"filter": {"status": "cancelled", "type": "mail", "tag": "a"}, "data": 7})
    assert reply.json["count"] == 1
    assert await statuses(api, mail, *others) == ["pending", "cancelled", "cancelled", "failed"]
    assert (await record(api, mail))["payload"] == 7


async def test_a_filter_goes_through_all_pages_and_lists_some_refusals(api, monkeypatch):
    monkeypatch.setattr(services, "RETRY_BATCH", 2)
    monkeypatch.setattr(limits, "REFUSED_RETRIES", 1)
    held = [await ended(api, "cancelled", uniqueKey=f"k{n}") for n in range(3)]
    for n in range(3):
        await enqueue(api, uniqueKey=f"k{n}")
    free = [await ended(api, "cancelled") for _ in range(4)]
    reply = await api.post(PATH, {"filter": {"status": "cancelled"}})
    assert reply.json == {
        "success": False,
        "count": 4,
        "refused": [{"jobId": held[0], "reason": "unique_taken"}],
        "moreRefused": 2,
    }
    assert await statuses(api, *free, *held) == ["pending"] * 4 + ["cancelled"] * 3


async def test_a_filter_that_nothing_matches_retries_nothing(api):
    await ended(api)
    for filter in (
        {"tag": "none"},
        {"type": "none"},
        {"batch": "0198f2a0-0000-7000-8000-000000000000"},
        {"batch": "nonsense"},
    ):
        reply = await api.post(PATH, {"filter": filter})
        assert (reply.status, reply.json["count"]) == (200, 0)


async def test_a_filter_finds_no_job_of_another_project(api, project, other_api):
    batch = await sync_to_async(new_batch)(project)
    job_id = await ended(api, tags=["a"], batch=batch)
    for filter in ({}, {"tag": "a"}, {"batch": batch}, {"tag": "a", "batch": batch}, {"type": "email"}):
        reply = await other_api.post(PATH, {"filter": filter})
        assert reply.json == {"success": True, "count": 0, "refused": []}, filter
    assert (await api.post(PATH, {"filter": {"batch": batch}})).json["count"] == 1
    assert await statuses(api, job_id) == ["pending"]


@pytest.mark.parametrize(
    ("filter", "field"),
    [
        ({"status": "pending"}, "filter.status"),
        ({"status": "processing"}, "filter.status"),
        ({"type": "a b"}, "filter.type"),
        ({"tag": ""}, "filter.tag"),
        ({"tag": "\0"}, "filter.tag"),
        ("failed", "filter"),
    ],
)
async def test_a_filter_that_cannot_be_meant_is_refused(api, filter, field):
    refused(await api.post(PATH, {"filter": filter}), field)
