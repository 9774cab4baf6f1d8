from tests.api.queue_calls import enqueue, lease, record, refused, settle

PATH = "/v1/queue/cancel"


async def test_a_pending_job_is_cancelled(api):
    job_id = await enqueue(api)
    reply = await api.post(PATH, {"jobId": job_id})
    assert (reply.status, reply.json) == (200, {"success": True})
    assert (await record(api, job_id))["status"] == "cancelled"
    assert await lease(api) == []


async def test_a_running_job_is_asked_and_ends_cancelled(api):
    job_id = await enqueue(api)
    [leased] = await lease(api)
    reply = await api.post(PATH, {"id": job_id})
    assert reply.json["success"] is True
    assert "heartbeat" in reply.json["note"]
    assert await settle(api, leased) == "cancelled"
    assert (await record(api, job_id))["status"] == "cancelled"


async def test_an_ended_or_unknown_job_is_not_cancelled_and_says_why(api):
    job_id = await enqueue(api)
    [leased] = await lease(api)
    await settle(api, leased)
    assert (await api.post(PATH, {"jobId": job_id})).json == {
        "success": False,
        "note": "The job is completed already.",
    }
    assert (await api.post(PATH, {"jobId": "x"})).json == {"success": False, "note": "There is no such job."}


async def test_the_id_is_required(api):
    refused(await api.post(PATH, {}), "jobId")
