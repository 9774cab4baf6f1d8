"""Our Python client's queue verbs against the live server. Running jobs: test_worker.py."""

import pytest
from aerodash_sdk import Client, NewJob
from aerodash_sdk.core.errors import InvalidInput, NoSuchJob, WaitTimedOut

NO_JOB = "01920000-0000-7000-8000-000000000000"


def test_sent_job_is_there_with_its_options(client: Client) -> None:
    ref = client.queue.send("send-email", {"to": "jane@example.com"}, delay_seconds=60, max_retries=5)
    job = client.queue.get_job(ref.job_id)
    assert (job.id, job.type, job.payload) == (ref.job_id, "send-email", {"to": "jane@example.com"})
    assert (job.status, job.state, job.attempts, job.max_retries) == ("pending", "scheduled", 0, 5)
    assert 59 <= (job.scheduled_at - job.created_at).total_seconds() <= 61
    assert not job.ended


def test_many_jobs_go_in_one_call_and_are_listed_newest_first(client: Client) -> None:
    refs = client.queue.send_many([NewJob("import-row", {"row": number}) for number in range(5)])
    client.queue.send("other", None)
    listed = client.queue.list_jobs(type="import-row", status="pending")
    assert [job.id for job in listed] == [ref.job_id for ref in reversed(refs)]
    assert [job.payload["row"] for job in client.queue.list_jobs(type="import-row", limit=2)] == [4, 3]
    assert client.queue.list_jobs(status="failed") == []
    assert client.queue.send_many([]) == []


def test_cancelled_job_can_be_retried(client: Client) -> None:
    ref = client.queue.send("send-email", {}, delay_seconds=60)
    assert not client.queue.retry_job(ref.job_id)
    assert client.queue.cancel_job(ref.job_id).accepted
    assert client.queue.wait(ref.job_id).status == "cancelled"
    assert client.queue.retry_job(ref.job_id)
    assert client.queue.get_job(ref.job_id).status == "pending"


def test_unknown_job_is_none(client: Client) -> None:
    assert client.queue.get_job(NO_JOB) is None
    assert not client.queue.cancel_job(NO_JOB).accepted
    assert not client.queue.retry_job(NO_JOB)
    with pytest.raises(NoSuchJob):
        client.queue.wait(NO_JOB)


def test_waiting_comes_to_an_end(client: Client) -> None:
    ref = client.queue.send("nobody-runs-this", {})
    with pytest.raises(WaitTimedOut):
        client.queue.wait(ref.job_id, timeout_s=0.1)


def test_bad_job_type_is_refused(client: Client) -> None:
    with pytest.raises(InvalidInput) as refusal:
        client.queue.send("no spaces", {})
    assert refusal.value.details["field"] == "type"
