"""How replies are read: values out of the good ones, one exception per meaning out of the others."""

import json
from datetime import UTC, datetime

import pytest
from aerodash_sdk.core import cache, errors, queue, work
from aerodash_sdk.core.records import Cancellation, Entry, JobError, JobRef, ListedKey, NewJob, WorkerIdentity
from aerodash_sdk.core.request import Request, read

RECORD = {
    "id": "0192",
    "type": "send-email",
    "status": "failed",
    "state": "failed",
    "payload": {"to": "x"},
    "data": {"to": "x"},
    "attempts": 2,
    "maxRetries": 1,
    "projectId": "1",
    "createdAt": "2026-03-01T12:00:00.250Z",
    "scheduledAt": "2026-03-01T12:00:00.250Z",
    "startedAt": "2026-03-01T12:00:01.000Z",
    "completedAt": "2026-03-01T12:00:02.000Z",
    "error": "ValueError: no",
    "errorDetails": {"type": "ValueError", "message": "no", "traceback": "Traceback …"},
}


def answer(call: Request, reply: object, status: int = 200, headers: dict | None = None) -> object:
    return read(call, status, headers or {}, json.dumps(reply).encode())


def test_hit_is_an_entry_with_an_aware_expiry() -> None:
    reply = {
        "value": {"n": 1},
        "exists": True,
        "metadata": {"device": "mobile"},
        "expiresAt": "2026-03-01T12:00:00.250Z",
        "revision": "e.7",
    }
    assert answer(cache.get("k"), reply) == Entry(
        "k", {"n": 1}, {"device": "mobile"}, datetime(2026, 3, 1, 12, 0, 0, 250_000, UTC), "e.7"
    )


def test_miss_is_none_and_a_stored_null_is_an_entry() -> None:
    assert answer(cache.get("k"), {"value": None, "exists": False}) is None
    stored = answer(cache.get("k"), {"value": None, "exists": True, "revision": "e.1"})
    assert stored == Entry("k", None, None, None, "e.1")


def test_pages_end_when_the_reply_says_so() -> None:
    more = answer(cache.keys("", cursor=None), {"keys": ["a"], "truncated": True, "cursor": "c"})
    last = answer(cache.keys("", cursor="c"), {"keys": ["b"], "truncated": False})
    listed = answer(
        cache.list_page("", limit=1, cursor=None),
        {"keys": [{"key": "a", "name": "a", "metadata": {"m": 1}}], "list_complete": False, "cursor": "c2"},
    )
    assert (more.items, more.cursor) == (["a"], "c")
    assert (last.items, last.cursor) == (["b"], None)
    assert (listed.items, listed.cursor) == ([ListedKey("a", {"m": 1}, None)], "c2")


def test_job_record_keeps_its_error_apart() -> None:
    job = answer(queue.get_job("0192"), {"job": RECORD, "exists": True})
    assert job.ended
    assert job.created_at == datetime(2026, 3, 1, 12, 0, 0, 250_000, UTC)
    assert job.error_details == JobError("ValueError", "no", "Traceback …")
    assert answer(queue.get_job("?"), {"job": None, "exists": False}) is None


def test_enqueue_gives_a_reference_and_cancel_a_word() -> None:
    reply = {"jobId": "j", "success": True, "status": "pending"}
    assert answer(queue.enqueue(NewJob("t")), reply, 201) == JobRef("j")
    refused = answer(queue.cancel_job("j"), {"success": False, "note": "It has ended."})
    assert refused == Cancellation(False, "It has ended.")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "VALIDATION_ERROR", errors.InvalidInput),
        (401, "AUTH_INVALID_KEY", errors.NotAuthenticated),
        (403, "FORBIDDEN", errors.NotAllowed),
        (404, "VALIDATION_ERROR", errors.UnknownRoute),
        (405, "VALIDATION_ERROR", errors.UnknownRoute),
        (413, "VALIDATION_ERROR", errors.TooLarge),
        (429, "RATE_LIMIT_EXCEEDED", errors.RateLimited),
        (500, "INTERNAL_ERROR", errors.ServerFault),
        (503, "INTERNAL_ERROR", errors.Unavailable),
    ],
)
def test_refusal_is_an_exception_with_the_reply_s_words(
    status: int, code: str, kind: type[errors.AeroDashError]
) -> None:
    reply = {"code": code, "message": "No.", "details": {"reason": "why", "field": "key"}}
    with pytest.raises(errors.AeroDashError) as refusal:
        answer(cache.get("k"), reply, status, {"Retry-After": "7"})
    error = refusal.value
    assert type(error) is kind
    assert (str(error), error.status, error.code, error.reason) == ("No.", status, code, "why")
    assert error.details["field"] == "key"
    if isinstance(error, errors.RateLimited | errors.Unavailable):
        assert error.retry_after_s == 7


def test_proxy_page_is_no_reply_of_ours() -> None:
    page = b"<html>Bad gateway</html>"
    with pytest.raises(errors.ServerFault):
        read(cache.get("k"), 502, {}, page)
    with pytest.raises(errors.Unavailable) as away:
        read(cache.get("k"), 503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, page)
    assert away.value.retry_after_s is None
    with pytest.raises(errors.BadReply):
        read(cache.get("k"), 404, {}, page)
    with pytest.raises(errors.BadReply, match="html"):
        read(cache.get("k"), 200, {}, page)


@pytest.mark.parametrize(
    ("call", "reply"),
    [
        (cache.get("k"), {}),
        (cache.has("k"), {"exists": 1}),
        (cache.set("k", 1, ttl=None, metadata=None), {"success": False}),
        (queue.enqueue(NewJob("t")), {"jobId": 7}),
        (queue.get_job("j"), {"exists": True, "job": None}),
        (queue.list_jobs(type=None, status=None, limit=1, cursor=None), {"jobs": [], "list_complete": False}),
    ],
)
def test_reply_that_lacks_what_it_should_hold_is_a_bad_one(call: Request, reply: dict) -> None:
    with pytest.raises(errors.BadReply):
        answer(call, reply)


def test_lease_hands_out_jobs_with_their_tokens() -> None:
    call = work.lease(WorkerIdentity("w", "h", 1, "0"), types=["send-email"], limit=1, lease_s=30, wait_s=0)
    [leased] = answer(call, {"jobs": [{**RECORD, "status": "processing", "leaseToken": "tok"}]})
    assert (leased.id, leased.lease_token) == ("0192", "tok")


def test_flush_says_how_many_and_raises_if_somebody_stopped_it() -> None:
    assert answer(cache.flush(""), {"success": True, "deleted": 7}) == 7
    with pytest.raises(errors.Stopped) as stopped:
        answer(cache.flush(""), {"success": False, "deleted": 3})
    assert stopped.value.details == {"deleted": 3}
