"""The queue's newer calls: what goes out, and how replies are read."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from aerodash_sdk import Client, NewJob, RetryDelay, UniqueKey
from aerodash_sdk.client.queue import Queue
from aerodash_sdk.core import batches, queue, schedules, work
from aerodash_sdk.core.batches import BatchProgress
from aerodash_sdk.core.errors import BadReply, InvalidInput, NotSent, Unavailable
from aerodash_sdk.core.ids import new_key
from aerodash_sdk.core.records import Job, JobRef, LogLine, Progress, Retried
from aerodash_sdk.core.request import Repeat, Request, read
from aerodash_sdk.core.schedules import Schedule
from aerodash_sdk.core.work import NewLine, Report

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def body(call: Request) -> dict:
    return json.loads(call.body)


def answer(call: Request, reply: object) -> object:
    return read(call, 200, {}, json.dumps(reply).encode())


def test_enqueue_carries_every_option() -> None:
    job = NewJob(
        "t",
        {"a": 1},
        max_retries=2,
        run_at=NOON.astimezone(timezone(timedelta(hours=2))),
        priority=0,
        retry_delay=RetryDelay("list", delays=(1, 5, 30)),
        unique_key=UniqueKey("k", during=60, on_conflict="replace"),
        idempotency_key="once",
        timeout_seconds=1.5,
        deadline=NOON,
        tags=("a", "b"),
        batch="b1",
        partition_key="eu",
        traceparent="00-1-2-01",
    )
    assert body(queue.enqueue(job)) == {
        "type": "t",
        "payload": {"a": 1},
        "maxRetries": 2,
        "runAt": "2026-03-01T12:00:00.000Z",
        "priority": 0,
        "retryDelay": {"kind": "list", "delays": [1, 5, 30]},
        "uniqueKey": {"key": "k", "while": 60, "onConflict": "replace"},
        "idempotencyKey": "once",
        "timeoutSeconds": 1.5,
        "deadline": "2026-03-01T12:00:00.000Z",
        "tags": ["a", "b"],
        "batch": "b1",
        "partitionKey": "eu",
        "traceparent": "00-1-2-01",
    }
    assert body(queue.enqueue(NewJob("t", retry_delay=5, unique_key="k"))) == {
        "type": "t",
        "payload": None,
        "retryDelay": 5,
        "uniqueKey": "k",
    }


def test_time_without_a_zone_is_refused() -> None:
    with pytest.raises(InvalidInput) as refusal:
        queue.enqueue(NewJob("t", run_at=datetime(2026, 3, 1)))
    assert refusal.value.reason == "naive_datetime"


def test_keys_are_unique_and_in_order_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [new_key() for _ in range(1000)]
    assert len(set(keys)) == 1000
    assert {len(key) for key in keys} == {32}
    monkeypatch.setattr("time.time_ns", lambda: 2**61)
    assert max(keys) < new_key()


class Recording(Client):
    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9", "k")
        self.sent: list[dict] = []

    def call(self, request):
        self.sent.append({"path": request.path, "repeat": request.repeat, **body(request)})
        replies = {
            "/queue/enqueue": {"jobId": "j"},
            "/queue/enqueueMany": {"jobIds": ["j"]},
            "/queue/batch/create": {"batchId": "b1", "success": True},
            "/queue/batch/seal": {"success": True},
            "/queue/retry": {"success": True, "count": 1},
        }
        return request.parse(replies[request.path])


@pytest.fixture
def client() -> Recording:
    client = Recording()
    client.queue._call = client.call
    return client


def test_send_makes_a_key_of_its_own_unless_told_not_to(client: Recording) -> None:
    client.queue.send("t")
    client.queue.send("t")
    client.queue.send("t", idempotency_key="mine")
    client.queue.send("t", retry_safe=False)
    client.queue.send_many([NewJob("t")])
    client.queue.send_many([NewJob("t")], retry_safe=False)
    first, second, mine, none, many, many_none = client.sent
    assert first["idempotencyKey"] != second["idempotencyKey"]
    assert mine["idempotencyKey"] == "mine"
    assert "idempotencyKey" in many["jobs"][0]
    assert [sent["repeat"] for sent in (first, mine, many)] == [Repeat.ALWAYS] * 3
    assert "idempotencyKey" not in none
    assert "idempotencyKey" not in many_none["jobs"][0]
    assert none["repeat"] is many_none["repeat"] is Repeat.IF_REFUSED


def test_batch_is_sealed_at_the_end_of_its_block(client: Recording) -> None:
    with client.queue.batch("import", on_complete=NewJob("report", {"to": "x"})) as batch:
        batch.send("import-row", {"row": 1}, priority=9)
    created, sent, sealed = client.sent
    assert created["name"] == "import"
    assert created["onComplete"] == {"type": "report", "payload": {"to": "x"}}
    assert (sent["jobs"][0]["batch"], sent["jobs"][0]["priority"]) == ("b1", 9)
    assert (sealed["path"], sealed["batchId"]) == ("/queue/batch/seal", "b1")


def test_batch_stays_open_after_an_exception(client: Recording) -> None:
    with pytest.raises(ZeroDivisionError), client.queue.batch("import"):
        raise ZeroDivisionError
    assert [sent["path"] for sent in client.sent] == ["/queue/batch/create"]


def test_retry_takes_ids_or_a_filter_and_not_both(client: Recording) -> None:
    client.queue.retry(["j"], payload={"a": 1})
    client.queue.retry(type="t", status="failed", tag="eu")
    by_id, by_filter = client.sent
    assert (by_id["jobIds"], by_id["payload"]) == (["j"], {"a": 1})
    assert by_filter["filter"] == {"status": "failed", "type": "t", "tag": "eu"}
    assert "jobIds" not in by_filter
    for wrong in ({}, {"job_ids": ["j"], "type": "t"}):
        with pytest.raises(ValueError, match="either the ids"):
            client.queue.retry(**wrong)


def test_schedule_is_by_cron_or_by_period(client: Recording) -> None:
    for wrong in ({}, {"cron": "* * * * *", "every_seconds": 5}):
        with pytest.raises(ValueError, match="either cron or every_seconds"):
            client.queue.schedule("nightly", "t", **wrong)


@pytest.mark.parametrize(
    ("call", "path", "sent"),
    [
        (queue.logs("j", after="c"), "/queue/logs", {"jobId": "j", "after": "c"}),
        (queue.pause("t", reason="why"), "/queue/pause", {"type": "t", "reason": "why"}),
        (queue.resume("t"), "/queue/resume", {"type": "t"}),
        (queue.types_page(cursor=None), "/queue/types", {"limit": 1000}),
        (queue.types_page(cursor="c"), "/queue/types", {"limit": 1000, "cursor": "c"}),
        (
            queue.configure("t", {"concurrency": 2}),
            "/queue/configure",
            {"type": "t", "settings": {"concurrency": 2}},
        ),
        (batches.get("b"), "/queue/batch/get", {"batchId": "b"}),
        (batches.cancel("b"), "/queue/batch/cancel", {"batchId": "b"}),
        (batches.retry("b"), "/queue/batch/retry", {"batchId": "b"}),
        (
            schedules.set(
                "nightly",
                NewJob("t", {"a": 1}, priority=1),
                cron="0 3 * * *",
                every_seconds=None,
                timezone="Europe/Madrid",
                missed="skip",
                paused=None,
            ),
            "/queue/schedule/set",
            {
                "name": "nightly",
                "type": "t",
                "payload": {"a": 1},
                "priority": 1,
                "cron": "0 3 * * *",
                "timezone": "Europe/Madrid",
                "missed": "skip",
            },
        ),
        (schedules.list_page(cursor="c"), "/queue/schedule/list", {"cursor": "c"}),
        (batches.list_page(limit=5, cursor=None), "/queue/batch/list", {"limit": 5}),
        (schedules.delete("nightly"), "/queue/schedule/delete", {"name": "nightly"}),
        (schedules.run("nightly"), "/queue/schedule/run", {"name": "nightly"}),
        (
            work.progress([Report("j", "tok", 50.0, "half", [NewLine("info", "m", "2026-03-01T12:00:00Z")])]),
            "/queue/progress",
            {
                "reports": [
                    {
                        "jobId": "j",
                        "leaseToken": "tok",
                        "percent": 50,
                        "message": "half",
                        "logs": [{"level": "info", "message": "m", "at": "2026-03-01T12:00:00Z"}],
                    }
                ]
            },
        ),
        (
            work.worker_lost("w", reason="killed", traceback=None, begun=[]),
            "/queue/worker-lost",
            {"worker": {"id": "w"}, "reason": "killed", "begun": []},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_call_has_the_path_and_body_of_the_contract(call: Request, path: str, sent: dict) -> None:
    assert call.path == path
    assert body(call) == sent


def test_duplicates_are_said() -> None:
    reply = {"jobId": "j", "success": True, "status": "pending", "duplicate": True}
    assert answer(queue.enqueue(NewJob("t")), reply) == JobRef("j", duplicate=True)
    many = answer(queue.enqueue_many([]), {"success": True, "jobIds": ["a", "b"], "duplicates": [1]})
    assert many == [JobRef("a"), JobRef("b", duplicate=True)]


def test_replies_become_records() -> None:
    refused = {"success": True, "count": 1, "refused": [{"jobId": "j", "reason": "unique_taken"}]}
    assert answer(queue.retry(["a", "j"]), refused) == Retried(1, {"j": "unique_taken"})
    assert answer(queue.retry(["a", "j"]), refused | {"moreRefused": 7}).more_refused == 7
    logs = answer(
        queue.logs("j", after=None),
        {
            "lines": [{"run": 2, "at": "2026-03-01T12:00:00Z", "level": "info", "message": "m"}],
            "dropped": 3,
            "cursor": "c",
        },
    )
    assert (logs.lines, logs.dropped, logs.cursor) == ([LogLine(2, NOON, "info", "m")], 3, "c")
    batch = answer(
        batches.get("b"),
        {
            "batch": {"id": "b", "counts": {"completed": 1}, "total": 1, "sealed": True},
            "exists": True,
        },
    )
    assert batch == BatchProgress("b", None, {"completed": 1}, 1, True, None, None)
    assert not batch.ended
    assert answer(batches.get("b"), {"batch": None, "exists": False}) is None
    types = answer(
        queue.types_page(cursor=None),
        {
            "list_complete": False,
            "cursor": "t",
            "types": [
                {
                    "type": "t",
                    "counts": {"pending": 2},
                    "paused": {"at": "2026-03-01T12:00:00Z", "by": "ines", "reason": "why"},
                    "settings": {"concurrency": 1},
                }
            ],
        },
    )
    [paused] = types.items
    assert types.cursor == "t"
    assert (paused.counts["pending"], paused.paused.by, paused.settings) == (2, "ines", {"concurrency": 1})
    page = answer(
        schedules.list_page(cursor=None),
        {
            "schedules": [
                {"name": "n", "type": "t", "payload": 1, "everySeconds": 60, "nextAt": "2026-03-01T12:00:00Z"}
            ],
            "list_complete": True,
        },
    )
    assert page.cursor is None
    [schedule] = page.items
    assert schedule == Schedule("n", "t", 1, None, 60, "UTC", "one", False, NOON)


def test_job_record_has_its_options_and_progress() -> None:
    record = {
        "id": "j",
        "type": "t",
        "status": "processing",
        "payload": 1,
        "attempts": 1,
        "maxRetries": 3,
        "createdAt": "2026-03-01T12:00:00Z",
        "run": 4,
        "priority": 0,
        "tags": ["a"],
        "batch": "b",
        "partitionKey": "eu",
        "uniqueKey": "k",
        "timeoutSeconds": 5,
        "deadline": "2026-03-01T12:00:00Z",
        "traceparent": "00",
        "progress": {"percent": 40, "message": "m", "at": "2026-03-01T12:00:00Z"},
    }
    job = Job.read(record)
    assert (job.run, job.priority, job.tags, job.batch) == (4, 0, ("a",), "b")
    assert (job.partition_key, job.unique_key, job.timeout_seconds, job.deadline) == ("eu", "k", 5, NOON)
    assert job.progress == Progress(40, "m", NOON)


def test_leased_payload_is_decoded_as_it_was_sent() -> None:
    from aerodash_sdk.core.records import WorkerIdentity
    from aerodash_sdk.worker.job import Job as WorkerJob

    call = work.lease(WorkerIdentity("w", "h", 1, "0"), types=["t"], limit=1, lease_s=None, wait_s=0)
    assert "leaseSeconds" not in body(call)
    record = (
        b'{"jobs":[{"id":"j","type":"t","payload":{"n":123456789012345678901234567890,"f":1.50},"attempts":1,'
        b'"maxRetries":3,"leaseToken":"x","startedAt":"2026-03-01T12:00:00.000Z",'
        b'"leaseExpiresAt":"2026-03-01T12:00:45.000Z","state":"processing"}]}'
    )
    [leased] = read(call, 200, {}, record)
    assert WorkerJob.of(leased, None).payload == {"n": 123456789012345678901234567890, "f": 1.5}
    assert leased.lease_s(30.0) == 45.0


@pytest.mark.parametrize("reply", [{}, {"jobs": [{"id": "j"}]}, {"jobs": [{"id": 7, "type": "t"}]}])
def test_lease_that_lacks_what_it_should_hold_is_a_bad_reply(reply: dict) -> None:
    from aerodash_sdk.core.records import WorkerIdentity

    call = work.lease(WorkerIdentity("w", "h", 1, "0"), types=["t"], limit=1, lease_s=30, wait_s=0)
    with pytest.raises(BadReply):
        answer(call, reply)
    with pytest.raises(BadReply, match="answers to"):
        answer(work.settle([]), {"results": [{"jobId": "j", "outcome": "accepted"}]})


def test_wait_outlasts_a_server_that_is_away() -> None:
    ended = Job("j", "t", "completed", "completed", None, 1, 3, NOON)
    replies = [NotSent("refused"), Unavailable("starting"), ended]

    def call(_: Request) -> Job:
        reply = replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    assert Queue(call).wait("j", timeout_s=30) == ended
    replies.append(NotSent("refused"))
    with pytest.raises(NotSent):
        Queue(call).wait("j", timeout_s=0)
