import pytest

from tests.api.queue_calls import enqueue, lease, record, refused, settle

PATH = "/v1/queue/settle"


async def test_settle_answers_each_result_in_order(api):
    for _ in range(3):
        await enqueue(api)
    first, second, third = await lease(api)
    results = [
        {
            "jobId": first["id"],
            "leaseToken": first["leaseToken"],
            "outcome": "completed",
            "result": {"n": 1.0},
        },
        {
            "id": second["id"],
            "leaseToken": second["leaseToken"],
            "outcome": "failed",
            "retryAfterSeconds": 60,
        },
        {"job_id": third["id"], "leaseToken": "stale", "outcome": "completed"},
    ]
    reply = await api.post(PATH, {"results": results})
    assert reply.status == 200
    assert reply.json == {
        "results": [
            {"jobId": first["id"], "outcome": "accepted"},
            {"jobId": second["id"], "outcome": "accepted"},
            {"jobId": third["id"], "outcome": "lease_lost"},
        ]
    }
    assert (await record(api, second["id"]))["state"] == "retrying"


async def test_the_result_comes_back_byte_for_byte(api):
    job_id = await enqueue(api)
    [job] = await lease(api)
    said = f'{{"results":[{{"jobId":"{job_id}","leaseToken":"{job["leaseToken"]}","outcome":"completed","result":'
    await api.post(PATH, said.encode() + b'{"n": 1.50, "big":12345678901234567890123}}]}')
    read = await api.post("/v1/queue/job", {"jobId": job_id})
    assert b'"result":{"n": 1.50, "big":12345678901234567890123}' in read.body


async def test_released_jobs_are_there_for_the_next_worker(api):
    await enqueue(api, maxRetries=0)
    [job] = await lease(api)
    assert await settle(api, job, "released") == "accepted"
    [again] = await lease(api)
    assert (again["id"], again["run"], again["attempts"]) == (job["id"], 2, 1)


async def test_a_final_failure_is_not_tried_again(api):
    job_id = await enqueue(api, maxRetries=9)
    [job] = await lease(api)
    await settle(api, job, "failed", final=True, error={"type": "Fail", "message": "never"})
    assert (await record(api, job_id))["status"] == "failed"


async def test_the_same_settle_again_is_refused(api):
    await enqueue(api)
    [job] = await lease(api)
    assert await settle(api, job) == "accepted"
    assert await settle(api, job) == "lease_lost"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"outcome": "done"}, "results[0].outcome"),
        ({"leaseToken": None}, "results[0].leaseToken"),
        ({"retryAfterSeconds": -1}, "results[0].retryAfterSeconds"),
        ({"result": "x" * (1024 * 1024)}, "results[0].result"),
        ({"leaseToken": "x" * 65}, "results[0].leaseToken"),
        ({"outcome": "failed", "error": {"type": "é" * 200}}, "results[0].error.type"),
        ({"outcome": "failed", "error": "no"}, "results[0].error"),
    ],
)
async def test_bad_input_is_refused_and_ends_nothing(api, change, field):
    await enqueue(api)
    [job] = await lease(api)
    result = {"jobId": job["id"], "leaseToken": job["leaseToken"], "outcome": "completed", **change}
    reply = await api.post(PATH, {"results": [result]})
    assert reply.status == 400, reply.body
    if field != "results[0].error":
        refused(reply, field)
    assert (await record(api, job["id"]))["status"] == "processing"


async def test_an_over_long_error_is_cut_and_refuses_no_result_of_the_call(api):
    for _ in range(2):
        await enqueue(api, maxRetries=0)
    failed, fine = await lease(api)
    error = {"type": "E", "message": "m" + "é" * 5000, "traceback": "first" + "x" * 70_000 + "last"}
    results = [
        {"jobId": failed["id"], "leaseToken": failed["leaseToken"], "outcome": "failed", "error": error},
        {"jobId": fine["id"], "leaseToken": fine["leaseToken"], "outcome": "completed"},
    ]
    reply = await api.post(PATH, {"results": results})
    assert [result["outcome"] for result in reply.json["results"]] == ["accepted", "accepted"]

    kept = (await record(api, failed["id"]))["errorDetails"]
    assert kept["message"].startswith("méé")
    assert kept["message"].endswith("(cut: it had 10001 bytes)")
    assert kept["traceback"].startswith("firstx")
    assert kept["traceback"].endswith("xlast")
    assert "cut here: it had 70009 bytes" in kept["traceback"]


@pytest.mark.parametrize("result", [b"1e999", b'"\xff"'])
async def test_a_result_that_nobody_could_read_is_refused_and_ends_nothing(api, result: bytes):
    job_id = await enqueue(api)
    [job] = await lease(api)
    ids = job_id.encode(), job["leaseToken"].encode()
    reply = await api.post(
        "/v1/queue/settle",
        b'{"results":[{"jobId":"%b","leaseToken":"%b","outcome":"completed","result":%b}]}' % (*ids, result),
    )
    assert (reply.status, reply.json["details"]["reason"]) == (400, "malformed_json")
    assert (await record(api, job_id))["status"] == "processing"


async def test_an_id_that_cannot_be_ours_has_lost_its_lease_and_the_others_are_settled(api):
    await enqueue(api)
    [job] = await lease(api)
    results = [
        {"jobId": "nonsense", "leaseToken": "t", "outcome": "completed"},
        {"jobId": job["id"].upper(), "leaseToken": job["leaseToken"], "outcome": "completed"},
    ]
    reply = await api.post(PATH, {"results": results})
    assert [result["outcome"] for result in reply.json["results"]] == ["lease_lost", "accepted"]
    assert (await record(api, job["id"]))["status"] == "completed"


async def test_a_nul_in_what_people_read_is_shown(api):
    await enqueue(api, maxRetries=0)
    [job] = await lease(api)
    error = {"type": "E\0", "message": "a\0b", "traceback": "\0"}
    assert await settle(api, job, "failed", error=error) == "accepted"
    kept = (await record(api, job["id"]))["errorDetails"]
    assert kept == {"type": "E␀", "message": "a␀b", "traceback": "␀"}
