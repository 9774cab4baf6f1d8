from tests.api.queue_calls import enqueue, lease, record, refused, settle

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
