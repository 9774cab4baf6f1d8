"""Django's PostgreSQL backend, for a server that may be away: who asks learns it soon, and why, and when it is back.

psycopg's pool alone lets each caller wait its whole timeout while the server is away, also one after the other in a
thread that serves many, and never says what is wrong; after a restart it offers one dead connection after the other,
with pauses between them.
"""

import time
from typing import Any

from django.db.backends.postgresql import base
from psycopg import Connection, Error, OperationalError
from psycopg_pool import ConnectionPool, PoolTimeout

AWAY_S = 1.0
"""For how long after a failure nobody waits for a connection: they are told at once."""


class Link(Connection[Any]):
    """A connection whose making is remembered if it fails: the pool makes them in threads of its own."""

    failure: tuple[float, str] | None = None

    @classmethod
    def connect(cls, *args: Any, **kwargs: Any) -> "Link":
        try:
            link = super().connect(*args, **kwargs)
        except Error as exc:
            Link.failure = (time.monotonic(), str(exc))
            raise
        Link.failure = None
        return link


def check(link: Link) -> None:
    """Try a connection that the pool is about to give out; if it is dead, so are those that lie beside it."""
    pool = link._pool
    try:
        ConnectionPool.check_connection(link)
    except OperationalError:
        if isinstance(pool, ConnectionPool):
            pool.drain()
        raise


class DatabaseWrapper(base.DatabaseWrapper):
    """Connections come from the process's pool. Raises OperationalError, with the reason, as Django's own does."""

    _away_until = 0.0

    def __init__(self, settings_dict: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        if pool := settings_dict["OPTIONS"].get("pool"):
            options = {**settings_dict["OPTIONS"], "pool": {**pool, "check": check, "connection_class": Link}}
            settings_dict["OPTIONS"] = options
        super().__init__(settings_dict, *args, **kwargs)

    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection[Any]:
        if time.monotonic() < DatabaseWrapper._away_until and Link.failure is not None:
            raise OperationalError(Link.failure[1])
        asked_at = time.monotonic()
        try:
            return super().get_new_connection(conn_params)
        except PoolTimeout as exc:
            if Link.failure is None or Link.failure[0] < asked_at:
                raise  # the server answers, but all connections are in use
            DatabaseWrapper._away_until = time.monotonic() + AWAY_S
            raise OperationalError(Link.failure[1]) from exc
