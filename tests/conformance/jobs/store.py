"""What the suite needs to know of each database: how to make an empty one, and how to look into it from outside."""

import itertools
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import psycopg
from django.conf import settings
from psycopg.adapt import Loader
from psycopg.rows import dict_row

from jobs_admin.engine.contract import JobEngine
from jobs_admin.engine.engine import SqlEngine
from jobs_admin.engine.grouping import Dialect
from jobs_admin.engine.postgres import PostgresDialect, PostgresEngine
from jobs_admin.engine.sqlite import SqliteDialect, SqliteEngine, SqliteSession
from tests import postgres

START_MS = 2_683_612_800_000
"""A Friday in January 2055, at 8 o'clock: later than the time in any id that is made today, because pruning goes by both."""


class Clock:
    """The time, moved by hand."""

    def __init__(self) -> None:
        self.now_ms = START_MS

    def __call__(self) -> int:
        return self.now_ms

    def move(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1000)


class Store(ABC):
    """An empty database of its own, with the migrated schema. Ids stand in it as 32 hexadecimal digits.

    pruned: whether a test has pruned: from then on a batch counts ended jobs that are no longer there.
    """

    kind: str
    pruned: bool = False

    @abstractmethod
    def __init__(self, folder: Path) -> None: ...

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def engine(self, clock: Callable[[], int], **options: Any) -> JobEngine:
        """A new engine over this database; several may be open at once, like several processes.

        options: what every engine takes, and busy_timeout_ms: how long it waits for a lock.
        """

    @abstractmethod
    def dialect(self) -> Dialect:
        """For statements by themselves."""

    def would_change(self, statement: str, values: dict[str, Any]) -> bool:
        """Whether a statement, by itself, lets these values through; undone again."""
        session = self.dialect().connect()
        try:
            return session.begin(durable=False).each(statement, [values]) != [None]
        finally:
            session.roll_back()
            session.close()

    @abstractmethod
    def new_project(self) -> int:
        """The id of a project that nobody uses."""

    @abstractmethod
    def run(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """One statement on a connection of the store's own, with ? for values."""

    @abstractmethod
    def ref(self, job_id: str) -> Any:
        """How the `lease` statement finds the job."""

    @abstractmethod
    def locked(self) -> Any:
        """A context in which another process keeps every write waiting."""

    @abstractmethod
    def away(self) -> Any:
        """A context in which the database is not there for who connects."""

    @abstractmethod
    def full(self, engine: JobEngine) -> Any:
        """A context in which the disk takes a few pages of this engine's, and no more."""

    def id(self, id: str) -> str:
        """An id as `run` takes and answers it."""
        return stored(id)

    def job(self, job_id: str) -> dict[str, Any]:
        return self.run("SELECT * FROM jobs_admin_job WHERE id = ?", stored(job_id))[0]

    def jobs(self, project: int) -> dict[str, dict[str, Any]]:
        return {
            row["id"]: row for row in self.run("SELECT * FROM jobs_admin_job WHERE project_id = ?", project)
        }

    def attempts(self, job_id: str) -> list[dict[str, Any]]:
        return self.run("SELECT * FROM jobs_admin_attempt WHERE job_id = ? ORDER BY run", stored(job_id))

    def events(self, job_id: str) -> list[dict[str, Any]]:
        return self.run("SELECT * FROM jobs_admin_jobevent WHERE job_id = ? ORDER BY id", stored(job_id))

    def logs(self, job_id: str) -> list[dict[str, Any]]:
        return self.run("SELECT * FROM jobs_admin_joblog WHERE job_id = ? ORDER BY id", stored(job_id))

    def progress(self, job_id: str) -> dict[str, Any] | None:
        rows = self.run("SELECT * FROM jobs_admin_jobprogress WHERE job_id = ?", stored(job_id))
        return rows[0] if rows else None

    def type(self, project: int, name: str) -> dict[str, Any]:
        return self.run("SELECT * FROM jobs_admin_jobtype WHERE project_id = ? AND name = ?", project, name)[
            0
        ]

    def new_batch(self, project: int, batch: str) -> str:
        """A batch that is not sealed."""
        self.run(
            "INSERT INTO jobs_admin_batch (id, project_id, name, created_at_ms, created_by, on_complete)"
            " VALUES (?, ?, '', 1, '', '')",
            stored(batch),
            project,
        )
        return batch

    def batch_counts(self, batch: str) -> dict[str, int]:
        """What a batch's counters say, without zeros."""
        rows = self.run(
            "SELECT status, sum(count) AS jobs FROM jobs_admin_batchcounter WHERE batch_id = ? GROUP BY status",
            stored(batch),
        )
        return {row["status"]: int(row["jobs"]) for row in rows if row["jobs"]}

    def wrong_counters(self) -> list[dict[str, Any]]:
        """Counters that do not equal COUNT(*), counted here in another way than the engine's own reconciler does."""
        wrong = self.run(
            """
            SELECT project_id, type, status, sum(counted) AS counted, sum(actual) AS actual FROM (
                SELECT project_id, type, status, count AS counted, 0 AS actual FROM jobs_admin_jobcounter
                UNION ALL
                SELECT project_id, type, status, 0, 1 FROM jobs_admin_job
            ) AS both_sides GROUP BY project_id, type, status HAVING sum(counted) <> sum(actual)
            """
        )
        of_batches = self.run(
            """
            SELECT batch_id, status, sum(counted) AS counted, sum(actual) AS actual FROM (
                SELECT batch_id, status, count AS counted, 0 AS actual FROM jobs_admin_batchcounter
                UNION ALL
                SELECT batch_id, status, 0, 1 FROM jobs_admin_job WHERE batch_id IS NOT NULL
            ) AS both_sides GROUP BY batch_id, status HAVING sum(counted) <> sum(actual)
            """
        )
        return wrong + [row for row in of_batches if not (self.pruned and _is_history(row))]


def stored(job_id: str) -> str:
    return job_id.replace("-", "")


def _is_history(row: dict[str, Any]) -> bool:
    """Whether a batch's counter says more than there is only because ended members were pruned."""
    return row["status"] in ("completed", "failed", "cancelled") and row["counted"] > row["actual"]


class SqliteStore(Store):
    """A database file."""

    kind = "sqlite"

    def __init__(self, folder: Path) -> None:
        from django.db import connection

        connection.ensure_connection()
        self.path = folder / "jobs.db"
        with sqlite3.connect(self.path) as copy:
            connection.connection.backup(copy)
        copy.close()
        self._connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._numbers = itertools.count(1_000_000)
        tables = self.run("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'jobs_admin_%'")
        for table in tables:
            self._connection.execute(f"DELETE FROM {table['name']}")

    def close(self) -> None:
        self._connection.close()

    def engine(self, clock: Callable[[], int], **options: Any) -> JobEngine:
        return _WatchedEngine(self, clock, **options)

    def dialect(self) -> SqliteDialect:
        return SqliteDialect(str(self.path), 5_000)

    def new_project(self) -> int:
        number = next(self._numbers)
        columns = self._connection.execute("PRAGMA table_info(aerodash_project)").fetchall()
        values = {"id": number, "slug": f"p{number}", "created_at": "2026-01-01"}
        names = [column["name"] for column in columns]
        marks = ", ".join("?" for _ in names)
        self._connection.execute(
            f"INSERT INTO aerodash_project ({', '.join(names)}) VALUES ({marks})",
            [values.get(name, "[]") for name in names],
        )
        return number

    def run(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in self._connection.execute(sql, values)]

    def ref(self, job_id: str) -> int:
        [row] = self.run("SELECT rowid AS ref FROM jobs_admin_job WHERE id = ?", stored(job_id))
        return row["ref"]

    @contextmanager
    def locked(self) -> Iterator[None]:
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()

    @contextmanager
    def away(self) -> Iterator[None]:
        elsewhere = self.path.with_suffix(".away")
        self.path.rename(elsewhere)
        try:
            yield
        finally:
            elsewhere.rename(self.path)

    @contextmanager
    def full(self, engine: JobEngine) -> Iterator[None]:
        assert isinstance(engine, _WatchedEngine)
        self._connection.execute("VACUUM")  # pages that are free inside the file could be used again
        [connection] = engine.connections
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 8}")
        try:
            yield
        finally:
            connection.execute("PRAGMA max_page_count = 1073741823")


class _WatchedEngine(SqliteEngine):
    """The engine, with its connections at hand."""

    def __init__(
        self, store: SqliteStore, clock: Callable[[], int], *, busy_timeout_ms: int = 5_000, **options: Any
    ) -> None:
        self.connections: list[sqlite3.Connection] = []
        dialect = _WatchedDialect(str(store.path), busy_timeout_ms)
        dialect.connections = self.connections
        SqlEngine.__init__(self, dialect, **{"valkey_url": settings.VALKEY_URL, "clock": clock, **options})


class _WatchedDialect(SqliteDialect):
    connections: list[sqlite3.Connection]

    def connect(self) -> SqliteSession:
        session = super().connect()
        self.connections.append(session._connection)
        return session


class PostgresStore(Store):
    """A database of the run's server: the keeper's verbs see every project, so no two tests have one at a time.

    Measured: 40 ms to copy one from the template and up to a second to drop it, with checkpoints that slow all others;
    3 ms to empty one. So they are used again.
    """

    kind = "postgres"
    _empty: ClassVar[list[str]] = []
    _numbers = itertools.count(1_000_000)  # projects stay when a database is used again

    def __init__(self, folder: Path) -> None:
        self.url = self._empty.pop() if self._empty else postgres.new_database()
        self._connection: psycopg.Connection[Any] = psycopg.connect(
            self.url, autocommit=True, row_factory=dict_row
        )
        self._connection.adapters.register_loader("uuid", _Digits)

    def close(self) -> None:
        with self._connection:  # closed at its end, whatever happens
            [jobs] = self.run("SELECT count(*) FROM jobs_admin_job")
            if jobs["count"] >= 1_000:
                postgres.drop(self.url)
                return
            # In one statement: foreign keys are checked at its end.
            gone = ", ".join(f"of_{name} AS (DELETE FROM {name})" for name in self._tables())
            self.run(f"WITH {gone} SELECT 1")
        self._empty.append(self.url)

    def _tables(self) -> list[str]:
        tables = self.run("SELECT tablename FROM pg_tables WHERE tablename LIKE 'jobs_admin_%'")
        return [table["tablename"] for table in tables]

    def engine(self, clock: Callable[[], int] | None, **options: Any) -> JobEngine:
        return PostgresEngine(self.url, **{"valkey_url": settings.VALKEY_URL, "clock": clock, **options})

    def dialect(self) -> PostgresDialect:
        return PostgresDialect(self.url)

    def new_project(self) -> int:
        number = next(self._numbers)
        columns = self.run(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'aerodash_project'"
        )
        known = {"id": str(number), "slug": f"p{number}", "created_at": "2026-01-01"}
        values = {
            column["column_name"]: known.get(column["column_name"], _EMPTY.get(column["data_type"], "[]"))
            for column in columns
        }
        marks = ", ".join("?" for _ in values)
        self.run(
            f"INSERT INTO aerodash_project ({', '.join(values)}) VALUES ({marks})",
            *values.values(),
        )
        return number

    def run(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        cursor = self._connection.execute(sql.replace("%", "%%").replace("?", "%s"), values)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []

    def ref(self, job_id: str) -> str:
        return stored(job_id)

    @contextmanager
    def locked(self) -> Iterator[None]:
        with psycopg.connect(self.url) as other:
            other.execute(f"LOCK TABLE {', '.join(self._tables())} IN EXCLUSIVE MODE")  # type: ignore[arg-type]
            yield
            other.rollback()

    @contextmanager
    def away(self) -> Iterator[None]:
        name = psycopg.conninfo.conninfo_to_dict(self.url)["dbname"]
        postgres.server().execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        try:
            yield
        finally:
            postgres.server().execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    @contextmanager
    def full(self, engine: JobEngine) -> Iterator[None]:
        """What the server answers when its disk is full, in the middle of a statement that adds jobs."""
        self.run(
            """
            CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF (SELECT count(*) FROM jobs_admin_job) > 10 THEN
                    RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
                END IF;
                RETURN NEW;
            END $$
            """
        )
        self.run(
            "CREATE TRIGGER disk_full BEFORE INSERT ON jobs_admin_job FOR EACH ROW EXECUTE FUNCTION disk_full()"
        )
        try:
            yield
        finally:
            self.run("DROP TRIGGER disk_full ON jobs_admin_job")
            self.run("DROP FUNCTION disk_full")


# What stands in columns of a project that the suite does not care for, by their type.
_EMPTY = {"bigint": "0", "integer": "0", "smallint": "0", "boolean": "false"}


class _Digits(Loader):
    def load(self, data: Any) -> str:
        return bytes(data).decode().replace("-", "")


STORES: dict[str, type[Store]] = {"sqlite": SqliteStore, "postgres": PostgresStore}
