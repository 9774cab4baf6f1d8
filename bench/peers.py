"""The job queues that people would use instead, measured as AeroDash is: same payload, same no-op, one worker process.

Each talks to its store through its own client. On Redis (the Valkey that AeroDash ships, append-only file, fsync every
second) a drain ends with the last handler's start; on PostgreSQL (fsync on) with the last acknowledgement.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import redis

from bench.installation import ROOT, kill, postgres, valkey
from bench.measures import Figures, Stamps

ENVIRONMENT = ROOT / ".venv-peers"
GIVE_UP_S = 180


@dataclass(frozen=True)
class Peer:
    """store: redis or postgres. Amounts: jobs enqueued one by one, in bulk (0: it cannot), drained."""

    name: str
    title: str
    store: str
    one: int
    bulk: int
    drained: int
    left: str = ""
    """On PostgreSQL: how many jobs are not acknowledged yet."""
    node: bool = False


PEERS = (
    Peer("celery", "Celery", "redis", 3000, 0, 6000),
    Peer("rq", "RQ (no fork)", "redis", 3000, 10_000, 2000),
    Peer("dramatiq", "Dramatiq", "redis", 5000, 0, 10_000),
    Peer("huey", "Huey", "redis", 5000, 0, 10_000),
    Peer("saq", "SAQ", "redis", 5000, 0, 10_000),
    Peer("bullmq", "BullMQ", "redis", 5000, 20_000, 20_000, node=True),
    Peer(
        "procrastinate", "Procrastinate", "postgres", 3000, 20_000, 5000,
        left="SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')",
    ),
    Peer("pgqueuer", "PgQueuer", "postgres", 3000, 20_000, 20_000, left="SELECT count(*) FROM pgqueuer"),
    Peer(
        "graphile", "graphile-worker (local queue, batches)", "postgres", 3000, 20_000, 20_000,
        left="SELECT count(*) FROM graphile_worker._private_jobs", node=True,
    ),
)  # fmt: skip


def install() -> tuple[Peer, ...]:
    """Make the peers' environment where it is missing or old. Returns the peers that this machine can run."""
    _install("peers.txt", lambda: _python_packages(ENVIRONMENT / "python"))
    has_node = bool(shutil.which("node") and shutil.which("npm"))
    if has_node:
        _install("peers.package.json", lambda: _node_packages(ENVIRONMENT / "node"))
    return tuple(peer for peer in PEERS if has_node or not peer.node)


def versions(peers: tuple[Peer, ...]) -> dict[str, str]:
    """Product and version, for the report."""
    pinned = (ROOT / "bench/peers.txt").read_text().splitlines()
    found = {
        line.partition("==")[0].partition("[")[0]: line.partition("==")[2] for line in pinned if "==" in line
    }
    found |= json.loads((ROOT / "bench/peers.package.json").read_text())["dependencies"]
    found["graphile"] = found.pop("graphile-worker")
    return {peer.title: found[peer.name] for peer in peers}


class Stores:
    """A Redis that fsyncs each second, one that fsyncs each write, and a PostgreSQL; all the peers' own to empty."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.redis = stack.enter_context(valkey(folder / "redis-everysec", appendfsync="everysec"))
        self.redis_fsync = stack.enter_context(valkey(folder / "redis-always", appendfsync="always"))
        self.postgres = stack.enter_context(postgres(folder / "postgres"))


def measure(peer: Peer, stores: Stores, *, quick: bool) -> Figures:
    """One round of a peer. The figures have the names of bench.measures."""
    if quick:
        peer = replace(peer, one=peer.one // 3, bulk=peer.bulk // 4, drained=peer.drained // 4)
    runs = _Runs(peer, stores, stores.redis)
    found: Figures = {"enqueue_1": runs.rate("one", peer.one)}
    if peer.bulk:
        found["bulk_1"] = runs.rate("bulk", peer.bulk)
    if peer.store == "redis":
        found["enqueue_1_fsync"] = _Runs(peer, stores, stores.redis_fsync).rate("one", peer.one // 2)
    return found | runs.drained(pickups=50 if quick else 200)


class _Runs:
    def __init__(self, peer: Peer, stores: Stores, redis_port: int) -> None:
        self._peer = peer
        self._stores = stores
        self._redis_port = redis_port
        self._stamps = Stamps(stores.folder / f"{peer.name}.stamps")
        self._environment = {
            **os.environ,
            **_libpq(stores.postgres),
            "PYTHONPATH": str(ROOT),
            "NODE_PATH": str(ENVIRONMENT / "node/node_modules"),
            "NODE_NO_WARNINGS": "1",
            "PEER": peer.name,
            "PEER_STAMPS": str(self._stamps.path),
            "PEER_REDIS_PORT": str(redis_port),
        }

    def rate(self, mode: str, amount: int) -> float:
        self._empty()
        return self._client(mode, amount)["per_second"]

    def drained(self, *, pickups: int) -> Figures:
        """Fill, drain with one worker, then ask the idle worker how soon it picks up."""
        peer = self._peer
        self._empty()
        if peer.bulk:
            self._client("bulk", peer.drained // 1000 * 1000 or 1000)
            jobs = peer.drained // 1000 * 1000 or 1000
        else:
            self._client("one", peer.drained - 1)
            jobs = peer.drained
        self._stamps = Stamps(self._stamps.path)
        with open(self._stores.folder / f"{peer.name}.log", "ab") as log:
            worker = subprocess.Popen(
                self._command("worker"), env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self._stamps.wait_for(jobs, poll_s=0.02)
            starts = self._stamps.all()
            ended = max(starts) if peer.store == "redis" else self._acknowledged()
            time.sleep(1)
            waits = self._client("pickup", pickups)
        finally:
            kill(worker)
        return {
            "drain": (jobs - 1) / (ended - min(starts)),
            "pickup_p50": waits["p50"],
            "pickup_p99": waits["p99"],
        }

    def _acknowledged(self) -> float:
        deadline = time.monotonic() + GIVE_UP_S
        with psycopg.connect(self._stores.postgres, autocommit=True) as connection:
            while connection.execute(self._peer.left.encode()).fetchone() != (0,):
                if time.monotonic() > deadline:
                    raise SystemExit(f"{self._peer.name}: jobs were not acknowledged within {GIVE_UP_S} s")
                time.sleep(0.005)
        return time.monotonic()

    def _empty(self) -> None:
        if self._peer.store == "redis":
            redis.Redis(port=self._redis_port).flushall()
        else:
            with psycopg.connect(self._stores.postgres, autocommit=True) as connection:
                for schema in ("public", "graphile_worker"):
                    connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE".encode())
                connection.execute("CREATE SCHEMA public")
                connection.execute("CHECKPOINT")
        self._client("setup", 0)

    def _client(self, mode: str, amount: int) -> Figures:
        done = subprocess.run(
            self._command(mode, str(amount)), env=self._environment, capture_output=True, text=True, timeout=GIVE_UP_S
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{self._peer.name} {mode}: {done.stderr[-2000:]}")
        return json.loads(done.stdout.strip().splitlines()[-1])

    def _command(self, *arguments: str) -> list[str]:
        if self._peer.node:
            return ["node", str(ROOT / "bench/peer_app.cjs"), *arguments]
        python = ENVIRONMENT / "python/bin/python"
        return [str(python), "-c", "from bench import peer_app; peer_app.main()", *arguments]


def _install(pins: str, make: Callable[[], None]) -> None:
    text = (ROOT / "bench" / pins).read_bytes() + sys.version.encode()
    stamp = ENVIRONMENT / f"{pins}.installed"
    wanted = hashlib.sha256(text).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        make()
        stamp.write_text(wanted)


def _python_packages(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", str(ROOT / "bench/peers.txt")], check=True)


def _node_packages(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "bench/peers.package.json", folder / "package.json")
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True)


def _libpq(url: str) -> dict[str, str]:
    """A server's address as the environment variables that every PostgreSQL client reads."""
    parts = urlsplit(url)
    host = parse_qs(parts.query).get("host", [parts.hostname or ""])[0]
    return {"PGHOST": host, "PGUSER": parts.username or "postgres", "PGDATABASE": parts.path.lstrip("/")}
