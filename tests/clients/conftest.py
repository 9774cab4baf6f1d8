"""What the tests of our own SDK against the live server share."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aerodash_sdk import Client
from aerodash_sdk.worker import Worker

from tests.ports import free_port

HANDLERS = Path(__file__).resolve().parent / "worker_under_test.py"


PATIENCE_S = 60.0
"""How long tests wait for what must come: for ever, as far as a busy machine goes."""


def until(condition: Callable[[], object], *, within_s: float = PATIENCE_S) -> None:
    """Wait for a condition; fail when it does not come true in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "this did not come true in time"
        time.sleep(0.02)


@pytest.fixture
def client(live_server_url: str, api_key: str) -> Iterator[Client]:
    with Client(live_server_url, api_key) as client:
        yield client


@pytest.fixture
def start(client: Client) -> Iterator[Callable[[Worker], threading.Thread]]:
    """Runs workers on threads of this process, and stops them at the end."""
    running: list[tuple[Worker, threading.Thread]] = []

    def start(worker: Worker) -> threading.Thread:
        thread = threading.Thread(target=worker.run)
        thread.start()
        running.append((worker, thread))
        return thread

    yield start
    for worker, _ in running:
        worker.stop()
    for _, thread in running:
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "the worker did not stop"


class WorkerProcess:
    """A supervised worker: a parent and its children, with the handlers of worker_under_test.py, or of another file."""

    def __init__(
        self,
        url: str,
        api_key: str,
        log: Path,
        *options: str,
        handlers: Path = HANDLERS,
        command: tuple[str, ...] = ("aerodash_sdk.worker",),
    ) -> None:
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command, f"{handlers}:worker", "--concurrency", "1", *options],
                env={**os.environ, "AERODASH_URL": url, "AERODASH_API_KEY": api_key},
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=handlers.parent,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def children(self) -> list[int]:
        """The processes that ever took jobs, in their order."""
        return [int(pid) for pid in re.findall(r"worker process \d+ \((\d+)\) is ready", self.log)]

    def signal_child(self, number: signal.Signals) -> None:
        os.kill(self.children[-1], number)

    def end(self) -> None:
        """Stop it, in a hurry after the first second."""
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                self.process.kill()
            else:
                self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(1)


@pytest.fixture
def start_process(
    live_server_url: str, api_key: str, tmp_path: Path
) -> Iterator[Callable[..., WorkerProcess]]:
    """Starts supervised workers; options are of the command line."""
    started: list[WorkerProcess] = []

    def start(*options: str, **how: Any) -> WorkerProcess:
        log = tmp_path / f"worker-{len(started)}.log"
        started.append(WorkerProcess(live_server_url, api_key, log, *options, **how))
        return started[-1]

    yield start
    for process in started:
        process.end()


@pytest.fixture
def worker_process(start_process: Callable[..., WorkerProcess]) -> WorkerProcess:
    return start_process()


class Line:
    """A line to the server that can be cut and mended: connections through it break, new ones are refused."""

    def __init__(self, url: str) -> None:
        self._target = ("127.0.0.1", int(url.rsplit(":", 1)[1]))
        self._lock = threading.Lock()
        self._ends: list[socket.socket] = []
        self._address = ("127.0.0.1", free_port())
        self._listener = socket.create_server(self._address)
        self.url = f"http://127.0.0.1:{self._address[1]}"
        self._serve()

    def cut(self) -> None:
        with self._lock:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            for end in self._ends:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
            self._ends.clear()

    def mend(self) -> None:
        self._listener = socket.create_server(self._address)
        self._serve()

    def _serve(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(self._target)
                with self._lock:
                    if listener is not self._listener or listener.fileno() < 0:  # cut meanwhile
                        near.close()
                        far.close()
                        return
                    self._ends += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def line(live_server_url: str) -> Iterator[Line]:
    line = Line(live_server_url)
    yield line
    line.cut()
