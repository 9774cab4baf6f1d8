"""What every client and worker of a chaos run writes down, and how it is read again.

A line of JSON per event: an `invoke` before a request is sent, and what came of it: `ok`, `fail` (the server refused it,
or never got it) or `unknown` (nobody can say whether it was done). A process that is killed leaves the invoke alone,
which is as good as `unknown`. A handler's `start` and `end` are lines too.
"""

import hashlib
import itertools
import json
import math
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class Recorder:
    """Appends events to one file. Each line reaches the kernel at once, so that kill -9 takes none back."""

    def __init__(self, folder: Path, by: str) -> None:
        self.by = by
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._file = os.open(folder / f"{by}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def event(self, verb: str, phase: str, number: int | None = None, **told: Any) -> int:
        """Write one event; returns its number, by which a later event refers to it."""
        with self._lock:
            number = next(self._numbers) if number is None else number
        line = {"at": time.time(), "op": number, "verb": verb, "phase": phase, **told}
        os.write(self._file, json.dumps(line, separators=(",", ":")).encode() + b"\n")
        return number

    def close(self) -> None:
        os.close(self._file)


@dataclass(frozen=True, slots=True)
class Op:
    """One request, from the moment before it was sent to the moment after its answer; seconds since the epoch."""

    by: str
    verb: str
    asked: Mapping[str, Any]
    got: Mapping[str, Any]
    phase: str
    at: float
    until: float


@dataclass(frozen=True, slots=True)
class Handled:
    """One call of a handler. ended: None if it never returned."""

    by: str
    job: str
    run: int
    started: float
    ended: float | None


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that was done to a part: kill, stop (SIGSTOP until `until`), or term."""

    part: str
    kind: str
    at: float
    until: float


@dataclass
class History:
    ops: list[Op] = field(default_factory=list)
    handled: list[Handled] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def of(self, verb: str) -> Iterator[Op]:
        return (op for op in self.ops if op.verb == verb)


def digest(token: str) -> str:
    """What a history keeps of a lease token: enough to tell tokens apart, useless to settle with."""
    return hashlib.sha256(token.encode()).hexdigest()[:12]


def read(folder: Path) -> History:
    """Every file of a run. A last line that was cut off is left out: its writer died before the kernel had it."""
    history = History()
    for path in sorted(folder.glob("*.jsonl")):
        _add(history, path.stem, _lines(path))
    history.ops.sort(key=lambda op: op.at)
    return history


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    *whole, rest = path.read_bytes().split(b"\n")
    for line in whole:
        yield json.loads(line)
    if rest:
        try:
            yield json.loads(rest)
        except ValueError:
            return


def _add(history: History, by: str, lines: Iterable[dict[str, Any]]) -> None:
    invoked: dict[int, dict[str, Any]] = {}
    for line in lines:
        told = {name: value for name, value in line.items() if name not in {"at", "op", "verb", "phase"}}
        match line["phase"]:
            case "invoke" | "start":
                invoked[line["op"]] = line | {"told": told}
            case "end":
                began = invoked.pop(line["op"])
                history.handled.append(Handled(by, **began["told"], started=began["at"], ended=line["at"]))
            case "fault":
                history.faults.append(Fault(at=line["at"], **told))
            case phase:
                began = invoked.pop(line["op"])
                history.ops.append(Op(by, line["verb"], began["told"], told, phase, began["at"], line["at"]))
    for began in invoked.values():
        if began["phase"] == "start":
            history.handled.append(Handled(by, **began["told"], started=began["at"], ended=None))
        else:
            history.ops.append(Op(by, began["verb"], began["told"], {}, "unknown", began["at"], math.inf))
