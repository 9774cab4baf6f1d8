"""The supervisor: starts the parts in order, watches them, starts again what dies, and stops them in order.

One thread handles one queue of events (a signal, an end, an answer), so nothing is polled and no handler runs
beside another. Source: architecture, "Processes".
"""

import contextlib
import http.client
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType, ModuleType

from aerodash import __version__
from aerodash.cli.children import Child, Ended, Events, Part, Returned, Valkey
from aerodash.cli.lifeline import Lifeline
from aerodash.cli.registry import Registry
from aerodash.errors import CannotStart

READY_WITHIN_S = 60.0
DEMO_WORKER = "examples/demo_worker.py:worker"


@dataclass(frozen=True)
class Signalled:
    number: int


@dataclass(frozen=True)
class Answers:
    """The web part answers requests."""


@dataclass(frozen=True)
class Prepared:
    """What `aerodash prepare` found out; None if it failed (and has said why)."""

    facts: dict[str, str | None] | None


class Supervisor:
    """Runs every part until it is told to stop.

    variables: the environment for the parts. announce: called once, when all of it answers.
    """

    def __init__(
        self,
        settings: ModuleType,
        registry: Registry,
        variables: dict[str, str],
        *,
        demo: bool,
        traffic: bool,
        announce: Callable[[dict[str, str | None]], None],
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._variables = variables
        self._demo = demo
        self._traffic = traffic
        self._announce = announce
        self._events: Events = queue.SimpleQueue()
        self._lifeline = Lifeline()
        self._running: list[Part] = []
        self._due: list[tuple[float, Part]] = []
        self._preparing: subprocess.Popen[bytes] | None = None
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.AERODASH_HOST, settings.AERODASH_HOST)
        self._local = (
            f"[{host}]:{settings.AERODASH_PORT}" if ":" in host else f"{host}:{settings.AERODASH_PORT}"
        )

    def run(self) -> int:
        """Returns the exit code: 0 after a signal. Raises CannotStart or EngineDown; nothing is left running."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
                signal.signal(number, self._signalled)
        try:
            self._start()
            return self._watch()
        finally:
            self._stop()

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._events.put(Signalled(number))  # SimpleQueue: may be used inside a signal handler

    # Starting

    def _start(self) -> None:
        if not self._variables.get("VALKEY_URL") and not self._variables.get("VALKEY_URL_FILE"):
            valkey = Valkey(
                self._settings.AERODASH_DATA / "valkey", self._settings.AERODASH_APPENDFSYNC, self._events
            )
            self._begin(valkey)
            assert valkey.server is not None
            self._variables["VALKEY_URL"] = valkey.server.url
        self._prepare()
        self._begin(self._child("web", ["web"], grace_s=35))
        threading.Thread(target=self._await_answer, daemon=True).start()

    def _child(self, name: str, arguments: list[str], *, grace_s: float, **variables: str) -> Child:
        environment = {**self._variables, **variables}
        return Child(name, arguments, self._events, self._lifeline, environment, grace_s)

    def _begin(self, part: Part) -> None:
        part.start()
        self._running.append(part)
        self._note()

    def _prepare(self) -> None:
        """Have a process of its own migrate, see to the demo and make a sign-in link, while web starts."""
        arguments = ["prepare", *(["--demo"] if self._demo else [])]
        process = subprocess.Popen(
            [sys.executable, "-m", "aerodash", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**self._variables, **self._lifeline.environment()},
            pass_fds=[self._lifeline.read_end],
            start_new_session=True,
        )

        def collect() -> None:
            output, _ = process.communicate()
            self._events.put(Prepared(json.loads(output) if process.returncode == 0 else None))

        self._preparing = process
        threading.Thread(target=collect, daemon=True).start()

    def _await_answer(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            connection = http.client.HTTPConnection(self._local, timeout=2)
            try:
                connection.request("GET", "/healthz")
                if connection.getresponse().status == 200:
                    self._events.put(Answers())
                    return
            except OSError:
                pass  # not listening yet
            finally:
                connection.close()
            time.sleep(0.01)

    # Watching

    def _watch(self) -> int:
        answers, prepared = False, None
        started_by = time.monotonic() + READY_WITHIN_S
        up = False
        while True:
            match self._next(None if up else started_by):
                case Signalled():
                    return 0
                case Ended(part, how) if up:
                    self._mend(part, how)
                case Ended(part, how):
                    raise CannotStart(f"{part.name} {how} before it answered; see the lines above.")
                case Returned():
                    self._note()
                case Answers():
                    answers = True
                case Prepared(None):
                    raise CannotStart("The database or the demo could not be prepared; see the lines above.")
                case Prepared(facts):
                    self._preparing, prepared = None, facts
                case None:
                    raise CannotStart(f"The server did not answer within {READY_WITHIN_S:.0f} s.")
            if not up and answers and prepared is not None:
                up = True
                self._begin(self._child("keeper", ["keeper"], grace_s=15))
                if self._demo:
                    self._begin_demo(str(prepared["api_key"]))
                self._announce(self._facts(prepared))

    def _begin_demo(self, api_key: str) -> None:
        # Some demo jobs fail on purpose, and the console is where to see that.
        level = self._variables.get("AERODASH_LOG_LEVEL", "ERROR")
        variables = {
            "AERODASH_URL": f"http://{self._local}",
            "AERODASH_API_KEY": api_key,
            "AERODASH_LOG_LEVEL": level,
        }
        worker = self._child("demo worker", ["worker", DEMO_WORKER], grace_s=20, **variables)
        worker.cwd = self._settings.BASE_DIR
        self._begin(worker)
        if self._traffic:
            self._begin(self._child("demo traffic", ["seed", "--traffic"], grace_s=10))

    def _facts(self, prepared: dict[str, str | None]) -> dict[str, str | None]:
        url = self._settings.AERODASH_PUBLIC_URL
        more = "`make run ARGS=--demo-traffic` adds a job every few seconds."
        return {
            **prepared,
            "url": url,
            "console_url": f"{url}{prepared['sign_in']}",
            "data": str(self._settings.AERODASH_DATA),
            "version": __version__,
            "hint": more if self._demo and not self._traffic else None,
        }

    def _next(self, deadline: float | None) -> object:
        """The next event, starting again meanwhile whatever is due; None once the deadline has passed."""
        while True:
            now = time.monotonic()
            for entry in [entry for entry in self._due if entry[0] <= now]:
                self._due.remove(entry)
                self._restart(entry[1])
            waits = [at - now for at, _ in self._due] + ([deadline - now] if deadline is not None else [])
            if deadline is not None and deadline <= now:
                return None
            with contextlib.suppress(queue.Empty):
                return self._events.get(timeout=max(min(waits), 0) if waits else None)

    def _mend(self, part: Part, how: str) -> None:
        part.clear_away()
        pause_s = part.pause.take()
        _say(f"{part.name} {how}; starting it again in {pause_s:g} s.")
        self._due.append((time.monotonic() + pause_s, part))

    def _restart(self, part: Part) -> None:
        if isinstance(part, Valkey):
            part.restart()
        else:
            part.start()
            self._note()

    def _note(self) -> None:
        self._registry.note({part.name: part.pid for part in self._running if part.pid})

    # Stopping

    def _stop(self) -> None:
        """Stop the parts, the youngest first and so Valkey last; a second signal hurries."""
        self._due.clear()
        if self._preparing is not None:
            self._preparing.kill()
            self._preparing.wait()
        order = {"demo traffic": 0, "demo worker": 1, "web": 2, "keeper": 3, "Valkey": 4}
        hurry = False
        for part in sorted(self._running, key=lambda part: order[part.name]):
            hurry = self._stop_part(part, hurry=hurry)
        self._registry.note({})

    def _stop_part(self, part: Part, *, hurry: bool) -> bool:
        """Stop one part; returns whether we are in a hurry by now. Valkey gets the time to write, hurry or not."""
        patient = isinstance(part, Valkey)
        if hurry and not patient:
            part.kill()
        else:
            part.ask_to_stop()
        deadline = time.monotonic() + part.grace_s
        while part.running():
            try:
                event = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                _say(f"{part.name} did not stop within {part.grace_s:g} s and is killed.")
                part.kill()
                deadline += part.grace_s
                continue
            if isinstance(event, Signalled) and not hurry:
                hurry = True
                _say("Hurrying: what is under way is cut off.")
                if not patient:
                    part.kill()
        part.clear_away()
        return hurry


def _say(sentence: str) -> None:
    print(f"aerodash: {sentence}", file=sys.stderr, flush=True)
