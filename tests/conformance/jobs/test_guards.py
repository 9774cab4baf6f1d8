"""Each guard of each statement holds by itself: whatever the code around it read before, it changes nothing it must not.

The suite's other tests go through the verbs, which try statements in an order that hides some guards; on a database that
lets several transactions run at once these are what decides.
"""

from typing import Any

import pytest

from tests.conformance.jobs.conftest import LEASE_S, Queue

PENDING = "pending"
RUNNING = "processing"
CANCELLING = "cancelling"
ENDED = "completed"
CANCELLED = "cancelled"

# Statement, the state in which it does change the job, and what else it is given there.
ALLOWED = [
    ("settle_completed", RUNNING, {}),
    ("settle_failed", RUNNING, {"status": "failed"}),
    ("settle_failed", RUNNING, {"status": "pending", "due": 9}),
    ("settle_released", RUNNING, {}),
    ("settle_cancelled", CANCELLING, {}),
    ("settle_expired", RUNNING, {"status": "pending", "due": 9, "late": True}),
    ("settle_expired", RUNNING, {"status": "failed", "late": True}),
    ("settle_expired", CANCELLING, {"status": "cancelled", "late": True}),
    ("settle_lost", RUNNING, {"status": "pending", "due": 9}),
    ("settle_lost", RUNNING, {"status": "failed"}),
    ("settle_lost", CANCELLING, {"status": "cancelled"}),
    ("settle_overdue", PENDING, {"deadline": 0}),
    ("heartbeat", RUNNING, {}),
    ("heartbeat", CANCELLING, {}),
    ("lease", PENDING, {}),
    ("cancel_pending", PENDING, {}),
    ("cancel_processing", RUNNING, {}),
    ("retry", ENDED, {}),
    ("heard", RUNNING, {}),
    ("heard", CANCELLING, {}),
    ("prune", ENDED, {}),
    ("prune", CANCELLED, {}),
    ("retry", CANCELLED, {}),
]
STATES = [PENDING, RUNNING, CANCELLING, ENDED, CANCELLED]
WRONG: dict[str, dict[str, Any]] = {
    "another token": {"token": "0" * 32},
    "another run": {"run": 99},
    "another project": {"project": -1},
    "another id": {"id": "0" * 32},
    "another row": {"ref": "0" * 32},
    "before it expires": {"late": False},
    "before it is due": {"late": None},
    "after its deadline": {"deadline": 0},
    "before its deadline": {"deadline": 1},
    "another status": {"status": "failed"},
    "ended too lately": {"kept_ms": LEASE_S * 1000 + 1},
    "holding its key": {"holds_until": 1},
}
_JOB = {"another project", "another id"}
REFUSED = {
    "settle_completed": {"another token", *_JOB},
    "settle_failed": {"another token", "another run", *_JOB},
    "settle_released": {"another token", "another run", *_JOB},
    "settle_cancelled": {"another token", "another run", *_JOB},
    "settle_expired": {"another token", "another run", "before it expires", *_JOB},
    "settle_lost": {"another token", "another run", *_JOB},
    "settle_overdue": {"before its deadline", *_JOB},
    "heartbeat": {"another token", *_JOB},
    "lease": {"another row", "before it is due", "after its deadline"},
    "cancel_pending": _JOB,
    "cancel_processing": _JOB,
    "retry": {"another run", "another status", *_JOB},
    "heard": {"another token", *_JOB},
    "prune": {"another status", "ended too lately", "holding its key", *_JOB},
}


async def _job(queue: Queue, state: str) -> str:
    job_id = await queue.enqueue()
    if state == PENDING:
        return job_id
    [job] = await queue.lease()
    if state == CANCELLING:
        await queue.cancel(job_id)
    if state == CANCELLED:
        await queue.cancel(job_id)
    if state in (ENDED, CANCELLED):
        await queue.settle(job)
    return job_id


def _changes(queue: Queue, statement: str, job_id: str, given: dict[str, Any]) -> bool:
    """Whether the statement changes the job, undone again."""
    job = queue.store.job(job_id)
    given = dict(given)
    late = given.pop("late", True)
    now = {
        True: queue.clock() + LEASE_S * 1000,
        False: queue.clock() + LEASE_S * 1000 - 1,
        None: job["due_at_ms"] - 1,
    }[late]
    deadline = given.pop("deadline", None)
    queue.store.run(
        "UPDATE jobs_admin_job SET deadline_at_ms = ? WHERE id = ?",
        None if deadline is None else now + deadline,
        job["id"],
    )
    holds_until = given.pop("holds_until", None)
    queue.store.run(
        "UPDATE jobs_admin_job SET unique_key = 'key', holds_key = (1 = ?), unique_until_ms = ? WHERE id = ?",
        0 if holds_until is None else 1,
        None if holds_until is None else now + holds_until,
        job["id"],
    )
    values = {
        "id": job["id"],
        "ref": queue.store.ref(job_id),
        "project": queue.project,
        "token": job["lease_token"] or "x" * 32,
        "run": job["run"],
        "now": now,
        "expires": now + 1000,
        "status": "pending",
        "cutoff": now - given.pop("kept_ms", LEASE_S * 1000),
        "crashed": 1,
        "grace": 10_000,
        "default_lease": 30_000,
        **dict.fromkeys(("due", "payload", "payload_bytes", "type_timeout")),
        **dict.fromkeys(
            ("result", "error_type", "error_message", "traceback", "by", "worker_id", "worker_name"), ""
        ),
        **given,
    }
    if statement == "lease":
        values["token"] = "t" * 32
    if statement in ("retry", "prune"):
        values["status"] = given.get("status", job["status"])
    return queue.store.would_change(statement, values)


@pytest.mark.parametrize(("statement", "state", "given"), ALLOWED)
async def test_a_statement_changes_what_it_is_for_and_nothing_when_one_value_is_wrong(
    queue: Queue, statement, state, given
):
    job_id = await _job(queue, state)
    assert _changes(queue, statement, job_id, given)
    for what in REFUSED[statement]:
        assert not _changes(queue, statement, job_id, {**given, **WRONG[what]}), what


@pytest.mark.parametrize("statement", sorted({statement for statement, _, _ in ALLOWED}))
@pytest.mark.parametrize("state", STATES)
async def test_a_statement_changes_no_job_in_another_state(queue: Queue, statement, state):
    variants = [given for name, allowed, given in ALLOWED if name == statement and allowed == state]
    others = [given for name, allowed, given in ALLOWED if name == statement and given not in variants]
    job_id = await _job(queue, state)
    for given in others:
        # Also with the token that a job without a lease has.
        for token in ({}, {"token": ""}):
            assert not _changes(queue, statement, job_id, {**given, **token})
