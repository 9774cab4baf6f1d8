"""The checker of chaos runs finds each broken promise, and nothing where none is broken."""

import dataclasses
from typing import Any

import pytest

from tests.chaos.checker import RULES, Limits, check
from tests.chaos.history import Fault, Handled, History, Op
from tests.chaos.snapshot import Snapshot

T0 = 1_800_000_000
LIMITS = Limits(
    brief=frozenset({"brief"}),
    limited={"limited": 1},
    keyed={"keyed": 1},
    rated={"rated": (1.0, 2)},
    schedules={"scheduled": 2},
)


class World:
    """A history and a database that agree. Tests spoil one of them."""

    def __init__(self) -> None:
        self.history = History()
        self.stored = Snapshot()
        self.now = float(T0)

    def op(self, by: str, verb: str, asked: dict, got: dict, *, phase: str = "ok", s: float = 0.1) -> Op:
        op = Op(by, verb, asked, got, phase, self.now, self.now + s / 2)
        self.history.ops.append(op)
        self.now += s
        return op

    def enqueue(
        self, id: str, *, type: str = "a", plan: str = "done", max_retries: int = 1, **told: Any
    ) -> None:
        job = {"n": f"n-{id}", "plan": plan, "type": type, **told}
        self.op("client-1", "enqueue", {"jobs": [job]}, {"ids": [id], "duplicates": []})
        self.store(
            id,
            type=type,
            max_retries=max_retries,
            unique_key=told.get("unique", ""),
            plan=plan,
            key=told.get("key", ""),
        )

    def store(
        self, id: str, *, type: str = "a", max_retries: int = 1, unique_key: str = "", **payload: Any
    ) -> None:
        self.stored.jobs[id] = {
            "id": id,
            "type": type,
            "status": "pending",
            "run": 0,
            "attempts": 0,
            "max_retries": max_retries,
            "created_at_ms": self.ms,
            "due_at_ms": self.ms,
            "ended_at_ms": None,
            "unique_key": unique_key,
            "partition_key": payload.pop("key", ""),
            "batch_id": "",
            "payload": {"n": f"n-{id}", **payload},
        }
        self.stored.attempts[id] = []
        self.stored.events[id] = []
        self.count(type, "pending", 1)

    @property
    def ms(self) -> int:
        return int(self.now * 1000)

    def count(self, type: str, status: str, change: int) -> None:
        key = type, status
        self.stored.counters[key] = self.stored.counters.get(key, 0) + change

    def put(self, id: str, **columns: Any) -> None:
        job = self.stored.jobs[id]
        if "status" in columns:
            self.count(job["type"], job["status"], -1)
            self.count(job["type"], columns["status"], 1)
        self.stored.jobs[id] = {**job, **columns}

    def lease(self, id: str, by: str = "wire-1") -> dict[str, Any]:
        run = self.stored.jobs[id]["run"] + 1
        lease = {"job": id, "run": run, "token": f"token-{id}-{run}"}
        leased_at = self.ms
        self.op(by, "lease", {"worker": by, "lease_s": 2}, {"leases": [lease]})
        self.put(id, status="processing", run=run)
        return {**lease, "by": by, "leased_at_ms": leased_at}

    def keep(self, lease: dict[str, Any], outcome: str, *, again: bool) -> None:
        """The run is over, and on the timeline."""
        self.stored.attempts[lease["job"]].append(
            {
                "job_id": lease["job"],
                "run": lease["run"],
                "outcome": outcome,
                "due_at_ms": lease["leased_at_ms"],
                "leased_at_ms": lease["leased_at_ms"],
                "ended_at_ms": self.ms,
                "next_due_at_ms": self.ms if again else None,
                "worker_id": lease["by"],
                "error_type": "Planned" if outcome == "failed" else "",
            }
        )
        ended = {"released": "pending", "completed": "completed", "cancelled": "cancelled"}.get(
            outcome, "failed"
        )
        self.put(lease["job"], status="pending" if again else ended)

    def send(self, lease: dict[str, Any], outcome: str, answer: str | None, **op: Any) -> None:
        result = {"job": lease["job"], "run": lease["run"], "token": lease["token"], "outcome": outcome}
        got = {"outcomes": [answer]} if answer else {}
        self.op(lease["by"], "settle", {"results": [result]}, got, phase="ok" if answer else "unknown", **op)

    def settle(self, lease: dict[str, Any], outcome: str = "completed", *, again: bool = False) -> None:
        self.keep(lease, outcome, again=again)
        self.send(lease, outcome, "accepted")

    def expire(self, lease: dict[str, Any], *, again: bool = True) -> None:
        self.now += 2.5
        self.keep(lease, "lease_expired", again=again)
        self.now += 0.1

    def event(self, id: str, kind: str) -> None:
        self.stored.events[id].append(
            {
                "id": len(self.stored.events[id]),
                "kind": kind,
                "run": self.stored.jobs[id]["run"],
                "at_ms": self.ms,
            }
        )

    def cancel(self, id: str) -> None:
        self.op("client-1", "cancel", {"job": id}, {"success": True})

    def cancel_pending(self, id: str) -> None:
        self.event(id, "cancelled")
        self.put(id, status="cancelled")
        self.cancel(id)

    def retry(self, id: str) -> None:
        self.event(id, "retried")
        self.put(id, status="pending")
        self.op("client-1", "retry", {"job": id}, {"count": 1})

    def batch(self, name: str, *members: str) -> None:
        self.op("client-1", "batch", {"name": name}, {"batch": f"batch-{name}"})
        for member in members:
            self.put(member, batch_id=f"batch-{name}")
        self.op("client-1", "seal", {"batch": f"batch-{name}"}, {"success": True})
        self.stored.batches.append(
            {"id": f"batch-{name}", "name": name, "sealed_at_ms": self.ms, "ended_at_ms": self.ms}
        )
        id = f"done-{name}"
        self.store(id, type="done", batch=name, plan="done")
        self.stored.jobs[id] = {
            **self.stored.jobs[id],
            "payload": {"n": f"{name}.done", "batch": name, "plan": "done"},
        }
        self.settle(self.lease(id))

    def broken(self) -> set[str]:
        return set(check(self.history, self.stored, LIMITS))

    def edit_attempt(self, id: str, index: int, **columns: Any) -> None:
        self.stored.attempts[id][index] = {**self.stored.attempts[id][index], **columns}

    def last_op(self, **changes: Any) -> None:
        self.history.ops[-1] = dataclasses.replace(self.history.ops[-1], **changes)


@pytest.fixture
def world() -> World:
    """Every way a job may go, all of them well."""
    world = World()
    world.enqueue("plain")
    world.settle(world.lease("plain"))
    world.enqueue("flaky", plan="flaky", max_retries=1)
    world.settle(world.lease("flaky"), "failed", again=True)
    world.settle(world.lease("flaky", "wire-2"))
    world.enqueue("hopeless", plan="fail", max_retries=0)
    world.settle(world.lease("hopeless"), "failed")
    world.enqueue("final", plan="final", max_retries=3)
    world.settle(world.lease("final"), "failed")
    world.enqueue("crashed")
    lost = world.lease("crashed")
    world.expire(lost)
    world.settle(world.lease("crashed", "wire-2"))
    world.send(lost, "completed", "lease_lost")
    world.enqueue("given-back")
    world.settle(world.lease("given-back"), "released", again=True)
    world.settle(world.lease("given-back", "wire-2"))
    world.enqueue("never-started")
    world.cancel_pending("never-started")
    world.enqueue("stopped")
    running = world.lease("stopped")
    world.cancel("stopped")
    world.keep(running, "cancelled", again=False)
    world.send(running, "completed", "cancelled")
    world.enqueue("again")
    world.settle(world.lease("again"))
    world.retry("again")
    world.settle(world.lease("again"))
    world.enqueue("too-late", max_retries=3)
    world.event("too-late", "expired")
    world.put("too-late", status="failed")
    world.enqueue("unanswered")
    lease = world.lease("unanswered")
    world.send(lease, "completed", None)
    world.keep(lease, "completed", again=False)
    world.send(lease, "completed", "lease_lost")
    for id in ("unique-1", "unique-2"):
        world.enqueue(id, unique="key")
        world.settle(world.lease(id))
    world.enqueue("idempotent", idempotency="once")
    world.op("client-1", "enqueue", *_same(world))
    world.settle(world.lease("idempotent"))
    for id in ("limited-1", "limited-2"):
        world.enqueue(id, type="limited")
        world.settle(world.lease(id))
    for id, key in (("keyed-1", "x"), ("keyed-2", "y"), ("keyed-3", "x")):
        world.enqueue(id, type="keyed", key=key)
    both = [world.lease("keyed-1"), world.lease("keyed-2")]
    for lease in both:
        world.settle(lease)
    world.settle(world.lease("keyed-3"))
    for id in ("rated-1", "rated-2"):
        world.enqueue(id, type="rated")
        world.settle(world.lease(id))
    for id in ("scheduled-1", "scheduled-2"):
        world.store(id, type="scheduled", plan="done")
        world.put(id, payload={"n": "schedule", "plan": "done"})
        world.settle(world.lease(id))
    world.enqueue("member")
    world.settle(world.lease("member"))
    world.batch("b", "member")
    return world


def _same(world: World) -> tuple[dict, dict]:
    op = world.history.ops[-1]
    return dict(op.asked), dict(op.got)


def test_a_world_without_fault_is_without_violation(world: World):
    assert check(world.history, world.stored, LIMITS) == {}


def lost(world: World) -> None:
    job = world.stored.jobs.pop("plain")
    world.count(job["type"], job["status"], -1)


def pruned_before_it_ran(world: World) -> None:
    world.enqueue("gone", type="brief")
    world.count("brief", "pending", -1)
    del world.stored.jobs["gone"]


def from_nowhere(world: World) -> None:
    world.store("ghost", plan="done")
    world.settle(world.lease("ghost"))


def refused_and_done(world: World) -> None:
    world.enqueue("refused")
    world.last_op(phase="fail", got={})
    world.settle(world.lease("refused"))


def doubled(world: World) -> None:
    world.store("double")
    world.put("double", payload={"n": "n-plain", "plan": "done"})
    world.settle(world.lease("double"))


def two_for_one_key(world: World) -> None:
    world.enqueue("idempotent-2", idempotency="once")
    world.settle(world.lease("idempotent-2"))


def two_holders(world: World) -> None:
    world.enqueue("unique-3", unique="key")
    world.enqueue("unique-4", unique="key")
    world.now += 4  # longer than a transaction waits for another
    for id in ("unique-3", "unique-4"):
        world.settle(world.lease(id))


def still_running(world: World) -> None:
    world.enqueue("stuck")
    world.lease("stuck")


def ended_twice(world: World) -> None:
    world.enqueue("twice", plan="fail", max_retries=0)
    world.settle(world.lease("twice"), "failed")
    world.settle(world.lease("twice"))


def ended_and_cancelled(world: World) -> None:
    world.enqueue("both")
    world.settle(world.lease("both"))
    world.event("both", "cancelled")
    world.put("both", status="cancelled")
    world.cancel("both")


def unexplained(world: World) -> None:
    world.put("plain", status="failed")


def cancelled_unasked(world: World) -> None:
    world.enqueue("unasked")
    world.event("unasked", "cancelled")
    world.put("unasked", status="cancelled")


def failed_early(world: World) -> None:
    world.enqueue("early", plan="fail", max_retries=3)
    world.settle(world.lease("early"), "failed")


def failed_unplanned(world: World) -> None:
    world.enqueue("surprise", max_retries=0)
    world.settle(world.lease("surprise"), "failed")


def ran_too_often(world: World) -> None:
    world.enqueue("often", plan="fail", max_retries=0)
    world.settle(world.lease("often"), "failed", again=True)
    world.settle(world.lease("often"))


def a_run_is_missing(world: World) -> None:
    del world.stored.attempts["flaky"][0]


def overlapping(world: World) -> None:
    first = world.stored.attempts["flaky"][0]
    world.edit_attempt("flaky", 1, leased_at_ms=first["ended_at_ms"] - 1, due_at_ms=first["leased_at_ms"])


def too_early(world: World) -> None:
    attempt = world.stored.attempts["plain"][0]
    world.edit_attempt("plain", 0, due_at_ms=attempt["leased_at_ms"] + 1)


def two_tokens(world: World) -> None:
    world.enqueue("shared")
    lease = world.lease("shared")
    world.op(
        "wire-2",
        "lease",
        {"worker": "wire-2", "lease_s": 2},
        {"leases": [{"job": "shared", "run": 1, "token": "x"}]},
    )
    world.settle(lease)


def accepted_without_trace(world: World) -> None:
    world.edit_attempt("plain", 0, outcome="lease_expired")
    world.put("plain", status="failed", max_retries=0)


def settled_for_another(world: World) -> None:
    world.edit_attempt("plain", 0, worker_id="wire-9")


def settled_twice(world: World) -> None:
    world.enqueue("repeated")
    lease = world.lease("repeated")
    world.settle(lease)
    world.send(lease, "completed", "accepted")


def stale_accepted(world: World) -> None:
    world.enqueue("stale", max_retries=3)
    old = world.lease("stale")
    world.expire(old)
    new = world.lease("stale", "wire-2")
    world.edit_attempt("stale", 0, outcome="completed")
    world.send(old, "completed", "accepted")
    world.settle(new)


def refused_but_kept(world: World) -> None:
    world.enqueue("contradicted")
    lease = world.lease("contradicted")
    world.keep(lease, "completed", again=False)
    world.send(lease, "completed", "lease_lost")


def taken_away(world: World) -> None:
    world.enqueue("taken")
    world.keep(world.lease("taken"), "lease_expired", again=True)
    world.settle(world.lease("taken", "wire-2"))


def taken_away_after_a_heartbeat(world: World) -> None:
    world.enqueue("beaten")
    lease = world.lease("beaten")
    world.now += 1.5
    claim = {name: lease[name] for name in ("job", "run", "token")}
    world.op("wire-1", "heartbeat", {"leases": [claim], "lease_s": 2}, {"outcomes": ["extended"]})
    world.now += 0.7
    world.keep(lease, "lease_expired", again=True)
    world.settle(world.lease("beaten", "wire-2"))


def started_after_its_cancel(world: World) -> None:
    world.enqueue("zombie")
    world.cancel_pending("zombie")
    world.lease("zombie")
    world.put("zombie", status="cancelled", run=0)


def cancel_forgotten(world: World) -> None:
    world.enqueue("forgotten")
    lease = world.lease("forgotten")
    world.cancel("forgotten")
    world.settle(lease)


def over_its_limit(world: World) -> None:
    for id in ("limited-3", "limited-4"):
        world.enqueue(id, type="limited")
    leases = [world.lease(id) for id in ("limited-3", "limited-4")]
    for lease in leases:
        world.settle(lease)


def seen_over_its_limit(world: World) -> None:
    world.op("watch", "watch", {"what": "limited"}, {"running": 2})


def over_the_limit_of_a_key(world: World) -> None:
    for id in ("keyed-4", "keyed-5"):
        world.enqueue(id, type="keyed", key="z")
    leases = [world.lease(id) for id in ("keyed-4", "keyed-5")]
    for lease in leases:
        world.settle(lease)


def too_fast(world: World) -> None:
    world.now += 60
    for number in range(3, 8):
        world.enqueue(f"rated-{number}", type="rated")
        world.settle(world.lease(f"rated-{number}"))


def fired_twice(world: World) -> None:
    world.store("scheduled-3", type="scheduled", plan="done")
    world.settle(world.lease("scheduled-3"))


def miscounted(world: World) -> None:
    world.count("a", "completed", 1)


def completed_twice(world: World) -> None:
    world.store("done-again", type="done")
    world.put("done-again", payload={"n": "b.done", "batch": "b", "plan": "done"})
    world.settle(world.lease("done-again"))


def never_completed(world: World) -> None:
    job = world.stored.jobs.pop("done-b")
    world.count(job["type"], job["status"], -1)


def seal_forgotten(world: World) -> None:
    world.op("client-1", "seal", {"batch": "batch-x"}, {"success": True})


PLANTED = {
    lost: "nothing acknowledged is lost",
    pruned_before_it_ran: "nothing acknowledged is lost",
    from_nowhere: "nothing comes from nowhere",
    refused_and_done: "nothing comes from nowhere",
    doubled: "one enqueue makes one job",
    two_for_one_key: "an idempotency key is one job",
    two_holders: "a unique key has one unfinished holder",
    still_running: "every job has ended",
    ended_twice: "each generation ends once",
    ended_and_cancelled: "each generation ends once",
    unexplained: "the status is explained",
    cancelled_unasked: "the status is explained",
    failed_early: "failures had a reason",
    failed_unplanned: "runs fail only as planned",
    ran_too_often: "the budget is kept",
    a_run_is_missing: "runs are consecutive",
    overlapping: "attempts do not overlap",
    too_early: "no run begins before it is due",
    two_tokens: "a run has one token",
    accepted_without_trace: "an accepted settle is the attempt",
    settled_for_another: "an accepted settle is the attempt",
    settled_twice: "a run is settled once",
    stale_accepted: "no stale settle is accepted",
    refused_but_kept: "what was refused left no trace",
    taken_away: "a lease is not given away",
    taken_away_after_a_heartbeat: "a lease is not given away",
    started_after_its_cancel: "what is cancelled does not start",
    cancel_forgotten: "what is cancelled does not start",
    over_its_limit: "limits are kept",
    seen_over_its_limit: "limits are kept",
    over_the_limit_of_a_key: "limits are kept",
    too_fast: "rates are kept",
    fired_twice: "a schedule fires once a slot",
    miscounted: "counters equal the rows",
    completed_twice: "batches end once",
    never_completed: "batches end once",
    seal_forgotten: "batches end once",
}


@pytest.mark.parametrize(("plant", "rule"), PLANTED.items(), ids=lambda each: getattr(each, "__name__", ""))
def test_a_planted_violation_is_found(world: World, plant, rule: str):
    plant(world)
    assert rule in world.broken()


def test_every_rule_has_a_planted_violation():
    assert {rule.__name__.replace("_", " ") for rule in RULES} == set(PLANTED.values())


def test_a_kill_of_the_database_excuses_the_leases_of_its_last_moments_and_no_others(world: World):
    taken_away(world)
    leased_at = next(op.at for op in world.history.of("lease") if op.got["leases"][0]["job"] == "taken")
    world.history.faults.append(Fault("postgres-1", "kill", leased_at + 0.2, leased_at + 1))
    assert world.broken() == set()
    world.history.faults = [Fault("postgres-1", "kill", leased_at + 5, leased_at + 6)]
    assert world.broken() == {"a lease is not given away"}


def test_a_pruned_job_that_may_have_ended_is_not_lost(world: World):
    world.enqueue("swept", type="brief")
    world.history.handled.append(Handled("sdk-1", "swept", 1, world.now, world.now + 1))
    world.count("brief", "pending", -1)
    del world.stored.jobs["swept"]
    assert world.broken() == set()
