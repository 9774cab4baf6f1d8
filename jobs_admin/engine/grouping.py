"""Group commit for SQLite: what many callers ask for at the same time becomes one transaction.

A file has one writer, and an fsync costs more than a hundred statements. So one thread owns the writing connection;
while it commits, callers queue, and the next transaction takes all of them. Each is answered after its own commit.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from aerodash.errors import EngineDown

logger = logging.getLogger(__name__)

GROUP_JOBS = 5_000
"""Jobs in one transaction, about: it holds the file's only write lock."""

WAITING_MAX = 10_000
WAITING_BYTES = 256 * 1024 * 1024

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


class Transaction:
    """One open transaction, as the verbs see it: statements by name, counters, and the projects to wake."""

    __slots__ = ("_connection", "_counters", "_sql", "due")

    def __init__(self, connection: sqlite3.Connection, sql: dict[str, str]) -> None:
        self._connection = connection
        self._sql = sql
        self._counters: dict[tuple[int, str, str], int] = {}
        self.due: set[int] = set()

    def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(self._sql[statement], values).fetchall()

    def row(self, statement: str, **values: Any) -> tuple[Any, ...] | None:
        found = self._connection.execute(self._sql[statement], values).fetchall()
        return found[0] if found else None

    def change(self, statement: str, **values: Any) -> bool:
        """Run a guarded statement; False if its guard let nothing through."""
        return self._connection.execute(self._sql[statement], values).rowcount > 0

    def many(self, statement: str, values: Iterable[dict[str, Any]]) -> None:
        self._connection.executemany(self._sql[statement], values)

    def move(self, project: int, type: str, before: str | None, after: str | None, jobs: int = 1) -> None:
        """Take jobs from one status's counter to another's; None is outside (not there yet, or deleted)."""
        for status, change in ((before, -jobs), (after, jobs)):
            if status is not None:
                key = (project, type, status)
                self._counters[key] = self._counters.get(key, 0) + change

    def flush_counters(self) -> None:
        """Write the counters' changes, one statement each however many jobs moved."""
        for (project, type, status), change in self._counters.items():
            if change:
                values = {"project": project, "type": type, "status": status, "change": change}
                self._connection.execute(self._sql["count"], values)
        self._counters.clear()


@dataclass(slots=True, eq=False)
class _Unit:
    """One caller's part. A write runs inside the group's transaction, a read by itself before it."""

    work: Callable[[Transaction], Any]
    future: asyncio.Future[Any]
    writes: bool
    jobs: int
    size_bytes: int
    result: Any = None
    error: Exception | None = None


class GroupCommit:
    """The writer thread, its queue and its connection."""

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        sql: dict[str, str],
        *,
        on_due: Callable[[set[int]], None],
        waiting_max: int = WAITING_MAX,
        waiting_bytes: int = WAITING_BYTES,
    ) -> None:
        """connect: opens the writing connection; called in the thread, again after a failure of the file.
        on_due: told on the loop, after a commit, which projects have new pending jobs."""
        self._connect = connect
        self._sql = sql
        self._on_due = on_due
        self._waiting_max = waiting_max
        self._waiting_bytes = waiting_bytes
        self._held_bytes = 0
        self._queue: queue.SimpleQueue[_Unit | None] = queue.SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._serve, name="jobs-writer", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Commit what was accepted, then end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(thread.join)

    def write[T](
        self, work: Callable[[Transaction], T], *, jobs: int = 1, size_bytes: int = 0
    ) -> asyncio.Future[T]:
        """Run work inside the next transaction; done after its commit. Raises EngineDown if too much waits already.

        work runs in the writer's thread and may run again in a transaction of its own if another one's work in the
        same group failed, so it must take everything that it changes from the transaction.
        jobs, size_bytes: how much it is, about; of them a group and the queue take so much and no more.
        """
        return self._submit(work, writes=True, jobs=jobs, size_bytes=size_bytes)

    def read[T](self, work: Callable[[Transaction], T]) -> asyncio.Future[T]:
        """Run work in the writer's thread without taking the write lock."""
        return self._submit(work, writes=False, jobs=0, size_bytes=0)

    def _submit[T](
        self, work: Callable[[Transaction], T], *, writes: bool, jobs: int, size_bytes: int
    ) -> asyncio.Future[T]:
        if self._thread is None or self._loop is None:
            raise EngineDown("The job engine is shutting down.", reason="closing")
        # One big request is let through while nothing waits, however big it is.
        too_big = self._held_bytes > 0 and self._held_bytes + size_bytes > self._waiting_bytes
        if too_big or self._queue.qsize() >= self._waiting_max:
            raise EngineDown("Too many changes wait for the database.", reason="overloaded")
        self._held_bytes += size_bytes
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Unit(work, future, writes, jobs, size_bytes))
        return future

    def _serve(self) -> None:
        ending = False
        while not ending:
            unit = self._queue.get()
            group: list[_Unit] = []
            jobs = 0
            while True:
                if unit is None:
                    ending = True
                    break
                group.append(unit)
                jobs += unit.jobs
                if jobs >= GROUP_JOBS:
                    break
                try:
                    unit = self._queue.get_nowait()
                except queue.Empty:
                    break
            for unit in group:
                if not unit.writes:
                    self._run_read(unit)
            self._run_group([unit for unit in group if unit.writes])
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _run_read(self, unit: _Unit) -> None:
        try:
            unit.result = unit.work(Transaction(self._opened(), self._sql))
        except Exception as exc:  # noqa: BLE001 - whatever it is belongs to the caller that waits
            unit.error = self._explained(exc)
        self._answer([unit], set())

    def _run_group(self, group: list[_Unit]) -> None:
        """One transaction for all; if one of them fails for a reason of its own, one for each."""
        if not group:
            return
        due: set[int] = set()
        try:
            connection = self._opened()
            connection.execute("BEGIN IMMEDIATE")
            transaction = Transaction(connection, self._sql)
            for unit in group:
                unit.result = unit.work(transaction)
            transaction.flush_counters()
            connection.execute("COMMIT")
            due = transaction.due
        except Exception as exc:  # noqa: BLE001 - whatever it is belongs to the callers that wait
            self._roll_back()
            if len(group) > 1 and _reason(exc) is None:
                for unit in group:
                    self._run_group([unit])
                return
            error = self._explained(exc)
            for unit in group:
                unit.error = error
        self._answer(group, due)

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _roll_back(self) -> None:
        if self._connection is None:
            return
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:  # the file is gone: the transaction went with it
            self._connection.close()
            self._connection = None

    def _explained(self, exc: Exception) -> Exception:
        """The exception that the caller gets: EngineDown for the database's own, others as they are."""
        if not isinstance(exc, sqlite3.Error):
            return exc
        message, reason = _reason(exc) or ("The database refused the change.", "database_error")
        logger.error("%s (%s)", message, exc)
        down = EngineDown(message, reason=reason)
        down.__cause__ = exc
        return down

    def _answer(self, group: list[_Unit], due: set[int]) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._resolve, group, due)

    def _resolve(self, group: list[_Unit], due: set[int]) -> None:
        for unit in group:
            self._held_bytes -= unit.size_bytes
            if unit.future.cancelled():
                continue
            if unit.error is not None:
                unit.future.set_exception(unit.error)
            else:
                unit.future.set_result(unit.result)
        if due:
            self._on_due(due)


def _reason(exc: Exception) -> tuple[str, str] | None:
    """What is wrong with the file or the disk, if that is what the exception says."""
    code = getattr(exc, "sqlite_errorcode", None)
    return None if code is None else _REASONS.get(code & 0xFF)
