import pytest

from tests.api.queue_calls import record, refused

PATH = "/v1/queue/enqueueMany"


async def test_enqueue_many_answers_the_ids_in_order(api):
    jobs = [{"type": "t", "payload": n, "delay": n} for n in range(5)]
    reply = await api.post(PATH, {"jobs": jobs})
    assert reply.status == 201
    assert len(reply.json["jobIds"]) == 5
    records = [await record(api, job_id) for job_id in reply.json["jobIds"]]
    assert [job["payload"] for job in records] == [0, 1, 2, 3, 4]


async def test_one_bad_job_refuses_all(api):
    jobs = [{"type": "t", "payload": 1}, {"type": "no good", "payload": 1}]
    refused(await api.post(PATH, {"jobs": jobs}), "jobs[1].type")
    assert (await api.post("/v1/queue/jobs", {})).json["jobs"] == []


async def test_ten_thousand_jobs_are_taken_and_one_more_is_not(api):
    job = {"type": "t", "payload": 1}
    reply = await api.post(PATH, {"jobs": [job] * 10_000})
    assert (reply.status, len(set(reply.json["jobIds"]))) == (201, 10_000)
    refused(await api.post(PATH, {"jobs": [job] * 10_001}), "jobs")
    refused(await api.post(PATH, {"jobs": []}), "jobs")


@pytest.mark.parametrize("name", ["payload", "data"])
@pytest.mark.parametrize("payload", [b"1e999", b"9" * 4301, b'"\xff"'])
async def test_a_payload_that_no_worker_could_read_is_refused(api, name: str, payload: bytes):
    reply = await api.post(PATH, b'{"jobs":[{"type":"t","%b":%b}]}' % (name.encode(), payload))
    assert (reply.status, reply.json["details"]["reason"]) == (400, "malformed_json")
    assert (await api.post("/v1/queue/jobs", {})).json["jobs"] == []
