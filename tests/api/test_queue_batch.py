"""The batch operations together: from create to the job that follows."""

import asyncio
from dataclasses import replace

import pytest

from tests.api.client import ApiClient
from tests.api.queue_calls import INSTANT, enqueue, lease, record, refused, settle

PATH = "/v1/queue/batch/"
NOBODYS = "0190163d-8694-739b-aea5-966c26f8ad91"


async def create(api: ApiClient, **said) -> str:
    reply = await api.post(PATH + "create", said)
    assert (reply.status, reply.json["success"]) == (200, True), reply.body
    return reply.json["batchId"]


async def do(api: ApiClient, verb: str, batch: str):
    reply = await api.post(PATH + verb, {"batchId": batch})
    assert reply.status == 200, reply.body
    return reply.json


async def get(api: ApiClient, batch: str):
    answer = await do(api, "get", batch)
    assert answer["exists"]
    return answer["batch"]


def counts(**numbers: int) -> dict[str, int]:
    return {**dict.fromkeys(("pending", "processing", "completed", "failed", "cancelled"), 0), **numbers}


async def test_a_new_batch_reads_as_it_was_made(api):
    batch = await create(api, name="import of May")
    found = await get(api, batch)
    assert INSTANT.fullmatch(found.pop("createdAt"))
    assert found == {
        "id": batch,
        "name": "import of May",
        "createdBy": "key test",
        "sealed": False,
        "counts": counts(),
        "total": 0,
    }


async def test_from_members_to_the_job_that_follows(api):
    then = {"type": "report", "data": {"n": 12345678901234567890}, "priority": 1, "tags": ["end"]}
    batch = await create(api, onComplete=then)
    members = [await enqueue(api, batch=batch) for _ in range(3)]
    assert (await record(api, members[0]))["batch"] == batch
    assert await do(api, "seal", batch) == {"success": True}
    jobs = await lease(api)
    await settle(api, jobs[0])
    found = await get(api, batch)
    assert (found["counts"], found["total"]) == (counts(processing=2, completed=1), 3)
    assert INSTANT.fullmatch(found["sealedAt"])
    assert "endedAt" not in found
    await settle(api, jobs[1])
    await settle(api, jobs[2], "failed", final=True)
    [follower] = await lease(api, types=["report"], waitSeconds=30)
    assert (follower["payload"], follower["priority"], follower["tags"]) == (then["data"], 1, ["end"])
    found = await get(api, batch)
    assert found["counts"] == counts(completed=2, failed=1)
    assert INSTANT.fullmatch(found["endedAt"])
    assert found["completionJobId"] == follower["id"]


async def test_an_empty_batch_has_ended_once_it_is_sealed(api):
    batch = await create(api, onComplete={"type": "report", "payload": None})
    await do(api, "seal", batch)
    found = await get(api, batch)
    assert found["endedAt"] >= found["sealedAt"]
    assert (await record(api, found["completionJobId"]))["type"] == "report"


async def test_a_sealed_batch_takes_no_more_jobs(api):
    batch = await create(api)
    await do(api, "seal", batch)
    reply = await api.post("/v1/queue/enqueue", {"type": "email", "payload": 1, "batch": batch})
    refused(reply, "batch")
    assert reply.json["details"]["reason"] == "batch_sealed"


async def test_cancel_takes_waiting_and_running_members_and_nobody_elses(api):
    batch = await create(api)
    other = await enqueue(api)
    running = await enqueue(api, "urgent", batch=batch)
    [job] = await lease(api, types=["urgent"])
    waiting = [await enqueue(api, batch=batch) for _ in range(2)]
    assert await do(api, "cancel", batch) == {"success": True, "count": 3}
    assert [(await record(api, id))["status"] for id in waiting] == ["cancelled"] * 2
    assert (await record(api, running))["state"] == "cancelling"
    assert (await record(api, other))["status"] == "pending"
    assert await settle(api, job) == "cancelled"
    assert (await get(api, batch))["counts"] == counts(cancelled=3)
    assert await do(api, "cancel", batch) == {"success": True, "count": 0}


async def test_cancel_goes_through_all_pages(api, monkeypatch):
    from jobs_admin import batches

    monkeypatch.setattr(batches, "MEMBERS_AT_ONCE", 3)
    batch = await create(api)
    jobs = [{"type": "email", "payload": n, "batch": batch} for n in range(10)]
    await api.post("/v1/queue/enqueueMany", {"jobs": jobs})
    await lease(api, limit=4)
    assert await do(api, "cancel", batch) == {"success": True, "count": 10}
    assert (await get(api, batch))["counts"] == counts(cancelled=6, processing=4)


async def test_retry_puts_failed_and_cancelled_members_back_and_nothing_follows_twice(api):
    batch = await create(api, onComplete={"type": "report", "payload": 1})
    ids = [await enqueue(api, batch=batch) for _ in range(3)]
    await do(api, "seal", batch)
    jobs = {job["id"]: job for job in await lease(api, limit=2)}
    await settle(api, jobs[ids[0]])
    await settle(api, jobs[ids[1]], "failed", final=True)
    await api.post("/v1/queue/cancel", {"jobId": ids[2]})
    [follower] = await lease(api, types=["report"], waitSeconds=30)
    assert await do(api, "retry", batch) == {"success": True, "count": 2}
    found = await get(api, batch)
    assert found["counts"] == counts(completed=1, pending=2)
    assert "endedAt" not in found
    assert found["completionJobId"] == follower["id"]
    for job in await lease(api, types=["email"]):
        await settle(api, job)
    async with asyncio.timeout(60):
        while "endedAt" not in (found := await get(api, batch)):
            pass
    assert (found["counts"], found["completionJobId"]) == (counts(completed=3), follower["id"])
    assert await lease(api, types=["report"]) == []


async def test_retry_says_how_many_were_refused(api):
    batch = await create(api)
    await enqueue(api, batch=batch, uniqueKey="k")
    await do(api, "cancel", batch)
    await enqueue(api, uniqueKey="k")
    assert await do(api, "retry", batch) == {"success": False, "count": 0, "refused": 1}


async def test_list_is_newest_first_in_pages(api):
    ids = [await create(api, name=f"b-{n}") for n in range(5)]
    first = await api.post(PATH + "list", {"limit": 3})
    assert [batch["id"] for batch in first.json["batches"]] == ids[:1:-1]
    assert first.json["list_complete"] is False
    second = await api.post(PATH + "list", {"limit": 3, "cursor": first.json["cursor"]})
    assert [batch["name"] for batch in second.json["batches"]] == ["b-1", "b-0"]
    assert second.json["list_complete"] is True
    assert "cursor" not in second.json


async def test_a_broken_cursor_is_refused(api):
    refused(await api.post(PATH + "list", {"cursor": "x"}), "cursor")
    refused(await api.post(PATH + "list", {"limit": 201}), "limit")


@pytest.mark.parametrize("batch", [NOBODYS, "nonsense"])
async def test_an_unknown_batch(api, batch):
    assert await do(api, "get", batch) == {"batch": None, "exists": False}
    for verb in ("seal", "cancel", "retry"):
        reply = await api.post(PATH + verb, {"batchId": batch})
        refused(reply, "batchId")
        assert reply.json["details"]["reason"] == "unknown_batch"


async def test_another_projects_batch_is_unknown(api, actor):
    from asgiref.sync import sync_to_async

    from aerodash import keys
    from aerodash.auth import Scope
    from aerodash.models import Project

    def other_key() -> str:
        project = Project.objects.create(slug="batch-stranger", name="Stranger")
        return keys.mint(project, "other", [Scope.ADMIN])[1]

    batch = await create(api)
    await enqueue(api, batch=batch)
    stranger = ApiClient(await sync_to_async(other_key)())
    assert await do(stranger, "get", batch) == {"batch": None, "exists": False}
    for verb in ("seal", "cancel", "retry"):
        refused(await stranger.post(PATH + verb, {"batchId": batch}), "batchId")
    assert (await stranger.post(PATH + "list", {})).json["batches"] == []
    assert (await get(api, batch))["counts"] == counts(pending=1)


async def test_ids_are_taken_in_capitals_and_under_other_names(api):
    batch = await create(api)
    for body in ({"batch": batch.upper()}, {"id": batch}, {"batch_id": batch}):
        assert (await api.post(PATH + "get", body)).json["exists"]
    assert await do(api, "seal", batch.upper()) == {"success": True}


@pytest.mark.parametrize(
    ("then", "field"),
    [
        ({"type": "a b", "payload": 1}, "onComplete.type"),
        ({"type": "t"}, "onComplete.payload"),
        ({"type": "t", "payload": 1, "batch": NOBODYS}, "onComplete.batch"),
        ({"type": "t", "payload": "x" * (1024 * 1024)}, "onComplete.payload"),
        ({"type": "t", "payload": 1, "uniqueKey": {"key": ""}}, "onComplete.uniqueKey"),
    ],
)
async def test_what_follows_is_checked_when_the_batch_is_made(api, then, field):
    reply = await api.post(PATH + "create", {"onComplete": then})
    assert reply.status == 400
    assert reply.json["details"]["field"].startswith(field)


async def test_a_long_name_is_refused(api):
    refused(await api.post(PATH + "create", {"name": "x" * 129}), "name")
    refused(await api.post(PATH + "create", {"name": "a\0b"}), "name")


@pytest.mark.parametrize(
    ("verb", "scope"),
    [
        ("create", "queue:enqueue"),
        ("seal", "queue:enqueue"),
        ("get", "queue:read"),
        ("list", "queue:read"),
        ("cancel", "queue:manage"),
        ("retry", "queue:manage"),
    ],
)
async def test_each_operation_needs_its_own_right(api, project, verb, scope):
    from asgiref.sync import sync_to_async

    from aerodash import keys
    from aerodash.auth import Scope

    batch = await create(api)
    mint = sync_to_async(lambda scopes: keys.mint(project, "one", scopes)[1])
    others = ApiClient(await mint([each for each in Scope if each not in (scope, Scope.ADMIN)]))
    reply = await others.post(PATH + verb, {"batchId": batch} if verb not in ("create", "list") else {})
    assert (reply.status, reply.json["code"]) == (403, "FORBIDDEN")
    own = ApiClient(await mint([Scope(scope)]))
    reply = await own.post(PATH + verb, {"batchId": batch} if verb not in ("create", "list") else {})
    assert reply.status == 200, reply.body


async def test_the_keeper_ends_what_a_process_died_over(api, project_id, monkeypatch):
    """As if it had died right after the commit of the seal, three times; one batch is still at work."""
    from aerodash import engines
    from jobs_admin import batches, keeper
    from jobs_admin.engine.batches import BatchRef

    monkeypatch.setattr(batches, "BATCHES_AT_ONCE", 2)
    over = [await create(api, onComplete={"type": "report", "payload": n}) for n in range(3)]
    at_work = await create(api)
    await enqueue(api, batch=at_work)
    await do(api, "seal", at_work)
    for batch in over:
        sealing = engines.get("jobs").call("seal_batch", BatchRef(project_id, batch))
        await asyncio.wrap_future(engines.submit(sealing))
    assert "endedAt" not in await get(api, over[0])
    [task] = [task for name, _, task in keeper.TASKS if name == "jobs.finish_batches"]
    assert await task() == 3
    ended = [await get(api, batch) for batch in over]
    assert all("endedAt" in batch for batch in ended)
    followers = await lease(api, types=["report"])
    assert {job["id"] for job in followers} == {batch["completionJobId"] for batch in ended}
    assert "endedAt" not in await get(api, at_work)
    assert await task() == 0


async def test_live_pages_hear_of_each_change(project_id, actor, monkeypatch):
    from jobs_admin import batches, services

    heard: list[tuple[str, tuple[str, ...]]] = []

    def publish(project, topic, ids=()):
        assert project == project_id
        heard.append((topic, tuple(ids)))

    monkeypatch.setattr(batches, "publish", publish)
    monkeypatch.setattr(services, "publish", lambda *_: None)
    batch = await batches.create(project_id, actor, on_complete=services.new_job("report", b"1"))
    assert heard == [("jobs", ())]
    job = services.new_job("email", b"1")
    added = await services.enqueue(project_id, actor, job=replace(job, batch=batch))
    await batches.cancel(project_id, actor, batch=batch)
    assert heard[1:] == [("jobs", (added.job_id,))]
    await batches.seal(project_id, actor, batch=batch)
    [(_, (follower,)), whole] = heard[2:]
    assert whole == ("jobs", ())
    assert follower != added.job_id
