"""What in the engine's health needs a person, in sentences: one rule a function, the worst first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cache_admin.engine.contract import ReplicaState
from cache_admin.engine.vitals import Node, NodeReplica
from cache_admin.health import Health

MEMORY_WARN, MEMORY_BAD = 0.8, 0.9
FRAGMENTED = 1.5
FRAGMENTED_BYTES = 256 * 1024 * 1024
LAG_WARN_BYTES = 16 * 1024 * 1024
SILENT_WARN_S = 10
CLIENTS_WARN = 0.8
SLOW_US = 50_000
SLOW_WITHIN_S = 3600


@dataclass(frozen=True, slots=True)
class Concern:
    """A sentence on what is wrong: what it is, what it means, what to do. is_bad: data or service is at stake now.

    about: the sign that it is read from: memory, evicted, persistence, replicas, clients, slow or servers.
    """

    about: str
    is_bad: bool
    what: str
    so: str
    do: str = ""


type Rule = Callable[[Node], "Concern | None"]


def concerns(health: Health) -> list[Concern]:
    """What needs a person, worst first; the same of several servers is said once, with their addresses."""
    found: list[Concern] = []
    if health.vitals.slots_missing:
        found.append(
            Concern(
                "servers",
                True,
                f"{health.vitals.slots_missing:,} of 16,384 slots of the cluster are on no node.",
                "Projects whose slot is missing cannot read or write.",
                "Bring the node back, or let its replica take over.",
            )
        )
    found += [
        Concern(
            "servers",
            True,
            f"{named(lost.address)} does not answer.",
            lost.why,
            "Projects on it answer 503 until it is back.",
        )
        for lost in health.vitals.lost
    ]
    found += _from_nodes(health.nodes)
    found += _from_replica(health.replica)
    found += _from_slow(health)
    return sorted(found, key=lambda one: not one.is_bad)


def named(address: str) -> str:
    return address or "The local server"


def _from_nodes(nodes: Sequence[Node]) -> list[Concern]:
    found = []
    for rule in RULES:
        said: dict[Concern, list[str]] = {}
        for node in nodes:
            if (concern := rule(node)) is not None:
                said.setdefault(concern, []).append(node.address)
        for concern, addresses in said.items():
            where = f" ({', '.join(addresses)})" if len(nodes) > 1 else ""
            found.append(replace(concern, what=concern.what.removesuffix(".") + where + "."))
    return found


def _policy(node: Node) -> Concern | None:
    policy = node.memory.policy
    if policy in ("", "noeviction"):
        return None
    return Concern(
        "evicted",
        True,
        f"maxmemory-policy is {policy}.",
        "When memory runs out, entries vanish before they expire, and nobody is told.",
        "Set it to noeviction.",
    )


def _evicted(node: Node) -> Concern | None:
    if not node.evicted:
        return None
    return Concern(
        "evicted",
        True,
        f"{node.evicted:,} keys were evicted since the server started.",
        "Entries that had not expired are gone.",
        "Raise maxmemory, and set maxmemory-policy to noeviction.",
    )


def _memory(node: Node) -> Concern | None:
    memory = node.memory
    if memory.limit_bytes:
        part, limit = memory.used_bytes / memory.limit_bytes, "its limit (maxmemory)"
        so = "At the limit writes answer 503; reads go on."
    elif memory.machine_bytes:
        part, limit = (
            memory.held_bytes / memory.machine_bytes,
            "the machine's memory, and it has no limit of its own",
        )
        so = "When the machine has none left, the system may end the server."
    else:
        return None
    if part < MEMORY_WARN:
        return None
    return Concern(
        "memory",
        part >= MEMORY_BAD,
        f"Memory is at {100 * part:.0f} % of {limit}.",
        so,
        "Look for the heaviest prefixes, or give it more.",
    )


def _persistence(node: Node) -> Concern | None:
    state = node.persistence
    if state.aof and state.aof_failed:
        return Concern(
            "persistence",
            True,
            "The append-only file could not be written.",
            "Writes are refused, or are lost when the server stops.",
            "Look at its disk and its log.",
        )
    if not state.aof and state.snapshot_failed:
        return Concern(
            "persistence",
            True,
            f"The last snapshot failed; {state.unsaved:,} changes are in memory only.",
            "They are lost when the server stops.",
            "Look at its disk and its log.",
        )
    if not state.aof:
        return Concern(
            "persistence",
            False,
            "The append-only file is off.",
            f"{state.unsaved:,} changes since the last snapshot are lost when the server stops.",
            "Set appendonly yes.",
        )
    return None


def _clients(node: Node) -> Concern | None:
    if node.rejected:
        return Concern(
            "clients",
            False,
            f"{node.rejected:,} connections were refused since the server started.",
            f"It takes {node.clients_max:,} at once.",
            "Raise maxclients.",
        )
    if node.clients_max and node.clients >= CLIENTS_WARN * node.clients_max:
        return Concern(
            "clients",
            False,
            f"{node.clients:,} of {node.clients_max:,} connections are taken.",
            "Further processes will be refused.",
            "Raise maxclients.",
        )
    return None


def _fragmentation(node: Node) -> Concern | None:
    memory = node.memory
    wasted = memory.held_bytes - memory.used_bytes
    if memory.fragmentation < FRAGMENTED or wasted < FRAGMENTED_BYTES:
        return None
    return Concern(
        "memory",
        False,
        f"The server holds {memory.fragmentation:.1f} times the memory that it uses.",
        f"{wasted / 1024**3:.1f} GiB lie idle in fragments.",
        "Set activedefrag yes, or start it again at a quiet time.",
    )


def _replication(node: Node) -> Concern | None:
    if not node.follows:
        return Concern(
            "replicas",
            True,
            "It is a replica and has lost its primary.",
            "What it tells may be old.",
            "Look at its primary.",
        )
    late = [one for one in node.replicas if not one.is_online or one.silent_s >= SILENT_WARN_S]
    behind = [one for one in node.replicas if one.lag_bytes >= LAG_WARN_BYTES]
    if late:
        return Concern(
            "replicas",
            False,
            f"{_list(late)} {'does' if len(late) == 1 else 'do'} not follow.",
            "If the primary is lost now, what they have not got is lost with it.",
        )
    if behind:
        most = max(one.lag_bytes for one in behind)
        return Concern(
            "replicas",
            False,
            f"{_list(behind)} {'is' if len(behind) == 1 else 'are'} up to {most / 1024**2:.0f} MiB behind.",
            "If the primary is lost now, that much is lost with it.",
        )
    return None


RULES: tuple[Rule, ...] = (_policy, _evicted, _memory, _persistence, _replication, _clients, _fragmentation)


def _from_replica(replica: ReplicaState | None) -> list[Concern]:
    if replica is None or (replica.answers and replica.follows):
        return []
    what = "does not answer" if not replica.answers else "has lost its primary"
    return [
        Concern(
            "replicas",
            False,
            f"The replica that answers reads {what}.",
            "All reads go to the primary meanwhile; none fails for it.",
        )
    ]


def _from_slow(health: Health) -> list[Concern]:
    since_s = health.at.timestamp() - SLOW_WITHIN_S
    slow = [one for one in health.slow.commands if one.at_s >= since_s and one.took_us >= SLOW_US]
    if not slow:
        return []
    worst = max(slow, key=lambda one: one.took_us)
    number = f"{len(slow)} command{'' if len(slow) == 1 else 's'}"
    return [
        Concern(
            "slow",
            False,
            f"{number} took {SLOW_US // 1000} ms or longer within the last hour.",
            f"Everybody waits meanwhile; the longest was {worst.name or 'a script'}, {worst.took_us / 1000:.0f} ms.",
        )
    ]


def _list(replicas: Sequence[NodeReplica]) -> str:
    return ("Replica " if len(replicas) == 1 else "Replicas ") + ", ".join(one.address for one in replicas)
