"""A whole AeroDash in real processes, on a data folder and a port of its own, that leaves nothing behind."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
START_S = 120.0
PATIENCE_S = 60.0
"""How long tests wait for what must come: for ever, as far as a busy machine goes."""


def wait_for[T](what: str, condition: Callable[[], T], *, within_s: float = PATIENCE_S) -> T:
    """The first true answer of the condition. Fails with `what` when the time is over."""
    deadline = time.monotonic() + within_s
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.02)
    return answer


class Installation:
    """A data folder, a port, and whatever processes run on them."""

    def __init__(self, data: Path, port: int) -> None:
        self.data = data
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.key = ""
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AERODASH_")},
            "AERODASH_DATA": str(data),
            "AERODASH_PORT": str(port),
        }
        for name in ("VALKEY_URL", "CHANNELS_URL", "DATABASE_URL", "DJANGO_SETTINGS_MODULE"):
            self.environment.pop(name, None)
        self._log = data.parent / "log"
        self._started: list[subprocess.Popen[str]] = []

    def run(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start `aerodash <arguments>`; what it prints on standard error goes to the log."""
        return self._start(["aerodash", *arguments], variables, subprocess.PIPE)

    def leave(self, module: str, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start a Python module that nobody listens to: all that it prints goes to the log."""
        with self._log.open("a") as log:
            return self._start([module, *arguments], variables, log)

    def _start(
        self, command: list[str], variables: Mapping[str, str], output: int | IO[str]
    ) -> subprocess.Popen[str]:
        with self._log.open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                text=True,
                cwd=ROOT,
                env={**self.environment, **variables},
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def up(self, *arguments: str, **variables: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        """Start `aerodash up --json` and wait until it says that it answers: (process, the line it printed)."""
        process = self.run("up", "--json", *arguments, **variables)
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        assert process.stdout is not None
        out = process.stdout
        threading.Thread(target=lambda: lines.put(out.readline()), daemon=True).start()
        line = lines.get(timeout=START_S)
        assert line, f"`aerodash up` ended before it answered:\n{self.log()}"
        facts = json.loads(line)
        self.key = facts["api_key"] or self.key
        return process, facts

    def prepare(self) -> None:
        """Make the schema, a project and its first key, without starting anything that stays."""
        process = self.run("prepare")
        output, _ = process.communicate(timeout=START_S)
        assert process.returncode == 0, f"`aerodash prepare` failed:\n{self.log()}"
        self.key = json.loads(output)["api_key"]

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as reply:
                return reply.status == 200
        except OSError:
            return False

    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def call(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """POST to the API with this installation's key: (status, reply). Raises OSError when nothing answers."""
        request = urllib.request.Request(
            f"{self.url}/v1{path}",
            data=json.dumps(body).encode(),
            headers={"X-Aerostack-Key": self.key, "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.load(refused)

    def ok(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        status, reply = self.call(path, body)
        assert status in (200, 201), reply
        return reply

    def processes(self) -> dict[int, str]:
        """Every process of this data folder, by its environment: {pid: command line}."""
        return {
            pid: command
            for pid, command, environment in _everything()
            if f"AERODASH_DATA={self.data}" in environment
        }

    def pid_of(self, part: str) -> int:
        return json.loads((self.data / "up.json").read_text())["running"][part]

    def kill_everything(self) -> None:
        """kill -9 for all at once, again until none is left."""
        while pids := list(self.processes()):
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.02)

    def close(self) -> None:
        """Leave nothing behind."""
        self.kill_everything()
        for process in self._started:
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _everything() -> Iterator[tuple[int, str, str]]:
    if Path("/proc/self/environ").exists():
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    environment = (folder / "environ").read_text(errors="replace")
                    command = (folder / "cmdline").read_text(errors="replace")
                except OSError:  # gone meanwhile, or another user's
                    continue
                if command:  # an ended process that nobody has looked after yet has none
                    yield int(folder.name), command.replace("\0", " "), environment
        return
    listed = subprocess.run(
        ["ps", "axeww", "-o", "pid=,command="], capture_output=True, text=True, check=True
    )
    for line in listed.stdout.splitlines():
        pid, _, command = line.strip().partition(" ")
        yield int(pid), command, command
