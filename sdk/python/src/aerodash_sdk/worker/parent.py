"""What a worker process has from the parent that supervises it: its id, and memory that outlives it."""

import faulthandler
import json
import os
import signal
import threading
from dataclasses import asdict, dataclass
from typing import Self

from aerodash_sdk.worker.slots import Slots

VARIABLE = "AERODASH_WORKER_PARENT"
EXIT_MISCONFIGURED = 2
"""The worker cannot be found or has no key; the process has said so."""
EXIT_REPLACE = 75
"""The process asks to be replaced: a handler of it goes on for ever. All else that it ran is settled."""


@dataclass(frozen=True, slots=True)
class Hello:
    """What a child tells its parent when it takes its first job: enough to report its death, and to limit it."""

    url: str
    api_key: str
    memory_limit: int | None
    grace_s: float
    lease_s: float


@dataclass(frozen=True, slots=True)
class Handles:
    """What a parent hands to its child. All but the id are file descriptors.

    slots: the map of running jobs. dump: where tracebacks of a crash go. hello: a pipe for Hello. lifeline: a pipe that
    ends when the parent does.
    """

    worker_id: str
    slots: int
    dump: int
    hello: int
    lifeline: int

    def environment(self) -> dict[str, str]:
        return {VARIABLE: json.dumps(asdict(self))}

    def descriptors(self) -> list[int]:
        return [self.slots, self.dump, self.hello, self.lifeline]


class Parent:
    """The child's view of its parent."""

    def __init__(self, handles: Handles) -> None:
        self.worker_id = handles.worker_id
        self.slots = Slots(handles.slots)
        self._hello = handles.hello
        for descriptor in handles.descriptors():
            os.set_inheritable(descriptor, False)  # not for what handlers start
        # Into the file also at a crash, when no Python code runs any more; SIGUSR2 is the parent asking.
        faulthandler.enable(file=handles.dump, all_threads=True)
        faulthandler.register(signal.SIGUSR2, file=handles.dump, all_threads=True)
        threading.Thread(target=_outlive, args=(handles.lifeline,), name="lifeline", daemon=True).start()

    @classmethod
    def from_environment(cls) -> Self | None:
        """None in a process that was not started by a supervisor."""
        text = os.environ.pop(VARIABLE, "")
        return cls(Handles(**json.loads(text))) if text else None

    def greet(self, hello: Hello) -> None:
        """Say that jobs will be taken now. Once."""
        with os.fdopen(self._hello, "w") as pipe:
            json.dump(asdict(hello), pipe)


def _outlive(lifeline: int) -> None:
    """Stop, as if by SIGTERM, once the parent is gone."""
    while os.read(lifeline, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
