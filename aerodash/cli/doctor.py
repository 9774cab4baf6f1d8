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

from aerodash import __version__, valkey_url
from aerodash.cli import environment

HELP = "check the set-up and say what to mend"
DISK_MIN_BYTES = 1024**3
CLOCK_MAX_S = 1.0
ENGINE_MIN = (7, 0)
POSTGRES_MIN = 15
POSTGRES_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
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
        if settings.DATABASE_KIND == "sqlite":
            yield Finding("database", f"{connection.display_name} {sqlite3.sqlite_version}")
        else:
            yield from _postgres(settings)
    except DatabaseError as exc:
        said = migrating.one_line(exc)
        yield Finding(
            "database", f"it cannot be opened: {said}", "Check DATABASE_URL and that the database runs."
        )
        return
    mend = (
        "Start `aerodash up` or `aerodash web`, which apply them, or run `manage.py migrate`."
        if pending
        else ""
    )
    yield Finding("migrations", f"{len(pending)} pending" if pending else "all applied", mend)


def _postgres(settings: ModuleType) -> Iterator[Finding]:
    """What there is to say about a PostgreSQL that answers."""
    from django.db import connection

    names = (
        *("server_version", "server_version_num", "server_encoding", "max_connections"),
        *("superuser_reserved_connections", *POSTGRES_DURABLE),
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(names)])
        said = dict(cursor.fetchall())
        asked_at = time.time()
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8, pg_is_in_recovery()")
        there, is_standby = cursor.fetchone()
        here = (asked_at + time.time()) / 2
    new_enough = int(said["server_version_num"]) >= POSTGRES_MIN * 10_000
    yield Finding(
        "database",
        f"PostgreSQL {said['server_version']}",
        "" if new_enough else f"AeroDash needs version {POSTGRES_MIN} or newer.",
    )
    if is_standby:
        yield Finding(
            "database's role", "a standby", "Name the primary in DATABASE_URL: a standby takes no writes."
        )
    if said["server_encoding"] != "UTF8":
        yield Finding(
            "database's encoding", said["server_encoding"], "Make the database anew with ENCODING 'UTF8'."
        )
    yield _clock("database's clock", abs(here - there), "the database's")
    lax = [f"{name} is {said[name]}" for name in POSTGRES_DURABLE if said[name] == "off"]
    yield Finding(
        "database's durability",
        ", ".join(lax) or f"{', '.join(POSTGRES_DURABLE)} are on",
        "Turn it on: without it a power cut loses jobs that were acknowledged." if lax else "",
    )
    yield _connections(settings, int(said["max_connections"]) - int(said["superuser_reserved_connections"]))


def _connections(settings: ModuleType, allowed: int) -> Finding:
    """Whether the server lets this machine's processes connect as often as they may want to."""
    from aerodash import database_url

    processes = settings.AERODASH_WEB_PROCESSES + 1  # and the keeper
    wanted = processes * database_url.CONNECTIONS
    mend = "" if wanted <= allowed else "Raise max_connections there, or lower AERODASH_WEB_PROCESSES."
    return Finding(
        "database's connections", f"{allowed} allowed, up to {wanted} wanted by this machine", mend
    )


def engine(settings: ModuleType) -> Iterator[Finding]:
    """What there is to say about Valkey; `aerodash up` says what of it is to be mended."""
    nodes = valkey_url.nodes(settings.VALKEY_URL)
    for url in nodes:
        yield from _valkey(url, f" {valkey_url.address(url)}" if len(nodes) > 1 else "")
    if settings.VALKEY_REPLICA_URL:
        yield from _replica(nodes[0], settings.VALKEY_REPLICA_URL)


def _valkey(url: str, which: str) -> Iterator[Finding]:
    """which: what tells it from others, "" if there is one."""
    import redis

    client = redis.Redis.from_url(url, socket_timeout=5, decode_responses=True)
    try:
        info = client.info("server")
        policy = _eviction_policy(client)
        seconds, microseconds = client.time()
    except redis.RedisError as exc:
        yield Finding(f"engine{which}", f"no answer: {exc}", "Start `aerodash up`, or check VALKEY_URL.")
        return
    finally:
        client.close()
    version = info.get("valkey_version") or info["redis_version"]
    new_enough = tuple(int(part) for part in version.split(".")[:2]) >= ENGINE_MIN
    name = "Valkey" if "valkey_version" in info else "Redis"
    yield Finding(
        f"engine{which}", f"{name} {version}", "" if new_enough else "AeroDash needs version 7 or newer."
    )
    mend = (
        ""
        if policy in {"noeviction", HIDDEN}
        else "Set maxmemory-policy noeviction: another policy silently drops entries."
    )
    yield Finding(f"eviction policy{which}", policy, mend)
    apart_s = abs(time.time() - (seconds + microseconds / 1e6))
    yield _clock(f"clock{which}", apart_s, "the engine's")


def _replica(primary_url: str, replica_url: str) -> Iterator[Finding]:
    """Whether the replica follows, and how far behind it is."""
    import redis

    told = {}
    for url in (primary_url, replica_url):
        client = redis.Redis.from_url(url, socket_timeout=5, decode_responses=True)
        try:
            told[url] = client.info("replication")
        except redis.RedisError as exc:
            if url == replica_url:
                yield Finding(
                    "replica",
                    f"no answer: {exc}",
                    "Check VALKEY_REPLICA_URL; reads go to the primary meanwhile.",
                )
            return
        finally:
            client.close()
    primary, replica = told[primary_url], told[replica_url]
    if replica["role"] != "slave":
        yield Finding("replica", "it is a primary", "Name a replica of VALKEY_URL in VALKEY_REPLICA_URL.")
    elif replica["master_replid"] != primary["master_replid"] or replica["master_link_status"] != "up":
        yield Finding(
            "replica", "it does not follow the primary", "See the replica's log; readers may get old entries."
        )
    else:
        behind = max(0, primary["master_repl_offset"] - replica["slave_repl_offset"])
        yield Finding("replica", f"{behind} bytes behind the primary")


def _clock(subject: str, apart_s: float, whose: str) -> Finding:
    mend = "Set both machines' clocks by NTP." if apart_s > CLOCK_MAX_S else ""
    return Finding(subject, f"{apart_s:.2f} s from {whose}", mend)


def _eviction_policy(client) -> str:
    import redis

    try:
        return client.config_get("maxmemory-policy")["maxmemory-policy"]
    except redis.ResponseError:  # some hosted servers do not answer CONFIG
        return HIDDEN


def _disk(settings: ModuleType) -> Iterator[Finding]:
    yield from _free("disk of the data folder", settings.AERODASH_DATA)
    if settings.DATABASE_KIND != "sqlite":
        return
    path = Path(str(settings.DATABASES["default"]["NAME"])).parent
    if path.exists() and path.resolve() != settings.AERODASH_DATA:
        yield from _free("disk of the database", path)


def _free(subject: str, path: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(path).free
    mend = "Make room: writes stop when it is full." if free < DISK_MIN_BYTES else ""
    yield Finding(subject, f"{free / 1024**3:.1f} GiB free at {path}", mend)


CHECKS: list[Callable[[ModuleType], Iterator[Finding]]] = [_versions, _database, engine, _disk]
