"""An engine, driven at random, stays equal to the reference model: rows, history, counters and every answer."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from aerodash import limits
from aerodash.ids import JobId
from jobs_admin.engine.contract import (
    LeaseRef,
    LogLine,
    Lost,
    NewJob,
    Report,
    RunResult,
    TypeSettings,
    Unique,
)
from tests.conformance.jobs.conftest import ANN, APP, OTHER, WORKER
from tests.conformance.jobs.model import Model, ModelJob
from tests.conformance.jobs.store import STORES, Clock

TYPES = ("a", "b")
BATCH = "01900000-0000-7000-8000-0000000000ba"
RATE = (1, 8_000, 2)


class JobsAgainstModel(RuleBasedStateMachine):
    store_kind = "sqlite"

    jobs = Bundle("jobs")
    leases = Bundle("leases")
    """Every (job, token) that was ever handed out: most are stale."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.store = STORES[self.store_kind](Path(self.folder.name))
        self.store.pruned = True  # the counters of the batch are compared with the model's
        self.clock = Clock()
        self.loop = asyncio.new_event_loop()
        self.engine = self.store.engine(self.clock)
        self.loop.run_until_complete(self.engine.open())
        self.project = self.store.new_project()
        self.store.new_batch(self.project, BATCH)
        self.model = Model(TYPES)

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.loop.run_until_complete(self.engine.close())
            self.loop.close()
            self.store.close()
            self.folder.cleanup()

    def wait(self, awaitable):
        return self.loop.run_until_complete(awaitable)

    @rule(
        target=jobs,
        type=st.sampled_from(TYPES),
        max_retries=st.integers(0, 4),
        delay=st.sampled_from([0, 0, 0, 5_000]),
        deadline=st.sampled_from([None, None, None, 3_000]),
        timeout=st.sampled_from([None, None, 5_000, 100_000]),
        partition_key=st.sampled_from(["", "", "p", "q"]),
        batch=st.sampled_from([None, BATCH]),
        unique=st.sampled_from(
            [None, None, None, Unique("u"), Unique("u", replace=True), Unique("u", period_ms=20_000)]
        ),
        idempotency_key=st.sampled_from(["", "", "", "i"]),
        payload=st.sampled_from(["1", "22"]),
    )
    def enqueue(
        self,
        type,
        max_retries,
        delay,
        deadline,
        timeout,
        partition_key,
        batch,
        unique,
        idempotency_key,
        payload,
    ):
        now = self.clock()
        deadline_at = None if deadline is None else now + deadline
        job = NewJob(
            type, payload, len(payload), delay_ms=delay, max_retries=max_retries, deadline_at_ms=deadline_at,
            timeout_ms=timeout, partition_key=partition_key, batch=batch, unique=unique,
            idempotency_key=idempotency_key,
        )  # fmt: skip
        [added] = self.wait(self.engine.enqueue(self.project, APP, [job]))
        new = ModelJob(
            type, max_retries, now + delay, payload=payload, deadline_at_ms=deadline_at, timeout_ms=timeout,
            partition_key=partition_key, batch=batch, unique_key=unique.key if unique else "",
            unique_until_ms=now + unique.period_ms if unique and unique.period_ms else None,
        )  # fmt: skip
        before = set(self.model.jobs)
        answer = self.model.enqueue(
            now, added.job_id, new, replace=bool(unique and unique.replace), idempotency_key=idempotency_key
        )
        assert added.job_id == answer
        assert added.duplicate == (set(self.model.jobs) == before)
        return added.job_id

    @rule(seconds=st.sampled_from([0.001, 1, 4, 4, 15, 31, 7200, 86_400]))
    def time_passes(self, seconds):
        self.clock.move(seconds)

    @rule(
        target=leases,
        types=st.sampled_from([None, None, ["a"], ["b", "a"], []]),
        limit=st.integers(1, 4),
        lease_ms=st.sampled_from([10_000, 30_000]),
        worker=st.sampled_from([WORKER, OTHER]),
    )
    def lease(self, types, limit, lease_ms, worker):
        now = self.clock()
        leased = self.wait(
            self.engine.lease(self.project, worker, types=types, limit=limit, lease_ms=lease_ms)
        ).jobs
        expected = self.model.leasable(now, types, limit)
        # All have the same priority: those that were due longest.
        assert sorted(job.due_at_ms for job in leased) == [job.due_at_ms for job in expected]
        taken = [self.model.jobs[job.id] for job in leased]
        for job, model in zip(leased, taken, strict=True):
            assert model.may_start(now)
            model.lease(now, job.lease_token, worker.id, lease_ms)
            assert (job.run, job.attempts, job.type) == (model.run, model.attempts, model.type)
            assert (job.payload, job.timeout_ms) == (model.payload, model.timeout_ms)
        self.model.started(now, taken)
        return multiple(*((job.id, job.lease_token) for job in leased))

    @rule(lease=leases, lease_ms=st.sampled_from([10_000, 30_000]))
    def heartbeat(self, lease, lease_ms):
        [said] = self.wait(self.engine.heartbeat(self.project, WORKER, [LeaseRef(*lease)], lease_ms=lease_ms))
        model = self.model.jobs.get(lease[0])
        assert said == (model.heartbeat(self.clock(), lease[1], lease_ms) if model else "lease_lost")

    @rule(lease=leases, percent=st.sampled_from([None, 0.5, 99.0]), lines=st.sampled_from([0, 1, 600]))
    def report(self, lease, percent, lines):
        sent = Report(*lease, percent=percent, logs=(LogLine("info", "x"),) * lines)
        [said] = self.wait(self.engine.report(self.project, [sent]))
        model = self.model.jobs.get(lease[0])
        assert said == (model.report(lease[1], percent, lines) if model else "lease_lost")

    @rule(
        lease=leases,
        outcome=st.sampled_from(["completed", "failed", "failed", "released"]),
        final=st.booleans(),
        retry_after_ms=st.sampled_from([None, None, 0, 9_000]),
    )
    def settle(self, lease, outcome, final, retry_after_ms):
        job_id, token = lease
        final = final and outcome == "failed"
        sent = RunResult(
            JobId(job_id), token, outcome, result=f'"{token}"', retry_after_ms=retry_after_ms, final=final
        )
        [said] = self.wait(self.engine.settle(self.project, APP, [sent]))
        model = self.model.jobs.get(job_id)
        expected = "lease_lost"
        if model:
            expected = model.settle(
                self.clock(), token, outcome, f'"{token}"', final=final, retry_after_ms=retry_after_ms
            )
        assert said == expected

    @rule(job_id=jobs)
    def cancel(self, job_id):
        [done] = self.wait(self.engine.cancel(self.project, ANN, [job_id]))
        model = self.model.jobs.get(job_id)
        assert done.success == (model is not None and model.cancel(self.clock()))

    @rule(job_id=jobs, payload=st.sampled_from([None, "2"]))
    def retry(self, job_id, payload):
        done = self.wait(self.engine.retry(self.project, ANN, [job_id], payload=payload))
        assert bool(done.job_ids) == self.model.retry(self.clock(), job_id, payload)

    @rule(job_id=jobs)
    def run_now(self, job_id):
        done = self.wait(self.engine.run_now(self.project, ANN, [job_id]))
        assert bool(done.job_ids) == self.model.run_now(self.clock(), job_id)

    @rule(worker=st.sampled_from([WORKER, OTHER]), begun=st.sampled_from(["unknown", "none", "all", "half"]))
    def worker_dies(self, worker, begun):
        held = [job_id for job_id, job in self.model.jobs.items() if job.worker == worker.id]
        some = {"unknown": held, "none": [], "all": held, "half": held[::2]}[begun]
        lost = Lost(worker.id, begun=None if begun == "unknown" else frozenset(some))
        ended = self.wait(self.engine.worker_lost(self.project, lost))
        expected = {
            job_id
            for job_id, job in self.model.jobs.items()
            if job.lose_worker(self.clock(), worker.id, begun=job_id in some)
        }
        assert set(ended) == expected

    @rule()
    def sweep(self):
        swept = self.wait(self.engine.sweep(limit=1000))
        # Leases first: a job that one gives back may be past its deadline, and is ended by the same sweep.
        expected = {
            job_id for _ in range(2) for job_id, job in self.model.jobs.items() if job.expire(self.clock())
        }
        assert set(swept.changed.get(self.project, [])) == expected

    @rule(
        keep_s=st.fixed_dictionaries(
            {}, optional=dict.fromkeys(("completed", "failed", "cancelled"), st.sampled_from([1, 60]))
        ),
        limit=st.sampled_from([2, 1_000]),
    )
    def prune(self, keep_s, limit):
        keep_ms = {status: seconds * 1000 for status, seconds in keep_s.items()}
        gone: set[str] = set()
        # A walk that an earlier one left in the middle is ended first.
        for _ in range(2):
            more = True
            while more:
                swept = self.wait(self.engine.prune(keep_ms, limit=limit))
                gone |= set(swept.changed.get(self.project, []))
                more = swept.more
        assert gone == self.model.prune(self.clock(), keep_ms)

    @rule(
        type=st.sampled_from(TYPES),
        concurrency=st.sampled_from([None, None, 0, 2]),
        partition_concurrency=st.sampled_from([None, 1]),
        rate=st.sampled_from([None, RATE]),
    )
    def configure(self, type, concurrency, partition_concurrency, rate):
        starts, per_ms, burst = rate or (None, None, None)
        settings = TypeSettings(
            concurrency=concurrency, partition_concurrency=partition_concurrency,
            rate=starts, rate_per_ms=per_ms, rate_burst=burst,
        )  # fmt: skip
        self.wait(self.engine.configure(self.project, type, settings))
        said = self.model.types[type]
        said.concurrency, said.partition_concurrency, said.rate = concurrency, partition_concurrency, rate

    @rule(type=st.sampled_from(TYPES), paused=st.booleans())
    def pause_or_resume(self, type, paused):
        if paused:
            self.wait(self.engine.pause(self.project, ANN, type, ""))
        else:
            self.wait(self.engine.resume(self.project, type))
        self.model.types[type].paused = paused

    @rule()
    def crash_of_the_process(self):
        self.wait(self.engine.close())
        self.engine = self.store.engine(self.clock)
        self.wait(self.engine.open())

    @invariant()
    def rows_equal_the_model(self):
        if not hasattr(self, "model"):
            return
        rows = self.store.jobs(self.project)
        assert len(rows) == len(self.model.jobs)
        for job_id, model in self.model.jobs.items():
            row = rows[job_id.replace("-", "")]
            if model.due_between is not None:
                low, high = model.due_between
                assert low - 1 <= row["due_at_ms"] <= high
                model.due_at_ms, model.due_between = row["due_at_ms"], None
            assert (
                row["status"], row["run"], row["attempts"], row["crashes"], row["lease_token"], row["due_at_ms"],
                row["payload_version"], row["result"], row["cancel_requested_at_ms"] is not None, row["payload"],
                bool(row["holds_key"]), row["ended_at_ms"], row["deadline_at_ms"], row["timeout_ms"],
            ) == (
                model.status, model.run, model.attempts, model.crashes, model.token, model.due_at_ms,
                model.payload_version, model.result, model.cancelling, model.payload,
                model.holds_key, model.ended_at_ms, model.deadline_at_ms, model.timeout_ms,
            )  # fmt: skip
            if model.status == "processing":
                assert row["lease_expires_at_ms"] == model.expires_at_ms

    @invariant()
    def history_and_counters_are_whole(self):
        if not hasattr(self, "model"):
            return
        assert self.store.wrong_counters() == []
        assert self.store.batch_counts(BATCH) == self.model.batch_counts(BATCH)
        attempts = self._by_job("attempt", "run")
        late = self._by_job("jobevent", "id", "AND kind = 'late_result'")
        progress = self._by_job("jobprogress", "job_id")
        logs = {
            row["job_id"]: row["lines"]
            for row in self.store.run(
                "SELECT job_id, count(*) AS lines FROM jobs_admin_joblog GROUP BY job_id"
            )
        }
        assert {*attempts, *late, *progress, *logs} <= {self.store.id(job_id) for job_id in self.model.jobs}
        for job_id, model in self.model.jobs.items():
            stored = self.store.id(job_id)
            ended = attempts.get(stored, [])
            assert [a["outcome"] for a in ended] == model.outcomes
            running = model.status == "processing"
            assert [a["run"] for a in ended] == list(range(1, model.run + (not running)))
            assert len(late.get(stored, [])) == min(model.late, limits.LATE_RESULTS)
            said = progress.get(stored)
            if said is None:
                assert model.reported_by == 0
                continue
            kept = min(model.lines, limits.LOG_LINES)
            assert (said[0]["run"], said[0]["percent"]) == (model.reported_by, model.percent)
            assert (said[0]["log_lines"], said[0]["log_dropped"]) == (kept, model.lines - kept)
            assert logs.get(stored, 0) == kept

    def _by_job(self, table: str, order: str, condition: str = "") -> dict[str, list[dict]]:
        rows: dict[str, list[dict]] = {}
        for row in self.store.run(
            f"SELECT * FROM jobs_admin_{table} WHERE 1 = 1 {condition} ORDER BY job_id, {order}"
        ):
            rows.setdefault(row["job_id"], []).append(row)
        return rows


@pytest.mark.parametrize("store_kind", STORES)
def test_an_engine_equals_the_reference_model(store_kind):
    machine = type("Machine", (JobsAgainstModel,), {"store_kind": store_kind})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
