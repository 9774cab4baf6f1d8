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
from jobs_admin.engine.contract import LeaseRef, NewJob, RunResult
from tests.conformance.jobs.conftest import ANN, APP, OTHER, WORKER
from tests.conformance.jobs.model import ModelJob
from tests.conformance.jobs.store import STORES, Clock

TYPES = ("a", "b")


class JobsAgainstModel(RuleBasedStateMachine):
    store_kind = "sqlite"

    jobs = Bundle("jobs")
    leases = Bundle("leases")
    """Every (job, token) that was ever handed out: most are stale."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.store = STORES[self.store_kind](Path(self.folder.name) / "jobs.db")
        self.clock = Clock()
        self.loop = asyncio.new_event_loop()
        self.engine = self.store.engine(self.clock)
        self.loop.run_until_complete(self.engine.open())
        self.project = self.store.new_project()
        self.model: dict[str, ModelJob] = {}

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
        delay=st.sampled_from([0, 0, 5_000]),
    )
    def enqueue(self, type, max_retries, delay):
        job = NewJob(type, "1", 1, delay_ms=delay, max_retries=max_retries)
        [job_id] = self.wait(self.engine.enqueue(self.project, APP, [job]))
        self.model[job_id] = ModelJob(type, max_retries, self.clock() + delay)
        return job_id

    @rule(seconds=st.sampled_from([0.001, 1, 4, 15, 31, 7200]))
    def time_passes(self, seconds):
        self.clock.move(seconds)

    @rule(
        target=leases,
        types=st.sampled_from([None, ["a"], ["b", "a"], []]),
        limit=st.integers(1, 4),
        lease_ms=st.sampled_from([10_000, 30_000]),
        worker=st.sampled_from([WORKER, OTHER]),
    )
    def lease(self, types, limit, lease_ms, worker):
        leased = self.wait(
            self.engine.lease(self.project, worker, types=types, limit=limit, lease_ms=lease_ms)
        ).jobs
        due = [
            job
            for job in self.model.values()
            if job.status == "pending"
            and job.due_at_ms <= self.clock()
            and (types is None or job.type in types)
        ]
        assert len(leased) == min(limit, len(due))
        # All have the same priority: those that were due longest.
        assert sorted(job.due_at_ms for job in leased) == sorted(job.due_at_ms for job in due)[:limit]
        for job in leased:
            model = self.model[job.id]
            assert model in due
            model.lease(job.lease_token, self.clock() + lease_ms)
            assert (job.run, job.attempts, job.type) == (model.run, model.attempts, model.type)
        return multiple(*((job.id, job.lease_token) for job in leased))

    @rule(lease=leases, lease_ms=st.sampled_from([10_000, 30_000]))
    def heartbeat(self, lease, lease_ms):
        [said] = self.wait(self.engine.heartbeat(self.project, WORKER, [LeaseRef(*lease)], lease_ms=lease_ms))
        assert said == self.model[lease[0]].heartbeat(lease[1], self.clock() + lease_ms)

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
        assert said == self.model[job_id].settle(
            self.clock(), token, outcome, f'"{token}"', final=final, retry_after_ms=retry_after_ms
        )

    @rule(job_id=jobs)
    def cancel(self, job_id):
        assert self.wait(self.engine.cancel(self.project, ANN, job_id)).success == self.model[job_id].cancel()

    @rule(job_id=jobs, payload=st.sampled_from([None, "2"]))
    def retry(self, job_id, payload):
        done = self.wait(self.engine.retry(self.project, ANN, [job_id], payload=payload))
        assert bool(done.job_ids) == self.model[job_id].retry(self.clock(), edited=payload is not None)

    @rule()
    def sweep(self):
        swept = self.wait(self.engine.sweep(limit=1000))
        expected = {job_id for job_id, job in self.model.items() if job.expire(self.clock())}
        assert set(swept.changed.get(self.project, [])) == expected

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
        assert len(rows) == len(self.model)
        for job_id, model in self.model.items():
            row = rows[job_id.replace("-", "")]
            if model.due_between is not None:
                low, high = model.due_between
                assert low - 1 <= row["due_at_ms"] <= high
                model.due_at_ms, model.due_between = row["due_at_ms"], None
            assert (
                row["status"], row["run"], row["attempts"], row["crashes"], row["lease_token"], row["due_at_ms"],
                row["payload_version"], row["result"], row["cancel_requested_at_ms"] is not None,
            ) == (
                model.status, model.run, model.attempts, model.crashes, model.token, model.due_at_ms,
                model.payload_version, model.result, model.cancelling,
            )  # fmt: skip
            assert (row["ended_at_ms"] is not None) == (model.status in ("completed", "failed", "cancelled"))
            if model.status == "processing":
                assert row["lease_expires_at_ms"] == model.expires_at_ms

    @invariant()
    def history_and_counters_are_whole(self):
        if not hasattr(self, "model"):
            return
        assert self.store.wrong_counters() == []
        for job_id, model in self.model.items():
            attempts = self.store.attempts(job_id)
            assert [a["outcome"] for a in attempts] == model.outcomes
            running = model.status == "processing"
            assert [a["run"] for a in attempts] == list(range(1, model.run + (not running)))
            late = [event for event in self.store.events(job_id) if event["kind"] == "late_result"]
            assert len(late) == min(model.late, limits.LATE_RESULTS)


@pytest.mark.parametrize("store_kind", STORES)
def test_an_engine_equals_the_reference_model(store_kind):
    machine = type("Machine", (JobsAgainstModel,), {"store_kind": store_kind})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
