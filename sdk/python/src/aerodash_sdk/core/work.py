"""The queue's calls for workers. Source: the wire contract, section 4, "Worker side"."""

from collections.abc import Sequence
from typing import Any, Literal

from aerodash_sdk.core.records import Job, LeasedJob, Settlement, WorkerIdentity
from aerodash_sdk.core.request import Repeat, Request, request

MAX_LEASES_PER_CALL = 1000

type Beat = Literal["extended", "lease_lost", "cancel_requested"]


def lease(
    worker: WorkerIdentity, *, types: Sequence[str], limit: int, lease_s: int, wait_s: int
) -> Request[list[LeasedJob]]:
    """Take up to `limit` due jobs, waiting up to wait_s for the first. An empty list: none came."""
    return request(
        "/queue/lease",
        lambda reply: [LeasedJob(Job.read(record), str(record["leaseToken"])) for record in reply["jobs"]],
        repeat=Repeat.IF_REFUSED,
        wait_s=wait_s,
        worker=worker.wire(),
        types=[*types],
        limit=limit,
        leaseSeconds=lease_s,
        waitSeconds=wait_s,
    )


def heartbeat(
    worker: WorkerIdentity, leases: Sequence[tuple[str, str]], *, lease_s: int
) -> Request[list[Beat]]:
    """Extend leases, given as (job id, lease token). One answer for each, in the same order."""
    return request(
        "/queue/heartbeat",
        lambda reply: [_beat(item["outcome"]) for item in _as_many(reply["leases"], leases)],
        worker=worker.wire(),
        leases=[{"jobId": job_id, "leaseToken": token} for job_id, token in leases],
        leaseSeconds=lease_s,
    )


def settle(settlements: Sequence[Settlement]) -> Request[list[str]]:
    """Say how runs ended. For each, in the same order, `accepted` or the reason why not (`lease_lost`)."""
    return request(
        "/queue/settle",
        lambda reply: [str(item["outcome"]) for item in _as_many(reply["results"], settlements)],
        results=[settlement.wire() for settlement in settlements],
    )


def _as_many(items: list[dict[str, Any]], asked: Sequence[object]) -> list[dict[str, Any]]:
    if len(items) != len(asked):
        raise ValueError(f"{len(items)} answers to {len(asked)} questions")
    return items


def _beat(word: object) -> Beat:
    if word == "extended" or word == "lease_lost" or word == "cancel_requested":
        return word
    raise ValueError(f"{word!r} is not an answer to a heartbeat")
