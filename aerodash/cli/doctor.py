"""`aerodash doctor`: looks at the set-up and says what to mend."""

import argparse
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from aerodash import __version__
from aerodash.cli import environment

HELP = "check the set-up and say what to mend"
DISK_MIN_BYTES = 1024**3
CLOCK_MAX_S = 1.0
ENGINE_MIN = (7, 0)
HIDDEN = "not told by this server"


def arguments(parser: argparse.ArgumentParser) -> None:
    pass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. mend: what to do; empty if all is well."""

    subject: str
    fact: str
    mend: str = ""


def run(options: argparse.Namespace) -> int:
    """Print one line a finding; returns 1 if something is to be mended."""
    settings = environment.django()
    findings = [finding for check in CHECKS for finding in check(settings)]
    for finding in findings:
        print(f"{'MEND' if finding.mend else 'ok':<5} {finding.subject}: {finding.fact}")
        if finding.mend:
            print(f"      {finding.mend}")
    return 1 if any(finding.mend for finding in findings) else 0


def _versions(settings: ModuleType) -> Iterator[Finding]:
    import django

    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding("versions", f"AeroDash {__version__}, Python {python}, Django {django.__version__}")


def _database(settings: ModuleType) -> Iterator[Finding]:
    from django.db import DatabaseError, connection

    from aerodash.cli import migrating

    try:
        pending = migrating.pending()
    except DatabaseError as exc:
        yield Finding(
            "database", f"it cannot be opened: {exc}", "Check DATABASE_URL and that the database runs."
        )
        return
    yield Finding("database", f"{connection.display_name} {sqlite3.sqlite_version}")
    mend = (
        "Start `aerodash up` or `aerodash web`, which apply them, or run `manage.py migrate`."
        if pending
        else ""
    )
    yield Finding("migrations", f"{len(pending)} pending" if pending else "all applied", mend)


def engine(settings: ModuleType) -> Iterator[Finding]:
    """What there is to say about Valkey; `aerodash up` says what of it is to be mended."""
    import redis

    client = redis.Redis.from_url(settings.VALKEY_URL, socket_timeout=5, decode_responses=True)
    try:
        info = client.info("server")
        policy = _eviction_policy(client)
        seconds, microseconds = client.time()
    except redis.RedisError as exc:
        yield Finding("engine", f"no answer: {exc}", "Start `aerodash up`, or check VALKEY_URL.")
        return
    finally:
        client.close()
    version = info.get("valkey_version") or info["redis_version"]
    new_enough = tuple(int(part) for part in version.split(".")[:2]) >= ENGINE_MIN
    name = "Valkey" if "valkey_version" in info else "Redis"
    yield Finding("engine", f"{name} {version}", "" if new_enough else "AeroDash needs version 7 or newer.")
    mend = (
        ""
        if policy in {"noeviction", HIDDEN}
        else "Set maxmemory-policy noeviction: another policy silently drops entries."
    )
    yield Finding("eviction policy", policy, mend)
    apart_s = abs(time.time() - (seconds + microseconds / 1e6))
    mend = "Set both machines' clocks by NTP." if apart_s > CLOCK_MAX_S else ""
    yield Finding("clock", f"{apart_s:.2f} s from the engine's", mend)


def _eviction_policy(client) -> str:
    import redis

    try:
        return client.config_get("maxmemory-policy")["maxmemory-policy"]
    except redis.ResponseError:  # some hosted servers do not answer CONFIG
        return HIDDEN


def _disk(settings: ModuleType) -> Iterator[Finding]:
    yield from _free("disk of the data folder", settings.AERODASH_DATA)
    path = Path(str(settings.DATABASES["default"]["NAME"])).parent
    if path.exists() and path.resolve() != settings.AERODASH_DATA:
        yield from _free("disk of the database", path)


def _free(subject: str, path: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(path).free
    mend = "Make room: writes stop when it is full." if free < DISK_MIN_BYTES else ""
    yield Finding(subject, f"{free / 1024**3:.1f} GiB free at {path}", mend)


CHECKS: list[Callable[[ModuleType], Iterator[Finding]]] = [_versions, _database, engine, _disk]
