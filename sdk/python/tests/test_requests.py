"""What is sent: paths and JSON bodies, as the wire contract (sections 3 and 4) has them."""

import json

import msgspec
import pytest
from aerodash_sdk.core import cache, queue, work
from aerodash_sdk.core.errors import InvalidInput
from aerodash_sdk.core.records import JobError, NewJob, WorkerIdentity
from aerodash_sdk.core.request import Repeat, Request
from aerodash_sdk.core.work import Settlement

WORKER = WorkerIdentity("w1", "host", 42, "0.1.0")


@pytest.mark.parametrize(
    ("call", "path", "body"),
    [
        (cache.get("k"), "/cache/get", {"key": "k"}),
        (cache.set("k", None, ttl=None, metadata=None), "/cache/set", {"key": "k", "value": None}),
        (
            cache.set("k", [1], ttl=60, metadata={}),
            "/cache/set",
            {"key": "k", "value": [1], "ttl": 60, "metadata": {}},
        ),
        (cache.has("k"), "/cache/has", {"key": "k"}),
        (cache.delete("k"), "/cache/delete", {"key": "k"}),
        (cache.get_many(iter(["a", "b"])), "/cache/getMany", {"keys": ["a", "b"]}),
        (
            cache.set_many({"a": 1, "b": None}, ttl=5, metadata=None),
            "/cache/setMany",
            {"entries": {"a": 1, "b": None}, "ttl": 5},
        ),
        (cache.delete_many(["a"]), "/cache/deleteMany", {"keys": ["a"]}),
        (cache.keys("", cursor=None), "/cache/keys", {}),
        (cache.keys("a:", cursor="c"), "/cache/keys", {"prefix": "a:", "cursor": "c"}),
        (cache.list_page("a:", limit=7, cursor=None), "/cache/list", {"prefix": "a:", "limit": 7}),
        (
            cache.increment("n", -2, initial_value=10, ttl=None),
            "/cache/increment",
            {"key": "n", "amount": -2, "initialValue": 10},
        ),
        (cache.expire("k", None), "/cache/expire", {"key": "k", "ttl": None}),
        (cache.flush(""), "/cache/flush", {}),
        (cache.flush("a:"), "/cache/flush", {"prefix": "a:"}),
        (queue.enqueue(NewJob("t")), "/queue/enqueue", {"type": "t", "payload": None}),
        (
            queue.enqueue(NewJob("t", [1], delay_seconds=0, max_retries=5)),
            "/queue/enqueue",
            {"type": "t", "payload": [1], "delaySeconds": 0, "maxRetries": 5},
        ),
        (
            queue.enqueue_many([NewJob("t", 1)]),
            "/queue/enqueueMany",
            {"jobs": [{"type": "t", "payload": 1}]},
        ),
        (queue.get_job("j"), "/queue/job", {"jobId": "j"}),
        (
            queue.list_jobs(type="t", status="failed", limit=3, cursor=None),
            "/queue/jobs",
            {"type": "t", "status": "failed", "limit": 3},
        ),
        (queue.cancel_job("j"), "/queue/cancel", {"jobId": "j"}),
        (queue.retry(["j"]), "/queue/retry", {"jobIds": ["j"]}),
        (
            work.lease(WORKER, types=["a", "b"], limit=4, lease_s=30, wait_s=20),
            "/queue/lease",
            {
                "worker": {"id": "w1", "hostname": "host", "pid": 42, "version": "0.1.0"},
                "types": ["a", "b"],
                "limit": 4,
                "leaseSeconds": 30,
                "waitSeconds": 20,
            },
        ),
        (
            work.settle(
                [
                    Settlement("j1", "t1", "completed", result=msgspec.Raw(b'{"n": 1}')),
                    Settlement("j2", "t2", "failed", error=JobError("E", "m", "tb"), retry_after_seconds=0),
                    Settlement("j3", "t3", "failed", error=JobError("Fail", "m", ""), final=True),
                    Settlement("j4", "t4", "released"),
                ]
            ),
            "/queue/settle",
            {
                "results": [
                    {"jobId": "j1", "leaseToken": "t1", "outcome": "completed", "result": {"n": 1}},
                    {
                        "jobId": "j2",
                        "leaseToken": "t2",
                        "outcome": "failed",
                        "error": {"type": "E", "message": "m", "traceback": "tb"},
                        "retryAfterSeconds": 0,
                    },
                    {
                        "jobId": "j3",
                        "leaseToken": "t3",
                        "outcome": "failed",
                        "error": {"type": "Fail", "message": "m", "traceback": ""},
                        "final": True,
                    },
                    {"jobId": "j4", "leaseToken": "t4", "outcome": "released"},
                ]
            },
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_call_has_the_path_and_body_of_the_contract(call: Request, path: str, body: dict) -> None:
    assert call.path == path
    assert json.loads(call.body) == body


def test_long_poll_waits_longer_than_the_server_does() -> None:
    assert work.lease(WORKER, types=["a"], limit=1, lease_s=30, wait_s=20).wait_s == 20


def test_calls_that_would_do_more_when_sent_twice_say_so() -> None:
    once = [
        queue.enqueue(NewJob("t")),
        queue.enqueue_many([NewJob("t", idempotency_key="k"), NewJob("t")]),
        queue.retry(["j"]),
        cache.increment("n", 1, initial_value=None, ttl=None),
        cache.flush(""),
        cache.delete_many(["k"]),
    ]
    assert all(call.repeat is not Repeat.ALWAYS for call in once)
    assert cache.get("k").repeat is Repeat.ALWAYS
    assert queue.cancel_job("j").repeat is Repeat.ALWAYS
    assert queue.enqueue(NewJob("t", idempotency_key="k")).repeat is Repeat.ALWAYS


@pytest.mark.parametrize("value", [10**40, "Zoë \U0001f680", {"a": [None, True, 1.5]}, "\x00"])
def test_value_goes_out_as_json_that_reads_back_the_same(value: object) -> None:
    assert json.loads(cache.set("k", value, ttl=None, metadata=None).body)["value"] == value


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), "\ud800", {1, 2}, b"bytes"],
    ids=["nan", "inf", "surrogate", "set", "bytes"],
)
def test_value_that_json_cannot_carry_is_refused_before_it_is_sent(value: object) -> None:
    with pytest.raises(InvalidInput) as refusal:
        cache.set("k", value, ttl=None, metadata=None)
    assert refusal.value.reason == "not_json"
