"""What people say about all jobs of one type."""

import json
from collections.abc import Sequence

from jobs_admin.engine.steps.calls import PauseCall, SettingsCall
from jobs_admin.engine.transactions import Transaction


def pause(tx: Transaction, now: int, calls: Sequence[PauseCall]) -> list[None]:
    """A lease that is being committed at this moment may still hand out jobs of the type."""
    for call in calls:
        row = {
            "project": call.project, "type": call.type, "now": now, "by": call.by, "reason": call.reason
        }  # fmt: skip
        tx.many("pause", [row])
    return [None] * len(calls)


def resume(tx: Transaction, now: int, calls: Sequence[PauseCall]) -> list[None]:
    for call in calls:
        [resumed] = tx.each("resume", [{"project": call.project, "type": call.type}])
        if resumed is not None:
            tx.due.add(call.project)
    return [None] * len(calls)


def configure(tx: Transaction, now: int, calls: Sequence[SettingsCall]) -> list[None]:
    for call in calls:
        said = call.settings
        row = {
            "project": call.project,
            "type": call.type,
            "retry_policy": "" if said.retry is None else said.retry.text(),
            "max_retries": said.max_retries,
            "lease_ms": said.lease_ms,
            "timeout_ms": said.timeout_ms,
            "concurrency": said.concurrency,
            "rate": said.rate,
            "rate_per_ms": said.rate_per_ms,
            "rate_burst": said.rate_burst,
            "partition_concurrency": said.partition_concurrency,
            "partition_rate": said.partition_rate,
            "partition_rate_per_ms": said.partition_rate_per_ms,
            "partition_rate_burst": said.partition_rate_burst,
            "retention_completed_s": said.retention_completed_s,
            "retention_failed_s": said.retention_failed_s,
            "retention_cancelled_s": said.retention_cancelled_s,
            "secret_paths": json.dumps(said.secret_paths, ensure_ascii=False),
        }
        tx.many("configure", [row])
        # Its limits may be wider now.
        tx.due.add(call.project)
    return [None] * len(calls)
