import pytest

from tests.api.queue_calls import WORKER, enqueue, lease, record, refused, settle

PATH = "/v1/queue/worker-lost"


async def test_its_runs_end_at_once_as_crashes(api):
    ids = [await enqueue(api, maxRetries=0) for _ in range(2)]
    jobs = await lease(api)
    reply = await api.post(PATH, {"worker": WORKER, "reason": "killed by signal 9", "traceback": "Fatal\0"})
    assert (reply.status, reply.json) == (200, {"success": True, "count": 2})
    for job_id in ids:
        job = await record(api, job_id)
        assert job["status"] == "failed"
        assert job["errorDetails"]["message"] == "killed by signal 9"
        assert job["errorDetails"]["traceback"] == "Fatal␀"
    assert await settle(api, jobs[0]) == "lease_lost"
    assert (await api.post(PATH, {"worker": WORKER})).json["count"] == 0


async def test_only_what_had_begun_is_charged(api):
    begun, idle = [await enqueue(api) for _ in range(2)]
    await lease(api)
    await api.post(PATH, {"worker": {"id": WORKER["id"]}, "begun": [begun.upper()]})
    assert (await record(api, begun))["attempts"] == 1
    assert (await record(api, idle))["attempts"] == 0
    again = await lease(api)
    assert {(job["id"], job["run"]) for job in again} == {(begun, 2), (idle, 2)}


async def test_another_workers_runs_go_on(api):
    await enqueue(api)
    [job] = await lease(api)
    assert (await api.post(PATH, {"worker": {"id": "w-2"}})).json["count"] == 0
    assert await settle(api, job) == "accepted"


async def test_a_worker_of_another_project_is_not_touched(api, other_api):
    await enqueue(api)
    [job] = await lease(api)
    assert (await other_api.post(PATH, {"worker": WORKER})).json["count"] == 0
    assert await settle(api, job) == "accepted"


async def test_a_long_reason_and_traceback_are_cut(api):
    job_id = await enqueue(api, maxRetries=0)
    await lease(api)
    await api.post(
        PATH, {"worker": WORKER, "reason": "r" * 2000, "traceback": "first" + "x" * 70_000 + "last"}
    )
    error = (await record(api, job_id))["errorDetails"]
    assert error["message"].endswith("(cut: it had 2000 bytes)")
    assert error["traceback"].startswith("firstx")
    assert error["traceback"].endswith("xlast")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "worker"),
        ({"worker": "w"}, "worker"),
        ({"worker": {}}, "worker.id"),
        ({"worker": {"id": ""}}, "worker.id"),
        ({"worker": {"id": "w\0"}}, "worker.id"),
        ({"worker": {"id": "w" * 65}}, "worker.id"),
        ({"worker": WORKER, "reason": 5}, "reason"),
        ({"worker": WORKER, "traceback": []}, "traceback"),
        ({"worker": WORKER, "begun": "x"}, "begun"),
        ({"worker": WORKER, "begun": [5]}, "begun"),
        ({"worker": WORKER, "begun": ["x"] * 10_001}, "begun"),
    ],
)
async def test_bad_input_is_refused(api, body, field):
    refused(await api.post(PATH, body), field)
