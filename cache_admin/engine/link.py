"""One pipelined connection to the store, shared by every caller of the process: how it is made, used, lost and made again.

A lost connection fails what was sent on it (whether a write happened is then unknown), is noticed at once even when
idle, and is made again by itself. Source: architecture, decisions 1 and 4.
"""

import asyncio
import contextlib
import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection, DefaultParser
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from aerodash.errors import EngineDown
from aerodash.ids import ProjectId
from cache_admin.engine import scripts
from cache_admin.engine.commands import Command, Read, Waiting
from cache_admin.engine.scripts import Script

TIMEOUT_S = 0.8
TICK_S = 0.1
SEND_BYTES_PER_S = 8 * 1024 * 1024
RETRY_FIRST_S = 0.05
RETRY_MAX_S = 0.5

logger = logging.getLogger(__name__)


class Greeting(NamedTuple):
    """What a server says of itself. epoch: see Link._connect."""

    epoch: bytes
    is_cluster: bool


class Routes(Protocol):
    """Whoever has several links, and is told what only they can see."""

    def connected(self, link: "Link", greeting: Greeting) -> None:
        """Just before its commands are sent. Raises EngineDown to have it hang up and try again."""

    def lost(self, link: "Link") -> None:
        """It has no connection any more, or could not get one."""

    def redirected(self, link: "Link", command: Command, error: ResponseError) -> bool:
        """True if this takes care of the command, which the server refused with this error."""


class Link:
    """A connection and its queue. Lives on one event loop."""

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = TIMEOUT_S,
        routes: Routes | None = None,
        scripts: Sequence[Script] = scripts.ALL,
    ) -> None:
        """url: redis://, rediss:// or unix://. timeout_s: the longest silence of the store while it owes a reply.

        A large reply may take longer, as long as pieces of it keep coming. scripts: to be loaded at the start.
        """
        self.url = url
        self._routes = routes
        self._scripts = scripts
        self._pool = ConnectionPool.from_url(
            url,
            protocol=2,  # 3 measured the same, and every server speaks 2
            client_name="aerodash",
            socket_timeout=None,  # _connect and _watch do it, without a timer a reply
            socket_connect_timeout=None,
            socket_read_size=256 * 1024,
            parser_class=_parser_that_tells(self._note_heard),
            retry=Retry(NoBackoff(), 0),
        )
        self._timeout_s = timeout_s
        self._waiting = Waiting()
        self._in_flight: deque[Command] = deque()
        self._answered = asyncio.Event()
        self._heard = False
        self._silent_ticks = 0
        self._grace_s = 0.0
        self._watch_timer: asyncio.TimerHandle | None = None
        self._connection: AbstractConnection | None = None
        self._stalled = False
        self._down: str | None = None
        self._runner: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin to connect, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._runner = self._loop.create_task(self._run())

    @property
    def is_up(self) -> bool:
        """Connected; a call may still find out that the server has stopped answering."""
        return self._connection is not None

    @property
    def is_down(self) -> bool:
        """Known to be away: calls fail at once."""
        return self._down is not None

    async def close(self) -> None:
        """Let what is queued be answered (or fail, within the timeout), then hang up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * self._timeout_s):
                while self._waiting or self._in_flight:
                    self._answered.clear()
                    await self._answered.wait()
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
        if self._watch_timer is not None:
            self._watch_timer.cancel()
        self._down = "This process is stopping."
        self._fail_all(self._down, "engine_down")

    async def eval(self, script: Script, keys: Sequence[bytes], *args: bytes | str | int) -> Any:
        """Run a script and give its reply. The connection's epoch goes in front of the arguments."""
        return await self._sent(Command(self._loop.create_future(), script, keys, args))

    async def command(self, *parts: bytes | str | int) -> Any:
        """Run a plain command and give its reply."""
        return await self._sent(Command(self._loop.create_future(), None, (), parts))

    async def read(self, project: ProjectId, names: Sequence[bytes]) -> list[bytes | None]:
        """The strings under these names, None for those that are absent; all as of one instant."""
        read = Read(self._loop.create_future(), names)
        self._check_up()
        self._waiting.add_read(project, read)
        return await read.future

    def take_over(self, *commands: Command) -> None:
        """Send commands that another link was refused, in this order and together."""
        if self._down is not None:
            self._fail(commands, self._down, "engine_down")
        else:
            self._waiting.put_in_front(*commands)

    async def _sent(self, command: Command) -> Any:
        self._check_up()
        self._waiting.add(command)
        return await command.future

    def _check_up(self) -> None:
        if self._down is not None:
            raise EngineDown(self._down)

    async def _run(self) -> None:
        """Connect, serve until the connection is lost, and again."""
        pause_s = RETRY_FIRST_S
        while True:
            try:
                connection, epoch = await self._connect()
            except Exception as exc:  # noqa: BLE001 - whatever it is, callers are waiting and it may pass
                if self._down is None:
                    logger.warning("No connection to Valkey: %s", str(exc) or type(exc).__name__)
                self._down = _why_down(exc)
                self._fail_all(self._down, "engine_down")
                if self._routes is not None:
                    self._routes.lost(self)
                await asyncio.sleep(pause_s)
                pause_s = min(RETRY_MAX_S, pause_s * 2)
                continue
            if self._down is not None:
                logger.warning("Valkey is back.")
            self._down, pause_s = None, RETRY_FIRST_S
            await self._serve(connection, epoch)
            if self._routes is not None:
                self._routes.lost(self)

    async def _connect(self) -> tuple[AbstractConnection, bytes]:
        """A connection that knows every script, and the epoch: a restarted or failed-over server may have lost its last
        writes and would number the next ones the same, so each run of a server is an epoch of its own."""
        connection = self._pool.make_connection()
        greeting = self._loop.create_task(_greet(connection, self._scripts))
        try:
            for _ in range(round(self._timeout_s / TICK_S)):  # ticks again, see _watch
                await asyncio.wait({greeting}, timeout=TICK_S)
                if greeting.done():
                    if self._routes is not None:
                        self._routes.connected(self, greeting.result())
                    return connection, greeting.result().epoch
            raise TimeoutError
        except BaseException:
            _cut(connection)
            greeting.cancel()
            await asyncio.gather(greeting, return_exceptions=True)
            await _hang_up(connection)
            raise

    async def _serve(self, connection: AbstractConnection, epoch: bytes) -> None:
        self._connection, self._stalled = connection, False
        tasks = [
            self._loop.create_task(self._send_all(connection, epoch)),
            self._loop.create_task(self._read_all(connection)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._connection = None
            _cut(connection)  # before anything is waited for: a close may come in between
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            await _hang_up(connection)
            for exc in outcomes:
                if isinstance(exc, Exception) and not isinstance(exc, (RedisError, OSError)):
                    logger.error("The Valkey connection failed on our side.", exc_info=exc)
            if self._stalled:  # what is queued has waited as long as what was sent
                self._fail_all("Valkey does not answer.", "engine_down")
            else:
                self._fail_in_flight("The connection to Valkey was lost.", "engine_down")

    async def _send_all(self, connection: AbstractConnection, epoch: bytes) -> None:
        self._waiting.arrived.set()
        while True:
            await self._waiting.arrived.wait()
            self._waiting.arrived.clear()
            while self._waiting:
                batch, size_bytes = self._waiting.take()
                self._grace_s = size_bytes / SEND_BYTES_PER_S
                self._in_flight.extend(batch)
                self._answered.clear()
                self._silent_ticks = 0
                if self._watch_timer is None:
                    self._watch_timer = self._loop.call_later(TICK_S, self._watch)
                packed = connection.pack_commands([command.parts(epoch) for command in batch])
                await connection.send_packed_command(packed, check_health=False)
                while self._in_flight:
                    await self._answered.wait()
                    self._answered.clear()

    async def _read_all(self, connection: AbstractConnection) -> None:
        while True:
            try:
                reply = await connection.read_response(disable_decoding=True, timeout=math.inf)
            except ReadOnlyError as exc:  # this server was demoted: the address may lead to its successor
                self._in_flight.popleft().fail(_engine_down(exc))
                raise
            except ResponseError as exc:
                reply = exc
            command = self._in_flight.popleft()
            if isinstance(reply, NoScriptError) and command.script is not None and not command.is_retry:
                command.is_retry = True
                load = Command(self._loop.create_future(), None, (), ("SCRIPT", "LOAD", command.script.text))
                self._waiting.put_in_front(load, command)
            elif isinstance(reply, ResponseError):
                if self._routes is None or not self._routes.redirected(self, command, reply):
                    command.fail(_engine_down(reply))
            else:
                command.resolve(reply)
            if not self._in_flight:
                self._answered.set()

    def _note_heard(self) -> None:
        self._heard = True

    def _watch(self) -> None:
        """Hang up on a server that owes replies and is silent.

        Silence is counted in ticks, each of which gave the loop the chance to read: when it was this process that was
        too busy to listen, that is not held against the server.
        """
        self._watch_timer = None
        if not self._in_flight or self._connection is None:
            return
        self._silent_ticks = 0 if self._heard else self._silent_ticks + 1
        self._heard = False
        if self._silent_ticks * TICK_S < self._timeout_s + self._grace_s:
            self._watch_timer = self._loop.call_later(TICK_S, self._watch)
            return
        self._stalled = True
        logger.warning("Valkey has not answered for %.1f s; connecting again.", self._timeout_s)
        self._loop.create_task(_hang_up(self._connection))

    def _fail_all(self, message: str, reason: str) -> None:
        self._fail(self._waiting.empty(), message, reason)
        self._fail_in_flight(message, reason)

    def _fail_in_flight(self, message: str, reason: str) -> None:
        sent = list(self._in_flight)
        self._in_flight.clear()
        self._fail(sent, message, reason)

    def _fail(self, commands: Iterable[Command | Read], message: str, reason: str) -> None:
        for command in commands:
            command.fail(EngineDown(message, reason=reason))
        self._answered.set()


def _parser_that_tells(on_data: Callable[[], None]) -> type[DefaultParser]:  # type: ignore[valid-type]
    class Parser(DefaultParser):  # type: ignore[misc, valid-type]
        async def read_from_socket(self) -> bool:
            got = await super().read_from_socket()
            on_data()
            return got

    return Parser


async def _hang_up(connection: AbstractConnection) -> None:
    """Close at once, without waiting for a server that may never take what is still to be sent."""
    _cut(connection)
    await connection.disconnect(nowait=True)


def _cut(connection: AbstractConnection) -> None:
    if connection._writer is not None:
        connection._writer.transport.abort()


async def _greet(connection: AbstractConnection, to_load: Sequence[Script]) -> Greeting:
    """Connect, load the scripts, and hear what the server is."""
    await connection.connect()
    loads = [("SCRIPT", "LOAD", script.text) for script in to_load]
    await connection.send_packed_command(
        connection.pack_commands([("INFO", "server", "cluster"), *loads]), check_health=False
    )
    info = await connection.read_response()
    for _ in loads:
        await connection.read_response()
    fields = dict(line.split(b":", 1) for line in info.split(b"\r\n") if b":" in line)
    return Greeting(fields[b"run_id"][:8], fields.get(b"cluster_enabled") == b"1")


def _why_down(exc: Exception) -> str:
    """A sentence for callers; the driver's own words stay in the log."""
    if isinstance(exc, EngineDown):
        return exc.message
    text = str(exc)
    if isinstance(exc, (AuthenticationError, NoPermissionError)) or "NOAUTH" in text:
        return "Valkey refuses the user or password that AeroDash has."
    if "LOADING" in text or "loading" in text:
        return "Valkey is still loading its data."
    if isinstance(exc, ResponseError):
        return "The server at VALKEY_URL does not take AeroDash's scripts: it must be Valkey, or Redis 7 or later."
    return "Valkey cannot be reached."


_REFUSALS = {
    "OOM": (
        "out_of_memory",
        "Valkey's memory is full: it takes no writes until entries expire or are deleted.",
    ),
    "MISCONF": ("not_persisting", "Valkey cannot write to its disk and takes no writes."),
    "READONLY": ("read_only", "This Valkey is a replica and takes no writes."),
    "NOREPLICAS": ("too_few_replicas", "Valkey has fewer replicas than it needs to take writes."),
    "BUSY": ("busy", "Valkey is busy with another script."),
    "MASTERDOWN": ("engine_down", "This Valkey has lost its primary."),
    "CLUSTERDOWN": ("engine_down", "The Valkey cluster is down."),
    "NOPERM": ("no_permission", "Valkey's user may not run what AeroDash needs."),
}


def _engine_down(exc: ResponseError) -> EngineDown:
    text = str(exc)
    for word, (reason, message) in _REFUSALS.items():
        if (
            word in text[:40]
            or (word == "OOM" and "maxmemory" in text)
            or (word == "READONLY" and isinstance(exc, ReadOnlyError))  # the driver takes the words off
            or (word == "NOPERM" and isinstance(exc, NoPermissionError))
        ):
            down = EngineDown(message, reason=reason)
            break
    else:
        logger.error("Valkey answered with an error: %s", text)
        down = EngineDown("Valkey answered with an error.", reason="engine_error")
    down.__cause__ = exc
    return down
