"""What waits for the store's next pipeline, and how it is put together.

Commands that arrive while a pipeline is in flight go out together with the next one. The reads of one project become
one MGET and its writes of one entry one script call: at load, a round trip and its cost on both sides are shared by
hundreds of callers.
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
SETS = 100
SET_BYTES = 256 * 1024


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
        sets: dict[bytes, list[Command]] = {}
        number = size_bytes = 0
        while self._commands and number < PIPELINE_COMMANDS and size_bytes < PIPELINE_BYTES:
            command = self._commands.popleft()
            size_bytes += command.size_bytes
            number += 1
            # One that was sent on to this node stays where it is, behind the word that lets it in.
            if command.script is scripts.SET and not command.hops:
                sets.setdefault(command.keys[0], []).append(command)
            else:
                batch.append(command)
        for some in sets.values():
            batch += _joined(some)
        self._number -= number
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

    __slots__ = ("future", "names")

    def __init__(self, future: asyncio.Future[Any], names: Sequence[bytes]) -> None:
        self.future = future
        self.names = names

    def fail(self, exc: EngineDown) -> None:
        if not self.future.done():
            self.future.set_exception(exc)


class Command:
    """One command of a pipeline and who waits for its reply."""

    __slots__ = ("args", "future", "hops", "is_retry", "keys", "script", "size_bytes")

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
        self.hops = 0  # how often it was sent on to another node
        self.size_bytes = sum(len(arg) for arg in args if isinstance(arg, (bytes, str)))

    def singles(self) -> "Sequence[Command]":
        """Itself, or the commands of which it is made."""
        return (self,)

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
    """The reads of one project as one MGET; a key that several want is read once."""

    __slots__ = ("_at", "_reads")

    def __init__(self, reads: Sequence[Read]) -> None:
        at: dict[bytes, int] = {}
        for read in reads:
            for name in read.names:
                at.setdefault(name, len(at))
        self._reads = reads
        self._at = at
        super().__init__(reads[0].future, None, (), ("MGET", *at))

    def resolve(self, reply: list[Any]) -> None:
        at = self._at
        for read in self._reads:
            if not read.future.done():
                read.future.set_result([reply[at[name]] for name in read.names])

    def fail(self, exc: EngineDown) -> None:
        for read in self._reads:
            read.fail(EngineDown(exc.message, reason=exc.reason))


class SetGroup(Command):
    """Writes of single entries of one project in one script call, each with its own condition and answer."""

    __slots__ = ("_sets",)

    def __init__(self, sets: Sequence[Command]) -> None:
        self._sets = sets
        first = sets[0]
        names = [name for one in sets for name in one.keys[scripts.SET_SHARED :]]
        args = [arg for one in sets for arg in one.args]
        super().__init__(first.future, scripts.SET, (*first.keys[: scripts.SET_SHARED], *names), args)

    def singles(self) -> Sequence[Command]:
        return self._sets

    def resolve(self, reply: list[Any]) -> None:
        for one, answer in zip(self._sets, reply, strict=True):
            one.resolve([answer])

    def fail(self, exc: EngineDown) -> None:
        for one in self._sets:
            one.fail(EngineDown(exc.message, reason=exc.reason))


def _joined(sets: list[Command]) -> Iterable[Command]:
    """Groups of at most SETS and about SET_BYTES: one script must not hold the store up for long."""
    group: list[Command] = []
    size = 0
    for one in sets:
        if group and (len(group) == SETS or size + one.size_bytes > SET_BYTES):
            yield SetGroup(group) if len(group) > 1 else group[0]
            group, size = [], 0
        group.append(one)
        size += one.size_bytes
    yield SetGroup(group) if len(group) > 1 else group[0]


def _grouped(reads: list[Read]) -> Iterable[ReadGroup]:
    """Groups of about READ_KEYS keys: one command must not hold the store up for long."""
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
