"""Jobs that wait for their time, made due now by hand."""

from collections.abc import Sequence

from aerodash.ids import JobId
from jobs_admin.engine.contract import NotRunNow, RunNow
from jobs_admin.engine.steps.calls import RunNowCall
from jobs_admin.engine.steps.history import event, stored
from jobs_admin.engine.transactions import Transaction, Values, rounds


def run_now(tx: Transaction, now: int, calls: Sequence[RunNowCall]) -> list[RunNow]:
    return [_run_now(tx, now, call) for call in calls]


def _run_now(tx: Transaction, now: int, call: RunNowCall) -> RunNow:
    done: list[JobId] = []
    refused: dict[str, NotRunNow] = {}
    events: list[Values] = []
    for some in rounds(dict.fromkeys(call.job_ids), lambda job_id: stored(job_id)):
        rows = [{"id": stored(job_id), "project": call.project} for job_id in some]
        waiting: list[tuple[JobId, int]] = []
        for job_id, found in zip(some, tx.each("due_of", rows), strict=True):
            if found is None:
                refused[job_id] = "not_found"
            elif found[0] != "pending":
                refused[job_id] = "not_waiting"
            elif found[1] <= now:
                refused[job_id] = "due_already"
            else:
                waiting.append((job_id, found[1]))
        rows = [
            {"id": stored(job_id), "project": call.project, "was": was, "now": now} for job_id, was in waiting
        ]
        for (job_id, was), row in zip(waiting, tx.each("run_now", rows), strict=True):
            if row is None:  # somebody cancelled it, or gave it another time, since it was read
                refused[job_id] = "not_waiting"
                continue
            done.append(job_id)
            events.append(event(now, stored(job_id), row[0], call.who, "run_now", was_due_at_ms=was))
    tx.many("event", events)
    if done:
        tx.due.add(call.project)
    return RunNow(tuple(done), refused)
