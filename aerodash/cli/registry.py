"""Which processes run on a data folder: one supervisor at most, and what a killed one left behind."""

import contextlib
import fcntl
import json
import os
import signal
from pathlib import Path
from types import TracebackType
from typing import Self

from aerodash import processes
from aerodash.errors import CannotStart

_LEAVE_S = 10.0


class Registry:
    """The right to run on a data folder, and the file up.json there that says who does. A context manager.

    Entering raises CannotStart if another supervisor has the right.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "up.json"

    def __enter__(self) -> Self:
        lock = self._folder / "up.lock"
        try:
            self._lock = lock.open("w")
        except OSError as exc:
            raise CannotStart(f"AERODASH_DATA: cannot write to {lock}: {exc.strerror}.") from exc
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise CannotStart(
                f"AeroDash already runs on {self._folder} (process {self._read().get('supervisor', 'unknown')}): "
                "stop it, or set AERODASH_DATA to another folder."
            ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.close()

    def note(self, running: dict[str, int]) -> None:
        """Write down who runs, for the next start and for people."""
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps({"supervisor": os.getpid(), "running": running}))
        fresh.rename(self._path)

    def end_left_behind(self) -> None:
        """End what a killed supervisor's children are still doing; they have been told already by their lifeline.

        Valkey is not among them: aerodash.embedded takes it over.
        """
        left = [
            pid for name, pid in self._read().get("running", {}).items() if name != "Valkey" and _ours(pid)
        ]
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        for pid in left:
            processes.end(pid, _LEAVE_S)
            processes.clear_session(pid)

    def _read(self) -> dict:
        try:
            return json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):  # never started, or cut short by a power failure
            return {}


def _ours(pid: int) -> bool:
    """Whether this number still is a process of AeroDash: numbers are used again."""
    return processes.alive(pid) and "-m aerodash" in processes.command(pid)
