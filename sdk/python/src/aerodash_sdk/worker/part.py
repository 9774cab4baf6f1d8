"""A thread of the worker."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger("aerodash.worker")


class Part(threading.Thread):
    """A daemon thread; if its work ends by an exception, which is a fault of ours, the worker must not go on without.

    A daemon, because a handler that outlives the grace time must not keep the process from ending.
    """

    def __init__(self, name: str, work: Callable[[], None], on_fault: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._on_fault = on_fault

    def run(self) -> None:
        try:
            self._work()
        except BaseException:
            log.critical("the worker's %s thread failed; the worker stops", self.name, exc_info=True)
            self._on_fault()
