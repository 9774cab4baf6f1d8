"""The published Python client (aerostack 0.1.2 from PyPI, client P0 of the wire contract), with only its base URL changed.

It shares its import name with another client, so it lives in a virtual environment of its own.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
from aerodash_sdk import Client

from tests.clients import environments

HERE = Path(__file__).resolve().parent

pytestmark = pytest.mark.clients


@pytest.fixture(scope="session")
def aerostack_python() -> Path:
    return environments.locked("aerostack")


@pytest.fixture
def seen(aerostack_python: Path, live_server_url: str, api_key: str) -> dict:
    done = subprocess.run(
        [aerostack_python, HERE / "aerostack_script.py", live_server_url],
        env={**os.environ, "AERODASH_API_KEY": api_key},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_published_client_works_with_only_its_base_url_changed(
    seen: dict, live_server_url: str, api_key: str
) -> None:
    value = {"name": "Zoë", "plan": "pro", "logins": 3, "tags": ["a", None, 1.5]}
    assert seen["set"] is True
    assert seen["get"] == [True, value]
    assert seen["miss"] == [False, None]
    assert seen["slash"] is True
    accepted, job_id = seen["enqueue"]
    assert accepted is True
    assert seen["refused get"] == [401, "AUTH_INVALID_KEY"]
    assert seen["refused enqueue"] == [401, "AUTH_INVALID_KEY"]
    assert seen["bad ttl"] == [400, "VALIDATION_ERROR"]

    with Client(live_server_url, api_key) as client:
        assert client.cache.get("p0:user:123") == value
        job = client.queue.get_job(job_id)
    assert job is not None
    assert (job.type, job.state, job.payload) == ("send-email", "scheduled", {"to": "jane@example.com"})
