"""Each guard of each statement holds by itself: whatever the code around it read before, it changes nothing it must not.

The suite's other tests go through the verbs, which try statements in an order that hides some guards; on a database that
lets several transactions run at once these are what decides.
"""

from typing import Any

import pytest

from jobs_admin.engine import statements
from tests.conformance.jobs.conftest import LEASE_S, Queue

STATEMENTS = statements.load("sqlite")

PENDING = "pending"
RUNNING = "processing"
CANCELLING = "cancelling"
ENDED = "completed"

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
    ("heartbeat", RUNNING, {}),
    ("heartbeat", CANCELLING, {}),
    ("lease", PENDING, {}),
    ("cancel_pending", PENDING, {}),
    ("cancel_processing", RUNNING, {}),
    ("retry", ENDED, {"status": "completed"}),
]
STATES = [PENDING, RUNNING, CANCELLING, ENDED]
WRONG: dict[str, dict[str, Any]] = {
    "another token": {"token": "0" * 32},
    "another run": {"run": 99},
    "another project": {"project": -1},
    "another id": {"id": "0" * 32},
    "before it expires": {"late": False},
    "before it is due": {"late": None},
}
_JOB = {"another project", "another id"}
REFUSED = {
    "settle_completed": {"another token", *_JOB},
    "settle_failed": {"another token", "another run", *_JOB},
    "settle_released": {"another token", "another run", *_JOB},
    "settle_cancelled": {"another token", "another run", *_JOB},
    "settle_expired": {"another token", "another run", "before it expires", *_JOB},
    "heartbeat": {"another token", *_JOB},
    "lease": {"before it is due"},
    "cancel_pending": _JOB,
    "cancel_processing": _JOB,
    "retry": {"another run", *_JOB},
}


async def _job(queue: Queue, state: str) -> str:
    job_id = await queue.enqueue()
    if state == PENDING:
        return job_id
    [job] = await queue.lease()
    if state == CANCELLING:
        await queue.cancel(job_id)
    if state == ENDED:
        await queue.settle(job)
    return job_id


def _changes(queue: Queue, statement: str, job_id: str, given: dict[str, Any]) -> bool:
    """Whether the statement changes the job, undone again."""
    job = queue.store.job(job_id)
    [row] = queue.store.run("SELECT rowid FROM jobs_admin_job WHERE id = ?", job["id"])
    given = dict(given)
    late = given.pop("late", True)
    now = {
        True: queue.clock() + LEASE_S * 1000,
        False: queue.clock() + LEASE_S * 1000 - 1,
        None: job["due_at_ms"] - 1,
    }
    values = {
        "id": job["id"],
        "project": queue.project,
        "token": job["lease_token"] or "x" * 32,
        "run": job["run"],
        "now": now[late],
        "chosen": f"[{row['rowid']}]",
        "expires": now[late] + 1000,
        "status": "pending",
        **dict.fromkeys(("due", "payload", "payload_bytes")),
        **dict.fromkeys(
            ("result", "error_type", "error_message", "traceback", "by", "worker_id", "worker_name"), ""
        ),
        **given,
    }
    if statement == "lease":
        values["token"] = "t" * 32
    if statement == "retry":
        values["status"] = job["status"]
    connection = queue.store._connection
    connection.execute("BEGIN IMMEDIATE")
    try:
        return bool(connection.execute(STATEMENTS[statement], values).fetchall())
    finally:
        connection.execute("ROLLBACK")


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
