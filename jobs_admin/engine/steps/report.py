"""What handlers say while they run: how far they are, and lines for the job's log."""

from collections.abc import Sequence
from dataclasses import dataclass

from aerodash import limits
from aerodash.ids import ProjectId
from jobs_admin.engine.contract import Heard, Report
from jobs_admin.engine.steps.calls import ReportCall
from jobs_admin.engine.steps.history import cancel_seen, stored
from jobs_admin.engine.transactions import Transaction, Values, rounds


@dataclass(slots=True)
class _Said:
    """One report of one call, and the run that it is about once that is known."""

    project: ProjectId
    id: str
    report: Report
    run: int = 0
    answer: Heard = "lease_lost"


def report(tx: Transaction, now: int, calls: Sequence[ReportCall]) -> list[list[Heard]]:
    by_call = [[_Said(call.project, stored(one.job_id), one) for one in call.reports] for call in calls]
    for some in rounds([said for call in by_call for said in call], lambda said: said.id):
        _report(tx, now, some)
    return [[said.answer for said in call] for call in by_call]


def _report(tx: Transaction, now: int, said: Sequence[_Said]) -> None:
    """Reports of different jobs."""
    claims = [{"id": one.id, "project": one.project, "token": one.report.lease_token} for one in said]
    heard: list[_Said] = []
    seen: list[Values] = []
    for one, row in zip(said, tx.each("heard", claims), strict=True):
        if row is not None:
            one.run, is_cancelling, worker_id, worker_name = row
            one.answer = "cancel_requested" if is_cancelling else "accepted"
            if is_cancelling:
                seen.append(cancel_seen(now, one.id, one.run, worker_id, worker_name))
            heard.append(one)
    # In the order of the jobs, so that transactions that run at once do not wait for each other in a ring.
    heard.sort(key=lambda one: one.id)
    rows = [
        {
            "id": one.id,
            "run": one.run,
            "percent": one.report.percent,
            "message": one.report.message,
            "now": now,
            "lines": len(one.report.logs),
            "most": limits.LOG_LINES,
        }
        for one in heard
    ]
    known = tx.each("progress", rows)
    tx.many("progress_new", [row for row, found in zip(rows, known, strict=True) if found is None])
    lines: list[Values] = []
    for one, found in zip(heard, known, strict=True):
        logs = one.report.logs
        before = 0 if found is None else found[0] - len(logs)
        for line in logs[: max(limits.LOG_LINES - before, 0)]:
            at = now if line.at_ms is None else line.at_ms
            lines.append(
                {"id": one.id, "run": one.run, "at": at, "level": line.level, "message": line.message}
            )
    tx.many("log", lines)
    tx.many("event_once", seen)
