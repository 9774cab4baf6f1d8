"""What a command needs before it may do anything: settings that hold, and, for most, Django."""

import errno
import os
import socket
from pathlib import Path
from types import ModuleType

from aerodash.errors import CannotStart


def settings() -> ModuleType:
    """The settings module, read without starting Django, once the data folder can be written.

    Raises CannotStart, or ImproperlyConfigured for a wrong value.
    """
    # What this process and its children write (SQLite's file above all) is for this user alone.
    os.umask(0o077)
    try:
        from aerodash import private
        from aerodash import settings as module

        private.folder(module.AERODASH_DATA)
    except OSError as exc:
        raise _unwritable(Path(exc.filename or "?"), exc.errno) from exc
    if not os.access(module.AERODASH_DATA, os.W_OK | os.X_OK):
        raise _unwritable(module.AERODASH_DATA, errno.EACCES)
    return module


def django() -> ModuleType:
    """Start Django in this process and return its settings module."""
    module = settings()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aerodash.settings")
    import django

    django.setup(set_prefix=False)
    return module


def check_web(module: ModuleType) -> None:
    """Raise CannotStart if the web processes could not run with these settings, or their port cannot be had."""
    if module.AERODASH_WEB_PROCESSES > 1 and module.DATABASE_KIND == "sqlite":
        raise CannotStart(
            "AERODASH_WEB_PROCESSES: SQLite has one writer, so it takes one web process; "
            "set DATABASE_URL to PostgreSQL to run more."
        )
    host, port = module.AERODASH_HOST, module.AERODASH_PORT
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Without this a port that was just given up would count as taken; one that is listened on still does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            raise CannotStart(_bind_failure(host, port, exc)) from exc


def _bind_failure(host: str, port: int, exc: OSError) -> str:
    if exc.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken: stop what listens there, or set AERODASH_PORT."
    if exc.errno == errno.EACCES:
        return f"Port {port} needs more rights than this user has: set AERODASH_PORT to 1024 or more."
    return f"AERODASH_HOST: cannot listen on {host}: {exc.strerror or exc}."


def _unwritable(path: Path, number: int | None) -> CannotStart:
    reason = os.strerror(number) if number else "unknown error"
    return CannotStart(
        f"AERODASH_DATA: cannot write to {path}: {reason}; give a folder that this user may write to."
    )
