import pytest
from asgiref.sync import sync_to_async

from aerodash import keys
from aerodash.auth import Scope
from tests.api.client import ApiClient
from tests.api.queue_calls import record, refused

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
    ],
)
async def test_bad_input_is_refused_and_names_the_field(api, body, field):
    refused(await api.post(PATH, body), field)


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
