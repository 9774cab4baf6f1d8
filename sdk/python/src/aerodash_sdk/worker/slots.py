"""Which jobs a worker process runs just now, in memory that outlives it.

The process writes a job's id into the slot of the handler that runs it, and its parent reads the slots after its
death: those jobs had begun, all others that it held had not.
"""

import mmap
import os
import tempfile

COUNT = 2000
"""As many as a worker can have threads and tasks."""
_SIZE = 66
_HEADER = 64
_BEATS = 0
_JOB_ID_BYTES = _SIZE - 2


class Slots:
    """Over a file descriptor that both processes have."""

    def __init__(self, descriptor: int) -> None:
        self._map = mmap.mmap(descriptor, _HEADER + COUNT * _SIZE)

    def begin(self, slot: int, job_id: str) -> None:
        """Cheap: it is called for every job."""
        text = job_id.encode()[:_JOB_ID_BYTES]
        at = _HEADER + slot * _SIZE
        self._map[at + 1 : at + 1 + len(text)] = text
        self._map[at] = len(text)  # last: whoever reads a length finds the whole id

    def end(self, slot: int) -> None:
        self._map[_HEADER + slot * _SIZE] = 0

    def running(self) -> list[str]:
        """The ids in the slots."""
        found = []
        for at in range(_HEADER, _HEADER + COUNT * _SIZE, _SIZE):
            if length := self._map[at]:
                found.append(self._map[at + 1 : at + 1 + length].decode("utf-8", "replace"))
        return found

    def beat(self) -> None:
        """Show that the process is alive; it is called several times a second."""
        self._map[_BEATS] = (self._map[_BEATS] + 1) % 256

    @property
    def beats(self) -> int:
        """Changes as long as the process is alive."""
        return self._map[_BEATS]

    def close(self) -> None:
        self._map.close()


def shared_file(name: str, size: int = 0) -> int:
    """A file without a name in any folder, in memory where the system can; returns its descriptor."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create(name)
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    if size:
        os.ftruncate(descriptor, size)
    return descriptor


def new_map() -> int:
    return shared_file("aerodash-slots", _HEADER + COUNT * _SIZE)
