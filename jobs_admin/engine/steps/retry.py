"""Ended jobs, put back by hand."""

from collections.abc import Sequence

from aerodash.ids import JobId
from jobs_admin.engine.contract import Refusal, Retried
from jobs_admin.engine.steps.calls import RetryCall
from jobs_admin.engine.steps.history import event, stored
from jobs_admin.engine.transactions import Row, Transaction, Values, rounds


def retry(tx: Transaction, now: int, calls: Sequence[RetryCall]) -> list[Retried]:
    return [_retry(tx, now, call) for call in calls]


def _retry(tx: Transaction, now: int, call: RetryCall) -> Retried:
    done: list[JobId] = []
    refused: dict[str, Refusal] = {}
    batches: set[str] = set()
    # A job that is named twice is put back once.
    for some in rounds(dict.fromkeys(call.job_ids), lambda job_id: stored(job_id)):
        events: list[Values] = []
        found = tx.each("status", [{"id": stored(job_id), "project": call.project} for job_id in some])
        known = [(job_id, row) for job_id, row in zip(some, found, strict=True) if row is not None]
        refused |= {job_id: "not_found" for job_id, row in zip(some, found, strict=True) if row is None}
        back = _put_back(tx, now, call, known)
        for job_id, row in known:
            if job_id not in back:
                continue
            status, type, run, payload, version, result, error, batch, _ = row
            done.append(job_id)
            tx.move(call.project, type, status, "pending")
            tx.move_batch(batch, status, "pending")
            if batch is not None:
                batches.add(stored(str(batch)))
            before = {"payload_version": version, "was": status, "result": result, "error": error}
            if call.payload is not None:
                before |= {"payload_version": version + 1, "payload_before": payload}
            events.append(event(now, stored(job_id), run, call.who, "retried", **before))
        tx.many("event", events)
        stayed = [job_id for job_id, _ in known if job_id not in back]
        taken = tx.each("key_taken", [{"id": stored(job_id), "project": call.project} for job_id in stayed])
        for job_id, holder in zip(stayed, taken, strict=True):
            if job_id not in done:
                refused[job_id] = "not_finished" if holder is None else "unique_taken"
    if done:
        tx.due.add(call.project)
    tx.many("batch_again", [{"batch": batch} for batch in sorted(batches)])
    return Retried(tuple(done), refused)


def _put_back(tx: Transaction, now: int, call: RetryCall, known: Sequence[tuple[JobId, Row]]) -> set[JobId]:
    """Those of these jobs that are pending again. Of several with the same unique key the first gets it."""
    back: set[JobId] = set()
    for some in rounds(known, lambda one: (one[1][1], one[1][8]) if one[1][8] else stored(one[0])):
        rows = [
            {
                "id": stored(job_id),
                "project": call.project,
                "now": now,
                "run": row[2],
                "status": row[0],
                "payload": call.payload,
                "payload_bytes": None if call.payload is None else len(call.payload.encode()),
            }
            for job_id, row in some
        ]
        # Who held a key for a time that is over does not hold it against anybody.
        keyed = [
            {"project": call.project, "type": row[1], "unique_key": row[8], "now": now}
            for _, row in some
            if row[8]
        ]
        tx.each("key_free", keyed)
        back |= {
            job_id for (job_id, _), row in zip(some, tx.each("retry", rows), strict=True) if row is not None
        }
    return back
