"""The server, or the cluster, behind VALKEY_URL: one link a node, and which of them a project's keys are on.

What it is shows at the first connection. A cluster's map of slots is asked for then, again whenever a node is lost or
says that a slot has moved, and until every slot has a node that answers: so a slot may move and a replica be promoted
without anybody telling us. A command that a node did not do, because its slot is on another or on the way there, is
sent again to the right one; one whose fate is unknown never is.
Source: architecture, decision 7; the cluster specification of Valkey, "Redirection and resharding".
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any
from urllib.parse import urlsplit

from redis.crc import key_slot
from redis.exceptions import AskError, ClusterDownError, MovedError, ResponseError, TryAgainError

from aerodash import valkey_url
from aerodash.errors import EngineDown
from aerodash.ids import ProjectId
from cache_admin.engine.commands import WAITING_MAX, Command
from cache_admin.engine.link import TIMEOUT_S, Greeting, Link
from cache_admin.engine.scripts import Script

SLOTS = 16384
REFRESH_S = 0.25
REFRESH_LEAST_S = 0.02
HOPS_AT_ONCE = 3
HOPS_MAX = 60
PAUSE_FIRST_S = 0.005
PAUSE_MAX_S = 0.1

logger = logging.getLogger(__name__)


class Nodes:
    """A link's verbs, for one server or a cluster alike. Lives on one event loop."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        """url: as valkey_url.nodes takes it. timeout_s: as for Link."""
        self._url = url
        self._timeout_s = timeout_s
        self._seeds = [self._new_link(node) for node in valkey_url.nodes(url)]
        self._single: Link | None = None
        self._by_slot: list[Link | None] | None = None
        self._primaries: dict[tuple[str, int], Link] = {}
        self._stale = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._pausing: dict[Command, asyncio.TimerHandle] = {}

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._keeper = self._loop.create_task(self._keep_map())
        for link in self._seeds:
            await link.open()

    async def close(self) -> None:
        """Let what is queued be answered (or fail, within the timeout), then hang up."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        closed: set[Link] = set()
        # More than once: an answer that is waited for may lead to one more node.
        while links := [link for link in self._links() if link not in closed]:
            await asyncio.gather(*(link.close() for link in links))
            closed.update(links)
        await asyncio.gather(*self._closing)
        for command, timer in self._pausing.items():
            timer.cancel()
            command.fail(EngineDown("This process is stopping."))
        self._pausing.clear()

    @property
    def is_cluster(self) -> bool:
        return self._by_slot is not None

    @property
    def is_up(self) -> bool:
        """Whether a node is connected."""
        return any(link.is_up for link in self._links())

    async def check(self) -> None:
        """Return if every node that holds keys answers; raise EngineDown if not."""
        if self._by_slot is not None:
            if None in self._by_slot:
                raise EngineDown("Some slots of the Valkey cluster are on no node.")
            await asyncio.gather(*(link.command("TIME") for link in self._primaries.values()))
        else:
            await self._any().command("TIME")

    def eval(
        self, script: Script, keys: Sequence[bytes], *args: bytes | str | int
    ) -> Coroutine[Any, Any, Any]:
        """Run a script, all of whose keys are one project's. As Link.eval."""
        return self._at(keys[0]).eval(script, keys, *args)

    def command(self, *parts: bytes | str | int) -> Coroutine[Any, Any, Any]:
        """Run a plain command, on the node of the key that comes second if there is one. As Link.command."""
        return (self._at(_text(parts[1])) if len(parts) > 1 else self._any()).command(*parts)

    def command_on(self, key: bytes, *parts: bytes | str | int) -> Coroutine[Any, Any, Any]:
        """Run a plain command on the node of this key, wherever it names it. As Link.command."""
        return self._at(key).command(*parts)

    def servers(self) -> list[tuple[str, int, Link]]:
        """Each server that should hold keys: its address, "" for a socket, how many slots it has, 0 outside a cluster,
        and its link."""
        if self._by_slot is None:
            link = self._any()
            return [(_address(link), 0, link)]
        slots = Counter(self._by_slot)
        return [(_address(link), slots[link], link) for link in self._primaries.values() if slots[link]]

    @property
    def slots_missing(self) -> int:
        """How many slots of a cluster are on no node that we know."""
        return 0 if self._by_slot is None else self._by_slot.count(None)

    def read(self, project: ProjectId, names: Sequence[bytes]) -> Coroutine[Any, Any, list[bytes | None]]:
        """As Link.read."""
        return self._at(names[0]).read(project, names)

    # What the links tell

    def connected(self, link: Link, greeting: Greeting) -> None:
        """Raises EngineDown for servers that should be a cluster and are not."""
        if greeting.is_cluster:
            self._single = None
            self._stale.set()
        elif len(self._seeds) > 1 or link is not self._seeds[0]:
            raise EngineDown("VALKEY_URL names several servers, which are no cluster.")
        else:
            self._single, self._by_slot = link, None

    def lost(self, link: Link) -> None:
        self._stale.set()

    def redirected(self, link: Link, command: Command, error: ResponseError) -> bool:
        """Have a command that was not done, done elsewhere or later. False if this error does not say so."""
        if not _was_not_done(error) or self._single is not None:
            return False
        if len(singles := command.singles()) > 1:  # some of its keys may still be here
            return all([self.redirected(link, one, error) for one in singles])
        command.hops += 1
        if command.hops > HOPS_MAX:
            command.fail(EngineDown("The slot of this key is being moved; try again shortly.", reason="busy"))
        elif isinstance(error, AskError) and command.hops <= HOPS_AT_ONCE:  # a MovedError is one, too
            target = self._node(error.host or valkey_url.host(link.url), error.port)
            if isinstance(error, MovedError):
                self._stale.set()
                if self._by_slot is not None:
                    self._by_slot[error.slot_id] = target
                target.take_over(command)
            else:
                asking = Command(self._loop.create_future(), None, (), ("ASKING",))
                target.take_over(asking, command)
        else:  # its keys are partly here and partly there; or two nodes each name the other
            self._stale.set()
            self._later(command)
        return True

    def _later(self, command: Command) -> None:
        if len(self._pausing) >= WAITING_MAX:
            command.fail(EngineDown("Too many cache requests wait for Valkey.", reason="overloaded"))
            return
        pause_s = min(PAUSE_MAX_S, PAUSE_FIRST_S * 2**command.hops)
        self._pausing[command] = self._loop.call_later(pause_s, self._again, command)

    def _again(self, command: Command) -> None:
        del self._pausing[command]
        self._at(_text(command.keys[0] if command.keys else command.args[1])).take_over(command)

    # Which node

    def _at(self, key: bytes) -> Link:
        if self._single is not None:
            return self._single
        if self._by_slot is not None and (link := self._by_slot[key_slot(key)]) is not None:
            return link
        return self._any()

    def _any(self) -> Link:
        """A link that is connected, else the first, which says why it is not or lets callers wait until it is."""
        return self._single or next((link for link in self._links() if link.is_up), self._seeds[0])

    def _links(self) -> list[Link]:
        return [*self._primaries.values(), *self._seeds]

    def _node(self, host: str, port: int) -> Link:
        if (host, port) not in self._primaries:
            link = self._primaries[host, port] = self._new_link(valkey_url.at(self._seeds[0].url, host, port))
            link.start()
        return self._primaries[host, port]

    def _new_link(self, url: str) -> Link:
        return Link(url, timeout_s=self._timeout_s, routes=self)

    # The map

    async def _keep_map(self) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            if self._single is not None:
                continue
            await self._ask_for_map()
            if self._is_whole():
                await asyncio.sleep(REFRESH_LEAST_S)
            else:
                await asyncio.sleep(REFRESH_S)
                self._stale.set()

    def _is_whole(self) -> bool:
        return (
            self._by_slot is not None
            and None not in self._by_slot
            and not any(link.is_down for link in self._primaries.values())
        )

    async def _ask_for_map(self) -> None:
        """Take the map of one node that answers; any will do, for a wrong one is set right by redirection."""
        links = [link for link in self._links() if link.is_up]
        random.shuffle(links)
        for link in links:
            try:
                ranges = await link.command("CLUSTER", "SLOTS")
            except EngineDown as exc:
                logger.warning("No map of the Valkey cluster from %s: %s", valkey_url.host(link.url), exc)
            else:
                self._take_map(ranges, valkey_url.host(link.url))
                return

    def _take_map(self, ranges: list[Any], asked: str) -> None:
        """ranges: [first slot, last slot, [host, port, …] of the primary, replicas…]. asked: who said so."""
        by_slot: list[Link | None] = [None] * SLOTS
        for first, last, (host, port, *_), *_ in ranges:
            name = host.decode() if host else asked
            by_slot[first : last + 1] = [self._node(name, port)] * (last + 1 - first)
        self._by_slot = by_slot
        in_use = {id(link) for link in by_slot}
        for address, link in list(self._primaries.items()):
            if id(link) not in in_use:
                del self._primaries[address]
                task = self._loop.create_task(link.close())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)


def _was_not_done(error: ResponseError) -> bool:
    """Whether a node says that it did nothing because the slot's keys, or some of them, are elsewhere.

    The last: a script found an entry by the index that has been moved already. Scripts read before they write.
    """
    return (
        isinstance(error, (AskError, TryAgainError))
        or "attempted to access a non local key in a cluster" in str(error)
    ) and not isinstance(error, ClusterDownError)


def _address(link: Link) -> str:
    parts = urlsplit(link.url)
    return f"{parts.hostname}:{parts.port or 6379}" if parts.hostname else ""


def _text(part: bytes | str | int) -> bytes:
    return part if isinstance(part, bytes) else str(part).encode()
