import pytest
from asgiref.sync import sync_to_async

from jobs_admin.api import jobs as jobs_api
from tests.api.queue_calls import enqueue, lease, new_batch, record, refused, settle

PATH = "/v1/queue/jobs"


async def test_jobs_come_newest_first_and_pages_join_without_a_gap(api):
    ids = [await enqueue(api, ("a", "b")[n % 2]) for n in range(7)]
    leased = await lease(api, limit=3)
    await settle(api, leased[0])
    await settle(api, leased[1], "failed", final=True)

    found, cursor = [], None
    while True:
        reply = await api.post(PATH, {"limit": 3, "cursor": cursor})
        found += [job["id"] for job in reply.json["jobs"]]
        if reply.json["list_complete"]:
            assert "cursor" not in reply.json
            break
        cursor = reply.json["cursor"]
        assert isinstance(cursor, str)

    assert found == ids[::-1]


async def test_a_page_that_ends_with_the_last_job_is_complete(api):
    for _ in range(2):
        await enqueue(api)
    assert (await api.post(PATH, {"limit": 2})).json["list_complete"] is True


async def test_filters_by_status_and_type(api):
    done = await enqueue(api, "a")
    [leased] = await lease(api)
    await settle(api, leased)
    waiting = {type: await enqueue(api, type) for type in ("a", "b")}

    async def ids(**body):
        return [job["id"] for job in (await api.post(PATH, body)).json["jobs"]]

    assert await ids(status="completed") == [done]
    assert await ids(status="pending") == await ids(status="queued") == [waiting["b"], waiting["a"]]
    assert await ids(type="a") == [waiting["a"], done]
    assert await ids(type="a", status="pending") == [waiting["a"]]
    assert await ids(type="nobody") == []


async def test_a_page_ends_early_before_it_holds_too_much_payload(api, monkeypatch):
    ids = [await enqueue(api, payload="x" * size) for size in (998, 998, 998, 4_000)]
    monkeypatch.setattr(jobs_api, "PAGE_BYTES", 2_000)
    pages, cursor = [], None
    while True:
        reply = (await api.post(PATH, {"cursor": cursor})).json
        pages.append([job["id"] for job in reply["jobs"]])
        if reply["list_complete"]:
            break
        cursor = reply["cursor"]
    assert pages == [[ids[3]], [ids[2], ids[1]], [ids[0]]]


async def test_results_and_tracebacks_fill_a_page_as_payloads_do(api, monkeypatch):
    for _ in range(3):
        await enqueue(api, maxRetries=0)
    done, failed, waiting = await lease(api)
    await settle(api, done, result="x" * 1_998)
    await settle(api, failed, "failed", error={"type": "E", "traceback": "x" * 1_990})
    monkeypatch.setattr(jobs_api, "PAGE_BYTES", 2_000)
    pages, cursor = [], None
    while cursor is not None or not pages:
        reply = (await api.post(PATH, {"cursor": cursor})).json
        pages.append([job["id"] for job in reply["jobs"]])
        cursor = reply.get("cursor")
    assert pages == [[waiting["id"], failed["id"]], [done["id"]]]


async def test_filters_by_tag_and_batch(api, project, other_api):
    batch = await sync_to_async(new_batch)(project)
    both = await enqueue(api, tags=["a", "ä"], batch=batch.upper())
    tagged = await enqueue(api, "other", tags=["a"], delaySeconds=60)
    member = await enqueue(api, batch=batch)
    await enqueue(api, tags=["b"])
    await enqueue(other_api, tags=["a"])
    assert (await record(api, both))["batch"] == batch

    async def ids(caller=api, **body):
        return [job["id"] for job in (await caller.post(PATH, body)).json["jobs"]]

    assert await ids(tag="a") == [tagged, both]
    assert await ids(tag="ä") == [both]
    assert await ids(tag="a", type="other") == await ids(tag="a", status="scheduled") == [tagged]
    assert await ids(tag="a", status="completed") == []
    assert await ids(batch=batch) == [member, both]
    assert await ids(batch=batch, status="pending", type="email") == [member, both]
    assert await ids(batch=batch, status="failed") == []
    assert await ids(batch=batch, tag="a") == [both]
    assert await ids(other_api, batch=batch) == await ids(other_api, tag="a", batch=batch) == []
    assert await ids(batch="0198f2a0-0000-7000-8000-000000000000") == await ids(batch="nonsense") == []
    leased = await lease(api, limit=1)
    assert leased[0]["batch"] == batch


@pytest.mark.parametrize("word", ["scheduled", "retrying", "cancelling"])
async def test_filters_by_the_finer_words(api, word):
    expected = {
        "scheduled": await enqueue(api, "later", delay=60),
        "retrying": await enqueue(api, "again", retryDelay=60),
        "cancelling": await enqueue(api, "stop"),
    }
    jobs = {job["type"]: job for job in await lease(api)}
    await settle(api, jobs["again"], "failed")
    await api.post("/v1/queue/cancel", {"jobId": expected["cancelling"]})
    reply = await api.post(PATH, {"status": word})
    assert [(job["id"], job["state"]) for job in reply.json["jobs"]] == [(expected[word], word)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"status": "waiting"}, "status"),
        ({"limit": 0}, "limit"),
        ({"limit": 201}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"type": "a b"}, "type"),
        ({"tag": ""}, "tag"),
        ({"tag": "x" * 65}, "tag"),
        ({"tag": "a\0"}, "tag"),
        ({"tag": ["a"]}, "tag"),
        ({"batch": 5}, "batch"),
    ],
)
async def test_bad_input_is_refused(api, body, field):
    refused(await api.post(PATH, body), field)
