"""The reference model: jobs.md in the plainest Python, against which engines are driven.

It shares no code with the engines, their rules included. Drawn delays are checked for their bounds and then taken over.
"""

from collections import Counter
from dataclasses import dataclass, field

RETRY_BASE_MS = 4_000
RETRY_CAP_MS = 3_600_000
POISON_AFTER = 3
GRACE_MS = 10_000
DAY_MS = 86_400_000
LOG_LINES = 1_000

UNFINISHED = ("pending", "processing")


@dataclass
class ModelJob:
    type: str
    max_retries: int
    due_at_ms: int
    payload: str = "1"
    unique_key: str = ""
    unique_until_ms: int | None = None
    holds_key: bool = False
    deadline_at_ms: int | None = None
    timeout_ms: int | None = None
    partition_key: str = ""
    batch: str | None = None
    status: str = "pending"
    run: int = 0
    attempts: int = 0
    crashes: int = 0
    token: str = ""
    worker: str = ""
    expires_at_ms: int = 0
    run_ends_at_ms: int | None = None
    ended_at_ms: int | None = None
    cancelling: bool = False
    payload_version: int = 1
    result: str = ""
    outcomes: list[str] = field(default_factory=list)
    late: int = 0
    reported_by: int = 0
    percent: float | None = None
    lines: int = 0
    due_between: tuple[int, int] | None = None
    """Bounds of a due time that the engine draws; None when due_at_ms is exact."""

    def may_start(self, now_ms: int) -> bool:
        in_time = self.deadline_at_ms is None or self.deadline_at_ms > now_ms
        return self.status == "pending" and self.due_at_ms <= now_ms and in_time

    def lease(self, now_ms: int, token: str, worker: str, lease_ms: int) -> None:
        self.status, self.token, self.worker, self.ended_at_ms = "processing", token, worker, None
        self.run_ends_at_ms = None if self.timeout_ms is None else now_ms + self.timeout_ms + GRACE_MS
        self._extend(now_ms, lease_ms)
        self.run += 1
        self.attempts += 1

    def _extend(self, now_ms: int, lease_ms: int) -> None:
        self.expires_at_ms = now_ms + lease_ms
        if self.run_ends_at_ms is not None:
            self.expires_at_ms = min(self.expires_at_ms, self.run_ends_at_ms)

    def _end(self, now_ms: int, status: str, outcome: str) -> None:
        self.token = ""
        self.outcomes.append(outcome)
        self._become(now_ms, status)

    def _become(self, now_ms: int, status: str) -> None:
        self.status = status
        if status not in UNFINISHED:
            self.ended_at_ms = now_ms
            self.holds_key = self.holds_key and self.unique_until_ms is not None

    def _again(self, now_ms: int) -> None:
        longest = min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** (self.attempts - 1))
        self.due_between = (now_ms + longest // 2, now_ms + longest)

    def settle(
        self, now_ms: int, token: str, outcome: str, result: str, *, final: bool, retry_after_ms: int | None
    ) -> str:
        if self.status != "processing" or token != self.token:
            self.late += 1
            return "lease_lost"
        if self.cancelling:
            self._end(now_ms, "cancelled", "cancelled")
            self.late += outcome != "released"
            return "cancelled"
        self.crashes = 0
        if outcome == "completed":
            self.result = result
            self._end(now_ms, "completed", "completed")
        elif outcome == "released":
            self._release(now_ms)
        elif final or self.attempts > self.max_retries:
            self._end(now_ms, "failed", "failed")
        else:
            self._end(now_ms, "pending", "failed")
            if retry_after_ms is None:
                self._again(now_ms)
            else:
                self.due_at_ms = now_ms + retry_after_ms
        return "accepted"

    def _release(self, now_ms: int) -> None:
        self.attempts -= 1
        self.crashes = 0
        self.due_at_ms = now_ms
        self._end(now_ms, "pending", "released")

    def expire(self, now_ms: int) -> bool:
        """Its lease has run out, or it waited until it may not begin any more."""
        if self.status == "pending" and self.deadline_at_ms is not None and self.deadline_at_ms <= now_ms:
            self._become(now_ms, "failed")
            return True
        if self.status != "processing" or self.expires_at_ms > now_ms:
            return False
        if self.run_ends_at_ms is not None and self.expires_at_ms >= self.run_ends_at_ms:
            self._time_out(now_ms)
        else:
            self._crash(now_ms, "lease_expired")
        return True

    def _time_out(self, now_ms: int) -> None:
        self.crashes = 0
        if self.cancelling:
            self._end(now_ms, "cancelled", "cancelled")
        elif self.attempts > self.max_retries:
            self._end(now_ms, "failed", "timed_out")
        else:
            self._end(now_ms, "pending", "timed_out")
            self._again(now_ms)

    def _crash(self, now_ms: int, outcome: str) -> None:
        self.crashes += 1
        if self.cancelling:
            self._end(now_ms, "cancelled", "cancelled")
        elif self.crashes >= POISON_AFTER or self.attempts > self.max_retries:
            self._end(now_ms, "failed", outcome)
        else:
            self._end(now_ms, "pending", outcome)
            if self.crashes == 1:
                self.due_at_ms = now_ms
            else:
                self._again(now_ms)

    def lose_worker(self, now_ms: int, worker: str, *, begun: bool) -> bool:
        if self.status != "processing" or self.worker != worker:
            return False
        if begun or self.cancelling:
            self._crash(now_ms, "worker_lost")
        else:
            self._release(now_ms)
        return True

    def heartbeat(self, now_ms: int, token: str, lease_ms: int) -> str:
        if self.status != "processing" or token != self.token:
            return "lease_lost"
        self._extend(now_ms, lease_ms)
        return "cancel_requested" if self.cancelling else "extended"

    def report(self, token: str, percent: float | None, lines: int) -> str:
        if self.status != "processing" or token != self.token:
            return "lease_lost"
        if self.reported_by != self.run:
            self.percent = None
        if percent is not None:
            self.percent = percent
        self.reported_by = self.run
        self.lines += lines
        return "cancel_requested" if self.cancelling else "accepted"

    def cancel(self, now_ms: int) -> bool:
        if self.status not in UNFINISHED:
            return False
        self.cancelling = True
        if self.status == "pending":
            self._become(now_ms, "cancelled")
        return True

    def retry(self, now_ms: int, payload: str | None) -> None:
        self.status, self.due_at_ms, self.ended_at_ms = "pending", now_ms, None
        self.attempts = self.crashes = 0
        self.cancelling, self.result, self.deadline_at_ms = False, "", None
        self.holds_key = self.unique_key != ""
        if payload is not None:
            self.payload = payload
            self.payload_version += 1


@dataclass
class ModelType:
    """What a type says. rate: starts, milliseconds and burst of a bucket, which is full at first."""

    paused: bool = False
    concurrency: int | None = None
    partition_concurrency: int | None = None
    rate: tuple[int, int, int] | None = None
    spent: tuple[float, int] | None = None
    """What was left after the last start, and when that was."""

    def tokens(self, now_ms: int) -> float:
        if self.rate is None:
            return float("inf")
        starts, per_ms, burst = self.rate
        if self.spent is None:
            return burst
        left, at_ms = self.spent
        return min(burst, left + (now_ms - at_ms) * starts / per_ms)


class Model:
    """A project: its jobs, types, keys, and what batches count."""

    def __init__(self, types: tuple[str, ...]) -> None:
        self.jobs: dict[str, ModelJob] = {}
        self.types = {type: ModelType() for type in types}
        self.idempotency: dict[str, tuple[str, int]] = {}
        self.pruned: Counter[tuple[str, str]] = Counter()

    def _holder(self, type: str, key: str) -> str | None:
        holders = [
            job_id
            for job_id, job in self.jobs.items()
            if key and (job.type, job.unique_key, job.holds_key) == (type, key, True)
        ]
        assert len(holders) <= 1
        return holders[0] if holders else None

    def _free(self, now_ms: int, type: str, key: str) -> None:
        holder = self.jobs.get(self._holder(type, key) or "")
        if holder and holder.unique_until_ms is not None and holder.unique_until_ms <= now_ms:
            holder.holds_key = False

    def enqueue(self, now_ms: int, job_id: str, job: ModelJob, *, replace: bool, idempotency_key: str) -> str:
        """The id that is answered; job_id is the one that the job gets, if it is a new one."""
        if idempotency_key:
            kept = self.idempotency.get(idempotency_key)
            if kept and kept[1] > now_ms - DAY_MS:
                return kept[0]
        answer = self._add(now_ms, job_id, job, replace=replace)
        if idempotency_key:
            self.idempotency[idempotency_key] = (answer, now_ms)
        return answer

    def _add(self, now_ms: int, job_id: str, job: ModelJob, *, replace: bool) -> str:
        self._free(now_ms, job.type, job.unique_key)
        held_by = self._holder(job.type, job.unique_key)
        if held_by is None:
            job.holds_key = job.unique_key != ""
            self.jobs[job_id] = job
            return job_id
        holder = self.jobs[held_by]
        if replace and holder.status == "pending" and holder.run == 0:
            holder.payload, holder.due_at_ms, holder.max_retries = job.payload, job.due_at_ms, job.max_retries
            holder.timeout_ms, holder.deadline_at_ms = job.timeout_ms, job.deadline_at_ms
            holder.unique_until_ms = job.unique_until_ms
            holder.payload_version += 1
        return held_by

    def leasable(self, now_ms: int, types: list[str] | None, limit: int) -> list[ModelJob]:
        """What a lease hands out, longest due first; of jobs that are due at the same time it may be others."""
        due = [
            job
            for job in self.jobs.values()
            if job.may_start(now_ms)
            and not self.types[job.type].paused
            and (types is None or job.type in types)
        ]
        running = Counter(job.type for job in self.jobs.values() if job.status == "processing")
        of_key = Counter(
            (job.type, job.partition_key) for job in self.jobs.values() if job.status == "processing"
        )
        started: Counter[str] = Counter()
        chosen: list[ModelJob] = []
        for job in sorted(due, key=lambda job: job.due_at_ms):
            said, place = self.types[job.type], (job.type, job.partition_key)
            if len(chosen) == limit:
                break
            if said.concurrency is not None and running[job.type] >= said.concurrency:
                continue
            most = said.partition_concurrency
            if most is not None and job.partition_key and of_key[place] >= most:
                continue
            if said.tokens(now_ms) - started[job.type] < 1:
                continue
            running[job.type] += 1
            of_key[place] += 1
            started[job.type] += 1
            chosen.append(job)
        return chosen

    def started(self, now_ms: int, jobs: list[ModelJob]) -> None:
        for type, number in Counter(job.type for job in jobs).items():
            said = self.types[type]
            if said.rate is not None:
                said.spent = (said.tokens(now_ms) - number, now_ms)

    def retry(self, now_ms: int, job_id: str, payload: str | None) -> bool:
        job = self.jobs.get(job_id)
        if job is None:
            return False
        self._free(now_ms, job.type, job.unique_key)
        if job.status in UNFINISHED or self._holder(job.type, job.unique_key) not in (None, job_id):
            return False
        job.retry(now_ms, payload)
        return True

    def run_now(self, now_ms: int, job_id: str) -> bool:
        job = self.jobs.get(job_id)
        if job is None or job.status != "pending" or job.due_at_ms <= now_ms:
            return False
        job.due_at_ms = now_ms
        return True

    def prune(self, now_ms: int, keep_ms: dict[str, int]) -> set[str]:
        gone = {
            job_id
            for job_id, job in self.jobs.items()
            if job.ended_at_ms is not None
            and job.status in keep_ms
            and job.ended_at_ms <= now_ms - keep_ms[job.status]
            and not (job.holds_key and (job.unique_until_ms or 0) > now_ms)
        }
        for job_id in gone:
            job = self.jobs.pop(job_id)
            if job.batch:
                self.pruned[job.batch, job.status] += 1
        for said in self.types.values():
            if said.rate is None:
                said.spent = None
        self.idempotency = {key: kept for key, kept in self.idempotency.items() if kept[1] > now_ms - DAY_MS}
        return gone

    def batch_counts(self, batch: str) -> dict[str, int]:
        counts = Counter(job.status for job in self.jobs.values() if job.batch == batch)
        for (of, status), number in self.pruned.items():
            if of == batch:
                counts[status] += number
        return dict(counts)
