"""The queue's verbs, as a client offers them to programs that enqueue jobs and look after them."""

import dataclasses
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from aerodash_sdk.client.batch import Batch
from aerodash_sdk.client.call import Call
from aerodash_sdk.core import batches as batch_calls
from aerodash_sdk.core import queue as queue_calls
from aerodash_sdk.core import schedules as schedule_calls
from aerodash_sdk.core.batches import BatchProgress
from aerodash_sdk.core.errors import ConnectionFailed, NoSuchJob, Unavailable, WaitTimedOut
from aerodash_sdk.core.ids import new_key
from aerodash_sdk.core.records import (
    Cancellation,
    Job,
    JobRef,
    JobType,
    LogPage,
    NewJob,
    Retried,
    RetryDelay,
    UniqueKey,
)
from aerodash_sdk.core.retrying import backoff_s
from aerodash_sdk.core.schedules import Missed, Schedule

JOBS_PAGE = 200
BATCHES_PAGE = 100


class Queue:
    """The queue's verbs. Workers: aerodash_sdk.worker."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def send(
        self,
        type: str,
        payload: object = None,
        *,
        delay_seconds: float | None = None,
        run_at: datetime | None = None,
        max_retries: int | None = None,
        priority: int | None = None,
        retry_delay: float | RetryDelay | None = None,
        unique_key: str | UniqueKey | None = None,
        idempotency_key: str | None = None,
        timeout_seconds: float | None = None,
        deadline: datetime | None = None,
        tags: Sequence[str] | None = None,
        batch: str | None = None,
        partition_key: str | None = None,
        traceparent: str | None = None,
        retry_safe: bool = True,
    ) -> JobRef:
        """Enqueue a job. It is stored when this returns, and runs at least once. The options: see NewJob.

        Where a reply is lost the enqueue is sent again, and answers the same job: it carries an idempotency key, the
        caller's or one made here. retry_safe=False sends none: then it is sent again only if the server surely did
        not take it, and on ReplyLost the job may or may not be queued.
        """
        job = NewJob(
            type,
            payload,
            delay_seconds=delay_seconds,
            run_at=run_at,
            max_retries=max_retries,
            priority=priority,
            retry_delay=retry_delay,
            unique_key=unique_key,
            idempotency_key=idempotency_key,
            timeout_seconds=timeout_seconds,
            deadline=deadline,
            tags=tags,
            batch=batch,
            partition_key=partition_key,
            traceparent=traceparent,
        )
        accepted: JobRef = self._call(queue_calls.enqueue(_keyed(job) if retry_safe else job))
        return accepted

    enqueue = send

    def send_many(self, jobs: Iterable[NewJob], *, retry_safe: bool = True) -> list[JobRef]:
        """Enqueue up to 10 000 jobs, all or none; references in the order of the jobs. Retried as `send` is."""
        wanted = [_keyed(job) for job in jobs] if retry_safe else [*jobs]
        accepted: list[JobRef] = self._call(queue_calls.enqueue_many(wanted)) if wanted else []
        return accepted

    def get_job(self, job_id: str) -> Job | None:
        """The job as it is now; None if there is no such job."""
        job: Job | None = self._call(queue_calls.get_job(job_id))
        return job

    def list_jobs(
        self,
        *,
        type: str | None = None,
        status: str | None = None,
        tag: str | None = None,
        batch: str | None = None,
        limit: int = 50,
    ) -> list[Job]:
        """The newest jobs of a type, of a status (pending, processing, completed, failed, cancelled), with a tag, of a
        batch, or of all.

        limit: how many at most; asks page by page where it is more than 200.
        """
        found: list[Job] = []
        cursor = None
        while len(found) < limit:
            ask = min(limit - len(found), JOBS_PAGE)
            page = self._call(
                queue_calls.list_jobs(
                    type=type, status=status, tag=tag, batch=batch, limit=ask, cursor=cursor
                )
            )
            found += page.items
            cursor = page.cursor
            if cursor is None:
                break
        return found

    def logs(self, job_id: str, *, after: str | None = None) -> LogPage:
        """The lines that the job's handler wrote. after: the cursor of the page before."""
        page: LogPage = self._call(queue_calls.logs(job_id, after=after))
        return page

    def wait(self, job_id: str, *, timeout_s: float = 60.0) -> Job:
        """Wait until the job has ended and return it; asks again every 0.05 s at first, at most every second.

        A server that is away meanwhile is waited for too. Raises WaitTimedOut after timeout_s (if the server is away
        then, ConnectionFailed or Unavailable), NoSuchJob if there is no such job.
        """
        deadline = time.monotonic() + timeout_s
        asked = 0
        while True:
            asked += 1
            try:
                job = self.get_job(job_id)
            except (ConnectionFailed, Unavailable):
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise
                time.sleep(min(left_s, backoff_s(asked, base_s=0.05, cap_s=1.0)))
                continue
            if job is None:
                raise NoSuchJob(f"There is no job {job_id}.")
            if job.ended:
                return job
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise WaitTimedOut(f"Job {job_id} is still {job.state} after {timeout_s:g} s.")
            time.sleep(min(left_s, backoff_s(asked, base_s=0.05, cap_s=1.0)))

    def cancel_job(self, job_id: str) -> Cancellation:
        """Cancel a job: a pending one never starts, a running one's worker is told to stop."""
        cancellation: Cancellation = self._call(queue_calls.cancel_job(job_id))
        return cancellation

    def retry_job(self, job_id: str) -> bool:
        """Queue an ended job again, with a new retry budget. False if it had not ended or does not exist."""
        return self.retry([job_id]).count == 1

    def retry(
        self,
        job_ids: Iterable[str] | None = None,
        *,
        status: str | None = None,
        type: str | None = None,
        batch: str | None = None,
        tag: str | None = None,
        payload: object = None,
    ) -> Retried:
        """Queue ended jobs again, each with a new retry budget: these, or all that match every filter given.

        payload: replaces theirs; None keeps it. Raises ValueError unless either ids or a filter is given.
        """
        filters = {"status": status, "type": type, "batch": batch, "tag": tag}
        where = {name: value for name, value in filters.items() if value is not None}
        if (job_ids is None) == (not where):
            raise ValueError("Give either the ids of jobs or a filter.")
        wanted = [*job_ids] if job_ids is not None else None
        retried: Retried = self._call(queue_calls.retry(wanted, where=where or None, payload=payload))
        return retried

    def types(self) -> list[JobType]:
        """Every job type that ever had jobs or settings, with its counts, its pause and its settings."""
        found: list[JobType] = []
        cursor = None
        while True:
            page = self._call(queue_calls.types_page(cursor=cursor))
            found += page.items
            cursor = page.cursor
            if cursor is None:
                return found

    def pause(self, type: str, *, reason: str | None = None) -> bool:
        """Let no job of the type begin until `resume`. Running ones go on."""
        return bool(self._call(queue_calls.pause(type, reason=reason)))

    def resume(self, type: str) -> bool:
        """Let jobs of a paused type begin again."""
        return bool(self._call(queue_calls.resume(type)))

    def configure(
        self,
        type: str,
        *,
        retry_delay: float | RetryDelay | None = None,
        lease_seconds: float | None = None,
        timeout_seconds: float | None = None,
        max_retries: int | None = None,
        concurrency: int | None = None,
        rate_limit: Mapping[str, object] | None = None,
        partition_concurrency: int | None = None,
        partition_rate_limit: Mapping[str, object] | None = None,
        retention: Mapping[str, float] | None = None,
        secret_paths: Sequence[str] | None = None,
    ) -> bool:
        """Replace all settings of a job type; what is None is the server's default again.

        concurrency, rate_limit {"limit", "perSeconds", "burst"?}: over all workers; partition_…: for each partition key.
        retention: seconds that completed, failed and cancelled jobs are kept. secret_paths: what the console hides.
        """
        settings = {
            "retryDelay": retry_delay.wire() if isinstance(retry_delay, RetryDelay) else retry_delay,
            "leaseSeconds": lease_seconds,
            "timeoutSeconds": timeout_seconds,
            "maxRetries": max_retries,
            "concurrency": concurrency,
            "rateLimit": rate_limit,
            "partitionConcurrency": partition_concurrency,
            "partitionRateLimit": partition_rate_limit,
            "retention": retention,
            "secretPaths": secret_paths,
        }
        given = {name: value for name, value in settings.items() if value is not None}
        return bool(self._call(queue_calls.configure(type, given)))

    def batch(self, name: str | None = None, *, on_complete: NewJob | None = None) -> Batch:
        """Begin a batch: a set of jobs with a progress of its own. Use it with `with`, which seals it at the end.

        on_complete: a job that is enqueued when the last job of the sealed batch has ended.
        """
        return Batch(self._call, self._call(batch_calls.create(name, on_complete=on_complete)))

    def get_batch(self, batch_id: str) -> Batch:
        """The handle of a batch that was begun before, here or elsewhere."""
        return Batch(self._call, batch_id)

    def batches(self, *, limit: int = 50) -> list[BatchProgress]:
        """The newest batches with their progress, at most `limit`."""
        found: list[BatchProgress] = []
        cursor = None
        while len(found) < limit:
            ask = min(limit - len(found), BATCHES_PAGE)
            page = self._call(batch_calls.list_page(limit=ask, cursor=cursor))
            found += page.items
            cursor = page.cursor
            if cursor is None:
                break
        return found

    def schedule(
        self,
        name: str,
        type: str,
        payload: object = None,
        *,
        cron: str | None = None,
        every_seconds: float | None = None,
        timezone: str | None = None,
        missed: Missed | None = None,
        paused: bool | None = None,
        **options: Any,
    ) -> datetime | None:
        """Enqueue a job of this type again and again: by a cron line, or every so many seconds.

        name: one schedule each; set again, it is replaced. timezone: of the cron line, such as Europe/Madrid (UTC).
        missed: what becomes of times at which the server was away: skip, one (the default) or all.
        options: max_retries, priority and so on, as NewJob has them. Returns when it fires next.
        """
        if (cron is None) == (every_seconds is None):
            raise ValueError("Give either cron or every_seconds.")
        next_at: datetime | None = self._call(
            schedule_calls.set(
                name,
                NewJob(type, payload, **options),
                cron=cron,
                every_seconds=every_seconds,
                timezone=timezone,
                missed=missed,
                paused=paused,
            )
        )
        return next_at

    def schedules(self) -> list[Schedule]:
        """Every schedule of the project, by name."""
        found: list[Schedule] = []
        cursor = None
        while True:
            page = self._call(schedule_calls.list_page(cursor=cursor))
            found += page.items
            cursor = page.cursor
            if cursor is None:
                return found

    def unschedule(self, name: str) -> bool:
        """Remove a schedule; jobs that it has enqueued stay. False if there is none of this name."""
        return bool(self._call(schedule_calls.delete(name)))

    def run_schedule(self, name: str) -> JobRef:
        """Enqueue a schedule's job now, beside its times; with a unique key, it may be the job that holds it."""
        run: JobRef = self._call(schedule_calls.run(name))
        return run


def _keyed(job: NewJob) -> NewJob:
    return job if job.idempotency_key else dataclasses.replace(job, idempotency_key=new_key())
