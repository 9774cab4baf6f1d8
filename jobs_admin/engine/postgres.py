"""PostgreSQL: several processes and threads write at once, and each statement takes all rows of a group.

Transactions are READ COMMITTED: what makes a change safe is each statement's own guard, checked again on the row that
it locks. See docs/decisions/0010.
"""

import json
import select
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import TextLoader

from aerodash.errors import EngineDown, OutcomeUnknown
from jobs_admin.engine import rules, statements
from jobs_admin.engine.arrays import array
from jobs_admin.engine.contract import Clock
from jobs_admin.engine.engine import SqlEngine, now_ms
from jobs_admin.engine.grouping import WAITING_MAX
from jobs_admin.engine.marks import EVERYWHERE
from jobs_admin.engine.statements import Statement
from jobs_admin.engine.transactions import Memory, Row, Transaction, Values

LOCK_TIMEOUT_MS = 5_000
STATEMENT_TIMEOUT_MS = 60_000
CLOCK_EVERY_S = 30.0
"""How often the database is asked for the time."""

REPLAN_EVERY_S = 5.0
"""How long plans are used: a table that was empty when they were made may be large now, long before it is analysed."""

BEGIN = "BEGIN"
NOT_DURABLE = "SET LOCAL synchronous_commit = off"

ADDING = [[BEGIN, "enqueue", "count"], [BEGIN, "enqueue", "tag", "count"]]
"""Transactions that only add rows, none of which another statement of theirs looks at."""

# One plan for each statement, whatever its values: planning costs more than running, and the arrays hide their sizes.
# And one that goes row by row over indexes, whatever the statistics say: those of a queue are always old. Taken when it
# was empty they would have every statement read the whole table, or all that waits, once it is not.
_SESSION = """
SET plan_cache_mode = force_generic_plan;
SET jit = off;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET timezone = 'UTC';
SET default_transaction_isolation = 'read committed';
SET idle_in_transaction_session_timeout = '60s';
SET application_name = 'aerodash-jobs';
"""

_AWAY = ("The database cannot be reached.", "database_unavailable")
_LOCKED = ("The database is locked by another process.", "database_locked")
_FULL = ("The disk is full: writes are refused, reads go on.", "disk_full")
_MEMORY = ("The database ran out of memory.", "out_of_memory")
_READ_ONLY = ("The database cannot be written to.", "database_read_only")
_DAMAGED = ("The database is damaged.", "database_damaged")

# SQLSTATEs, or classes of them, that are about the server or the disk, not about one caller's statement.
_REASONS = {
    "08": _AWAY,
    "25006": _READ_ONLY,
    "25P03": _AWAY,  # it was cut off for resting too long within a transaction: this process was stopped
    "3D000": _AWAY,  # no such database
    "53100": _FULL,
    "53200": _MEMORY,
    "53300": ("The database has no connection left.", "database_unavailable"),
    "53": _AWAY,
    "55P03": _LOCKED,
    "57014": ("The database took too long.", "database_locked"),
    "57P": _AWAY,  # it is being shut down, or starts, or a process of it crashed
    "58": ("The disk does not take the write.", "disk_error"),
    "XX001": _DAMAGED,
    "XX002": _DAMAGED,
}
_AGAIN = {"40001", "40P01", "23505"}
"""Serialization, deadlock, and a unique key that another transaction took at the same moment."""


class PostgresEngine(SqlEngine):
    """See JobEngine. Any number of processes on any number of machines may use the same database."""

    skips_locked_rows: ClassVar[bool] = True

    # What waits for the disk does not hold up what does not, and the keeper's long looks hold up nobody, itself included.
    LANES: Mapping[str, Sequence[str]] = {
        "enqueue": ("enqueue",),
        "lease": ("lease",),
        "settle": ("settle", "heartbeat", "report"),
        "keeper": ("is_anything_expired", "sweep", "prune", "forget", "fold", "correct"),
        "looks": ("drift",),
        "rest": (),
    }

    def __init__(
        self,
        conninfo: str,
        *,
        valkey_url: str,
        clock: Clock | None = None,
        busy_timeout_ms: int = LOCK_TIMEOUT_MS,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        """conninfo: of a migrated database. clock: None takes the database's, so that all machines have the same.

        busy_timeout_ms: how long a lock is waited for. waiting_max: callers that may wait before others are refused.
        """
        clock = clock or DatabaseClock()
        super().__init__(
            PostgresDialect(conninfo, busy_timeout_ms, clock),
            valkey_url=valkey_url,
            clock=clock,
            waiting_max=waiting_max,
        )


class DatabaseClock:
    """The database's time: this machine's, corrected by what was measured last."""

    def __init__(self) -> None:
        self._offset_ms = 0
        self._measure_at = 0.0

    def __call__(self) -> int:
        return now_ms() + self._offset_ms

    def keep(self, connection: psycopg.Connection[Any]) -> None:
        """Ask the database, if it was not asked lately. The answer is right to half of the time that it takes."""
        if time.monotonic() < self._measure_at:
            return
        before = now_ms()
        row = connection.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint").fetchone()
        self._offset_ms = row[0] - (before + now_ms()) // 2 if row else 0
        self._measure_at = time.monotonic() + CLOCK_EVERY_S


class _CannotConnect(Exception):
    """There is no connection, so nothing was sent."""


class _CommitLost(Exception):
    """The connection was lost while the commit was under way."""


class PostgresDialect:
    """A database on a server."""

    def __init__(self, conninfo: str, lock_timeout_ms: int = LOCK_TIMEOUT_MS, clock: Clock = now_ms) -> None:
        self._conninfo = conninfo
        self._lock_timeout_ms = lock_timeout_ms
        self._clock = clock
        self._memory = Memory()

    def connect(self) -> "PostgresSession":
        try:
            connection = psycopg.connect(
                self._conninfo, autocommit=True, prepare_threshold=0, cursor_factory=psycopg.RawCursor
            )
            connection.prepared_max = 1_000
            # The same type whatever the number, so that a statement is prepared once.
            connection.adapters.register_dumper(int, Int8Dumper)
            connection.adapters.register_loader("uuid", TextLoader)
            connection.execute(
                f"{_SESSION} SET lock_timeout = {self._lock_timeout_ms};"
                f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}".encode(),
                prepare=False,
            )
        except psycopg.OperationalError as exc:
            raise _CannotConnect(str(exc)) from exc
        # The server may be another now, a standby that never got the last commits.
        self._memory.lanes.clear()
        return PostgresSession(connection, self._memory, self._clock)

    def explain(self, exc: Exception) -> EngineDown | None:
        if isinstance(exc, _CommitLost):
            return OutcomeUnknown(
                "The database was lost during the commit: it may have made the change, or not."
            )
        if isinstance(exc, _CannotConnect):
            exc = exc.__cause__ if isinstance(exc.__cause__, psycopg.Error) else exc
        elif not isinstance(exc, psycopg.Error):
            return None
        message, reason = _reason(exc) or ("The database refused the change.", "database_error")
        return EngineDown(message, reason=reason)

    def is_outage(self, exc: Exception) -> bool:
        return isinstance(exc, _CannotConnect | _CommitLost) or _reason(exc) is not None

    def repeats(self, exc: Exception) -> bool:
        """Also a connection that turned out to be dead before anything was committed over it."""
        return isinstance(exc, psycopg.Error) and (exc.sqlstate in _AGAIN or _reason(exc) is _AWAY)


class PostgresSession:
    """One connection, used by one thread."""

    def __init__(self, connection: psycopg.Connection[Any], memory: Memory, clock: Clock) -> None:
        self._connection = connection
        self._memory = memory
        self._clock = clock
        self._planned_at = time.monotonic()
        self._news = select.poll()
        self._news.register(connection.fileno(), select.POLLIN)
        self._open: PostgresTransaction | None = None

    def begin(self, *, durable: bool) -> Transaction:
        self._look_after()
        self._open = PostgresTransaction(self._connection, self._memory)
        self._open.begin(self._clock(), durable=durable)
        return self._open

    def commit(self) -> None:
        assert self._open is not None
        try:
            self._open.commit()
        except psycopg.Error as exc:
            if self._connection.closed:
                raise _CommitLost(str(exc)) from exc
            raise

    def roll_back(self) -> None:
        try:
            if not self._connection.closed and (
                self._connection.info.transaction_status != TransactionStatus.IDLE
            ):
                self._connection.execute("ROLLBACK")
        except psycopg.Error:  # the connection is gone: the transaction went with it
            self._connection.close()

    def is_usable(self) -> bool:
        return not self._connection.closed

    def reading(self) -> Transaction:
        self._look_after()
        return PostgresTransaction(self._connection, self._memory)

    def close(self) -> None:
        self._connection.close()

    def _look_after(self) -> None:
        """A server that went away says so while nobody listens; better heard before than in the middle of a commit."""
        if self._news.poll(0):
            self._connection.execute("SELECT 1")  # raises if it was a farewell
        if time.monotonic() - self._planned_at > REPLAN_EVERY_S:
            self._connection.execute("DISCARD PLANS")
            self._planned_at = time.monotonic()
        if isinstance(self._clock, DatabaseClock):
            self._clock.keep(self._connection)


class PostgresTransaction(Transaction):
    """Statements that answer nothing are sent along with the next one that does, or with the commit."""

    def __init__(self, connection: psycopg.Connection[Any], memory: Memory) -> None:
        super().__init__(memory)
        self._connection = connection
        self._statements = statements.load_sets()
        self._waiting: list[tuple[str, Sequence[Any]]] = []
        self._firsts: dict[tuple[str, int], int] = {}
        self._sizes: dict[str, int] = {}

    def begin(self, now: int, *, durable: bool) -> None:
        self.on_commit(lambda: self._lower_marks(now))
        self._waiting.append((BEGIN, ()))
        if not durable:
            self._waiting.append((NOT_DURABLE, ()))

    def commit(self) -> None:
        if [name for name, _ in self._waiting] in ADDING:
            self._commit_at_once()
            return
        cursor = self._connection.cursor()
        with self._connection.pipeline():
            self._send_waiting()
            cursor.execute("COMMIT")
        if (
            cursor.statusmessage != "COMMIT"
        ):  # a transaction that has failed answers ROLLBACK, without an error
            raise psycopg.InternalError(f"the commit was answered with {cursor.statusmessage}")

    def rows(self, statement: str, **values: Any) -> list[Row]:
        if statement == "lanes":
            return self._lanes(values)
        if statement == "expired":
            return self._expired(values)
        return self._rows(statement, values)

    def gather(self, statement: str, rows: Sequence[Values]) -> list[list[Row]]:
        answers: list[list[Row]] = [[] for _ in rows]
        for number, row in self._numbered(statement, rows):
            answers[number].append(row)
        return answers

    def each(self, statement: str, rows: Sequence[Values]) -> list[Row | None]:
        answers: list[Row | None] = [None] * len(rows)
        if statement == "payload_bytes" and all(row["ref"] in self._sizes for row in rows):
            return [(self._sizes[row["ref"]],) for row in rows]
        if rows:
            for number, row in self._numbered(statement, rows):
                if answers[number] is None:
                    answers[number] = row
        return answers

    def many(self, statement: str, rows: Sequence[Values]) -> None:
        if not rows:
            return
        known = self._statements[statement]
        if known.given:
            self._waiting.append((statement, _parameters(known, rows)))
        else:
            self._waiting += [(statement, _parameters(known, [values])) for values in rows]

    def flush(self) -> None:
        """A row for each counter that changed: transactions do not wait for each other, and the keeper folds them."""
        for statement, changes in zip(("count", "count_batch"), self.changes(), strict=True):
            self.many(statement, changes)

    def _numbered(self, statement: str, rows: Sequence[Values]) -> list[tuple[int, Row]]:
        """The rows that one statement for all of these answers, each with the number of the one that it is about."""
        known = self._statements[statement]
        if not known.given:
            return [
                (number, row) for number, values in enumerate(rows) for row in self._rows(statement, values)
            ]
        if statement in ("lane_due", "lane_due_keys"):
            return self._heads(known, rows)
        # Who locks rows of jobs locks them in the order of their ids, so that nobody waits in a circle.
        order = range(len(rows))
        if (id := known.given[0][0]) in ("id", "ref"):
            order = sorted(order, key=lambda number: rows[number][id])  # type: ignore[assignment]
            rows = [rows[number] for number in order]
        found = self._fetch(known.sql, _parameters(known, rows))
        return [(order[row[0] - 1], row[1:]) for row in found]

    def _rows(self, statement: str, values: Values) -> list[Row]:
        known = self._statements[statement]
        return self._fetch(known.sql, _parameters(known, [values]))

    def _fetch(self, sql: str, parameters: Sequence[Any]) -> list[Row]:
        if not self._waiting:
            return self._connection.execute(sql, parameters).fetchall()  # type: ignore[arg-type]
        with self._connection.pipeline():
            self._send_waiting()
            return self._connection.execute(sql, parameters).fetchall()  # type: ignore[arg-type]

    def _send_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for statement, parameters in waiting:
            known = self._statements.get(statement)
            self._connection.execute(known.sql if known else statement, parameters)  # type: ignore[arg-type]

    def _commit_at_once(self) -> None:
        """All that waits, if it only adds rows, as one statement: to send four costs more than to run them."""
        waiting, self._waiting = self._waiting[1:], []
        sql = statements.load_joined(tuple(name for name, _ in waiting))
        self._connection.execute(sql, [value for _, values in waiting for value in values])  # type: ignore[arg-type]

    def _lower_marks(self, since: int) -> None:
        """What this transaction made pending is due when it began, at the earliest."""
        for project in self.due:
            self.memory.due.lower(project, since)

    def _lanes(self, values: Values) -> list[Row]:
        """The lanes' first due jobs, each looked for from its mark on."""
        look = self.memory.due.look(values["project"], values["types"], values["now"])
        marks = {f"{type} {priority}": since for (type, priority), since in look.places()}
        found = self._rows("lanes", values | {"marks": json.dumps(marks)})
        firsts = [((row[0], row[1]), row[2]) for row in found]
        self._firsts |= {place: first for place, first in firsts if first is not None}
        look.done(firsts)
        return found

    def _heads(self, known: Statement, lanes: Sequence[Values]) -> list[tuple[int, Row]]:
        """Due jobs of lanes, from what was first in each. How long their payloads are is read with them."""
        since = self._firsts
        rows = [
            {**lane, "since": since.get((lane["type"], lane["priority"]), 0), "age_step": rules.AGE_STEP_MS}
            for lane in lanes
        ]
        found = self._fetch(known.sql, _parameters(known, rows))
        self._sizes |= {row[1]: row[2] for row in found}
        return [(row[0] - 1, (row[1], *row[3:])) for row in found]

    def _expired(self, values: Values) -> list[Row]:
        look = self.memory.expiring.look(None, values["limit"] == 1, values["now"])
        found = self._rows("expired", {**values, "since": look.since(EVERYWHERE)})
        look.done([(EVERYWHERE, found[0][-1] if found else None)])
        return [row[:-1] for row in found]


def _parameters(statement: Statement, rows: Sequence[Values]) -> list[Any]:
    arrays = [array(type, [row[name] for row in rows]) for name, type in statement.given]
    shared = [rows[0][name] for name in statement.names]
    return arrays + [list(value) if isinstance(value, tuple) else value for value in shared]


def _reason(exc: Exception) -> tuple[str, str] | None:
    """What is wrong with the server or its disk, if that is what the exception says."""
    if not isinstance(exc, psycopg.Error):
        return None
    state = exc.sqlstate
    if state is None:
        return _AWAY if isinstance(exc, psycopg.OperationalError) else None
    return _REASONS.get(state) or _REASONS.get(state[:3]) or _REASONS.get(state[:2])
