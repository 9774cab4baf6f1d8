"""How the servers behind the cache are: what INFO and SLOWLOG of a node say, as figures.

What callers wrote never leaves here: of a slow command only its name, a script's by our own, and one key.
Source: INFO and SLOWLOG GET of Valkey 9 and Redis 7, which agree in all that is read here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aerodash.ids import ProjectId
from cache_admin.engine import scripts

SECTIONS = ("server", "clients", "memory", "persistence", "stats", "replication")

_KEY = re.compile(rb"\{(\d{1,18})\}:(?:v:(.*)|\w*)", re.DOTALL)
_CUT = re.compile(rb"\.\.\. \(\d+ more (?:bytes|arguments)\)$")
_PLAIN = re.compile(r"[a-z|_-]{1,32}")


@dataclass(frozen=True, slots=True)
class NodeReplica:
    """A replica, as its primary sees it. lag_bytes: how much of the changes it has not confirmed. silent_s: since it did."""

    address: str
    is_online: bool
    lag_bytes: int
    silent_s: int


@dataclass(frozen=True, slots=True)
class Memory:
    """limit_bytes: maxmemory, 0 where none is set. machine_bytes: what the machine has, 0 if it does not say.

    held_bytes: what the process takes from the machine; fragmentation: that, to what it uses.
    """

    used_bytes: int
    peak_bytes: int
    held_bytes: int
    limit_bytes: int
    machine_bytes: int
    fragmentation: float
    policy: str

    @property
    def bound_bytes(self) -> int:
        """What it cannot grow beyond: its limit, else the machine's memory; 0 if neither is known."""
        return self.limit_bytes or self.machine_bytes


@dataclass(frozen=True, slots=True)
class Persistence:
    """aof: whether the append-only file is on; aof_failed: whether its last write or rewrite did not succeed.

    saved_at_s: the last snapshot, in seconds since 1970 (the server's start, if there was none). snapshot_failed: whether
    the last attempt did not succeed. unsaved: changes since the last snapshot. is_busy: it writes one, or rewrites the file, now.
    """

    aof: bool
    aof_failed: bool
    aof_bytes: int
    snapshot_failed: bool
    saved_at_s: int
    unsaved: int
    is_busy: bool


@dataclass(frozen=True, slots=True)
class Node:
    """A server that holds keys. product: "Valkey" or "Redis". slots: of a cluster's, else 0. evicted, expired, rejected
    (connections): since it started. follows: for a replica, whether it is connected to its primary; True for a primary."""

    address: str
    product: str
    version: str
    run_id: str
    uptime_s: int
    slots: int
    is_primary: bool
    follows: bool
    ops_per_s: int
    memory: Memory
    persistence: Persistence
    evicted: int
    expired: int
    clients: int
    clients_max: int
    rejected: int
    replicas: tuple[NodeReplica, ...] = ()


@dataclass(frozen=True, slots=True)
class LostNode:
    """A server that should hold keys and does not answer. why: for people."""

    address: str
    slots: int
    why: str


@dataclass(frozen=True, slots=True)
class Vitals:
    """All servers. slots_missing: how many slots of a cluster are on no node."""

    nodes: tuple[Node, ...]
    lost: tuple[LostNode, ...] = field(default=())
    is_cluster: bool = False
    slots_missing: int = 0


@dataclass(frozen=True, slots=True)
class SlowCommand:
    """A command that took the server long. name: "script list", "mget", …; "" for a script that is not ours.

    project, key: of the first entry that it names, None where it names none; the key is None too where only its beginning
    was kept.
    """

    at_s: int
    took_us: int
    name: str
    project: ProjectId | None
    key: str | None


def fields(info: bytes) -> dict[str, str]:
    """The lines `name:value` of INFO."""
    return dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)


def node(address: str, info: bytes, *, slots: int = 0) -> Node:
    """A server by its own words: the reply to INFO with SECTIONS."""
    said = fields(info)

    def number(name: str) -> int:
        return int(said.get(name, "0") or 0)

    def is_bad(name: str) -> bool:
        return said.get(name, "ok") != "ok"

    is_primary = said.get("role", "master") == "master"
    valkey = said.get("valkey_version")
    offset = number("master_repl_offset")
    return Node(
        address=address,
        product="Valkey" if valkey else "Redis",
        version=valkey or said.get("redis_version", ""),
        run_id=said.get("run_id", ""),
        uptime_s=number("uptime_in_seconds"),
        slots=slots,
        is_primary=is_primary,
        follows=is_primary or said.get("master_link_status") == "up",
        ops_per_s=number("instantaneous_ops_per_sec"),
        memory=Memory(
            used_bytes=number("used_memory"),
            peak_bytes=number("used_memory_peak"),
            held_bytes=number("used_memory_rss"),
            limit_bytes=number("maxmemory"),
            machine_bytes=number("total_system_memory"),
            fragmentation=float(said.get("mem_fragmentation_ratio", "0") or 0),
            policy=said.get("maxmemory_policy", ""),
        ),
        persistence=Persistence(
            aof=number("aof_enabled") == 1,
            aof_failed=is_bad("aof_last_write_status") or is_bad("aof_last_bgrewrite_status"),
            aof_bytes=number("aof_current_size"),
            snapshot_failed=is_bad("rdb_last_bgsave_status"),
            saved_at_s=number("rdb_last_save_time"),
            unsaved=number("rdb_changes_since_last_save"),
            is_busy=bool(number("rdb_bgsave_in_progress") or number("aof_rewrite_in_progress")),
        ),
        evicted=number("evicted_keys"),
        expired=number("expired_keys"),
        clients=number("connected_clients"),
        clients_max=number("maxclients"),
        rejected=number("rejected_connections"),
        replicas=tuple(
            _replica(said[name], offset) for name in (f"slave{n}" for n in range(number("connected_slaves"))) if name in said
        ),
    )  # fmt: skip


def slow_command(entry: Sequence[Any]) -> SlowCommand:
    """One of the reply to SLOWLOG GET: id, second, microseconds, arguments, …"""
    _, at_s, took_us, arguments, *_ = entry
    project, key = _first_entry(arguments)
    return SlowCommand(at_s, took_us, _name(arguments), project, key)


_SCRIPT_NAMES = {script.sha: f"script {script.name}" for script in scripts.ALL}
_WITH_SUBCOMMAND = {"script", "client", "config", "cluster", "memory", "slowlog", "acl"}


def _name(arguments: Sequence[bytes]) -> str:
    """A command's word, if it looks like one: what is not known may be anything that somebody sent."""
    words = [argument.decode("ascii", "replace").lower() for argument in arguments[:2]]
    if words and words[0] in {"evalsha", "evalsha_ro"}:
        return _SCRIPT_NAMES.get(arguments[1] if len(arguments) > 1 else b"", "")
    if not words or not _PLAIN.fullmatch(words[0]):
        return "unknown"
    if words[0] in _WITH_SUBCOMMAND and len(words) > 1 and _PLAIN.fullmatch(words[1]):
        return " ".join(words)
    return words[0]


def _first_entry(arguments: Sequence[bytes]) -> tuple[ProjectId | None, str | None]:
    project = None
    for argument in _names_in(arguments):
        if found := _KEY.fullmatch(argument):
            project = ProjectId(int(found[1])) if project is None else project
            if found[2]:
                return project, None if _CUT.search(argument) else found[2].decode(errors="replace")
    return project, None


def _names_in(arguments: Sequence[bytes]) -> Sequence[bytes]:
    """Those arguments that are names of keys. A script's values come behind its names."""
    if arguments and arguments[0].lower() in {b"evalsha", b"evalsha_ro", b"eval", b"eval_ro"}:
        number = arguments[2] if len(arguments) > 2 else b""
        return arguments[3 : 3 + int(number)] if number.isdigit() else ()
    if arguments and arguments[0].lower() in {b"mget", b"exists", b"unlink", b"del"}:
        return arguments[1:]
    return arguments[1:2]


def _replica(line: str, offset: int) -> NodeReplica:
    """line: ip=10.0.0.2,port=6379,state=online,offset=1288,lag=0,…"""
    said = dict(part.split("=", 1) for part in line.split(",") if "=" in part)
    return NodeReplica(
        address=f"{said.get('ip', '')}:{said.get('port', '')}",
        is_online=said.get("state") == "online",
        lag_bytes=max(0, offset - int(said.get("offset", "0") or 0)),
        silent_s=max(0, int(said.get("lag", "0") or 0)),
    )
