"""The files in examples/ run as they are, against the live server."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from aerodash_sdk import Client
from aerodash_sdk.worker import Worker, load

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def demo_worker(client: Client, start: Callable[[Worker], Thread]) -> None:
    """The demo's handlers, on a worker of this test's own."""
    handlers = load(f"{EXAMPLES}/demo_worker.py:worker")
    worker = Worker(client, concurrency=8)
    for type in handlers.types:
        worker.job(type)(handlers.handler(type))
    start(worker)


def run(command: list[object], url: str, api_key: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, "AERODASH_URL": url, "AERODASH_API_KEY": api_key},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.usefixtures("demo_worker")
def test_quickstart_runs(live_server_url: str, api_key: str) -> None:
    said = run([sys.executable, EXAMPLES / "quickstart.py"], live_server_url, api_key)
    assert "user: {'name': 'Jane', 'plan': 'pro'}" in said
    assert "nobody: None" in said
    assert "views: 1" in said
    assert "job: completed" in said


def test_curl_script_runs(client: Client, live_server_url: str, api_key: str) -> None:
    assert shutil.which("curl"), "curl is not installed"
    said = run([EXAMPLES / "curl.sh"], live_server_url, api_key)
    assert '"exists":true' in said
    assert client.cache.get("user:123") == {"name": "Jane"}
    assert len(client.queue.list_jobs(type="send-email")) == 1


@pytest.mark.usefixtures("demo_worker")
def test_demo_jobs_end_as_they_should(client: Client) -> None:
    host = "https://{}.example.com/orders"
    expected = [
        ("send-email", {"template": "welcome", "to": "jane@example.com"}, "completed"),
        ("send-email", {"template": "welcome", "to": "nowhere"}, "failed"),
        ("send-welcome-email", {"userId": "u", "email": "a@b.example", "name": "Jane"}, "completed"),
        ("generate-report", {"month": "2026-03"}, "completed"),
        ("deliver-webhook", {"url": host.format("hooks"), "event": {"id": 1}}, "completed"),
        ("deliver-webhook", {"url": host.format("busy"), "event": {"id": 2}}, "completed"),
        ("deliver-webhook", {"url": host.format("down"), "event": {"id": 3}}, "failed"),
        ("import-row", {"row": 1, "data": {"name": "Jane", "amount": "12.50"}}, "completed"),
        ("import-row", {"row": 2, "data": {"name": "Omar", "amount": "12,5O"}}, "failed"),
        ("resize-image", {"path": "x.png", "width": 16}, "completed"),
    ]
    job_ids = [
        client.queue.send(type, payload, max_retries=0 if status == "failed" else 3).job_id
        for type, payload, status in expected
    ]
    ended = [client.queue.wait(job_id) for job_id in job_ids]
    assert [(job.type, job.payload, job.status) for job in ended] == expected
    assert ended[5].attempts == 2
