from asgiref.sync import sync_to_async

from aerodash import keys
from aerodash.auth import Scope
from aerodash.models import Project
from tests.api.client import ApiClient
from tests.api.queue_calls import INSTANT, enqueue, lease, record, settle

PATH = "/v1/queue/job"


async def test_an_unknown_job_is_null_and_no_404(api):
    for job_id in ("01900000-0000-7000-8000-000000000000", "nonsense", "\u0000"):
        reply = await api.post(PATH, {"jobId": job_id})
        assert (reply.status, reply.json) == (200, {"job": None, "exists": False})


async def test_a_pending_jobs_record_omits_what_is_not_there_yet(api, project):
    job = await record(api, await enqueue(api, payload=[1]))
    assert set(job) == {
        *("id", "type", "status", "state", "payload", "data", "attempts", "maxRetries", "priority", "run"),
        *("projectId", "createdAt", "scheduledAt"),
    }
    assert (job["status"], job["attempts"], job["maxRetries"]) == ("pending", 0, 3)
    assert job["projectId"] == str(project.pk)
    assert INSTANT.fullmatch(job["createdAt"])
    assert INSTANT.fullmatch(job["scheduledAt"])


async def test_a_completed_jobs_record_has_its_result(api):
    job_id = await enqueue(api)
    [leased] = await lease(api)
    await settle(api, leased, result={"sum": 3})
    job = await record(api, job_id)
    assert (job["status"], job["state"], job["result"], job["attempts"]) == (
        "completed",
        "completed",
        {"sum": 3},
        1,
    )
    assert INSTANT.fullmatch(job["startedAt"])
    assert INSTANT.fullmatch(job["completedAt"])


async def test_a_null_result_is_omitted(api):
    job_id = await enqueue(api)
    [leased] = await lease(api)
    await settle(api, leased, result=None)
    assert "result" not in await record(api, job_id)


async def test_a_failed_jobs_record_says_why(api):
    job_id = await enqueue(api, maxRetries=0)
    [leased] = await lease(api)
    await settle(
        api, leased, "failed", error={"type": "ValueError", "message": "no user", "traceback": "line 1"}
    )
    job = await record(api, job_id)
    assert (job["status"], job["error"]) == ("failed", "no user")
    assert job["errorDetails"] == {"type": "ValueError", "message": "no user", "traceback": "line 1"}


async def test_the_finer_words(api):
    scheduled = await enqueue(api, "later", delay=60)
    retrying = await enqueue(api, "again", retryDelay=60)
    [leased] = await lease(api, types=["again"])
    await settle(api, leased, "failed")
    cancelling = await enqueue(api, "stop")
    await lease(api, types=["stop"])
    await api.post("/v1/queue/cancel", {"jobId": cancelling})
    words = {job_id: (await record(api, job_id)) for job_id in (scheduled, retrying, cancelling)}
    assert [(job["status"], job["state"]) for job in words.values()] == [
        ("pending", "scheduled"),
        ("pending", "retrying"),
        ("processing", "cancelling"),
    ]


async def test_the_ids_aliases(api):
    job_id = await enqueue(api)
    for name in ("jobId", "job_id", "id"):
        assert (await api.post(PATH, {name: job_id})).json["exists"] is True


async def test_another_projects_job_is_not_there(api):
    other = await sync_to_async(Project.objects.create)(slug="other-queue", name="Other")
    _, text = await sync_to_async(keys.mint)(other, "test", [Scope.ADMIN])
    job_id = await enqueue(ApiClient(text))
    assert (await api.post(PATH, {"jobId": job_id})).json == {"job": None, "exists": False}
