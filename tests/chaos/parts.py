"""The processes of a chaos run: how each is started, hit, and brought back."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from aerodash import embedded
from tests.chaos.harness import Installation, wait_for
from tests.postgres import OwnServer

STOP_S = 30.0
ANSWER_S = 120.0


@dataclass(frozen=True)
class Started:
    """What a start made. wait: returns once it has ended, and leaves no zombie."""

    pid: int
    wait: Callable[[], object]


class Part:
    """Something that runs in processes. Their pids are found by who started whom, so that no child is forgotten."""

    def __init__(self, name: str, start: Callable[[], Started]) -> None:
        self.name = name
        self.free = threading.Lock()
        """Held from a fault until it is mended."""
        self._start = start
        self.pid = 0
        self._wait: Callable[[], object] = lambda: None

    def start(self) -> None:
        started = self._start()
        self.pid, self._wait = started.pid, started.wait

    def hit(self, number: signal.Signals, *, children_only: bool = False) -> None:
        """Send a signal to its processes, at once."""
        pids = family(self.pid)
        for pid in pids[1:] if children_only else pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def ask_to_stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)

    def running(self) -> bool:
        return any(pid == self.pid for pid, _ in parents())

    def end(self) -> None:
        """Ask it to stop, and kill it only when it does not."""
        self.hit(signal.SIGCONT)
        self.ask_to_stop()
        deadline = time.monotonic() + STOP_S
        while self.running() and time.monotonic() < deadline:
            time.sleep(0.02)
        self.kill()

    def kill(self) -> None:
        """End all of it, and leave no zombie."""
        self.hit(signal.SIGKILL)
        self._wait()


class Postgres(Part):
    def __init__(self, server: OwnServer) -> None:
        super().__init__("postgres-1", self._begin)
        self._server = server

    def ask_to_stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGINT)  # "fast": SIGTERM would wait for every connection to end

    def _begin(self) -> Started:
        # A killed server's processes may hold its memory for a moment; the next start is refused until then.
        deadline = time.monotonic() + ANSWER_S
        while True:
            try:
                self._server.start()
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return Started(self._server.pid, self._server.stop)


class Fleet:
    """All parts of one run, by name, on one installation."""

    def __init__(self, installation: Installation, history: Path, seed: str, ports: list[int]) -> None:
        self._installation = installation
        self._history = history
        self._seed = seed
        self._ports = ports
        self._starts: dict[str, int] = {}
        self.parts: dict[str, Part] = {}

    def valkey(self) -> Part:
        folder = self._installation.data / "valkey"
        return self._add("valkey-1", lambda: _valkey(folder))

    def postgres(self, server: OwnServer) -> Part:
        part = Postgres(server)
        self.parts[part.name] = part
        part.start()
        return part

    def web(self, number: int) -> Part:
        port = str(self._ports[number - 1])
        return self._add(f"web-{number}", lambda: self._run("web", AERODASH_PORT=port))

    def keeper(self, number: int) -> Part:
        return self._add(f"keeper-{number}", lambda: self._run("keeper"))

    def sdk(self, number: int) -> Part:
        url = f"http://127.0.0.1:{self._ports[(number - 1) % len(self._ports)]}"
        return self._add(
            f"sdk-{number}",
            lambda: self._run(
                "worker",
                "tests/chaos/sdk_worker.py:worker",
                AERODASH_URL=url,
                AERODASH_API_KEY=self._installation.key,
                AERODASH_CHAOS_HISTORY=str(self._history),
                AERODASH_LOG_LEVEL="ERROR",
            ),
        )

    def wire(self, number: int) -> Part:
        name = f"wire-{number}"

        def start() -> Started:
            self._starts[name] = self._starts.get(name, 0) + 1
            process = self._installation.leave(
                "tests.chaos.wire_worker",
                name,
                f"{self._seed}:{name}:{self._starts[name]}",
                str(self._history),
                ",".join(map(str, self._ports)),
                AERODASH_API_KEY=self._installation.key,
            )
            return Started(process.pid, process.wait)

        return self._add(name, start)

    def _run(self, *arguments: str, **variables: str) -> Started:
        process = self._installation.leave("aerodash", *arguments, **variables)
        return Started(process.pid, process.wait)

    def _add(self, name: str, start: Callable[[], Started]) -> Part:
        part = Part(name, start)
        self.parts[name] = part
        part.start()
        return part

    def of(self, *kinds: str) -> list[Part]:
        return [part for name, part in self.parts.items() if name.rpartition("-")[0] in kinds]

    def revive(self) -> None:
        """Start again what has ended, as a supervisor would: who starts while the database does not answer gives up."""
        running = {pid for pid, _ in parents()}
        for part in self.parts.values():
            # One that a fault holds is started by who mends that.
            if part.pid not in running and part.free.acquire(blocking=False):
                try:
                    part.end()
                    part.start()
                finally:
                    part.free.release()

    def answers(self) -> bool:
        """Whether every process of web does."""
        return all(Installation(self._installation.data, port).answers() for port in self._ports)

    def await_web(self) -> None:
        wait_for("answers from all of web", self.answers, within_s=ANSWER_S)


def _valkey(folder: Path) -> Started:
    server = embedded.start(folder)
    return Started(server.pid, server.wait)


def parents() -> Iterable[tuple[int, int]]:
    """(pid, its parent's) of every process that has not ended."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    yield int(folder.name), int(parent)


def family(pid: int) -> list[int]:
    """A process and all that descend from it, the eldest first."""
    children: dict[int, list[int]] = {}
    for child, parent in parents():
        children.setdefault(parent, []).append(child)
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found
