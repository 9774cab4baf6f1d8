from datetime import UTC, datetime

import pytest
from asgiref.sync import sync_to_async

from aerodash import keys
from aerodash.auth import Scope
from tests.api.client import ApiClient
from tests.api.queue_calls import enqueue, lease, record, refused, settle

PATH = "/v1/queue/enqueue"


async def test_enqueue_answers_201_with_the_id(api):
    reply = await api.post(PATH, {"type": "send-email", "payload": {"to": "ann"}})
    assert reply.status == 201
    assert reply.headers["content-type"] == "application/json"
    assert set(reply.json) == {"jobId", "success", "status"}
    assert (reply.json["success"], reply.json["status"]) == (True, "pending")
    assert isinstance(reply.json["jobId"], str)


async def test_the_payload_comes_back_byte_for_byte(api):
    text = rb'{"big":123456789012345678901234567890, "f":1.50,"e":"\u00e9\u0000",  "x":null}'
    reply = await api.post(PATH, b'{"type":"t","payload":' + text + b"}")
    read = await api.post("/v1/queue/job", {"jobId": reply.json["jobId"]})
    assert b'"payload":' + text + b',"data":' + text in read.body


@pytest.mark.parametrize(
    "names",
    [
        {"data": {"n": 1}, "delay": 60, "max_retries": 5, "retryDelaySeconds": 0.5},
        {"payload": {"n": 1}, "delay_seconds": 60.0, "retries": 5, "retryDelay": 0.5},
        {"payload": {"n": 1}, "data": {"n": 1}, "delaySeconds": 60, "maxRetries": 5, "unknown": [1]},
    ],
)
async def test_aliases_mean_the_same(api, names):
    reply = await api.post(PATH, {"type": "t", **names})
    assert reply.status == 201, reply.body
    job = await record(api, reply.json["jobId"])
    assert (job["payload"], job["maxRetries"], job["state"]) == ({"n": 1}, 5, "scheduled")


async def test_null_is_a_payload_and_absent_options_have_defaults(api):
    reply = await api.post(PATH, {"type": "t", "data": None, "delay": None, "maxRetries": None})
    assert reply.status == 201
    job = await record(api, reply.json["jobId"])
    assert (job["payload"], job["data"], job["maxRetries"], job["priority"]) == (None, None, 3, 5)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"payload": 1}, "type"),
        ({"type": None, "payload": 1}, "type"),
        ({"type": "", "payload": 1}, "type"),
        ({"type": "a b", "payload": 1}, "type"),
        ({"type": "a\n", "payload": 1}, "type"),
        ({"type": "x" * 129, "payload": 1}, "type"),
        ({"type": "t"}, "payload"),
        ({"type": "t", "payload": 1, "data": 2}, "payload"),
        ({"type": "t", "payload": 1, "delaySeconds": -1}, "delaySeconds"),
        ({"type": "t", "payload": 1, "delaySeconds": "5"}, "delaySeconds"),
        ({"type": "t", "payload": 1, "delaySeconds": True}, "delaySeconds"),
        ({"type": "t", "payload": 1, "delay": 1, "delaySeconds": 2}, "delaySeconds"),
        ({"type": "t", "payload": 1, "maxRetries": 1.5}, "maxRetries"),
        ({"type": "t", "payload": 1, "maxRetries": 1001}, "maxRetries"),
        ({"type": "t", "payload": 1, "priority": 10}, "priority"),
        ({"type": "t", "payload": 1, "retryDelay": -0.1}, "retryDelay"),
        ({"type": "t", "payload": "x" * (1024 * 1024)}, "payload"),
        ({"type": "t", "payload": 1, "runAt": "2026-01-01T00:00:00"}, "runAt"),
        ({"type": "t", "payload": 1, "runAt": "tomorrow"}, "runAt"),
        ({"type": "t", "payload": 1, "runAt": 1767225600}, "runAt"),
        ({"type": "t", "payload": 1, "runAt": "9999-01-01T00:00:00Z"}, "runAt"),
        ({"type": "t", "payload": 1, "runAt": "1969-12-31T23:59:59Z"}, "runAt"),
        ({"type": "t", "payload": 1, "runAt": "2026-01-01T00:00:00Z", "delaySeconds": 0}, "runAt"),
        ({"type": "t", "payload": 1, "deadline": "2026-01-01T00:00:00"}, "deadline"),
        ({"type": "t", "payload": 1, "deadline": "1969-01-01T00:00:00Z"}, "deadline"),
        ({"type": "t", "payload": 1, "deadline": "9999-12-31T23:59:59-01:00"}, "deadline"),
        ({"type": "t", "payload": 1, "retryDelay": True}, "retryDelay"),
        ({"type": "t", "payload": 1, "retryDelay": "5"}, "retryDelay"),
        ({"type": "t", "payload": 1, "retryDelay": {"kind": "linear"}}, "retryDelay.kind"),
        ({"type": "t", "payload": 1, "retryDelay": {"base": -1}}, "retryDelay.base"),
        ({"type": "t", "payload": 1, "retryDelay": {"cap": "1"}}, "retryDelay.cap"),
        ({"type": "t", "payload": 1, "retryDelay": {"delays": [1]}}, "retryDelay.delays"),
        ({"type": "t", "payload": 1, "retryDelay": {"kind": "fixed"}}, "retryDelay.base"),
        ({"type": "t", "payload": 1, "retryDelay": {"kind": "fixed", "base": 1, "cap": 2}}, "retryDelay.cap"),
        ({"type": "t", "payload": 1, "retryDelay": {"kind": "list"}}, "retryDelay.delays"),
        ({"type": "t", "payload": 1, "retryDelay": {"kind": "list", "delays": []}}, "retryDelay.delays"),
        (
            {"type": "t", "payload": 1, "retryDelay": {"kind": "list", "delays": [1] * 101}},
            "retryDelay.delays",
        ),
        ({"type": "t", "payload": 1, "retryDelay": {"kind": "list", "delays": [-1]}}, "retryDelay.delays"),
        ({"type": "t", "payload": 1, "uniqueKey": ""}, "uniqueKey"),
        ({"type": "t", "payload": 1, "uniqueKey": "x" * 257}, "uniqueKey"),
        ({"type": "t", "payload": 1, "uniqueKey": "a\0b"}, "uniqueKey"),
        ({"type": "t", "payload": 1, "uniqueKey": 5}, "uniqueKey"),
        ({"type": "t", "payload": 1, "uniqueKey": {}}, "uniqueKey.key"),
        ({"type": "t", "payload": 1, "uniqueKey": {"key": "a\0b"}}, "uniqueKey"),
        ({"type": "t", "payload": 1, "uniqueKey": {"key": "k", "while": 0}}, "uniqueKey.while"),
        ({"type": "t", "payload": 1, "uniqueKey": {"key": "k", "while": "ever"}}, "uniqueKey.while"),
        ({"type": "t", "payload": 1, "uniqueKey": {"key": "k", "onConflict": "x"}}, "uniqueKey.onConflict"),
        ({"type": "t", "payload": 1, "idempotencyKey": ""}, "idempotencyKey"),
        ({"type": "t", "payload": 1, "idempotencyKey": "x" * 257}, "idempotencyKey"),
        ({"type": "t", "payload": 1, "idempotencyKey": "\0"}, "idempotencyKey"),
        ({"type": "t", "payload": 1, "partitionKey": ""}, "partitionKey"),
        ({"type": "t", "payload": 1, "partitionKey": "x" * 257}, "partitionKey"),
        ({"type": "t", "payload": 1, "partitionKey": "\0"}, "partitionKey"),
        ({"type": "t", "payload": 1, "timeoutSeconds": 0.5}, "timeoutSeconds"),
        ({"type": "t", "payload": 1, "timeoutSeconds": 7 * 86400 + 1}, "timeoutSeconds"),
        ({"type": "t", "payload": 1, "tags": "a"}, "tags"),
        ({"type": "t", "payload": 1, "tags": [""]}, "tags"),
        ({"type": "t", "payload": 1, "tags": ["x" * 65]}, "tags"),
        ({"type": "t", "payload": 1, "tags": ["a\0"]}, "tags"),
        ({"type": "t", "payload": 1, "tags": ["a"] * 21}, "tags"),
        ({"type": "t", "payload": 1, "batch": "nonsense"}, "batch"),
        ({"type": "t", "payload": 1, "batch": "0198f2a0-0000-7000-8000-000000000000"}, "batch"),
        ({"type": "t", "payload": 1, "traceparent": "x"}, "traceparent"),
        ({"type": "t", "payload": 1, "traceparent": ""}, "traceparent"),
        ({"type": "t", "payload": 1, "traceparent": f"ff-{'1' * 32}-{'1' * 16}-01"}, "traceparent"),
        ({"type": "t", "payload": 1, "traceparent": f"00-{'0' * 32}-{'1' * 16}-01"}, "traceparent"),
        ({"type": "t", "payload": 1, "traceparent": f"00-{'A' * 32}-{'1' * 16}-01"}, "traceparent"),
    ],
)
async def test_bad_input_is_refused_and_names_the_field(api, body, field):
    refused(await api.post(PATH, body), field)


TRACE = f"00-{'a' * 32}-{'b' * 16}-01"


async def test_everything_that_a_job_carries_is_on_its_record(api):
    reply = await api.post(
        PATH,
        {
            "type": "t", "payload": 1, "runAt": "2030-01-01T02:00:00.1239+02:00", "maxRetries": 0, "priority": 9,
            "retryDelay": {"kind": "fixed", "base": 5}, "uniqueKey": "u" * 256, "idempotencyKey": "i" * 256,
            "timeoutSeconds": 1.5, "deadline": "2031-01-01T00:00:00Z", "tags": ["b", "ä", "b"],
            "partitionKey": "é" * 256, "traceparent": TRACE,
        },
    )  # fmt: skip
    assert reply.status == 201, reply.body
    assert "duplicate" not in reply.json
    job = await record(api, reply.json["jobId"])
    said = (
        "scheduledAt",
        "maxRetries",
        "priority",
        "uniqueKey",
        "timeoutSeconds",
        "deadline",
        "tags",
        "partitionKey",
        "traceparent",
    )
    assert {name: job[name] for name in said} == {
        "scheduledAt": "2030-01-01T00:00:00.123Z", "maxRetries": 0, "priority": 9, "uniqueKey": "u" * 256,
        "timeoutSeconds": 1.5, "deadline": "2031-01-01T00:00:00.000Z", "tags": ["b", "ä"],
        "partitionKey": "é" * 256, "traceparent": TRACE,
    }  # fmt: skip


async def test_a_plain_job_has_none_of_it(api):
    job = await record(api, await enqueue(api))
    assert not job.keys() & {
        "uniqueKey", "timeoutSeconds", "deadline", "tags", "partitionKey", "traceparent", "batch", "progress"
    }  # fmt: skip


async def test_the_last_instant_of_the_calendar_can_be_read_again(api):
    job = await record(api, await enqueue(api, deadline="9999-12-31T23:59:59.9999Z"))
    assert job["deadline"] == "9999-12-31T23:59:59.999Z"


async def test_a_time_that_has_passed_is_due_now(api):
    job_id = await enqueue(api, runAt="2020-01-01T00:00:00Z")
    [job] = await lease(api)
    assert (job["id"], job["scheduledAt"]) == (job_id, job["createdAt"])


@pytest.mark.parametrize(
    ("names", "field", "value"),
    [
        ({"run_at": "2030-01-01T00:00:00Z"}, "scheduledAt", "2030-01-01T00:00:00.000Z"),
        ({"unique_key": "k"}, "uniqueKey", "k"),
        ({"unique_key": {"key": "k", "while": 60.0, "on_conflict": "replace"}}, "uniqueKey", "k"),
        ({"timeout": 5}, "timeoutSeconds", 5),
        ({"timeout_seconds": 5.0}, "timeoutSeconds", 5),
        ({"partition_key": "p"}, "partitionKey", "p"),
    ],
)
async def test_newer_fields_have_their_python_names_too(api, names, field, value):
    assert (await record(api, await enqueue(api, **names)))[field] == value


async def test_a_retry_delay_of_each_kind_decides_the_next_run(api):
    for delay, least, most in (
        (100, 50, 100),
        ({"base": 100}, 50, 100),
        ({"base": 100, "cap": 10}, 5, 10),
        ({"kind": "exponential", "base": 100.0}, 50, 100),
        ({"kind": "fixed", "base": 100}, 100, 100),
        ({"kind": "list", "delays": [70, 80]}, 70, 70),
    ):
        job_id = await enqueue(api, retryDelay=delay)
        [job] = await lease(api)
        before = datetime.now(UTC)
        await settle(api, job, "failed")
        due = datetime.fromisoformat((await record(api, job_id))["scheduledAt"])
        assert least - 0.01 <= (due - before).total_seconds() <= most + 5, delay


async def test_a_unique_key_answers_the_first_job_while_it_is_unfinished(api):
    first = (await api.post(PATH, {"type": "t", "payload": 1, "uniqueKey": "k"})).json["jobId"]
    again = await api.post(PATH, {"type": "t", "payload": 2, "uniqueKey": {"key": "k"}})
    assert (again.status, again.json) == (
        201,
        {"jobId": first, "success": True, "status": "pending", "duplicate": True},
    )
    [job] = await lease(api)
    again = await api.post(PATH, {"type": "t", "payload": 2, "uniqueKey": "k"})
    assert (again.json["jobId"], again.json["status"]) == (first, "processing")
    assert (await record(api, first))["payload"] == 1
    await settle(api, job)
    assert (await api.post(PATH, {"type": "t", "payload": 2, "uniqueKey": "k"})).json["jobId"] != first


async def test_a_unique_key_is_held_for_its_time_and_may_replace(api):
    first = await enqueue(api, "t", 1, uniqueKey={"key": "k", "while": 60})
    [job] = await lease(api)
    await settle(api, job)
    again = await api.post(PATH, {"type": "t", "payload": 2, "uniqueKey": "k"})
    assert (again.json["jobId"], again.json["status"]) == (first, "completed")
    second = await enqueue(api, "t", 1, uniqueKey="other", delaySeconds=60)
    again = await api.post(
        PATH, {"type": "t", "payload": 2, "uniqueKey": {"key": "other", "onConflict": "replace"}}
    )
    assert (again.json["jobId"], again.json["duplicate"]) == (second, True)
    assert (await record(api, second))["payload"] == 2


async def test_the_same_enqueue_sent_again_makes_no_second_job(api):
    body = {"type": "t", "payload": 1, "idempotencyKey": "once"}
    first, second = [await api.post(PATH, body) for _ in range(2)]
    assert second.json == first.json | {"duplicate": True}
    assert len((await api.post("/v1/queue/jobs", {})).json["jobs"]) == 1


async def test_whoever_may_only_enqueue_hears_of_a_duplicate_too(project):
    _, text = await sync_to_async(keys.mint)(project, "sender", [Scope.QUEUE_ENQUEUE])
    sender = ApiClient(text)
    for duplicate in (None, True):
        reply = await sender.post(PATH, {"type": "t", "payload": 1, "uniqueKey": "k"})
        assert (reply.status, reply.json.get("duplicate")) == (201, duplicate)


async def test_a_lone_surrogate_in_a_key_is_refused(api):
    reply = await api.post(PATH, b'{"type":"t","payload":1,"uniqueKey":"\\ud800"}')
    assert (reply.status, reply.json["details"]["reason"]) == (400, "malformed_json")


async def test_a_payload_of_exactly_one_mebibyte_is_kept(api):
    reply = await api.post(PATH, {"type": "t", "payload": "x" * (1024 * 1024 - 2)})
    assert reply.status == 201


@pytest.mark.parametrize("payload", [b"NaN", b"1e999", b"-Infinity", b'{"a":', b'"\xff"'])
async def test_what_is_no_json_is_refused(api, payload):
    reply = await api.post(PATH, b'{"type":"t","payload":' + payload + b"}")
    assert (reply.status, reply.json["code"]) == (400, "VALIDATION_ERROR")


async def test_a_key_without_the_right_is_refused(project):
    _, text = await sync_to_async(keys.mint)(project, "reader", [Scope.QUEUE_READ])
    reply = await ApiClient(text).post(PATH, {"type": "t", "payload": 1})
    assert (reply.status, reply.json["code"]) == (403, "FORBIDDEN")
