import asyncio

import pytest

from tests.api.queue_calls import INSTANT, enqueue, lease, record, refused, report, settle

PATH = "/v1/queue/progress"


async def logged(api, job_id: str, **after: str) -> dict:
    reply = await api.post("/v1/queue/logs", {"jobId": job_id, **after})
    assert reply.status == 200, reply.body
    return reply.json


async def test_what_was_said_last_is_on_the_record(api):
    job_id = await enqueue(api)
    [job] = await lease(api)
    assert "progress" not in await record(api, job_id)
    assert await report(api, job, percent=12.5) == "accepted"
    assert await report(api, job, message="half way") == "accepted"
    progress = (await record(api, job_id))["progress"]
    assert INSTANT.fullmatch(progress.pop("at"))
    assert progress == {"percent": 12.5, "message": "half way"}
    assert await report(api, job, percent=100, message=None) == "accepted"
    await settle(api, job)
    assert (await record(api, job_id))["progress"]["percent"] == 100


async def test_reports_are_answered_in_their_order(api):
    ids = [await enqueue(api) for _ in range(3)]
    jobs = {job["id"]: job for job in await lease(api)}
    await api.post("/v1/queue/cancel", {"jobId": ids[1]})
    reports = [
        {"jobId": "nonsense", "leaseToken": "x"},
        {"jobId": ids[0], "leaseToken": jobs[ids[0]]["leaseToken"], "percent": 1},
        {"job_id": ids[1].upper(), "leaseToken": jobs[ids[1]]["leaseToken"], "percent": 2},
        {"id": ids[2], "leaseToken": "stale", "percent": 3},
    ]
    reply = await api.post(PATH, {"reports": reports})
    assert (reply.status, reply.json) == (
        200,
        {
            "results": [
                {"jobId": "nonsense", "outcome": "lease_lost"},
                {"jobId": ids[0], "outcome": "accepted"},
                {"jobId": ids[1].upper(), "outcome": "cancel_requested"},
                {"jobId": ids[2], "outcome": "lease_lost"},
            ]
        },
    )
    assert [(await record(api, id)).get("progress", {}).get("percent") for id in ids] == [1, 2, None]


async def test_log_lines_are_kept_in_their_order_with_their_run(api):
    job_id = await enqueue(api, retryDelay=0)
    for run in (1, 2):
        [job] = await lease(api, waitSeconds=5)
        lines = [
            {"message": f"begin {run}", "at": "2026-07-05T10:00:00.5+02:00"},
            {"message": "a\0b", "level": "error"},
        ]
        assert await report(api, job, logs=lines) == "accepted"
        await settle(api, job, "failed")
    page = await logged(api, job_id)
    assert [(line["run"], line["level"], line["message"]) for line in page["lines"]] == [
        (1, "info", "begin 1"), (1, "error", "a␀b"), (2, "info", "begin 2"), (2, "error", "a␀b")
    ]  # fmt: skip
    assert page["lines"][0]["at"] == "2026-07-05T08:00:00.500Z"
    assert INSTANT.fullmatch(page["lines"][1]["at"])
    assert "dropped" not in page
    assert "progress" not in await record(api, job_id)


async def test_a_reader_follows_the_log_with_its_cursor(api):
    job_id = await enqueue(api)
    [job] = await lease(api)
    assert await logged(api, job_id) == {"lines": []}
    await report(api, job, logs=[{"message": "one"}])
    first = await logged(api, job_id)
    assert await logged(api, job_id, after=first["cursor"]) == {"lines": [], "cursor": first["cursor"]}
    await report(api, job, logs=[{"message": "two"}])
    after = await logged(api, job_id, after=first["cursor"])
    assert [line["message"] for line in after["lines"]] == ["two"]


async def test_of_a_log_the_first_thousand_lines_are_kept_and_the_others_counted(api):
    job_id = await enqueue(api)
    [job] = await lease(api)
    for part in range(10):
        await report(api, job, logs=[{"message": f"{part}.{n}"} for n in range(100)])
    assert await report(api, job, logs=[{"message": "late"}] * 3) == "accepted"
    page = await logged(api, job_id)
    assert (len(page["lines"]), page["dropped"]) == (1000, 3)
    assert (page["lines"][0]["message"], page["lines"][-1]["message"]) == ("0.0", "9.99")


async def test_what_is_too_long_is_cut_and_says_so(api):
    job_id = await enqueue(api)
    [job] = await lease(api)
    await report(api, job, message="é" * 1000, logs=[{"message": "ü" * 5000}])
    message = (await record(api, job_id))["progress"]["message"]
    [line] = (await logged(api, job_id))["lines"]
    assert message.endswith("(cut: it had 2000 bytes)")
    assert len(message.encode()) <= 1024
    assert line["message"].endswith("(cut: it had 10000 bytes)")
    assert len(line["message"].encode()) <= 4096


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"percent": -1}, "reports[0].percent"),
        ({"percent": 100.1}, "reports[0].percent"),
        ({"percent": "5"}, "reports[0].percent"),
        ({"percent": True}, "reports[0].percent"),
        ({"message": 5}, "reports[0].message"),
        ({"leaseToken": None}, "reports[0].leaseToken"),
        ({"leaseToken": ""}, "reports[0].leaseToken"),
        ({"leaseToken": "\0"}, "reports[0].leaseToken"),
        ({"jobId": None}, "reports[0].jobId"),
        ({"logs": [{}]}, "reports[0].logs[0].message"),
        ({"logs": [{"message": "m", "level": "fatal"}]}, "reports[0].logs[0].level"),
        ({"logs": [{"message": "m", "at": "2026-07-05T10:00:00"}]}, "reports[0].logs[0].at"),
        ({"logs": [{"message": "m", "at": "1960-07-05T10:00:00Z"}]}, "reports[0].logs[0].at"),
        ({"logs": [{"message": "m", "at": "9999-12-31T23:59:59-01:00"}]}, "reports[0].logs[0].at"),
        ({"logs": [{"message": "m"}] * 101}, "reports[0].logs"),
    ],
)
async def test_bad_input_is_refused_and_names_the_field(api, bad, field):
    sent = {"jobId": "0198f2a0-0000-7000-8000-000000000000", "leaseToken": "t", **bad}
    refused(await api.post(PATH, {"reports": [sent]}), field)


async def test_numbers_of_reports_are_bounded(api):
    refused(await api.post(PATH, {}), "reports")
    sent = {"jobId": "x", "leaseToken": "t"}
    assert (await api.post(PATH, {"reports": [sent] * 1000})).status == 200
    refused(await api.post(PATH, {"reports": [sent] * 1001}), "reports")


async def test_logs_of_what_is_not_there_are_empty_and_bad_cursors_refused(api):
    assert await logged(api, "nonsense") == {"lines": []}
    assert await logged(api, "0198f2a0-0000-7000-8000-000000000000") == {"lines": []}
    for after in ("x", "-1", "1.5", "9" * 19, "²"):
        refused(await api.post("/v1/queue/logs", {"jobId": "x", "after": after}), "after")
    refused(await api.post("/v1/queue/logs", {"jobId": "x", "after": 5}), "after")
    refused(await api.post("/v1/queue/logs", {}), "jobId")


async def test_logs_of_another_project_are_not_there(api, other_api):
    job_id = await enqueue(api)
    [job] = await lease(api)
    await report(api, job, logs=[{"message": "mine"}], percent=5)
    assert await logged(other_api, job_id) == {"lines": []}
    stolen = {"jobId": job_id, "leaseToken": job["leaseToken"], "percent": 50}
    reply = await other_api.post(PATH, {"reports": [stolen]})
    assert reply.json["results"][0]["outcome"] == "lease_lost"
    assert (await record(api, job_id))["progress"]["percent"] == 5


async def test_reports_at_the_same_time_are_all_heard(api):
    for _ in range(20):
        await enqueue(api)
    jobs = await lease(api, limit=20)
    heard = await asyncio.gather(
        *(report(api, job, percent=n, logs=[{"message": str(n)}]) for n, job in enumerate(jobs))
    )
    assert heard == ["accepted"] * 20
    for n, job in enumerate(jobs):
        assert [line["message"] for line in (await logged(api, job["id"]))["lines"]] == [str(n)]


async def test_the_lines_of_a_call_are_bounded_together(api):
    one = {"jobId": "x", "leaseToken": "t", "logs": [{"message": "m"}] * 100}
    assert (await api.post("/v1/queue/progress", {"reports": [one] * 100})).status == 200
    refused(await api.post("/v1/queue/progress", {"reports": [one] * 101}), "reports")
