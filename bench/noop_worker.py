"""The worker that bench.jobs measures. Its handlers append the time of their start to a file (about 2 us), no more.

Run as it is, it is one bare process; `aerodash worker bench.noop_worker:worker` has a supervisor besides.
BENCH_STAMPS: that file. BENCH_LEASE_S: the leases' length, instead of the server's default.
"""

import os
import struct
import time
from pathlib import Path

from aerodash_sdk.worker import Job, Worker

STAMPS = os.environ["BENCH_STAMPS"]
_file = os.open(STAMPS, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
_lease_s = os.environ.get("BENCH_LEASE_S")

worker = Worker(lease_s=int(_lease_s) if _lease_s else None)


@worker.job("noop")
def noop(job: Job) -> None:
    os.write(_file, struct.pack("<d", time.monotonic()))


@worker.job("noop-async")
async def noop_async(job: Job) -> None:
    noop(job)


@worker.job("slow")
def slow(job: Job) -> None:
    """The first run lasts until somebody kills the process, whose id is in a file beside the stamps."""
    Path(STAMPS + ".pid").write_text(str(os.getpid()))
    noop(job)
    if job.attempts == 1:
        time.sleep(600)


if __name__ == "__main__":
    worker.run()
