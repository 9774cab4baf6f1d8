"""The programs that use the queue in a chaos run: they enqueue, cancel and retry, each by its own part of the seed."""

import random
import threading
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.chaos.wire import Wire

PLANS = ["done"] * 24 + ["flaky"] * 4 + ["slow"] * 3 + ["fail", "final", "hang"]
DONE_TYPE = "chaos-done"
SCHEDULED_TYPE = "chaos-scheduled"
SCHEDULE_EVERY_S = 1
SETTINGS: dict[str, dict[str, Any]] = {
    "chaos-limited": {"concurrency": 2},
    "chaos-keyed": {"partitionConcurrency": 1},
    "chaos-rated": {"rateLimit": {"limit": 10, "perSeconds": 1, "burst": 5}},
    "chaos-brief": {"retention": {"completed": 3}},
}
"""What types say; the checker looks whether it was kept."""
TYPES = (
    ["chaos-a"] * 5 + ["chaos-b"] * 4 + ["chaos-brief"] * 2 + ["chaos-limited", "chaos-keyed", "chaos-rated"]
)
PARTITION_KEYS = 4
UNIQUE_KEYS = 6
PAUSE_S = (0.005, 0.05)
REMEMBERED = 300


class Client(threading.Thread):
    """What it does follows from `seed`; when, and what it hears, does not. Ends when `stop` is set."""

    def __init__(self, number: int, seed: str, wire: Wire, stop: threading.Event) -> None:
        super().__init__(name=f"client-{number}", daemon=True)
        self._number = number
        self._random = random.Random(seed)
        self._wire = wire
        self._stop_asked = stop
        self._made = 0
        self._jobs: deque[str] = deque(maxlen=REMEMBERED)

    def run(self) -> None:
        moves = {
            self._enqueue: 40,
            self._enqueue_many: 8,
            self._enqueue_idempotent: 12,
            self._enqueue_unique: 12,
            self._cancel: 10,
            self._retry: 6,
            self._batch: 3,
        }
        while not self._stop_asked.is_set():
            [move] = self._random.choices(list(moves), list(moves.values()))
            move()
            self._stop_asked.wait(self._random.uniform(*PAUSE_S))
        self._wire.close()

    def _new(self, **more: Any) -> dict[str, Any]:
        """A job nobody else makes: `n` in its payload is its name in the history."""
        self._made += 1
        pick = self._random
        job: dict[str, Any] = {
            "type": pick.choice(TYPES),
            "payload": {"n": f"{self._number}.{self._made}", "plan": pick.choice(PLANS)},
            "maxRetries": pick.randint(0, 3),
            "retryDelay": 0.3,
            "priority": pick.randint(0, 9),
        }
        if job["type"] == "chaos-keyed":
            job["partitionKey"] = f"key-{pick.randrange(PARTITION_KEYS)}"
        if pick.random() < 0.15:
            job["delaySeconds"] = round(pick.uniform(0.1, 2), 2)
        if pick.random() < 0.04:
            deadline = datetime.now(UTC) + timedelta(seconds=pick.uniform(0.2, 2))
            job["deadline"] = deadline.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return job | more

    def _send(self, job: dict[str, Any]) -> Any:
        reply = self._wire.ask(
            "enqueue",
            job,
            verb="enqueue",
            asked={"jobs": [_told(job)]},
            keep=lambda reply: {
                "ids": [reply["jobId"]],
                "duplicates": [0] if reply.get("duplicate") else [],
            },
        )
        if reply is not None:
            self._jobs.append(reply["jobId"])
        return reply

    def _enqueue(self) -> None:
        self._send(self._new())

    def _enqueue_many(self) -> None:
        jobs = [self._new() for _ in range(self._random.randint(2, 12))]
        reply = self._wire.ask(
            "enqueueMany",
            {"jobs": jobs},
            verb="enqueue",
            asked={"jobs": [_told(job) for job in jobs]},
            keep=lambda reply: {"ids": reply["jobIds"], "duplicates": reply.get("duplicates", [])},
        )
        if reply is not None:
            self._jobs.extend(reply["jobIds"])

    def _enqueue_idempotent(self) -> None:
        """Send until it is known to be done, as an SDK does; and now and then once more."""
        job = self._new(idempotencyKey=f"{self._number}.{self._made}.{self._random.random()}")
        again = self._random.random() < 0.3
        while not self._stop_asked.is_set() and self._send(job) is None:
            self._stop_asked.wait(0.1)
        if again:
            self._send(job)

    def _enqueue_unique(self) -> None:
        key = f"unique-{self._random.randrange(UNIQUE_KEYS)}"
        conflict = self._random.choice(["keep", "keep", "replace"])
        unique = {"key": key, "while": "unfinished", "onConflict": conflict}
        self._send(self._new(type="chaos-a", uniqueKey=unique))

    def _cancel(self) -> None:
        if job := self._any():
            self._wire.ask(
                "cancel",
                {"jobId": job},
                verb="cancel",
                asked={"job": job},
                keep=lambda reply: {"success": reply["success"]},
            )

    def _retry(self) -> None:
        if job := self._any():
            self._wire.ask(
                "retry",
                {"jobIds": [job]},
                verb="retry",
                asked={"job": job},
                keep=lambda reply: {"count": reply["count"]},
            )

    def _batch(self) -> None:
        """Some members, a seal, and a job that is due once they have all ended."""
        self._made += 1
        name = f"{self._number}.{self._made}"
        done = {"type": DONE_TYPE, "payload": {"n": f"{name}.done", "plan": "done", "batch": name}}
        made = self._wire.ask(
            "batch/create",
            {"name": name, "onComplete": done},
            verb="batch",
            asked={"name": name},
            keep=lambda reply: {"batch": reply["batchId"]},
        )
        if made is None:
            return
        for _ in range(self._random.randint(1, 6)):
            self._send(self._new(batch=made["batchId"]))
        while not self._stop_asked.is_set():
            sealed = self._wire.ask(
                "batch/seal",
                {"batchId": made["batchId"]},
                verb="seal",
                asked={"batch": made["batchId"]},
                keep=lambda reply: {"success": reply["success"]},
            )
            if sealed is not None:
                return
            time.sleep(0.1)

    def _any(self) -> str | None:
        """One of the jobs that it knows of, rather a new one."""
        if not self._jobs:
            return None
        return self._jobs[-1 - int(len(self._jobs) * self._random.random() ** 3)]


def _told(job: dict[str, Any]) -> dict[str, Any]:
    told = {"n": job["payload"]["n"], "plan": job["payload"]["plan"], "type": job["type"]}
    if "idempotencyKey" in job:
        told["idempotency"] = job["idempotencyKey"]
    if "uniqueKey" in job:
        told["unique"] = job["uniqueKey"]["key"]
    return told
