"""The processes that a supervisor runs, each of which tells it when it ends."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from aerodash import embedded, processes
from aerodash.cli.lifeline import Lifeline
from aerodash.errors import EngineDown

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_STEADY_S = 60.0


@dataclass(frozen=True)
class Ended:
    """A part is no longer running. how: for people, "ended with code 1"."""

    part: "Part"
    how: str


@dataclass(frozen=True)
class Returned:
    """A part that takes a while to start again is running again."""

    part: "Part"


type Events = queue.SimpleQueue[object]


class Part(Protocol):
    """Something the supervisor starts, watches and stops; it puts Ended on the events when it is over."""

    name: str
    grace_s: float
    pause: "Pause"

    @property
    def pid(self) -> int | None: ...
    def start(self) -> None: ...
    def running(self) -> bool: ...
    def ask_to_stop(self) -> None: ...
    def kill(self) -> None: ...
    def clear_away(self) -> None: ...


class Pause:
    """How long to wait before the next restart: doubling while a part keeps failing, short again once it is steady."""

    def __init__(self) -> None:
        self._next_s = _FIRST_PAUSE_S
        self._started_at = time.monotonic()

    def started(self) -> None:
        self._started_at = time.monotonic()

    def take(self) -> float:
        if time.monotonic() - self._started_at > _STEADY_S:
            self._next_s = _FIRST_PAUSE_S
        pause_s, self._next_s = self._next_s, min(self._next_s * 2, _LONGEST_PAUSE_S)
        return pause_s


@dataclass(eq=False)
class Child:
    """One of AeroDash's own processes, in a session of its own; what it prints goes to standard error.

    grace_s: how long it may take to stop. cwd: where it runs; None means here.
    """

    name: str
    arguments: list[str]
    events: Events
    lifeline: Lifeline
    environment: Mapping[str, str]
    grace_s: float
    cwd: Path | None = None
    pause: Pause = field(default_factory=Pause)
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    def start(self) -> None:
        self.pause.started()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "aerodash", *self.arguments],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            env={**self.environment, **self.lifeline.environment()},
            cwd=self.cwd,
            pass_fds=[self.lifeline.read_end],
            start_new_session=True,
        )
        threading.Thread(target=self._watch, args=(self.process,), daemon=True).start()

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ask_to_stop(self) -> None:
        if self.process is not None:
            self.process.terminate()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()

    def clear_away(self) -> None:
        """End what an ended process left behind in its session: a killed web process cannot stop its workers."""
        if self.process is not None:
            processes.clear_session(self.process.pid)

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        self.events.put(Ended(self, how))


@dataclass(eq=False)
class Valkey:
    """The embedded Valkey as a part of the supervisor."""

    folder: Path
    appendfsync: str
    events: Events
    name: str = "Valkey"
    grace_s: float = 60
    pause: Pause = field(default_factory=Pause)
    server: embedded.Embedded | None = None
    _restarting: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        return self.server.pid if self.server else None

    def start(self) -> None:
        """Return once it answers. Raises EngineDown."""
        self.pause.started()
        self.server = embedded.start(self.folder, appendfsync=self.appendfsync)
        threading.Thread(target=self._watch, args=(self.server,), daemon=True).start()

    def restart(self) -> None:
        """Start it in a thread, since reading its data may take a while; a failure counts as another end."""

        def attempt() -> None:
            try:
                self.start()
            except EngineDown as exc:
                self.events.put(Ended(self, f"does not start: {exc.message}"))
            else:
                self.events.put(Returned(self))

        self._restarting = threading.Thread(target=attempt, daemon=True)
        self._restarting.start()

    def running(self) -> bool:
        return self.server is not None and processes.alive(self.server.pid)

    def ask_to_stop(self) -> None:
        if self._restarting is not None:
            self._restarting.join()  # else it would come up after all has ended
        if self.server is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.server.pid, signal.SIGTERM)

    def kill(self) -> None:
        if self.server is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.server.pid, signal.SIGKILL)

    def clear_away(self) -> None:
        """It starts nothing that could be left."""

    def _watch(self, server: embedded.Embedded) -> None:
        server.wait()
        self.events.put(Ended(self, "ended"))
