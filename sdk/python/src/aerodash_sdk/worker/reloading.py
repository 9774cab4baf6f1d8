"""Notices when a program's Python files change, for development: a look at their times, twice a second."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

EVERY_S = 0.5
_PASSED_OVER = frozenset({"__pycache__", "node_modules", "site-packages", "venv"})

type Times = dict[str, int]


class FileWatch:
    """Calls on_change with the path of a .py file below the folder that was changed, added or removed."""

    def __init__(self, folder: Path, on_change: Callable[[str], None]) -> None:
        self._folder = folder
        self._on_change = on_change
        self._stop = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, args=(times(self._folder),), name="reload", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self, before: Times) -> None:
        while not self._stop.wait(EVERY_S):
            now = times(self._folder)
            if now != before:
                changed = min(dict(now.items() ^ before.items()))
                before = now
                self._on_change(changed)


def times(folder: Path) -> Times:
    """When each .py file below the folder was written, in nanoseconds. Hidden folders and installed packages are left out."""
    found: Times = {}
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _PASSED_OVER]
        for name in files:
            if name.endswith(".py"):
                path = os.path.join(where, name)
                try:
                    found[path] = os.stat(path).st_mtime_ns
                except FileNotFoundError:  # removed while we look
                    continue
    return found
