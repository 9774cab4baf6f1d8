"""The servers that the cache is tested on beside the run's own Valkey: Redis 7 with TLS, and clusters of Valkey.

All on loopback, each in a folder of its own, none of which is kept. Measured on two cores: a server answers after
30 ms, a cluster of three after 1 s.
"""

import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import redis

from aerodash import embedded
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "guides" / "valkey.md"
SLOTS = 16384
START_S = 30.0
USER = "aerodash"


class Process:
    """One server: its port, and the folder that it lives in."""

    def __init__(self, binary: str, folder: Path, port: int, arguments: Sequence[str]) -> None:
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self.url = f"redis://{self.address}"
        self._command = [binary, *arguments, "--dir", str(folder), "--logfile", str(folder / "log")]
        self._folder = folder
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    @property
    def pid(self) -> int:
        return self._process.pid

    def runs(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def ask(self, *command: str | int) -> object:
        """Its plain reply: none of the client's reshaping."""
        with redis.Redis.from_url(
            self.url, decode_responses=True, socket_timeout=START_S, protocol=2
        ) as client:
            client.response_callbacks.clear()
            return client.execute_command(*command)

    def wait(self) -> None:
        """Return once it answers."""
        until(f"no answer: {self._folder / 'log'}", self._answers)

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self._folder / "log").read_text()[-2000:]
        try:
            return self.ask("PING") == "PONG"  # an error while it reads its data
        except redis.RedisError:
            return False


def until(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


NOTHING_KEPT = ("--save", "", "--appendonly", "no", "--bind", "127.0.0.1")


@contextmanager
def valkey(*arguments: str, keep: bool = False) -> Iterator[Process]:
    """A Valkey of its own. keep: with an append-only file, so that it may be killed and started again."""
    with TemporaryDirectory(prefix="aerodash-valkey-") as folder:
        port = free_port()
        kept = ("--save", "", "--appendonly", "yes", "--bind", "127.0.0.1") if keep else NOTHING_KEPT
        process = Process(
            str(embedded.find_binary()), Path(folder), port, ["--port", str(port), *kept, *arguments]
        )
        try:
            process.wait()
            yield process
        finally:
            process.kill()


# Replicas


def follow(primary: Process, replica: Process) -> None:
    """Have one server replicate the other, and return once it has all."""
    replica.ask("REPLICAOF", "127.0.0.1", primary.port)
    until("a replica in step", lambda: "link_status:up" in str(replica.ask("INFO", "replication")))
    until("a replica that has all", lambda: primary.ask("WAIT", 1, 1000) == 1)


def hold_back(replica: Process) -> None:
    """It keeps what it has, answers, and gets nothing new."""
    replica.ask("REPLICAOF", "127.0.0.1", free_port())


# Redis


@dataclass(frozen=True)
class Redis:
    """url: with TLS, as the user whose rights docs/guides/valkey.md lists. admin: with every right."""

    url: str
    admin: str


def redis_binary() -> str:
    """The path of a Redis 7, installed first if need be and possible. Raises RuntimeError with what to do."""
    found = subprocess.run([ROOT / "scripts" / "redis"], capture_output=True, text=True, check=False)
    if found.returncode:
        raise RuntimeError(found.stderr.strip().splitlines()[-1])
    return found.stdout.strip()


def rights() -> str:
    """The ACL that the guide tells people to give AeroDash's user: the words behind its name and password."""
    [listed] = re.findall(r"^ACL SETUSER aerodash on >\S+ ([^`]+?)\n```", GUIDE.read_text(), re.MULTILINE)
    return " ".join(listed.replace("\\\n", " ").split())


@contextmanager
def redis_with_tls() -> Iterator[Redis]:
    """A Redis 7 that listens with TLS alone and knows a user with the least rights."""
    binary = redis_binary()
    with TemporaryDirectory(prefix="aerodash-redis-") as name:
        folder = Path(name)
        _make_certificate(folder)
        port, password, root = free_port(), secrets.token_hex(8), secrets.token_hex(8)
        configuration = folder / "redis.conf"
        configuration.write_text(
            f"user {USER} on >{password} {rights()}\nuser default off\nuser root on >{root} allkeys allchannels allcommands\n"
        )
        tls = {"port": "0", "tls-port": str(port), "tls-auth-clients": "no"} | {
            "tls-cert-file": str(folder / "server.crt"),
            "tls-key-file": str(folder / "server.key"),
            "tls-ca-cert-file": str(folder / "ca.crt"),
        }
        arguments = [
            str(configuration),
            *(word for name, value in tls.items() for word in (f"--{name}", value)),
        ]
        process = Process(binary, folder, port, [*arguments, *NOTHING_KEPT])
        ending = f"@localhost:{port}/0?ssl_ca_certs={folder / 'ca.crt'}"
        process.url = f"rediss://root:{root}{ending}"
        try:
            process.wait()
            yield Redis(f"rediss://{USER}:{password}{ending}", process.url)
        finally:
            process.kill()


def _make_certificate(folder: Path) -> None:
    """An authority of our own, and its certificate for localhost."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    openssl(
        *("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=AeroDash tests"),
        *("-addext", "keyUsage=critical,keyCertSign"),  # Python 3.13 asks for it
    )
    openssl(
        *("req", "-x509", *new, "-keyout", "server.key", "-out", "server.crt", "-subj", "/CN=localhost"),
        *("-CA", "ca.crt", "-CAkey", "ca.key", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        *("-addext", "basicConstraints=critical,CA:FALSE"),
    )


# Clusters


class Cluster:
    """Valkey nodes that hold all slots between them. url: names every node."""

    def __init__(self, nodes: Sequence[Process]) -> None:
        self.nodes = nodes
        self.url = f"redis://{','.join(node.address for node in nodes)}"

    def owner(self, slot: int) -> Process:
        """The node that has the slot, by its own word."""
        for node in self.nodes:
            for first, last, (_, port, *_), *_ in node.ask("CLUSTER", "SLOTS"):  # type: ignore[attr-defined]
                if first <= slot <= last and port == node.port:
                    return node
        raise AssertionError(f"Slot {slot} is on no node.")

    def is_whole(self) -> bool:
        """Whether every node that runs knows all others, and that every slot is served."""
        told = [str(node.ask("CLUSTER", "INFO")) for node in self.nodes if node.runs()]
        return all("cluster_state:ok" in one and f"known_nodes:{len(self.nodes)}" in one for one in told)


@contextmanager
def cluster(*, primaries: int = 3, replicas: int = 0, timeout_ms: int = 15_000) -> Iterator[Cluster]:
    """A cluster whose slots are shared out evenly; the first replica is the first primary's, and so on.

    timeout_ms: how long a node must be silent before the others give it up.
    """
    with ExitStack() as stack:
        buses = [free_port() for _ in range(primaries + replicas)]
        nodes = [
            stack.enter_context(
                valkey(
                    *("--cluster-enabled", "yes", "--cluster-port", str(bus)),
                    *("--cluster-node-timeout", str(timeout_ms), "--repl-diskless-sync-delay", "0"),
                    keep=True,
                )
            )
            for bus in buses
        ]
        made = Cluster(nodes)
        for number, node in enumerate(nodes[:primaries]):
            first, beyond = (SLOTS * edge // primaries for edge in (number, number + 1))
            node.ask("CLUSTER", "ADDSLOTSRANGE", first, beyond - 1)
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node, bus in zip(nodes[1:], buses[1:], strict=True):
            nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        until("a whole cluster", made.is_whole)
        for primary, replica in zip(nodes, nodes[primaries:], strict=False):
            replica.ask("CLUSTER", "REPLICATE", str(primary.ask("CLUSTER", "MYID")))
            until(
                "a replica in step",
                lambda replica=replica: "link_status:up" in str(replica.ask("INFO", "replication")),
            )
        yield made
