"""Group commit: what many callers ask for at the same time becomes one transaction.

A commit costs more than a hundred statements. So a thread owns a writing connection; while it commits, callers queue,
and the next transaction takes all of them, verb by verb. Each caller is answered after its own commit.
"""

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aerodash.errors import EngineDown
from jobs_admin.engine.contract import Figures
from jobs_admin.engine.transactions import Transaction

logger = logging.getLogger(__name__)

GROUP_JOBS = 5_000
"""Jobs in one transaction, about: it holds locks that others wait for."""

WAITING_MAX = 10_000
WAITING_BYTES = 256 * 1024 * 1024


class Session(Protocol):
    """One connection of a dialect, used by one thread."""

    def begin(self, *, durable: bool) -> Transaction:
        """Open a transaction. durable: its commit waits for the disk; else the next durable one's does."""

    def commit(self) -> None: ...

    def roll_back(self) -> None:
        """Undo; must not raise. Lets go of a connection that is broken."""

    def is_usable(self) -> bool:
        """False once the connection is gone: then another session is opened."""

    def reading(self) -> Transaction:
        """For statements that only read, without a transaction."""

    def close(self) -> None: ...


class Dialect(Protocol):
    """A database, as the writing threads need it."""

    def connect(self) -> Session:
        """Open a session; called in the thread that will use it."""

    def explain(self, exc: Exception) -> EngineDown | None:
        """What callers are told, if the exception is the database's own."""

    def is_outage(self, exc: Exception) -> bool:
        """Whether it is about the database or the disk, and not about one caller's values."""

    def repeats(self, exc: Exception) -> bool:
        """Whether the same transaction may well go through when it is run again: deadlock, serialization."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a verb does: run(transaction, now_ms, calls) answers one result for each call of a group.

    durable: its callers are answered after the disk has it. order: within a group lower ones run first.
    """

    run: Callable[[Transaction, int, Sequence[Any]], Sequence[Any]]
    durable: bool = True
    order: int = 1
    reads: bool = False


@dataclass(slots=True, eq=False)
class _Unit:
    """One caller's part of a group."""

    step: Step
    call: Any
    future: asyncio.Future[Any]
    jobs: int
    size_bytes: int
    result: Any = None
    error: Exception | None = None


type Effects = Callable[[set[int], set[str]], None]


class GroupCommit:
    """A writing thread, its queue and its session."""

    def __init__(
        self,
        dialect: Dialect,
        steps: Mapping[str, Step],
        clock: Callable[[], int],
        *,
        on_commit: Effects,
        on_figures: Callable[[Figures], None] = lambda _: None,
        name: str = "jobs-writer",
        waiting_max: int = WAITING_MAX,
        waiting_bytes: int = WAITING_BYTES,
    ) -> None:
        """on_commit: told on the loop which projects have jobs to lease and which batches lost an unfinished member.

        on_figures: told afterwards what the transaction did, if there is something to count.
        """
        self._dialect = dialect
        self._steps = steps
        self._clock = clock
        self._on_commit = on_commit
        self._on_figures = on_figures
        self._name = name
        self._waiting_max = waiting_max
        self._waiting_bytes = waiting_bytes
        self._held_bytes = 0
        self._queue: queue.SimpleQueue[_Unit | None] = queue.SimpleQueue()
        self._session: Session | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Commit what was accepted, then end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(thread.join)

    def call(self, verb: str, call: Any, *, jobs: int = 1, size_bytes: int = 0) -> asyncio.Future[Any]:
        """Have a step take this call in the next transaction; done after its commit.

        A step runs in the writer's thread, and may run again in a transaction of its own if another call of the same
        group failed, so it must take everything that it changes from the transaction.
        jobs, size_bytes: how much it is, about; of them a group and the queue take so much and no more.
        Raises EngineDown if too much waits already.
        """
        if self._thread is None or self._loop is None:
            raise EngineDown("The job engine is shutting down.", reason="closing")
        # One big request is let through while nothing waits, however big it is.
        too_big = self._held_bytes > 0 and self._held_bytes + size_bytes > self._waiting_bytes
        if too_big or self._queue.qsize() >= self._waiting_max:
            raise EngineDown("Too many changes wait for the database.", reason="overloaded")
        self._held_bytes += size_bytes
        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue.put(_Unit(self._steps[verb], call, future, jobs, size_bytes))
        return future

    def _serve(self) -> None:
        ending = False
        while not ending:
            group, ending = self._next_group()
            for unit in group:
                if unit.step.reads:
                    self._run_read(unit)
            if writes := [unit for unit in group if not unit.step.reads]:
                self._run_group(writes)
        if self._session is not None:
            self._session.close()
            self._session = None

    def _next_group(self) -> tuple[list[_Unit], bool]:
        """All that waits, up to a bound, at least one; and whether the thread is to end after it."""
        group: list[_Unit] = []
        jobs = 0
        unit = self._queue.get()
        while unit is not None:
            group.append(unit)
            jobs += unit.jobs
            if jobs >= GROUP_JOBS:
                return group, False
            try:
                unit = self._queue.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _run_read(self, unit: _Unit, *, again: bool = True) -> None:
        try:
            [unit.result] = unit.step.run(self._opened().reading(), self._clock(), [unit.call])
        except Exception as exc:  # noqa: BLE001 - whatever it is belongs to the caller that waits
            self._roll_back()
            if again and self._dialect.repeats(exc):
                self._run_read(unit, again=False)
                return
            unit.error = self._explained(exc)
        self._answer([unit])

    def _run_group(self, group: list[_Unit], *, again: bool = True) -> None:
        """One transaction for all; if one of them fails for a reason of its own, one for each."""
        transaction: Transaction | None = None
        try:
            session = self._opened()
            transaction = session.begin(durable=any(unit.step.durable for unit in group))
            now = transaction.figures.at_ms = self._clock()
            for units in _by_step(group):
                results = units[0].step.run(transaction, now, [unit.call for unit in units])
                for unit, result in zip(units, results, strict=True):
                    unit.result = result
            transaction.flush()
            session.commit()
            transaction.committed()
        except Exception as exc:  # noqa: BLE001 - whatever it is belongs to the callers that wait
            self._roll_back()
            if again and self._dialect.repeats(exc):
                self._run_group(group, again=False)
                return
            if len(group) > 1 and not self._dialect.is_outage(exc):
                for unit in group:
                    self._run_group([unit])
                return
            error = self._explained(exc)
            for unit in group:
                unit.error = error
            transaction = None
        self._answer(group, transaction)

    def _opened(self) -> Session:
        if self._session is None:
            self._session = self._dialect.connect()
        return self._session

    def _roll_back(self) -> None:
        if self._session is not None:
            self._session.roll_back()
            if not self._session.is_usable():
                self._session = None

    def _explained(self, exc: Exception) -> Exception:
        """The exception that the caller gets: EngineDown for the database's own, others as they are."""
        if (explained := self._dialect.explain(exc)) is None:
            return exc
        logger.error("%s (%s)", explained.message, exc)
        explained.__cause__ = exc
        return explained

    def _answer(self, group: list[_Unit], transaction: Transaction | None = None) -> None:
        assert self._loop is not None
        # A loop that has ended has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._resolve, group, transaction)

    def _resolve(self, group: list[_Unit], transaction: Transaction | None) -> None:
        for unit in group:
            self._held_bytes -= unit.size_bytes
            if unit.future.cancelled():
                continue
            if unit.error is not None:
                unit.future.set_exception(unit.error)
            else:
                unit.future.set_result(unit.result)
        if transaction is None:
            return
        if transaction.due or transaction.ended:
            self._on_commit(transaction.due, transaction.ended)
        figures = transaction.figures
        if figures.enqueued or figures.started or figures.ended:
            self._on_figures(figures)


def _by_step(group: list[_Unit]) -> Iterator[list[_Unit]]:
    """The units of each step together, what frees or adds jobs before what takes them."""
    steps: dict[int, list[_Unit]] = {}
    for unit in group:
        steps.setdefault(id(unit.step), []).append(unit)
    yield from sorted(steps.values(), key=lambda units: units[0].step.order)
