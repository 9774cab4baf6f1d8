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


async def test_duplicates_are_named_by_their_places(api):
    jobs = [
        {"type": "t", "payload": 0, "uniqueKey": "a"},
        {"type": "t", "payload": 1},
        {"type": "t", "payload": 2, "uniqueKey": "a"},
        {"type": "t", "payload": 3, "idempotencyKey": "b"},
        {"type": "t", "payload": 4, "idempotencyKey": "b"},
    ]
    reply = await api.post(PATH, {"jobs": jobs})
    ids = reply.json["jobIds"]
    assert (reply.status, reply.json["duplicates"]) == (201, [2, 4])
    assert (ids[2], ids[4], len(set(ids))) == (ids[0], ids[3], 3)
    reply = await api.post(PATH, {"jobs": jobs[:1]})
    assert (reply.json["jobIds"], reply.json["duplicates"]) == ([ids[0]], [0])


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"retryDelay": {"kind": "list"}}, "retryDelay.delays"),
        ({"uniqueKey": "\0"}, "uniqueKey"),
        ({"tags": ["\0"]}, "tags"),
        ({"runAt": "2020-01-01T00:00:00Z", "delay": 1}, "runAt"),
        ({"traceparent": "no"}, "traceparent"),
        ({"timeout": 0}, "timeoutSeconds"),
        ({"batch": "x"}, "batch"),
    ],
)
async def test_a_refusal_says_in_which_job_the_field_is(api, bad, field):
    good = {"type": "t", "payload": 1}
    refused(await api.post(PATH, {"jobs": [good, good | bad]}), f"jobs[1].{field}")


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
