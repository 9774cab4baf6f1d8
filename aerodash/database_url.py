"""DATABASE_URL: which database, and how to reach it, as Django takes it.

SQLite is `sqlite:///absolute/path`. PostgreSQL is what its own programs take,
`postgresql://user:password@host:port/name?sslmode=require`, read by its own library: several hosts, a socket's folder
as `?host=/folder`, percent-encoded parts, a service file. A refusal never repeats the address: it has the password.
"""

import os
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

POOL_SIZE = 10
"""Connections that the pages, the keys and the reads of one process share at most."""

CONNECTIONS = POOL_SIZE + 6
"""All that one process opens at most: the job engine has some of its own."""

POOL_WAIT_S = 3.0
"""How long one of them waits for a connection before it says that the database is away."""

_EXAMPLE = "postgresql://user:password@host:5432/name"
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

# A statement that takes longer than these has met a fault, not much data. Migrations set the first one aside.
_SESSION = {
    "TimeZone": "UTC",
    "statement_timeout": "30s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
}

# A server that went away without a word is noticed within half a minute; by what waits for a reply, within ten seconds.
_LINK = {
    "application_name": "aerodash",
    "connect_timeout": "5",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}


def kind(entry: dict[str, Any]) -> str:
    """ "sqlite" or "postgres": which dialect a DATABASES entry speaks."""
    return "sqlite" if "sqlite" in entry["ENGINE"] else "postgres"


def parse(url: str) -> dict[str, Any]:
    """Django's DATABASES entry. Raises ImproperlyConfigured, with a sentence that begins with DATABASE_URL."""
    scheme = url.partition(":")[0]
    if scheme == "sqlite":
        return _sqlite(url)
    if scheme in {"postgres", "postgresql"}:
        return _postgres(url)
    raise ImproperlyConfigured(
        f"DATABASE_URL: it begins neither with sqlite: nor with postgresql:, as in sqlite:///absolute/path "
        f"or {_EXAMPLE}."
    )


def _sqlite(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.netloc or not parts.path.strip("/"):
        raise ImproperlyConfigured(f"DATABASE_URL: {url!r} names no file; use sqlite:///absolute/path.")
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": unquote(parts.path[1:] if parts.path.startswith("//") else parts.path),
        "OPTIONS": {
            "timeout": 5,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=5000;",
        },
        "TEST": {"NAME": os.environ["AERODASH_TEST_DATABASE"]}
        if "AERODASH_TEST_DATABASE" in os.environ
        else {},
    }


def _postgres(url: str) -> dict[str, Any]:
    link = {**_LINK, **_libpq(url)}
    session = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    if "," in link.get("host", ""):
        link.setdefault("target_session_attrs", "read-write")  # of several hosts, the one that takes writes
    link["options"] = (
        f"{session} {link.get('options', '')}".strip()
    )  # what the address says comes last and wins
    return {
        "ENGINE": "aerodash.postgresql",
        "NAME": link.pop("dbname", ""),
        "USER": link.pop("user", ""),
        "PASSWORD": link.pop("password", ""),
        "HOST": link.pop("host", ""),
        "PORT": link.pop("port", ""),
        "CONN_HEALTH_CHECKS": True,  # a connection is tried before it is given out
        "OPTIONS": {
            **link,
            "pool": {
                "min_size": 1,
                "max_size": POOL_SIZE,
                "timeout": POOL_WAIT_S,
                "max_idle": 300,
                "reconnect_timeout": 2.0,  # then given up, so that the next who asks tries at once
            },
        },
    }


def _libpq(url: str) -> dict[str, str]:
    """What the address says, in PostgreSQL's own words."""
    from psycopg import Error, pq
    from psycopg.conninfo import conninfo_to_dict

    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    for name, _ in parse_qsl(url.partition("?")[2], keep_blank_values=True):
        if name not in known and name != "ssl":
            raise ImproperlyConfigured(f"DATABASE_URL: PostgreSQL knows no parameter {name!r}.")
    try:
        said = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    except Error:
        # What the library says may have the whole address in it.
        raise ImproperlyConfigured(
            f"DATABASE_URL: it is no address like {_EXAMPLE}; "
            "characters such as @ / : % in a user or password stand percent-encoded."
        ) from None
    if not said.get("dbname") and "service" not in said:
        raise ImproperlyConfigured(f"DATABASE_URL: it names no database; use {_EXAMPLE}.")
    for port in said.get("port", "").split(","):
        if port and not (port.isdecimal() and 1 <= int(port) <= 65535):
            raise ImproperlyConfigured(f"DATABASE_URL: {port!r} is no port, which is 1 to 65535.")
    if said.get("sslmode", "prefer") not in _SSL_MODES:
        raise ImproperlyConfigured(
            f"DATABASE_URL: sslmode {said['sslmode']!r} is none of {', '.join(_SSL_MODES)}."
        )
    return said
