import time

from asgiref.sync import sync_to_async

from tests.api.queue_calls import WORKER, enqueue, lease, refused

PATH = "/v1/queue/heartbeat"


async def test_heartbeat_answers_each_lease_in_order(api):
    ids = [await enqueue(api) for _ in range(3)]
    jobs = {job["id"]: job for job in await lease(api, leaseSeconds=30)}
    await api.post("/v1/queue/cancel", {"jobId": ids[1]})
    leases = [{"jobId": job_id, "leaseToken": jobs[job_id]["leaseToken"]} for job_id in ids]
    leases[2]["leaseToken"] = "gone"
    reply = await api.post(PATH, {"worker": WORKER, "leases": leases, "leaseSeconds": 60})
    assert reply.status == 200
    assert reply.json == {
        "leases": [
            {"jobId": ids[0], "outcome": "extended"},
            {"jobId": ids[1], "outcome": "cancel_requested"},
            {"jobId": ids[2], "outcome": "lease_lost"},
        ]
    }


async def test_an_idle_worker_may_say_that_it_lives(api):
    reply = await api.post(PATH, {"worker": WORKER, "leases": []})
    assert (reply.status, reply.json) == (200, {"leases": []})


async def test_bad_input_is_refused(api):
    refused(await api.post(PATH, {"worker": WORKER}), "leases")
    refused(await api.post(PATH, {"worker": WORKER, "leases": [{"jobId": "x"}]}), "leases[0].leaseToken")
    lease = {"jobId": "x", "leaseToken": "y"}
    refused(await api.post(PATH, {"worker": WORKER, "leases": [lease] * 1001}), "leases")


async def test_an_id_that_cannot_be_ours_has_lost_its_lease_and_the_others_are_extended(api):
    await enqueue(api)
    [job] = await lease(api)
    leases = [{"jobId": "nonsense", "leaseToken": "t"}, {"jobId": job["id"], "leaseToken": job["leaseToken"]}]
    reply = await api.post(PATH, {"worker": WORKER, "leases": leases})
    assert [beat["outcome"] for beat in reply.json["leases"]] == ["lease_lost", "extended"]


async def test_without_a_length_a_lease_is_extended_by_its_types_and_never_taken_back(api):
    for type, said, length_s, own_s in (
        ("long", {"leaseSeconds": 600}, 600, 60),
        ("plain", {}, 30, 20),
        ("kept", {}, 900, 900),
    ):
        await api.post("/v1/queue/configure", {"type": type, "settings": said})
        job_id = await enqueue(api, type)
        [job] = await lease(api, types=[type], leaseSeconds=own_s)
        leases = [{"jobId": job_id, "leaseToken": job["leaseToken"]}]
        began = time.time()
        assert (await api.post(PATH, {"worker": WORKER, "leases": leases})).status == 200
        ends = await sync_to_async(_lease_ends_at)(job_id)
        assert began + length_s - 1 <= ends <= time.time() + length_s + 1


def _lease_ends_at(job_id: str) -> float:
    from jobs_admin.models import Job

    return Job.objects.get(pk=job_id).lease_expires_at_ms / 1000
