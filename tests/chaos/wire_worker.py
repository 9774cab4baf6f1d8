"""A worker that speaks the contract itself, and not always kindly. Run by tests.chaos.run.

It leases, sometimes for longer than its lease, settles again what it has settled, sends old tokens, gives jobs back, and
sends a settle again whose answer it did not get. All it hears is in its history.

    python -m tests.chaos.wire_worker <name> <seed> <history folder> <port>[,<port>]       (the key in AERODASH_API_KEY)
"""

import os
import random
import signal
import sys
import time
import uuid
from collections import deque
from pathlib import Path
from typing import Any

from tests.chaos.history import Recorder, digest
from tests.chaos.wire import Wire

LEASE_S = 2
OLD_TOKENS = 30


class WireWorker:
    def __init__(self, name: str, seed: str, folder: Path, ports: list[int]) -> None:
        self._id = f"{name}-{uuid.uuid4().hex[:8]}"
        self._recorder = Recorder(folder, self._id)
        self._wire = Wire(ports, os.environ["AERODASH_API_KEY"], self._recorder)
        self._random = random.Random(seed)
        self._about = {"id": self._id, "hostname": "chaos", "pid": os.getpid(), "version": "wire"}
        self._old: deque[dict[str, Any]] = deque(maxlen=OLD_TOKENS)
        self._ending = False
        signal.signal(signal.SIGTERM, self._end)

    def _end(self, number: int, frame: object) -> None:
        self._ending = True

    def run(self) -> None:
        while not self._ending:
            jobs = self._lease()
            if jobs is None:
                time.sleep(0.1)
            elif jobs:
                self._work(jobs)

    def _lease(self) -> list[dict[str, Any]] | None:
        body = {
            "worker": self._about,
            "limit": self._random.randint(1, 6),
            "leaseSeconds": LEASE_S,
            "waitSeconds": 1,
        }
        reply = self._wire.ask(
            "lease",
            body,
            verb="lease",
            asked={"worker": self._id, "lease_s": LEASE_S},
            keep=lambda reply: {"leases": [_claim(job) for job in reply["jobs"]]},
            wait_s=1,
        )
        return None if reply is None else reply["jobs"]

    def _work(self, jobs: list[dict[str, Any]]) -> None:
        results = []
        for job in jobs:
            if self._ending:
                results.append(_result(job, "released"))
                continue
            self._heartbeat(jobs)
            number = self._recorder.event("run", "start", job=job["id"], run=job["run"])
            results.append(self._handle(job, jobs))
            self._recorder.event("run", "end", number)
            if self._random.random() < 0.5:
                self._settle(results)
                results = []
        self._settle(results)
        if self._old and self._random.random() < 0.3:
            self._settle([self._random.choice(self._old)])

    def _handle(self, job: dict[str, Any], held: list[dict[str, Any]]) -> dict[str, Any]:
        pick = self._random.random()
        match job["payload"]["plan"]:
            case "slow":
                for _ in range(3):
                    time.sleep(0.2)
                    self._heartbeat(held)
            case "hang" if job["attempts"] == 1:
                time.sleep(LEASE_S + 0.8)
            case "fail":
                return _result(job, "failed")
            case "final":
                return _result(job, "failed", final=True)
            case "flaky" if job["attempts"] == 1:
                return _result(job, "failed")
        return _result(job, "released" if pick < 0.04 else "completed")

    def _heartbeat(self, jobs: list[dict[str, Any]]) -> None:
        self._wire.ask(
            "heartbeat",
            {
                "worker": self._about,
                "leases": [{"jobId": job["id"], "leaseToken": job["leaseToken"]} for job in jobs],
                "leaseSeconds": LEASE_S,
            },
            verb="heartbeat",
            asked={"leases": [_claim(job) for job in jobs], "lease_s": LEASE_S},
            keep=lambda reply: {"outcomes": [lease["outcome"] for lease in reply["leases"]]},
        )

    def _settle(self, results: list[dict[str, Any]]) -> None:
        """Until it is answered, and now and then once more."""
        if not results:
            return
        times = 2 if self._random.random() < 0.05 else 1
        for _ in range(times):
            while not self._send(results) and not self._ending:
                time.sleep(0.1)
        self._old.extend(results)

    def _send(self, results: list[dict[str, Any]]) -> bool:
        reply = self._wire.ask(
            "settle",
            {"results": [{k: v for k, v in result.items() if k != "run"} for result in results]},
            verb="settle",
            asked={
                "results": [
                    {
                        "job": result["jobId"],
                        "run": result["run"],
                        "token": digest(result["leaseToken"]),
                        "outcome": result["outcome"],
                    }
                    for result in results
                ]
            },
            keep=lambda reply: {"outcomes": [result["outcome"] for result in reply["results"]]},
        )
        return reply is not None


def _claim(job: dict[str, Any]) -> dict[str, Any]:
    return {"job": job["id"], "run": job["run"], "token": digest(job["leaseToken"])}


def _result(job: dict[str, Any], outcome: str, **more: Any) -> dict[str, Any]:
    result = {
        "jobId": job["id"],
        "run": job["run"],
        "leaseToken": job["leaseToken"],
        "outcome": outcome,
        **more,
    }
    if outcome == "failed":
        result["error"] = {"type": "Planned", "message": "as the plan says"}
    elif outcome == "completed":
        result["result"] = {"run": job["run"]}
    return result


if __name__ == "__main__":
    name, seed, folder, ports = sys.argv[1:]
    WireWorker(name, seed, Path(folder), [int(port) for port in ports.split(",")]).run()
