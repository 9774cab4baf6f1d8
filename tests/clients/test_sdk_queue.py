"""Our Python client's queue verbs against the live server. Running jobs: test_worker.py."""

from datetime import UTC, datetime, timedelta

import pytest
from aerodash_sdk import Client, NewJob, RetryDelay, UniqueKey
from aerodash_sdk.core.errors import InvalidInput, NoSuchJob, ReplyLost, WaitTimedOut

from tests.chaos.harness import wait_for

from .conftest import Line

NO_JOB = "01920000-0000-7000-8000-000000000000"


def test_sent_job_is_there_with_its_options(client: Client) -> None:
    ref = client.queue.send("send-email", {"to": "jane@example.com"}, delay_seconds=60, max_retries=5)
    job = client.queue.get_job(ref.job_id)
    assert (job.id, job.type, job.payload) == (ref.job_id, "send-email", {"to": "jane@example.com"})
    assert (job.status, job.state, job.attempts, job.max_retries) == ("pending", "scheduled", 0, 5)
    assert (job.scheduled_at - job.created_at).total_seconds() == pytest.approx(60, abs=1)
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


def test_every_option_is_on_the_job(client: Client) -> None:
    run_at = datetime.now(UTC).replace(microsecond=250_000) + timedelta(days=1)
    deadline = run_at + timedelta(hours=1)
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    ref = client.queue.send(
        "invoice",
        {"n": 10**40},
        run_at=run_at,
        deadline=deadline,
        priority=0,
        retry_delay=RetryDelay("fixed", base=7),
        unique_key=UniqueKey("invoice:7"),
        timeout_seconds=90,
        tags=["eu", "monthly"],
        partition_key="customer-9",
        traceparent=traceparent,
    )
    job = client.queue.get_job(ref.job_id)
    assert (job.payload, job.scheduled_at, job.deadline) == ({"n": 10**40}, run_at, deadline)
    assert (job.priority, job.timeout_seconds, job.tags) == (0, 90, ("eu", "monthly"))
    assert (job.unique_key, job.partition_key, job.traceparent) == ("invoice:7", "customer-9", traceparent)
    assert [found.id for found in client.queue.list_jobs(tag="monthly")] == [ref.job_id]


def test_unique_job_is_enqueued_once(client: Client) -> None:
    first = client.queue.send("sync", {"n": 1}, unique_key="one", delay_seconds=60)
    again = client.queue.send("sync", {"n": 2}, unique_key="one")
    assert (again.job_id, again.duplicate, first.duplicate) == (first.job_id, True, False)
    key = UniqueKey("one", on_conflict="replace")
    replaced = client.queue.send("sync", {"n": 3}, unique_key=key, delay_seconds=60)
    assert replaced.job_id == first.job_id
    assert client.queue.get_job(first.job_id).payload == {"n": 3}
    refs = client.queue.send_many([NewJob("sync", unique_key="two"), NewJob("sync", unique_key="two")])
    assert [ref.duplicate for ref in refs] == [False, True]


def test_enqueue_whose_reply_was_lost_is_not_doubled(api_key: str, line: Line) -> None:
    with Client(line.url, api_key) as client:
        client.queue.send("warm-up", {})
        sent = []
        whole = client._transport.send

        def lose_the_first_reply(request, **more):
            reply = whole(request, **more)
            if not sent:
                sent.append(request)
                raise ReplyLost("cut")
            sent.append(request)
            return reply

        client._transport.send = lose_the_first_reply
        ref = client.queue.send("charge-card", {"cents": 100})
        assert len(sent) == 2
        assert ref.duplicate
        assert [job.id for job in client.queue.list_jobs(type="charge-card")] == [ref.job_id]


def test_retry_by_filter_says_what_it_did(client: Client) -> None:
    refs = client.queue.send_many([NewJob("import-row", n, tags=["bad"], delay_seconds=60) for n in range(3)])
    for ref in refs[:2]:
        client.queue.cancel_job(ref.job_id)
    retried = client.queue.retry(type="import-row", status="cancelled", tag="bad")
    assert retried.count == 2
    assert {client.queue.get_job(ref.job_id).status for ref in refs} == {"pending"}
    refused = client.queue.retry([refs[2].job_id, NO_JOB])
    assert refused.count == 0
    assert dict(refused.refused) == {refs[2].job_id: "not_finished", NO_JOB: "not_found"}
    client.queue.cancel_job(refs[0].job_id)
    assert client.queue.retry([refs[0].job_id], payload={"mended": True}).count == 1
    assert client.queue.get_job(refs[0].job_id).payload == {"mended": True}


def test_type_is_paused_and_resumed(client: Client) -> None:
    client.queue.send("send-email", {})
    assert client.queue.pause("send-email", reason="the mail server moves")
    [kind] = client.queue.types()
    assert (kind.type, kind.counts["pending"]) == ("send-email", 1)
    assert kind.paused.reason == "the mail server moves"
    assert client.queue.resume("send-email")
    assert client.queue.types()[0].paused is None


def test_settings_of_a_type_are_replaced_as_a_whole(client: Client) -> None:
    assert client.queue.configure(
        "render",
        concurrency=2,
        retry_delay=RetryDelay(base=1, cap=10),
        rate_limit={"limit": 5, "perSeconds": 1},
        retention={"completed": 3600},
        secret_paths=["/card"],
    )
    [kind] = client.queue.types()
    assert kind.settings["concurrency"] == 2
    assert kind.settings["rateLimit"]["limit"] == 5
    assert kind.settings["retryDelay"]["cap"] == 10
    assert client.queue.configure("render", max_retries=0)
    assert client.queue.types()[0].settings == {"maxRetries": 0}
    assert client.queue.get_job(client.queue.send("render").job_id).max_retries == 0


def test_job_without_lines_has_an_empty_log(client: Client) -> None:
    page = client.queue.logs(client.queue.send("quiet").job_id)
    assert (page.lines, page.dropped) == ([], 0)


def test_batch_has_a_progress_and_a_completion_job(client: Client) -> None:
    with client.queue.batch("import", on_complete=NewJob("report", {"month": 5}, priority=1)) as batch:
        first = batch.send("import-row", {"row": 0}, delay_seconds=60)
        batch.send_many(NewJob("import-row", {"row": row}, delay_seconds=60) for row in range(1, 4))
        assert not batch.progress().sealed
    progress = batch.progress()
    assert (progress.name, progress.total, progress.counts["pending"]) == ("import", 4, 4)
    assert progress.sealed
    assert not progress.ended
    assert client.queue.get_job(first.job_id).batch == batch.id
    assert len(client.queue.list_jobs(batch=batch.id)) == 4
    with pytest.raises(InvalidInput):
        batch.send("import-row", {"row": 9})
    assert client.queue.get_batch(batch.id).cancel() == 4
    # The batch ends in a transaction of its own, right after that of its last member.
    progress = wait_for("the end of the batch", lambda: (now := batch.progress()).ended and now)
    assert progress.counts["cancelled"] == 4
    report = client.queue.get_job(progress.completion_job_id)
    assert (report.type, report.payload, report.priority) == ("report", {"month": 5}, 1)
    assert batch.retry() == 4
    assert [found.id for found in client.queue.batches(limit=1)] == [batch.id]
    assert client.queue.get_batch(NO_JOB).progress() is None


def test_schedule_is_set_listed_run_and_removed(client: Client) -> None:
    next_at = client.queue.schedule(
        "nightly", "report", None, cron="30 3 * * *", timezone="Europe/Madrid", missed="skip", priority=2
    )
    assert next_at > datetime.now(UTC)
    client.queue.schedule("often", "poll", {"n": 1}, every_seconds=3600, paused=True)
    nightly, often = client.queue.schedules()
    assert (nightly.name, nightly.cron, nightly.timezone, nightly.missed) == (
        "nightly",
        "30 3 * * *",
        "Europe/Madrid",
        "skip",
    )
    assert (often.every_seconds, often.paused, often.next_at, often.payload) == (3600, True, None, {"n": 1})
    ref = client.queue.run_schedule("often")
    assert client.queue.get_job(ref.job_id).type == "poll"
    assert client.queue.unschedule("often")
    assert [schedule.name for schedule in client.queue.schedules()] == ["nightly"]
