"""A worker process as its supervising parent sees it: started, watched, and looked into after its death."""

import json
import logging
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from aerodash_sdk.worker.memory import resident_bytes, written
from aerodash_sdk.worker.parent import Handles, Hello
from aerodash_sdk.worker.slots import Slots, new_map, shared_file

DUMP_BYTES = 256 * 1024
TRACEBACK_CHARS = 16_000
DUMP_WAIT_S = 2.0
# A dump is written line by line, by a process that may have to wait for its turn in between.
DUMP_STILL_S = 0.1

log = logging.getLogger("aerodash.worker")


@dataclass(frozen=True, slots=True)
class Died:
    child: "Child"


class Child:
    """One worker process, from its start to its death; its successor is another.

    events: gets Died. lifeline: the read end of a pipe that ends with the parent.
    """

    def __init__(
        self, number: int, command: Sequence[str], lifeline: int, events: "queue.SimpleQueue[object]"
    ) -> None:
        self.number = number
        self.worker_id = uuid.uuid4().hex
        self.started_at = time.monotonic()
        self.hello: Hello | None = None
        self.doom: str | None = None
        """Why the parent killed it."""
        self._events = events
        self._slots_fd = new_map()
        self._slots = Slots(self._slots_fd)
        self._dump = shared_file("aerodash-dump")
        read_end, write_end = os.pipe()
        handles = Handles(self.worker_id, self._slots_fd, self._dump, write_end, lifeline)
        self._beats = 0
        self._silent_s = 0.0
        # In a process group of its own: a terminal's Ctrl-C is for the parent, which passes it on.
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **handles.environment()},
            pass_fds=handles.descriptors(),
            process_group=0,
        )
        os.close(write_end)
        threading.Thread(target=self._watch, args=(read_end,), daemon=True).start()

    @property
    def name(self) -> str:
        return f"worker process {self.number} ({self.process.pid})"

    @property
    def ready(self) -> bool:
        """Whether it ever took jobs."""
        return self.hello is not None

    def alive(self) -> bool:
        return self.process.returncode is None

    def ask_to_stop(self) -> None:
        self.process.terminate()

    def kill(self, reason: str) -> None:
        """End it at once, and remember why; first it writes down what its threads are doing."""
        self.doom = reason
        if self.ready:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGUSR2)
            self._wait_for_dump()
        self.process.kill()

    def over_limit(self, limit: int | None) -> str | None:
        """What to say if it uses more memory than it may. limit: None leaves it to what the worker declares."""
        limit = limit or (self.hello.memory_limit if self.hello is not None else None)
        if limit is None or not self.alive():
            return None
        used = resident_bytes(self.process.pid)
        if used is None or used <= limit:
            return None
        return f"MemoryLimitExceeded: the worker process used {written(used)}, its limit is {written(limit)}"

    def silent_s(self, passed_s: float) -> float:
        """For how long it has shown no life. passed_s: since the last look."""
        beats = self._slots.beats
        self._silent_s = 0.0 if beats != self._beats or not self.ready else self._silent_s + passed_s
        self._beats = beats
        return self._silent_s

    def how_it_ended(self) -> str:
        """For people and for the attempts of the jobs that it ran."""
        code = self.process.returncode
        if self.doom is not None:
            return self.doom
        if code < 0:
            return f"worker process was killed by {_signal_name(-code)}"
        return f"worker process exited with status {code}"

    def begun(self) -> list[str]:
        """The jobs whose handlers were at work when it died."""
        return self._slots.running()

    def last_words(self) -> str:
        """The tracebacks that it left, of a crash or at the parent's request."""
        return telling_first(os.pread(self._dump, DUMP_BYTES, 0).decode("utf-8", "replace"))

    def bury(self) -> None:
        """Let go of what it left; nothing of it can be read afterwards."""
        self._slots.close()
        os.close(self._slots_fd)
        os.close(self._dump)

    def _watch(self, hello: int) -> None:
        with os.fdopen(hello) as pipe:
            text = pipe.read()  # until it greets, or dies without
        if text:
            self.hello = Hello(**json.loads(text))
            log.info("%s is ready", self.name)
        self.process.wait()
        self._events.put(Died(self))

    def _wait_for_dump(self) -> None:
        """Until the dump is there and grows no more."""
        size, grown_at = 0, time.monotonic()
        deadline = grown_at + DUMP_WAIT_S
        while (now := time.monotonic()) < deadline and self.alive():
            before, size = size, os.fstat(self._dump).st_size
            if size != before:
                grown_at = now
            elif size > 0 and now - grown_at > DUMP_STILL_S:
                return
            time.sleep(0.01)


def telling_first(dump: str) -> str:
    """A dump of faulthandler with the thread that crashed first, then those that run handlers, cut at the end."""

    def rank(block: str) -> int:
        if block.startswith("Fatal Python error"):
            return 0
        if block.startswith("Current thread") and "Fatal Python error" in dump:
            return 1
        if re.search(r"worker/(threads|tasks)\.py\", line \d+ in _outcome", block):
            return 2
        return 3

    blocks = [block for block in dump.strip().split("\n\n") if block]
    return "\n\n".join(sorted(blocks, key=rank))[:TRACEBACK_CHARS]


def worker_command(arguments: Sequence[str]) -> list[str]:
    """How a worker process is started: this same interpreter, on the same arguments."""
    return [sys.executable, "-m", "aerodash_sdk.worker", *arguments]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
