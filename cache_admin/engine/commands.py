"""What waits for the store's next pipeline, and how it is put together.

Commands that arrive while a pipeline is in flight go out together with the next one, and the reads of one project
become one script call: at load, a round trip and its cost on both sides are shared by hundreds of callers.
Source: architecture, decision 4.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from aerodash.errors import EngineDown
from aerodash.ids import ProjectId
from cache_admin.engine import scripts
from cache_admin.engine.scripts import Script

WAITING_MAX = 10_000
WAITING_BYTES_MAX = 128 * 1024 * 1024
PIPELINE_COMMANDS = 1000
PIPELINE_BYTES = 4 * 1024 * 1024
READ_KEYS = 500


class Waiting:
    """The bounded queue in front of a connection. Lives on one event loop.

    arrived: set when something was added.
    """

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self._commands: deque[Command] = deque()
        self._reads: dict[ProjectId, list[Read]] = {}
        self._number = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._number

    def add(self, command: "Command") -> None:
        """Raises EngineDown if too much waits already."""
        self._admit(command.size_bytes)
        self._commands.append(command)

    def add_read(self, project: ProjectId, read: "Read") -> None:
        """Raises EngineDown if too much waits already."""
        self._admit(0)
        self._reads.setdefault(project, []).append(read)

    def put_in_front(self, *commands: "Command") -> None:
        """Let these, which were taken before or serve one that was, go out first, in this order."""
        self._commands.extendleft(reversed(commands))
        self._number += len(commands)
        self.arrived.set()

    def take(self) -> "tuple[list[Command], int]":
        """The next pipeline: all reads, and as many commands as make a reasonable one; and the commands' bytes."""
        batch: list[Command] = []
        size_bytes = 0
        while self._commands and len(batch) < PIPELINE_COMMANDS and size_bytes < PIPELINE_BYTES:
            command = self._commands.popleft()
            size_bytes += command.size_bytes
            batch.append(command)
        self._number -= len(batch)
        self._bytes = max(0, self._bytes - size_bytes)
        for reads in self._reads.values():
            self._number -= len(reads)
            batch += _grouped(reads)
        self._reads.clear()
        return batch, size_bytes

    def empty(self) -> "list[Command | Read]":
        """Everything that waits, which then no longer does: for failing it."""
        waited: list[Command | Read] = [
            *self._commands,
            *(read for reads in self._reads.values() for read in reads),
        ]
        self._commands.clear()
        self._reads.clear()
        self._number = self._bytes = 0
        return waited

    def _admit(self, size_bytes: int) -> None:
        if self._number >= WAITING_MAX or self._bytes > WAITING_BYTES_MAX:
            raise EngineDown(
                "Too many cache requests wait for Valkey; try again shortly.", reason="overloaded"
            )
        self._number += 1
        self._bytes += size_bytes
        self.arrived.set()


class Read:
    """One caller's read of entries in one project."""

    __slots__ = ("future", "look_for", "names")

    def __init__(self, future: asyncio.Future[Any], names: Sequence[bytes], look_for: bool) -> None:
        self.future = future
        self.names = names
        self.look_for = look_for

    def fail(self, exc: EngineDown) -> None:
        if not self.future.done():
            self.future.set_exception(exc)


class Command:
    """One command of a pipeline and who waits for its reply."""

    __slots__ = ("args", "future", "is_retry", "keys", "script", "size_bytes")

    def __init__(
        self,
        future: asyncio.Future[Any],
        script: Script | None,
        keys: Sequence[bytes],
        args: Sequence[bytes | str | int],
    ) -> None:
        self.future = future
        self.script = script
        self.keys = keys
        self.args = args
        self.is_retry = False
        self.size_bytes = sum(len(arg) for arg in args if isinstance(arg, (bytes, str)))

    def parts(self, epoch: bytes) -> tuple[bytes | str | int, ...]:
        if self.script is None:
            return tuple(self.args)
        return ("EVALSHA", self.script.sha, len(self.keys), *self.keys, epoch, *self.args)

    def resolve(self, reply: Any) -> None:
        if not self.future.done():  # its caller may have left
            self.future.set_result(reply)

    def fail(self, exc: EngineDown) -> None:
        if not self.future.done():
            self.future.set_exception(exc)


class ReadGroup(Command):
    """The reads of one project in one script call; a key that several want is read once."""

    __slots__ = ("_at", "_reads")

    def __init__(self, reads: Sequence[Read]) -> None:
        to_read: dict[bytes, int] = {}
        to_find: dict[bytes, int] = {}
        for read in reads:
            names = to_find if read.look_for else to_read
            for name in read.names:
                names.setdefault(name, len(names))
        self._reads = reads
        self._at = (to_read, to_find)
        super().__init__(reads[0].future, scripts.READ, (*to_read, *to_find), (len(to_read),))

    def resolve(self, reply: list[Any]) -> None:
        to_read, to_find = self._at
        for read in self._reads:
            if read.future.done():
                continue
            if read.look_for:
                read.future.set_result([reply[len(to_read) + to_find[name]] for name in read.names])
            else:
                read.future.set_result([reply[to_read[name]] for name in read.names])

    def fail(self, exc: EngineDown) -> None:
        for read in self._reads:
            read.fail(EngineDown(exc.message, reason=exc.reason))


def _grouped(reads: list[Read]) -> Iterable[ReadGroup]:
    """Groups of about READ_KEYS keys: one script must not hold the store up for long."""
    group: list[Read] = []
    size = 0
    for read in reads:
        if group and size + len(read.names) > READ_KEYS:
            yield ReadGroup(group)
            group, size = [], 0
        group.append(read)
        size += len(read.names)
    if group:
        yield ReadGroup(group)
