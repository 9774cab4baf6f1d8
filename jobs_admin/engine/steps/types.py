"""What people say about all jobs of one type."""

import json
import time
from collections.abc import Sequence, Set

from aerodash import limits
from aerodash.errors import InvalidInput
from aerodash.ids import ProjectId
from jobs_admin.engine.steps.calls import PauseCall, SettingsCall
from jobs_admin.engine.transactions import Transaction

FULL_KNOWN_S = 1.0
"""How long it is gone by that a project has as many types as it may: to count them all takes milliseconds."""


def check_number(tx: Transaction, types: Set[tuple[ProjectId, str]]) -> None:
    """Raises InvalidInput for a type that would be one too many of its project's.

    What other processes add at the same moment is not seen, so there may be a few more.
    """
    wanted = sorted(types)
    known = tx.each("type_known", [{"project": project, "type": type} for project, type in wanted])
    new = [place for place, row in zip(wanted, known, strict=True) if row is None]
    for project in sorted({project for project, _ in new}):
        names = [type for owner, type in new if owner == project]
        if time.monotonic() - tx.memory.full.get(project, float("-inf")) < FULL_KNOWN_S:
            raise _too_many(names[0])
        [[number]] = tx.rows("types_number", project=project)
        if number + len(names) > limits.JOB_TYPES:
            if number >= limits.JOB_TYPES:
                tx.memory.full[project] = time.monotonic()
            raise _too_many(names[max(limits.JOB_TYPES - number, 0)])


def _too_many(type: str) -> InvalidInput:
    return InvalidInput(
        f"The type {type} would be the project's {limits.JOB_TYPES + 1}th: {limits.JOB_TYPES} may have jobs or settings.",
        reason="too_many_types",
        field="type",
        limit=limits.JOB_TYPES,
    )


def pause(tx: Transaction, now: int, calls: Sequence[PauseCall]) -> list[None]:
    """A lease that is being committed at this moment may still hand out jobs of the type."""
    for call in calls:
        check_number(tx, {(call.project, call.type)})
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
        check_number(tx, {(call.project, call.type)})
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
