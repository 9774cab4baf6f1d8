"""Runs a worker in this process: finds it, listens to signals, and says how it ended."""

import importlib
import logging
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from types import FrameType, ModuleType

from aerodash_sdk.core.errors import Misconfigured
from aerodash_sdk.worker.parent import EXIT_REPLACE, Parent
from aerodash_sdk.worker.worker import Worker

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def load(target: str) -> Worker:
    """The worker that `module:name` or `path/to/file.py:name` names (name: `worker` if left out).

    Modules are looked for in the current folder first. Raises Misconfigured if there is no such worker.
    """
    where, _, name = target.partition(":")
    name = name or "worker"
    module = _file(Path(where)) if where.endswith(".py") else _module(where)
    worker = getattr(module, name, None)
    if not isinstance(worker, Worker):
        raise Misconfigured(f"{where} has no Worker named {name!r}.")
    return worker


def run(
    worker: Worker,
    *,
    concurrency: int | None = None,
    async_concurrency: int | None = None,
    parent: Parent | None = None,
) -> int:
    """Run a worker until SIGTERM or SIGINT, and return the process's exit code.

    The first signal lets running jobs end within the grace time, a second one gives them back at once.
    0: all that ran was settled. 1: the server could not be told of some outcome; those jobs run again. 75: a handler
    goes on for ever, and the process should be replaced.
    Logs to standard error unless logging is configured. Signals are listened to on the main thread only.
    """
    configure_logging()
    if concurrency is not None:
        worker.concurrency = concurrency
    if async_concurrency is not None:
        worker.async_concurrency = async_concurrency

    # A handler interrupts the main thread anywhere, also inside a lock that stop() takes: it only leaves a note.
    notes: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def on_signal(number: int, frame: FrameType | None) -> None:
        notes.put(True)

    def obey() -> None:
        while notes.get():
            worker.stop()

    threading.Thread(target=obey, name="signals", daemon=True).start()
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        undelivered = worker.run(parent=parent)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        notes.put(False)
    return EXIT_REPLACE if worker.wants_replacement else 1 if undelivered else 0


def configure_logging() -> None:
    """To standard error, from AERODASH_LOG_LEVEL (INFO) up, unless the program has done so itself."""
    level = os.environ.get("AERODASH_LOG_LEVEL", "INFO").upper()
    if level not in logging.getLevelNamesMapping():
        raise Misconfigured(f"AERODASH_LOG_LEVEL: {level!r} is no log level; WARNING is one.")
    logging.basicConfig(level=level, format=LOG_FORMAT)


def _module(name: str) -> ModuleType:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name is None or not (name == exc.name or name.startswith(f"{exc.name}.")):
            raise  # the module is there; something that it imports is not
        raise Misconfigured(f"There is no module {name!r} here or on the Python path.") from exc


def _file(path: Path) -> ModuleType:
    """Import a file as the module of its name, with its own folder on the path, as Python does for a script."""
    if not path.is_file():
        raise Misconfigured(f"There is no file {path}.")
    sys.path.insert(0, str(path.resolve().parent))
    return importlib.import_module(path.stem)
