"""Bringing the database's schema up to date, once, however many processes and machines start."""

import contextlib
import fcntl
import time
from collections.abc import Iterator

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from aerodash import database
from aerodash.errors import CannotStart

ADVISORY_LOCK = 0x6165726F64617368  # "aerodash", by which PostgreSQL knows it
LOOK_AGAIN_S = 0.1


def pending() -> list[str]:
    """The migrations that this version has and the database lacks, as app.name."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def apply() -> None:
    """Apply what is pending; other processes of this database that come meanwhile wait and find nothing to do.

    Raises CannotStart if the database cannot be opened or a migration fails.
    """
    try:
        with _alone_in_database() if settings.DATABASE_KIND == "postgres" else _alone_with_file():
            if pending():
                call_command("migrate", verbosity=0, interactive=False)
    except DatabaseError as exc:
        raise CannotStart(f"The database cannot be brought up to date: {one_line(exc)}.") from exc
    finally:
        connection.close()


@contextlib.contextmanager
def _alone_with_file() -> Iterator[None]:
    """Among all processes on this SQLite file, whatever their data folders."""
    lock = f"{connection.settings_dict['NAME']}.migrating"
    try:
        guard = open(lock, "w")  # noqa: SIM115 - closed below
    except OSError as exc:
        raise CannotStart(f"The database cannot be brought up to date: {lock}: {exc.strerror}.") from exc
    with guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _alone_in_database() -> Iterator[None]:
    """Among all processes on this PostgreSQL database. The lock ends with the connection that took it.

    It is asked for again and again, because a statement that waits would keep `CREATE INDEX CONCURRENTLY` waiting.
    """
    import psycopg

    with contextlib.ExitStack() as stack:
        try:
            guard = stack.enter_context(psycopg.connect(database.conninfo(), autocommit=True))
            while not guard.execute("SELECT pg_try_advisory_lock(%s)", [ADVISORY_LOCK]).fetchone()[0]:
                time.sleep(LOOK_AGAIN_S)
        except psycopg.Error as exc:
            raise CannotStart(f"The database does not answer: {one_line(exc)}.") from exc
        cursor = stack.enter_context(connection.cursor())
        cursor.execute("SET statement_timeout = 0")  # an index on millions of rows takes its time
        yield
        cursor.execute("RESET statement_timeout")


def one_line(exc: Exception) -> str:
    """What a driver says over several lines, with hints, as the end of a sentence."""
    return "; ".join(line.strip().rstrip(".") for line in str(exc).splitlines() if line.strip())
