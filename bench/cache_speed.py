"""One web process under load: AeroDash's express lane, bare django-ninja endpoints and webdis, in turn.

Each serves the same thousand keys with values of 200 bytes, on a Valkey with the same settings. What is sent differs
only in what each understands: AeroDash and the endpoints with a schema take JSON, the rest a path.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import cache_load, load
from bench.installation import ROOT, Installation, end, free_port, up, valkey, wait_for_port

KEYS = [f"session:{number:04d}" for number in range(1000)]
VALUE = json.dumps({"userId": "u-1685", "device": "web", "text": "x" * 151}).encode()
assert len(VALUE) == 200
MANY = 100
VERBS = ("get", "set")

type Figures = dict[str, float]


@dataclass(frozen=True)
class Contender:
    """A server on loopback. pid: the process that answers. requests: by verb, to be sent in turn."""

    name: str
    port: int
    pid: int
    requests: dict[str, Sequence[bytes]]

    def fill_and_check(self) -> None:
        """Write every key, read the first one back, and see that the value is in the answer."""
        caller = load.Connection(self.port)
        for request in self.requests["set"]:
            status, _ = caller.ask(request)
            if status != 200:
                raise SystemExit(f"{self.name} answered {status} to a write")
        status, body = caller.ask(self.requests["get"][0])
        if status != 200 or "u-1685" not in body.decode():
            raise SystemExit(f"{self.name} answered {status} to a read: {body[:200].decode()}")
        caller.close()


@contextmanager
def contenders(folder: Path) -> Iterator[list[Contender]]:
    """All of them, up and filled, until the block ends."""
    with ExitStack() as stack:
        ours = aerodash(stack.enter_context(up(folder / "aerodash")))
        store = stack.enter_context(valkey(folder / "store", appendfsync="everysec"))
        ninja, ninja_raw = stack.enter_context(_ninja(folder, store))
        found = [ours, ninja, ninja_raw, stack.enter_context(_webdis(folder, store))]
        for contender in found:
            contender.fill_and_check()
        yield found


def aerodash(at: Installation) -> Contender:
    return Contender(
        "aerodash",
        at.port,
        web_process(at.folder),
        _by_body(at.port, "/v1/cache", at.headers)
        | {
            "getMany": [
                load.request(at.port, "/v1/cache/getMany", {"keys": KEYS[first : first + MANY]}, at.headers)
                for first in range(0, len(KEYS), MANY)
            ]
        },
    )


@contextmanager
def _ninja(folder: Path, store: int) -> Iterator[tuple[Contender, Contender]]:
    """Its endpoints with a schema and those without, of one process. With the server, and the server's settings, that AeroDash runs under."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "asginl",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    command += [
        "--workers",
        "1",
        "--runtime-mode",
        "st",
        "--http",
        "1",
        "--loop",
        "uvloop",
        "--no-access-log",
    ]
    command += ["--log-level", "warning", "bench.ninja_app:application"]
    environment = {**os.environ, "BENCH_REDIS_PORT": str(store)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    with open(folder / "ninja.log", "wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for_port(port)
        pid = _child(process.pid)
        yield (
            Contender("ninja", port, pid, _by_body(port, "/cache", {})),
            Contender("ninja_raw", port, pid, _by_path(port, "/raw/", "/raw/")),
        )
    finally:
        end(process)


@contextmanager
def _webdis(folder: Path, store: int) -> Iterator[Contender]:
    """One thread, and otherwise as Debian ships it."""
    port = free_port()
    settings = {
        "redis_host": "127.0.0.1", "redis_port": store, "http_host": "127.0.0.1", "http_port": port, "threads": 1,
        "daemonize": False, "database": 0, "verbosity": 1, "logfile": str(folder / "webdis.log"),
    }  # fmt: skip
    (folder / "webdis.json").write_text(json.dumps(settings))
    process = subprocess.Popen(
        [os.environ.get("WEBDIS", "webdis"), str(folder / "webdis.json")],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        wait_for_port(port)
        yield Contender("webdis", port, process.pid, _by_path(port, "/GET/", "/SET/"))
    finally:
        end(process)


def _by_body(port: int, path: str, headers: dict[str, str]) -> dict[str, Sequence[bytes]]:
    """POSTs of JSON."""
    return {
        "get": [load.request(port, f"{path}/get", {"key": key}, headers) for key in KEYS],
        "set": [
            load.request(port, f"{path}/set", b'{"key": "%b", "value": %b}' % (key.encode(), VALUE), headers)
            for key in KEYS
        ],
    }


def _by_path(port: int, get: str, put: str) -> dict[str, Sequence[bytes]]:
    """The key in the path, and a PUT's body the value."""
    host = f"Host: 127.0.0.1:{port}\r\n".encode()
    return {
        "get": [b"GET %b%b HTTP/1.1\r\n%b\r\n" % (get.encode(), key.encode(), host) for key in KEYS],
        "set": [
            b"PUT %b%b HTTP/1.1\r\n%bContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (put.encode(), key.encode(), host, len(VALUE), VALUE)
            for key in KEYS
        ],
    }


def at_full(contender: Contender, verb: str, seconds: float) -> Figures:
    """What 32 connections get answered."""
    seen = cache_load.full(contender.port, contender.requests[verb], seconds=seconds, pid=contender.pid)
    return {
        f"{verb}_rate": seen.per_second, f"{verb}_p50": seen.p50_ms, f"{verb}_p99": seen.p99_ms,
        f"{verb}_cores": seen.server_cores, f"{verb}_load_cores": seen.generator_cores,
        f"{verb}_us": seen.server_cores / seen.per_second * 1e6,
    }  # fmt: skip


def at_half(contender: Contender, verb: str, full_rate: float, seconds: float) -> Figures:
    """Latencies at half of that rate, in even steps, and as independent callers would come."""
    found: Figures = {f"{verb}_half_rate": full_rate / 2}
    for name, random_gaps in (("half", False), ("half_random", True)):
        took = cache_load.half(
            contender.port, contender.requests[verb], full_rate / 2, seconds=seconds, random_gaps=random_gaps
        )
        p50, p99 = (cache_load.percentile(took, per_cent) for per_cent in (50, 99))
        found |= {f"{verb}_{name}_p50": p50, f"{verb}_{name}_p99": p99, f"{verb}_{name}_ratio": p99 / p50}
    return found


def web_process(folder: Path) -> int:
    """The process that answers in the installation whose data are in this folder: the one child of `aerodash web`."""
    marker = f"AERODASH_DATA={folder}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            is_web = b"\0web" in (entry / "cmdline").read_bytes()
            if (
                is_web
                and marker in (entry / "environ").read_bytes().split(b"\0")
                and _children(int(entry.name))
            ):
                return _child(int(entry.name))
        except OSError:  # it ended meanwhile, or is another user's
            continue
    raise SystemExit("the web process is not to be found")


def _child(pid: int) -> int:
    """The one child that a server's main process starts to answer requests."""
    deadline = time.monotonic() + 10
    while not (children := _children(pid)):
        if time.monotonic() > deadline:
            raise SystemExit(f"process {pid} has started no process that would answer")
        time.sleep(0.05)
    return children[0]


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
