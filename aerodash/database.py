"""Asking the database outside of Django's requests, which care for connections themselves.

`ask` is for coroutines on any loop; `keep_asking` for a thread that serves many and keeps its connection, because
opening one for each read costs more than the read itself; `conninfo` for what has connections of its own.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from channels.db import database_sync_to_async
from django.db import Error, connection, connections


def ask[**P, T](question: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """Make an async function of one that uses the ORM: on a connection known to work, which is given back at the end.

    Django's own `aget`, `acreate` … would, outside of a request, share one thread whose connection nobody mends.
    """
    return database_sync_to_async(question, thread_sensitive=False)


def keep_asking[T](question: Callable[..., T], *arguments: object) -> T:
    """Read on this thread's connection. If it turns out to be lost (the server was restarted), read on a new one.

    Only for reads: the question may be asked twice. Raises django.db.Error; the connection is given up then.
    """
    kept = connection.connection is not None
    try:
        return question(*arguments)
    except Error:
        lost = kept and not _works()
        connection.close()
        if not lost:
            raise
    try:
        return question(*arguments)
    except Error:
        connection.close()
        raise


def _works() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return False
    return True


def let_go() -> None:
    """Close every connection of this process and the pool: before it forks, since neither survives in a child."""
    connections.close_all()
    for each in connections.all(initialized_only=True):
        if hasattr(each, "close_pool"):
            each.close_pool()


def conninfo() -> str:
    """PostgreSQL's words for the database that Django uses now, for a connection of one's own, outside the pool.

    Whoever opens one may set autocommit and row factories as it likes; time zone, timeouts and name are in it.
    """
    from psycopg.conninfo import make_conninfo

    named = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    options: dict[str, Any] = {
        name: value for name, value in connection.settings_dict["OPTIONS"].items() if name != "pool"
    }
    for django, libpq in named.items():
        if value := connection.settings_dict[django]:
            options[libpq] = value
    return make_conninfo("", **options)
