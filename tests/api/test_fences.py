"""What would break a published client: each line of the wire contract, section 8, on both lanes."""

import json
from datetime import UTC, datetime

from msgspec import UNSET

from cache_admin import api
from tests.api import fences

UNKNOWN_JOB = "0198f2a0-0000-7000-8000-000000000000"


async def test_enqueue_is_201_with_the_json_type(lane) -> None:
    reply = await lane.post("/v1/queue/enqueue", {"type": "send-email", "data": {}, "delay": 60})
    body = fences.check(reply, status=201)
    assert (body["success"], isinstance(body["jobId"], str)) == (True, True)
    many = await lane.post("/v1/queue/enqueueMany", {"jobs": [{"type": "t", "payload": 1}]})
    fences.check(many, status=201)


async def test_pages_say_list_complete_and_cursors_and_ids_are_strings(lane) -> None:
    await lane.post("/v1/cache/setMany", {"entries": {str(number): number for number in range(3)}})
    for _ in range(3):
        await lane.post("/v1/queue/enqueue", {"type": "t", "data": {}})
    for path in ("/v1/cache/list", "/v1/queue/jobs"):
        first = fences.check(await lane.post(path, {"limit": 2}))
        assert (first["list_complete"], type(first["cursor"])) == (False, str)
        last = fences.check(await lane.post(path, {"limit": 2, "cursor": first["cursor"]}))
        assert (last["list_complete"], "cursor" in last) == (True, False)


async def test_what_is_absent_is_left_out_and_not_null(lane) -> None:
    await lane.post("/v1/cache/set", {"key": "k", "value": None})
    job_id = (await lane.post("/v1/queue/enqueue", {"type": "t", "data": None})).json["jobId"]
    for path, body in [
        ("/v1/cache/get", {"key": "k"}),
        ("/v1/cache/get", {"key": "none"}),
        ("/v1/cache/get", {"key": "k", "withTtl": True}),
        ("/v1/cache/set", {"key": "k", "value": 1, "ifAbsent": True}),
        ("/v1/cache/set", {"key": "none", "value": 1, "ifPresent": True}),
        ("/v1/cache/delete", {"key": "none", "ifRevision": "x"}),
        ("/v1/cache/getMany", {"keys": ["k", "none"]}),
        ("/v1/cache/list", {}),
        ("/v1/cache/keys", {}),
        ("/v1/cache/flush", {"prefix": "none"}),
        ("/v1/cache/expire", {"key": "none", "ttl": 1}),
        ("/v1/queue/job", {"jobId": job_id}),
        ("/v1/queue/job", {"jobId": UNKNOWN_JOB}),
        ("/v1/queue/jobs", {}),
        ("/v1/queue/cancel", {"jobId": UNKNOWN_JOB}),
        ("/v1/queue/cancel", {"jobId": job_id}),
        ("/v1/queue/cancel", {"jobId": job_id}),
    ]:
        fences.check(await lane.post(path, body))


async def test_expiration_is_in_whole_seconds_or_left_out_past_32_bits(lane) -> None:
    await lane.post("/v1/cache/set", {"key": "soon", "value": 1, "ttl": 60})
    row = fences.check(await lane.post("/v1/cache/list", {"prefix": "soon"}))["keys"][0]
    left = row["expiration"] - datetime.now(UTC).timestamp()
    assert -30 < left <= 61
    assert abs(datetime.fromisoformat(row["expiresAt"]).timestamp() - row["expiration"]) < 1


def test_an_instant_past_32_bits_has_no_expiration_and_keeps_expires_at() -> None:
    last_ms = fences.INT32_MAX * 1000 + 999
    assert api._unix_seconds(last_ms) == fences.INT32_MAX
    assert api._unix_seconds(last_ms + 1) is UNSET
    assert api._instant(last_ms + 1) == "2038-01-19T03:14:08.000Z"


async def test_a_counter_is_printed_as_an_integer(lane) -> None:
    for amount in (2.0, 2147483645, 1):
        reply = await lane.post("/v1/cache/increment", {"key": "n", "amount": amount})
        fences.check(reply)
        assert b"." not in reply.body
    assert reply.body == b'{"value":2147483648}'
    assert (await lane.post("/v1/cache/get", {"key": "n"})).body.startswith(b'{"value":2147483648,')


async def test_instants_are_rfc_3339_in_utc_with_milliseconds(lane) -> None:
    job_id = (await lane.post("/v1/queue/enqueue", {"type": "t", "data": {}, "delay": 60})).json["jobId"]
    worker = {"worker": {"id": "w"}, "limit": 1, "types": ["now"]}
    await lane.post("/v1/queue/enqueue", {"type": "now", "data": {}})
    leased = (await lane.post("/v1/queue/lease", worker)).json["jobs"][0]
    settle = {
        "jobId": leased["id"],
        "leaseToken": leased["leaseToken"],
        "outcome": "completed",
        "result": None,
    }
    await lane.post("/v1/queue/settle", {"results": [settle]})
    waiting = fences.check(await lane.post("/v1/queue/job", {"jobId": job_id}))["job"]
    ended = fences.check(await lane.post("/v1/queue/job", {"jobId": leased["id"]}))["job"]
    assert {"createdAt", "scheduledAt"} <= set(waiting)
    assert {"createdAt", "scheduledAt", "startedAt", "completedAt"} <= set(ended)


async def test_a_missing_key_or_job_is_200(lane) -> None:
    for path, body in [
        ("/v1/cache/get", {"key": "none"}),
        ("/v1/cache/has", {"key": "none"}),
        ("/v1/cache/delete", {"key": "none"}),
        ("/v1/cache/deleteMany", {"keys": ["none"]}),
        ("/v1/cache/expire", {"key": "none", "ttl": 1}),
        ("/v1/queue/job", {"jobId": UNKNOWN_JOB}),
        ("/v1/queue/job", {"jobId": "not an id"}),
        ("/v1/queue/cancel", {"jobId": UNKNOWN_JOB}),
    ]:
        fences.check(await lane.post(path, body))


async def test_a_refusal_has_code_message_and_details_and_nothing_else(lane) -> None:
    for path, body, status in [
        ("/v1/cache/get", b"{", 400),
        ("/v1/cache/get", {}, 400),
        ("/v1/cache/nothing", {}, 404),
        ("/v1/queue/enqueue", {"type": "", "data": {}}, 400),
        ("/internal/hooks/rpc", {"method": "db.query"}, 400),
    ]:
        fences.check(await lane.post(path, body), status=status)
    fences.check(await lane.request("GET", "/v1/cache/get"), status=405)


async def test_a_value_is_spliced_in_as_it_was_written(lane) -> None:
    text = json.dumps({"listComplete": 1, "createdAt": 5, "cursor": 7})
    await lane.post("/v1/cache/set", f'{{"key":"k","value":{text}}}'.encode())
    assert fences.check(await lane.post("/v1/cache/get", {"key": "k"}))["value"]["listComplete"] == 1
