"""`make run`, as README tells people to start it."""

import json
import os
import signal
import subprocess

import pytest

from tests.chaos.harness import PATIENCE_S, ROOT, Installation

pytestmark = pytest.mark.chaos


def test_make_run_prints_json_alone_and_ctrl_c_in_its_terminal_stops_all(installation: Installation):
    process = subprocess.Popen(
        ["make", "--no-print-directory", "run", "ARGS=--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env=installation.environment,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout:
        facts = json.loads(process.stdout.readline())
        assert set(facts) == {"url", "console_url", "api_key"}
        installation.key = facts["api_key"]
        assert installation.ok("/cache/get", {"key": "user:1"})["exists"] is True
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does
        process.wait(PATIENCE_S)
        assert process.stdout.read() == ""
    assert installation.processes() == {}
