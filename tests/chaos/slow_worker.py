"""A worker whose handler holds its first run until it is killed. Run by test_kill.py."""

import time
from pathlib import Path

from aerodash_sdk.worker import Job, Worker

LEASE_S = 2

worker = Worker(concurrency=1, lease_s=LEASE_S, wait_s=1, grace_s=1)


@worker.job("slow")
def slow(job: Job) -> dict[str, int]:
    """Write down that it runs; the first run never ends by itself."""
    with Path(str(job.payload["log"])).open("a") as log:
        log.write(f"{job.attempts}\n")
    if job.attempts == 1:
        time.sleep(600)
    return {"attempts": job.attempts}


@worker.job("hello")
def hello(job: Job) -> None:
    """Says that a worker is there that has nothing else to do."""
