"""kill -9: what was acknowledged is there afterwards, and what was running runs again."""

import itertools
import os
import signal
import threading
import time
from datetime import datetime
from http.client import HTTPException
from typing import Any

import pytest

from jobs_admin import keeper
from tests.chaos.harness import PATIENCE_S, Installation, wait_for
from tests.chaos.parts import family
from tests.chaos.slow_worker import LEASE_S

pytestmark = pytest.mark.chaos

WRITERS = 4
WRITTEN = 200
MAY_TAKE_S = 20.0


def test_what_was_acknowledged_survives_a_kill_of_everything(installation: Installation):
    # With everysec Valkey holds a write back for up to 2 s while the disk is slow with the one before.
    installation.up(AERODASH_APPENDFSYNC="always")
    entries: dict[str, int] = {}
    jobs: dict[str, int] = {}
    killed = threading.Event()

    def write(writer: int) -> None:
        for number in itertools.count():
            try:
                key = f"written:{writer}:{number}"
                if installation.call("/cache/set", {"key": key, "value": number, "ttl": 3600})[0] == 200:
                    entries[key] = number
                status, reply = installation.call(
                    "/queue/enqueue", {"type": "chaos", "payload": {"n": number}}
                )
                if status == 201:
                    jobs[reply["jobId"]] = number
            except OSError:
                if killed.is_set():
                    return
                raise
            except (ValueError, HTTPException):  # a reply cut off in its middle acknowledges nothing
                assert killed.is_set()
                return

    writers = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    wait_for("enough of them", lambda: min(len(entries), len(jobs)) >= WRITTEN)
    killed.set()
    installation.kill_everything()
    for writer in writers:
        writer.join(PATIENCE_S)
        assert not writer.is_alive()

    installation.up()

    keys = list(entries)
    for start in range(0, len(keys), 1000):
        found = installation.ok("/cache/getMany", {"keys": keys[start : start + 1000]})["results"]
        lost = [
            entry["key"] for entry in found if not entry["exists"] or entry["value"] != entries[entry["key"]]
        ]
        assert lost == []
    assert _jobs(installation, "chaos").items() >= jobs.items()


def test_a_job_whose_worker_is_killed_runs_again_soon_after_its_lease(installation: Installation):
    installation.up()
    log = installation.data / "runs"
    job_id = installation.ok(
        "/queue/enqueue", {"type": "slow", "payload": {"log": str(log)}, "maxRetries": 3}
    )["jobId"]
    first = _worker(installation)
    wait_for("the first run", lambda: log.exists() and log.read_text())
    _worker(installation)
    hello = installation.ok("/queue/enqueue", {"type": "hello", "payload": None})["jobId"]
    wait_for("another worker", lambda: _job(installation, hello)["status"] == "completed")

    killed_at = time.time()
    for pid in family(first.pid):  # as if its machine had stopped: nobody is left to say so
        os.kill(pid, signal.SIGKILL)
    first.wait()

    wait_for("the second run's end", lambda: _job(installation, job_id)["status"] == "completed")
    job = _job(installation, job_id)
    assert job["attempts"] == 2
    assert job["result"] == {"attempts": 2}
    assert log.read_text().split() == ["1", "2"]
    # The promise, where nothing else keeps the machine busy, is a second after its lease.
    assert keeper.SWEEP_EVERY_S <= 0.5
    assert datetime.fromisoformat(job["startedAt"]).timestamp() - killed_at <= LEASE_S + MAY_TAKE_S


def _job(installation: Installation, job_id: str) -> dict[str, Any]:
    return installation.ok("/queue/job", {"jobId": job_id})["job"]


def _worker(installation: Installation):
    return installation.run(
        "worker",
        "tests/chaos/slow_worker.py:worker",
        AERODASH_URL=installation.url,
        AERODASH_API_KEY=installation.key,
    )


def _jobs(installation: Installation, type: str) -> dict[str, int]:
    """Every job of the type, by id, with the number in its payload."""
    found: dict[str, int] = {}
    cursor: dict[str, str] = {}
    while True:
        page = installation.ok("/queue/jobs", {"type": type, "limit": 200, **cursor})
        found |= {job["id"]: job["payload"]["n"] for job in page["jobs"]}
        if page["list_complete"]:
            return found
        cursor = {"cursor": page["cursor"]}
