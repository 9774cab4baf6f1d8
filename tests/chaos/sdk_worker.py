"""A worker made with the SDK, for chaos runs: `aerodash worker tests/chaos/sdk_worker.py:worker`.

AERODASH_CHAOS_HISTORY: the folder of histories. Each handler call is in one of them.
"""

import os
import time
from pathlib import Path
from typing import Any

from aerodash_sdk.worker import Fail, Job, Worker

from tests.chaos.client import DONE_TYPE, SCHEDULED_TYPE, TYPES
from tests.chaos.history import Recorder
from tests.chaos.wire_worker import LEASE_S

recorder = Recorder(Path(os.environ["AERODASH_CHAOS_HISTORY"]), f"sdk-{os.getpid()}-{time.time_ns()}")
worker = Worker(concurrency=4, lease_s=LEASE_S, wait_s=1, grace_s=1)


def handle(job: Job) -> dict[str, Any]:
    """Do as the payload's plan says."""
    number = recorder.event("run", "start", job=job.id, run=job.run)
    try:
        match job.payload["plan"]:
            case "slow":
                for step in range(3):
                    time.sleep(0.2)
                    job.progress(step * 33.0)
            case "hang" if job.attempts == 1:
                time.sleep(LEASE_S + 0.8)
            case "fail":
                raise RuntimeError("as the plan says")
            case "final":
                raise Fail("as the plan says")
            case "flaky" if job.attempts == 1:
                raise RuntimeError("as the plan says")
        return {"run": job.run}
    finally:
        recorder.event("run", "end", number)


for type in sorted({*TYPES, DONE_TYPE, SCHEDULED_TYPE}):
    worker.job(type)(handle)
