"""What the verbs owe to every door: rights, bounds, live updates, and the keeper's work."""

import asyncio
import time
import uuid

import pytest

from aerodash.auth import Scope
from aerodash.errors import InvalidInput, NotAllowed
from aerodash.ids import JobId
from jobs_admin import job_types, keeper, queries, services
from jobs_admin.engine.contract import (
    LeaseRef,
    LogLine,
    Lost,
    NewJob,
    Report,
    RunResult,
    TypeSettings,
    Unique,
    WorkerInfo,
)
from jobs_admin.engine.rules import RetryPolicy
from jobs_admin.queries import JobFilter

WORKER = WorkerInfo("w-1", "host-a", 41, "1.0")


def lease(project_id, actor, **options):
    defaults = {"types": None, "limit": 10, "lease_s": 30, "wait_s": 0, "worker": WORKER}
    return services.lease(project_id, actor, **{**defaults, **options})


@pytest.mark.parametrize(
    ("scope", "call"),
    [
        (Scope.QUEUE_ENQUEUE, lambda p, a: services.enqueue(p, a, job=services.new_job("t", b"1"))),
        (Scope.QUEUE_ENQUEUE, lambda p, a: services.enqueue_many(p, a, jobs=[services.new_job("t", b"1")])),
        (Scope.QUEUE_WORK, lambda p, a: lease(p, a)),
        (Scope.QUEUE_WORK, lambda p, a: services.heartbeat(p, a, worker=WORKER, leases=[], lease_s=30)),
        (Scope.QUEUE_WORK, lambda p, a: services.settle(p, a, results=[])),
        (Scope.QUEUE_MANAGE, lambda p, a: services.cancel(p, a, job_id="x")),
        (Scope.QUEUE_MANAGE, lambda p, a: services.retry(p, a, job_ids=[])),
        (Scope.QUEUE_MANAGE, lambda p, a: services.retry_matching(p, a, filter=JobFilter())),
        (Scope.QUEUE_WORK, lambda p, a: services.report(p, a, reports=[])),
        (Scope.QUEUE_WORK, lambda p, a: services.worker_lost(p, a, lost=Lost("w"))),
        (Scope.QUEUE_MANAGE, lambda p, a: job_types.pause(p, a, type="t")),
        (Scope.QUEUE_MANAGE, lambda p, a: job_types.resume(p, a, type="t")),
        (Scope.QUEUE_MANAGE, lambda p, a: job_types.configure(p, a, type="t", settings=TypeSettings())),
    ],
)
async def test_each_verb_needs_its_own_right(project_id, actor, scope, call):
    others = type(actor)("key", "9", "key other", frozenset(Scope) - {scope, Scope.ADMIN})
    with pytest.raises(NotAllowed):
        await call(project_id, others)
    await call(project_id, type(actor)("key", "9", "key own", frozenset({scope})))


async def test_a_read_only_member_changes_nothing(project_id, actor, reader):
    done = await services.enqueue(project_id, actor, job=services.new_job("t", b"1"))
    with pytest.raises(NotAllowed):
        await services.cancel(project_id, reader, job_id=done.job_id)
    assert len(await lease(project_id, actor)) == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"type": "a b"},
        {"payload": b"1" * (1024 * 1024 + 1)},
        {"delay_s": -1},
        {"max_retries": -1},
        {"priority": 10},
        {"retry_base_s": -1},
    ],
)
async def test_bounds_hold_for_every_door(project_id, actor, bad):
    with pytest.raises(InvalidInput):
        await services.enqueue(
            project_id, actor, job=services.new_job(**{"type": "t", "payload": b"1", **bad})
        )


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"payload_bytes": 1024 * 1024 + 1}, "payload"),
        ({"delay_ms": -1}, "delaySeconds"),
        ({"due_at_ms": -1}, "runAt"),
        ({"due_at_ms": 9_999_999_999_999}, "runAt"),
        ({"due_at_ms": 1, "delay_ms": 1}, "runAt"),
        ({"max_retries": 1001}, "maxRetries"),
        ({"priority": -1}, "priority"),
        ({"retry": RetryPolicy(base_ms=-1)}, "retryDelay.base"),
        ({"retry": RetryPolicy(cap_ms=-1)}, "retryDelay.cap"),
        ({"retry": RetryPolicy("list")}, "retryDelay.delays"),
        ({"retry": RetryPolicy(delays_ms=(1,))}, "retryDelay.delays"),
        ({"retry": RetryPolicy("list", delays_ms=(1, -1))}, "retryDelay.delays"),
        ({"retry": RetryPolicy("list", delays_ms=(1,) * 101)}, "retryDelay.delays"),
        ({"unique": Unique("")}, "uniqueKey"),
        ({"unique": Unique("x" * 257)}, "uniqueKey"),
        ({"unique": Unique("\ud800")}, "uniqueKey"),
        ({"unique": Unique("k", 0)}, "uniqueKey.while"),
        ({"idempotency_key": "\0"}, "idempotencyKey"),
        ({"partition_key": "x" * 257}, "partitionKey"),
        ({"timeout_ms": 999}, "timeoutSeconds"),
        ({"timeout_ms": 7 * 86_400_000 + 1}, "timeoutSeconds"),
        ({"deadline_at_ms": -1}, "deadline"),
        ({"tags": ("a",) * 21}, "tags"),
        ({"tags": ("",)}, "tags"),
        ({"tags": ("\0",)}, "tags"),
        ({"batch": "x"}, "batch"),
        ({"traceparent": "x"}, "traceparent"),
    ],
)
async def test_what_a_job_carries_is_checked_by_the_verbs(project_id, actor, bad, field):
    job = NewJob(**{"type": "t", "payload": "1", "payload_bytes": 1, **bad})
    good = services.new_job("t", b"1")
    with pytest.raises(InvalidInput) as refused:
        await services.enqueue(project_id, actor, job=job)
    assert refused.value.details["field"] == field
    with pytest.raises(InvalidInput) as refused:
        await services.enqueue_many(project_id, actor, jobs=[good, job])
    assert refused.value.details["field"] == f"jobs[1].{field}"


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (TypeSettings(rate=1), "settings.rateLimit"),
        (TypeSettings(partition_rate_per_ms=1), "settings.partitionRateLimit"),
        (TypeSettings(rate=1, rate_per_ms=0), "settings.rateLimit.perSeconds"),
        (TypeSettings(lease_ms=999), "settings.leaseSeconds"),
        (TypeSettings(secret_paths=("x",)), "settings.secretPaths[0]"),
    ],
)
async def test_settings_are_checked_by_the_verb(project_id, actor, settings, field):
    with pytest.raises(InvalidInput) as refused:
        await job_types.configure(project_id, actor, type="t", settings=settings)
    assert refused.value.details["field"] == field


async def test_only_ended_jobs_can_be_asked_for_again(project_id, actor):
    for status in ("pending", "processing", "retrying", "x"):
        with pytest.raises(InvalidInput) as refused:
            await services.retry_matching(project_id, actor, filter=JobFilter(status))
        assert (refused.value.reason, refused.value.details["field"]) == ("unknown_status", "filter.status")


async def test_a_retry_by_filter_takes_each_job_of_the_call_once(project_id, actor, monkeypatch):
    """What a step put back may fail again before the next step looks, and others may fail for the first time."""
    monkeypatch.setattr(services, "RETRY_BATCH", 1)
    new = services.new_job("t", b"1", max_retries=0)
    await services.enqueue_many(project_id, actor, jobs=[new] * 3)
    await fail_all(project_id, actor)
    next_ids = queries.ended_ids
    later = iter([new, new])

    async def meanwhile():
        for job in later:
            await services.enqueue(project_id, actor, job=job)
            break
        await fail_all(project_id, actor)

    def ended_ids(project, filter, **page):
        asyncio.run_coroutine_threadsafe(meanwhile(), loop).result()
        return next_ids(project, filter, **page)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(queries, "ended_ids", ended_ids)
    done = await services.retry_matching(project_id, actor, filter=JobFilter("failed"))
    assert (done.count, done.refused) == (3, {})


async def fail_all(project_id, actor) -> None:
    jobs = await lease(project_id, actor)
    results = [RunResult(job.id, job.lease_token, "failed") for job in jobs]
    await services.settle(project_id, actor, results=results)


async def test_live_pages_hear_of_each_change_after_its_commit(project_id, actor, monkeypatch):
    heard: list[tuple[str, list[str]]] = []

    def publish(project, topic, ids=()):
        assert project == project_id
        heard.append((topic, [(row.id, row.status) for row in _rows(project_id, actor, ids)]))

    monkeypatch.setattr(services, "publish", publish)
    monkeypatch.setattr(job_types, "publish", publish)
    job_id = (await services.enqueue(project_id, actor, job=services.new_job("t", b"1"))).job_id
    [job] = await lease(project_id, actor)
    said = [Report(job.id, job.lease_token, 5), Report(job.id, "stale", 6)]
    await services.report(project_id, actor, reports=said)
    await services.settle(
        project_id, actor, results=[RunResult(job.id, job.lease_token, "failed", final=True)]
    )
    await services.retry(project_id, actor, job_ids=[job_id])
    await services.cancel(project_id, actor, job_id=job_id)
    assert heard == [
        ("jobs", [(job_id, status)])
        for status in ("pending", "processing", "processing", "failed", "pending", "cancelled")
    ]
    heard.clear()
    await job_types.pause(project_id, actor, type="t")
    await job_types.resume(project_id, actor, type="t")
    await job_types.configure(project_id, actor, type="t", settings=TypeSettings())
    assert heard == [("jobs", [])] * 3


async def test_live_pages_do_not_hear_of_a_report_that_was_not_kept(project_id, actor, monkeypatch):
    jobs = [services.new_job("t", b"1")] * 2
    await services.enqueue_many(project_id, actor, jobs=jobs)
    kept, lost = await lease(project_id, actor)
    heard: list[tuple[str, ...]] = []
    monkeypatch.setattr(services, "publish", lambda project, topic, ids=(): heard.append(tuple(ids)))
    said = [Report(lost.id, "stale", 6), Report(kept.id, kept.lease_token, 5)]
    assert await services.report(project_id, actor, reports=said) == ["lease_lost", "accepted"]
    assert heard == [(kept.id,)]


def _rows(project_id, actor, ids):
    # On the engine loop's thread, where Django refuses the ORM; a thread of its own reads what is committed.
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connection

    def read():
        try:
            return queries.rows(project_id, actor, ids=ids)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(read).result()


async def test_the_keepers_sweep_ends_what_fell_silent(project_id, actor):
    await services.enqueue(project_id, actor, job=services.new_job("t", b"1"))
    [job] = await lease(project_id, actor, lease_s=1)
    tasks = {name: task for name, _, task in keeper.TASKS}
    deadline = time.monotonic() + 60
    again = []
    while not again and time.monotonic() < deadline:
        await tasks["jobs.sweep_leases"]()
        again = await lease(project_id, actor, wait_s=0.1)
    assert [(j.id, j.run) for j in again] == [(job.id, 2)]
    said = [RunResult(JobId(job.id), job.lease_token, "completed")]
    assert await services.settle(project_id, actor, results=said) == ["lease_lost"]


async def test_the_keepers_prune_deletes_what_is_older_than_it_is_kept(project_id, actor, settings):
    from asgiref.sync import sync_to_async

    from jobs_admin.models import Job

    job_ids = {}
    for outcome in ("completed", "failed"):
        new = services.new_job("t", b"1", max_retries=0)
        job_ids[outcome] = (await services.enqueue(project_id, actor, job=new)).job_id
        [job] = await lease(project_id, actor)
        report = Report(job.id, job.lease_token, 5, "half", (LogLine("info", "line"),))
        await services.report(project_id, actor, reports=[report])
        await services.settle(project_id, actor, results=[RunResult(job.id, job.lease_token, outcome)])
    eight_days = 8 * 24 * 3_600_000
    old = [uuid.UUID(job_id) for job_id in job_ids.values()]
    rows = await sync_to_async(lambda: [_older(id, eight_days) for id in old])()
    tasks = {name: task for name, _, task in keeper.TASKS}
    await tasks["jobs.prune"]()
    left = await sync_to_async(
        lambda: list(Job.objects.filter(pk__in=rows).values_list("status", flat=True))
    )()
    assert left == ["failed"]
    settings.AERODASH_KEEP_FAILED_DAYS = 7
    await tasks["jobs.prune"]()
    left = await sync_to_async(lambda: list(Job.objects.filter(pk__in=rows)))()
    assert left == []
    counts = await sync_to_async(queries.counts)(project_id, actor)
    assert (counts.completed, counts.failed) == (0, 0)


def _older(id: uuid.UUID, ms: int) -> uuid.UUID:
    """The job as if it had been made and ended so long ago; its id, which tells its age too."""
    from django.db.models import F

    from jobs_admin.models import Attempt, Job, JobLog, JobProgress

    before = uuid.UUID(int=id.int - (ms << 80))
    Job.objects.filter(pk=id).update(
        id=before,
        created_at_ms=F("created_at_ms") - ms,
        due_at_ms=F("due_at_ms") - ms,
        ended_at_ms=F("ended_at_ms") - ms,
    )
    for about in (Attempt, JobLog, JobProgress):
        about.objects.filter(job_id=id).update(job_id=before)
    return before


async def test_the_keepers_fold_keeps_the_counts(project_id, actor):
    from asgiref.sync import sync_to_async

    await services.enqueue(project_id, actor, job=services.new_job("t", b"1"))
    tasks = {name: task for name, _, task in keeper.TASKS}
    await tasks["jobs.fold_counters"]()
    assert (await sync_to_async(queries.counts)(project_id, actor)).pending == 1


async def test_the_keepers_reconciler_reports_and_mends_a_wrong_counter(project_id, actor, caplog):
    from asgiref.sync import sync_to_async

    from jobs_admin.models import JobCounter

    await services.enqueue(project_id, actor, job=services.new_job("t", b"1"))
    await sync_to_async(JobCounter.objects.filter(project_id=project_id).update)(count=9)
    tasks = {name: task for name, _, task in keeper.TASKS}
    await tasks["jobs.reconcile_counters"]()
    assert f"project {project_id}, type t, status pending said 9, there are 1 jobs" in caplog.text
    assert (await sync_to_async(queries.counts)(project_id, actor)).pending == 1


async def test_a_lease_knows_its_own_bounds(project_id, actor):
    for bad in (
        {"limit": 0},
        {"limit": 1001},
        {"lease_s": 0},
        {"lease_s": 3601},
        {"wait_s": 31},
        {"types": ["a b"]},
    ):
        with pytest.raises(InvalidInput):
            await lease(project_id, actor, **bad)
    refs = [LeaseRef(JobId("x"), "y")] * 1001
    with pytest.raises(InvalidInput) as refused:
        await services.heartbeat(project_id, actor, worker=WORKER, leases=refs, lease_s=30)
    assert (refused.value.reason, refused.value.details["limit"]) == ("too_many", 1000)


@pytest.mark.parametrize(
    ("worker", "reason"),
    [
        (WorkerInfo(""), "missing"),
        (WorkerInfo("w" * 65), "too_long"),
        (WorkerInfo("w", "h" * 129), "too_long"),
        (WorkerInfo("w", version="v" * 65), "too_long"),
        (WorkerInfo("w", pid=-1), "out_of_range"),
    ],
)
async def test_a_worker_is_checked_by_the_verbs(project_id, actor, worker, reason):
    for call in (
        lease(project_id, actor, worker=worker),
        services.heartbeat(project_id, actor, worker=worker, leases=[], lease_s=30),
    ):
        with pytest.raises(InvalidInput) as refused:
            await call
        assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"lease_token": ""}, "missing"),
        ({"lease_token": "t" * 65}, "too_long"),
        ({"result": "1" * (1024 * 1024 + 1)}, "result_too_large"),
        ({"error_type": "é" * 129}, "too_long"),
        ({"retry_after_ms": -1}, "out_of_range"),
        ({"retry_after_ms": 11 * 365 * 24 * 3600 * 1000}, "out_of_range"),
    ],
)
async def test_a_result_is_checked_by_the_verb(project_id, actor, said, reason):
    sent = RunResult(**{"job_id": JobId("x"), "lease_token": "t", "outcome": "failed", **said})
    with pytest.raises(InvalidInput) as refused:
        await services.settle(project_id, actor, results=[sent])
    assert refused.value.reason == reason


async def test_numbers_of_things_are_too_many_or_missing(project_id, actor):
    spec = services.new_job("t", b"1")
    for jobs, reason in (([], "missing"), ([spec] * 10_001, "too_many")):
        with pytest.raises(InvalidInput) as refused:
            await services.enqueue_many(project_id, actor, jobs=jobs)
        assert refused.value.reason == reason


async def test_concurrent_callers_from_any_loop_share_the_engine(project_id, actor):
    done = await asyncio.gather(
        *(services.enqueue(project_id, actor, job=services.new_job("t", str(n).encode())) for n in range(50))
    )
    assert len({job.job_id for job in done}) == 50
