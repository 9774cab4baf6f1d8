"""Handlers for the worker processes that tests stop, pause and kill."""

from aerodash_sdk import Client
from aerodash_sdk.worker import Job, Worker

worker = Worker(lease_s=2, grace_s=10, wait_s=5)


@worker.job("slow")
def slow(job: Job) -> dict[str, object]:
    """Say that it began, then go on until the test allows it to end."""
    with Client() as client:
        client.cache.set(f"begun:{job.id}", job.attempts)
        while not client.cache.has(f"may-end:{job.id}"):
            job.wait_cancelled(0.02)
    return {"by": "process"}
