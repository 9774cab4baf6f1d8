"""How children learn that their supervisor was killed: a pipe whose only writer is the supervisor.

Children run in sessions of their own, so a terminal's signals and a killed parent do not reach them; the end of
this pipe does, on every platform. Valkey cannot watch it: the next start takes Valkey over (aerodash.embedded).
"""

import os
import signal
import threading

_VARIABLE = "AERODASH_LIFELINE"


class Lifeline:
    """The supervisor's end. It lasts as long as the process."""

    def __init__(self) -> None:
        self.read_end, self._write_end = os.pipe()

    def environment(self) -> dict[str, str]:
        """What a child needs besides read_end in its pass_fds."""
        return {_VARIABLE: str(self.read_end)}


def hold() -> None:
    """In a child: stop as if by SIGTERM once the supervisor is gone. Does nothing in a process started by hand."""
    number = os.environ.pop(_VARIABLE, "")
    if not number:
        return
    read_end = int(number)
    os.set_inheritable(read_end, False)
    threading.Thread(target=_watch, args=(read_end,), name="lifeline", daemon=True).start()


def _watch(read_end: int) -> None:
    while os.read(read_end, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
