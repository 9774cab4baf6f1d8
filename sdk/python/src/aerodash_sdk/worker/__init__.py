"""Workers: programs that run jobs.

    from aerodash_sdk.worker import Retry, Worker

    worker = Worker(concurrency=8)          # reads AERODASH_URL and AERODASH_API_KEY

    @worker.job("send-email")
    def send_email(job):
        deliver(job.payload["to"])          # a return value becomes the job's result, an exception a failed run

Start it with `aerodash worker module:worker` or `python -m aerodash_sdk.worker module:worker`.
"""

from aerodash_sdk.worker.job import Job, current_job
from aerodash_sdk.worker.outcomes import Fail, Retry
from aerodash_sdk.worker.reporting import JobLogHandler
from aerodash_sdk.worker.running import load, run
from aerodash_sdk.worker.worker import Worker

__all__ = ["Fail", "Job", "JobLogHandler", "Retry", "Worker", "current_job", "load", "run"]
