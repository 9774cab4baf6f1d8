"""SQLite: one writing thread per process, WAL, an fsync before every answer that promises one."""

import json
import operator
import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar
from urllib.parse import quote

from aerodash.errors import EngineDown
from jobs_admin.engine import statements
from jobs_admin.engine.contract import Clock
from jobs_admin.engine.engine import SqlEngine, now_ms
from jobs_admin.engine.grouping import WAITING_MAX
from jobs_admin.engine.transactions import Memory, Row, Transaction, Values

BUSY_TIMEOUT_MS = 5_000
CHUNK_ROWS = 32
_INSERT = re.compile(r"(?P<head>INSERT INTO [^()]+\([^()]+\)\s+VALUES )(?P<row>\(.*\))", re.DOTALL)
_PARAMETER = re.compile(r":([a-z_]+)")

# Primary result codes that are about the file or the disk, not about one caller's statement.
_REASONS = {
    sqlite3.SQLITE_BUSY: ("The database is locked by another process.", "database_locked"),
    sqlite3.SQLITE_LOCKED: ("The database is locked by another process.", "database_locked"),
    sqlite3.SQLITE_FULL: ("The disk is full: writes are refused, reads go on.", "disk_full"),
    sqlite3.SQLITE_IOERR: ("The disk does not take the write.", "disk_error"),
    sqlite3.SQLITE_READONLY: ("The database cannot be written to.", "database_read_only"),
    sqlite3.SQLITE_CANTOPEN: ("The database file cannot be opened.", "database_unavailable"),
    sqlite3.SQLITE_NOTADB: ("The database file is damaged.", "database_damaged"),
    sqlite3.SQLITE_CORRUPT: ("The database file is damaged.", "database_damaged"),
    sqlite3.SQLITE_NOMEM: ("The database ran out of memory.", "out_of_memory"),
}


class SqliteEngine(SqlEngine):
    """See JobEngine. Several processes may open the same file; SQLite lets one of them write at a time."""

    skips_locked_rows: ClassVar[bool] = False

    def __init__(
        self,
        path: str,
        *,
        valkey_url: str,
        clock: Clock = now_ms,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        """path: the database file, already migrated. waiting_max: callers that may wait before others are refused."""
        super().__init__(
            SqliteDialect(path, busy_timeout_ms),
            valkey_url=valkey_url,
            clock=clock,
            waiting_max=waiting_max,
        )


class SqliteDialect:
    """A database file."""

    def __init__(self, path: str, busy_timeout_ms: int) -> None:
        self._path = path
        self._busy_timeout_ms = busy_timeout_ms
        self._memory = Memory()

    def connect(self) -> "SqliteSession":
        connection = sqlite3.connect(
            f"file:{quote(self._path)}?mode=rw",  # never makes an empty file where there is no database
            uri=True,
            isolation_level=None,
            timeout=self._busy_timeout_ms / 1000,
            check_same_thread=False,
            cached_statements=256,
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -65536")
        return SqliteSession(connection, self._memory)

    def explain(self, exc: Exception) -> EngineDown | None:
        if not isinstance(exc, sqlite3.Error):
            return None
        message, reason = _reason(exc) or ("The database refused the change.", "database_error")
        return EngineDown(message, reason=reason)

    def is_outage(self, exc: Exception) -> bool:
        return _reason(exc) is not None

    def repeats(self, exc: Exception) -> bool:
        return False  # one writer at a time: what waits is answered by the busy timeout


class SqliteSession:
    """The writing connection."""

    def __init__(self, connection: sqlite3.Connection, memory: Memory) -> None:
        self._connection = connection
        self._memory = memory
        self._durable = True

    def begin(self, *, durable: bool) -> Transaction:
        if durable != self._durable:
            # In WAL mode NORMAL leaves the fsync to the next FULL commit or checkpoint; nothing can be torn.
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        self._connection.execute("BEGIN IMMEDIATE")
        return SqliteTransaction(self._connection, self._memory)

    def commit(self) -> None:
        self._connection.execute("COMMIT")

    def roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:  # the file is gone: the transaction went with it
            self._connection.close()

    def is_usable(self) -> bool:
        try:
            return self._connection.total_changes >= 0
        except sqlite3.ProgrammingError:  # closed
            return False

    def reading(self) -> Transaction:
        return SqliteTransaction(self._connection, self._memory)

    def close(self) -> None:
        self._connection.close()


class SqliteTransaction(Transaction):
    """Most statements run one by one: there is no way to the database that would be worth saving.

    The hottest take all rows at once, as JSON: one by one, half of the time went into calls and into waiting for the
    interpreter's lock.
    """

    def __init__(self, connection: sqlite3.Connection, memory: Memory) -> None:
        super().__init__(memory)
        self._connection = connection
        self._sql = statements.load("sqlite")
        self._given = statements.load_given("sqlite")

    def rows(self, statement: str, **values: Any) -> list[Row]:
        for name, value in values.items():
            if isinstance(value, tuple):  # SQLite has no arrays; it reads JSON ones
                values[name] = json.dumps(value)
        return self._connection.execute(self._sql[statement], values).fetchall()

    def gather(self, statement: str, rows: Sequence[Values]) -> list[list[Row]]:
        sql, execute = self._sql[statement], self._connection.execute
        if (columns := self._given.get(statement)) is None:
            return [execute(sql, values).fetchall() for values in rows]
        if not rows:
            return []
        given = json.dumps([[values[name] for name in columns] for values in rows])
        found = {row[0]: row[1:] for row in execute(sql, {**rows[0], "given": given}).fetchall()}
        keys = [values[columns[0]] for values in rows]
        return [[found[key]] if key in found else [] for key in keys]

    def many(self, statement: str, rows: Sequence[Values]) -> None:
        """Inserts in chunks of one statement each: the interpreter's lock is let go, and waited for, less often."""
        chunk = _chunk(self._sql[statement])
        whole = len(rows) - len(rows) % CHUNK_ROWS if chunk is not None else 0
        if chunk is not None:
            for begin in range(0, whole, CHUNK_ROWS):
                some = rows[begin : begin + CHUNK_ROWS]
                self._connection.execute(chunk.sql, [value for row in some for value in chunk.values(row)])
        if rest := rows[whole:]:
            self._connection.executemany(self._sql[statement], rest)

    def flush(self) -> None:
        """One row a counter: written where it is, else added. Nobody else writes meanwhile."""
        for statement, changes in zip(("count", "count_batch"), self.changes(), strict=True):
            for change in changes:
                if not self._connection.execute(self._sql[statement], change).rowcount:
                    self._connection.execute(self._sql[f"{statement}_new"], change)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """An INSERT of CHUNK_ROWS rows. values: what one row puts into it, in the order of its question marks."""

    sql: str
    values: Callable[[Values], tuple[Any, ...]]


@cache
def _chunk(sql: str) -> _Chunk | None:
    """The statement for many rows at once; None if it is no plain INSERT of several values."""
    found = _INSERT.fullmatch(sql)
    if found is None or len(names := _PARAMETER.findall(found["row"])) < 2:
        return None
    row = _PARAMETER.sub("?", found["row"])
    return _Chunk(f"{found['head']}{', '.join([row] * CHUNK_ROWS)}", operator.itemgetter(*names))


def _reason(exc: Exception) -> tuple[str, str] | None:
    """What is wrong with the file or the disk, if that is what the exception says."""
    code = getattr(exc, "sqlite_errorcode", None)
    return None if code is None else _REASONS.get(code & 0xFF)
