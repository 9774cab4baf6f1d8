"""What the verbs owe to every door: rights, bounds, live updates, and the keeper's work."""

import asyncio
import time

import pytest

from aerodash.auth import Scope
from aerodash.errors import InvalidInput, NotAllowed
from aerodash.ids import JobId
from jobs_admin import keeper, queries, services
from jobs_admin.services import LeaseRef, RunResult, WorkerInfo

WORKER = WorkerInfo("w-1", "host-a", 41, "1.0")


def lease(project_id, actor, **options):
    defaults = {"types": None, "limit": 10, "lease_s": 30, "wait_s": 0, "worker": WORKER}
    return services.lease(project_id, actor, **{**defaults, **options})


@pytest.mark.parametrize(
    ("scope", "call"),
    [
        (Scope.QUEUE_ENQUEUE, lambda p, a: services.enqueue(p, a, type="t", payload=b"1")),
        (Scope.QUEUE_ENQUEUE, lambda p, a: services.enqueue_many(p, a, jobs=[services.JobSpec("t", b"1")])),
        (Scope.QUEUE_WORK, lambda p, a: lease(p, a)),
        (Scope.QUEUE_WORK, lambda p, a: services.heartbeat(p, a, worker=WORKER, leases=[], lease_s=30)),
        (Scope.QUEUE_WORK, lambda p, a: services.settle(p, a, results=[])),
        (Scope.QUEUE_MANAGE, lambda p, a: services.cancel(p, a, job_id="x")),
        (Scope.QUEUE_MANAGE, lambda p, a: services.retry(p, a, job_ids=[])),
    ],
)
async def test_each_verb_needs_its_own_right(project_id, actor, scope, call):
    others = type(actor)("key", "9", "key other", frozenset(Scope) - {scope, Scope.ADMIN})
    with pytest.raises(NotAllowed):
        await call(project_id, others)
    await call(project_id, type(actor)("key", "9", "key own", frozenset({scope})))


async def test_a_read_only_member_changes_nothing(project_id, actor, reader):
    done = await services.enqueue(project_id, actor, type="t", payload=b"1")
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
        await services.enqueue(project_id, actor, **{"type": "t", "payload": b"1", **bad})


async def test_live_pages_hear_of_each_change_after_its_commit(project_id, actor, monkeypatch):
    heard: list[tuple[str, list[str]]] = []

    def publish(project, topic, ids=()):
        assert project == project_id
        heard.append((topic, [(row.id, row.status) for row in _rows(project_id, actor, ids)]))

    monkeypatch.setattr(services, "publish", publish)
    job_id = (await services.enqueue(project_id, actor, type="t", payload=b"1")).job_id
    [job] = await lease(project_id, actor)
    await services.settle(
        project_id, actor, results=[RunResult(job.id, job.lease_token, "failed", final=True)]
    )
    await services.retry(project_id, actor, job_ids=[job_id])
    await services.cancel(project_id, actor, job_id=job_id)
    assert heard == [
        ("jobs", [(job_id, status)]) for status in ("pending", "processing", "failed", "pending", "cancelled")
    ]


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
    await services.enqueue(project_id, actor, type="t", payload=b"1")
    [job] = await lease(project_id, actor, lease_s=1)
    tasks = {name: task for name, _, task in keeper.TASKS}
    deadline = time.monotonic() + 5
    again = []
    while not again and time.monotonic() < deadline:
        await tasks["jobs.sweep_leases"]()
        again = await lease(project_id, actor, wait_s=0.1)
    assert [(j.id, j.run) for j in again] == [(job.id, 2)]
    said = [RunResult(JobId(job.id), job.lease_token, "completed")]
    assert await services.settle(project_id, actor, results=said) == ["lease_lost"]


async def test_the_keepers_reconciler_reports_and_mends_a_wrong_counter(project_id, actor, caplog):
    from asgiref.sync import sync_to_async

    from jobs_admin.models import JobCounter

    await services.enqueue(project_id, actor, type="t", payload=b"1")
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
    spec = services.JobSpec("t", b"1")
    for jobs, reason in (([], "missing"), ([spec] * 10_001, "too_many")):
        with pytest.raises(InvalidInput) as refused:
            await services.enqueue_many(project_id, actor, jobs=jobs)
        assert refused.value.reason == reason


async def test_concurrent_callers_from_any_loop_share_the_engine(project_id, actor):
    done = await asyncio.gather(
        *(services.enqueue(project_id, actor, type="t", payload=str(n).encode()) for n in range(50))
    )
    assert len({job.job_id for job in done}) == 50
