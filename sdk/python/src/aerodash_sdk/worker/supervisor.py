"""The parent of worker processes: starts them, tells the server at once when one dies, and starts another."""

import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from aerodash_sdk.client import Client
from aerodash_sdk.core import work
from aerodash_sdk.core.errors import AeroDashError
from aerodash_sdk.core.retrying import RetryPolicy, backoff_s
from aerodash_sdk.worker.child import Child, Died, worker_command
from aerodash_sdk.worker.parent import EXIT_MISCONFIGURED, EXIT_REPLACE
from aerodash_sdk.worker.reloading import FileWatch

LOOK_S = 0.1
# One that lived for so long did not die of how it was started; after so many that did not, restarts wait.
STEADY_S = 5.0
QUICK_DEATHS = 3
RESTART_CAP_S = 30.0
# On top of the grace time and a lease, within which a child ends by itself.
STOP_EXTRA_S = 10.0
PERSISTENT = RetryPolicy(tries=12, base_s=0.05, cap_s=5.0, patience_s=5.0)

log = logging.getLogger("aerodash.worker")


@dataclass(frozen=True, slots=True)
class _Signalled:
    pass


@dataclass(frozen=True, slots=True)
class _Changed:
    path: str


@dataclass(slots=True)
class _Place:
    """Where one process after another runs. restart_at: when the next one starts; deaths: quick ones in a row."""

    number: int
    child: Child | None = None
    restart_at: float | None = None
    deaths: int = 0
    reloading: bool = False


class Supervisor:
    """arguments: of the worker processes' command line. memory_limit: in bytes, for each; None leaves it to the worker.

    reload: start the processes again when a .py file below the working directory changes.
    silent_s: a process that shows no life for so long is ended: something holds its interpreter.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        processes: int = 1,
        memory_limit: int | None = None,
        reload: bool = False,
        silent_s: float = 60.0,
    ) -> None:
        self._command = worker_command(arguments)
        self._memory_limit = memory_limit
        self._reload = reload
        self._silent_s = silent_s
        self._events: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._lifeline, self._lifeline_end = os.pipe()
        self._places = [_Place(number) for number in range(1, processes + 1)]
        self._stopping_since: float | None = None
        self._was_ready = False
        self._exit_code = 0
        self._reports: list[threading.Thread] = []

    def run(self) -> int:
        """Supervise until SIGTERM or SIGINT, which the processes are told, and all have ended. Returns an exit code."""
        watch = FileWatch(Path.cwd(), lambda path: self._events.put(_Changed(path)))
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, self._on_signal) for number in numbers}
        try:
            if self._reload:
                watch.start()
            for place in self._places:
                self._start(place)
            self._supervise()
        finally:
            watch.stop()
            for number, handler in before.items():
                signal.signal(number, handler)
            for place in self._places:
                if place.child is not None:
                    place.child.process.kill()
            for report in self._reports:
                report.join(5.0)
            os.close(self._lifeline)
            os.close(self._lifeline_end)
        return self._exit_code

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._events.put(_Signalled())

    def _supervise(self) -> None:
        looked_at = time.monotonic()
        while any(place.child is not None or place.restart_at is not None for place in self._places) or (
            self._reload and self._stopping_since is None
        ):
            try:
                event = self._events.get(timeout=LOOK_S)
            except queue.Empty:
                event = None
            match event:
                case Died(child):
                    self._died(child)
                case _Signalled():
                    self._stop()
                case _Changed(path):
                    self._changed(path)
            now = time.monotonic()
            # A machine that slept is no reason to find its processes silent.
            self._look(now, min(now - looked_at, 2 * LOOK_S))
            looked_at = now

    def _start(self, place: _Place) -> None:
        place.restart_at = None
        place.reloading = False
        place.child = Child(place.number, self._command, self._lifeline, self._events)

    def _stop(self) -> None:
        """Tell the processes to stop; told again, they give back at once what they run."""
        self._stopping_since = self._stopping_since or time.monotonic()
        for place in self._places:
            place.restart_at = None
            if place.child is not None:
                place.child.ask_to_stop()

    def _changed(self, path: str) -> None:
        if self._stopping_since is not None:
            return
        log.info("%s has changed: starting again", os.path.relpath(path))
        for place in self._places:
            place.deaths = 0
            if place.child is None:
                self._start(place)
            elif not place.reloading:
                place.reloading = True
                place.child.ask_to_stop()

    def _died(self, child: Child) -> None:
        place = self._places[child.number - 1]
        place.child = None
        code = child.process.returncode
        stopping = self._stopping_since is not None
        if child.ready and code != 0:
            self._report(child)
        elif not stopping and not place.reloading and code not in {0, EXIT_MISCONFIGURED}:
            log.error("%s: %s before it took jobs", child.name, child.how_it_ended())
        self._was_ready = self._was_ready or child.ready
        lived_s = time.monotonic() - child.started_at
        child.bury()
        if stopping:
            # One that was still starting up ends by the signal itself; it held no jobs.
            well = code in {0, EXIT_REPLACE} or (not child.ready and code == -signal.SIGTERM)
            self._exit_code = max(self._exit_code, 0 if well else 1)
        elif place.reloading or code == EXIT_REPLACE:
            self._start(place)
        elif code == 0:
            log.info("%s has ended by itself", child.name)
        elif self._reload and not child.ready and code > 0:
            log.info("%s starts again when a file changes", child.name)
        elif self._was_ready or code < 0:
            place.deaths = 1 if lived_s > STEADY_S else place.deaths + 1
            late = place.deaths - QUICK_DEATHS
            pause_s = backoff_s(late, base_s=0.5, cap_s=RESTART_CAP_S) if late > 0 else 0.0
            place.restart_at = time.monotonic() + pause_s
        else:
            # It never came up: a mistake in the program, which another start would repeat.
            self._exit_code = code
            self._stop()

    def _report(self, child: Child) -> None:
        """Tell the server, without waiting for it: another process starts meanwhile."""
        hello, reason = child.hello, child.how_it_ended()
        if hello is None:
            return
        begun, words = child.begun(), child.last_words()
        log.error("%s: %s; %d of its jobs had begun", child.name, reason, len(begun))

        def report() -> None:
            lost = work.worker_lost(child.worker_id, reason=reason, traceback=words or None, begun=begun)
            try:
                with Client(hello.url, hello.api_key, retry=PERSISTENT) as client:
                    count = client.call(lost)
            except AeroDashError as error:
                log.error("the server could not be told; its jobs go on when their leases end: %s", error)
            else:
                log.info("%s: the server has taken %d jobs back", child.name, count)

        thread = threading.Thread(target=report, name="report", daemon=True)
        thread.start()
        self._reports = [*(each for each in self._reports if each.is_alive()), thread]

    def _look(self, now: float, passed_s: float) -> None:
        for place in self._places:
            child = place.child
            if place.restart_at is not None and now >= place.restart_at:
                self._start(place)
            elif child is not None and child.doom is None:
                if reason := child.over_limit(self._memory_limit):
                    child.kill(reason)
                elif child.silent_s(passed_s) > self._silent_s:
                    child.kill(f"worker process did not respond for {self._silent_s:g} s")
                elif self._stopping_since is not None and self._overdue(child, now - self._stopping_since):
                    child.kill("worker process did not stop in time")

    @staticmethod
    def _overdue(child: Child, stopping_s: float) -> bool:
        hello = child.hello
        allowed_s = STOP_EXTRA_S + (hello.grace_s + hello.lease_s if hello is not None else 0.0)
        return stopping_s > allowed_s
