"""One open transaction, as the steps see it. A dialect says how statements run; counters and effects are the same.

Statements are named: sql/<dialect>/<statement>.sql. Both dialects have the same names and parameters.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs_admin.engine.contract import Figures
from jobs_admin.engine.marks import EXPIRY_FULL_EVERY_MS, EXPIRY_LOOKS, Marks

type Row = tuple[Any, ...]
type Values = dict[str, Any]


@dataclass(slots=True)
class Memory:
    """What an engine remembers between transactions. Only hints: with an empty one all is right, and slower."""

    lanes: dict[tuple[int, str, int], int] = field(default_factory=dict)
    """Lanes that are in the database for certain, and when that was made sure of."""

    full: dict[int, float] = field(default_factory=dict)
    """Projects that had as many types as they may, and when that was found."""

    limited: dict[tuple[int, str], tuple[bool, float]] = field(default_factory=dict)
    """Whether a type limits how many of its jobs run at once, and when that was read."""

    last_key: dict[tuple[int, str, int], str] = field(default_factory=dict)
    """Of a lane with limits per partition key, the key that the last look at the waiting ones ended with."""

    skipped: dict[tuple[int, str, int], int] = field(default_factory=dict)
    """Of such a lane, how many jobs come before those that the next look behind its head begins with."""

    noted: dict[tuple[int, str], int] = field(default_factory=dict)
    """When workers were noted last as heard."""

    pruned_to: tuple[tuple[int, str, str], str] | None = None
    """The project, type, status and id where pruning goes on; None: at the first."""

    emptied_to: tuple[int, str, str] = (0, "", "")
    """The rate bucket after which the next look for full ones begins."""

    left_over_to: tuple[str, tuple[Any, ...]] | None = None
    """The kind of what jobs leave behind, and the row of it, where the next look goes on; None: at the first."""

    due: Marks = field(default_factory=Marks)
    """Where looks for due jobs begin, by project and lane. PostgreSQL's only."""

    expiring: Marks = field(default_factory=lambda: Marks(EXPIRY_LOOKS, full_every_ms=EXPIRY_FULL_EVERY_MS))
    """Where looks for expired leases begin. PostgreSQL's only."""


class Transaction(ABC):
    """Statements by name, the counters' changes, and what is to happen after the commit."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.due: set[int] = set()
        """Projects that have new pending jobs, or room for them."""
        self.ended: set[str] = set()
        """Batches of which a member has ended."""
        self.freed: set[tuple[int, str]] = set()
        """Types of which a run has ended."""
        self.figures = Figures()
        """What there is to count once this is committed."""
        self._counters: dict[tuple[int, str, str], int] = {}
        self._batches: dict[tuple[str, str], int] = {}
        self._on_commit: list[Callable[[], None]] = []

    @abstractmethod
    def rows(self, statement: str, **values: Any) -> list[Row]:
        """All rows of one statement."""

    @abstractmethod
    def gather(self, statement: str, rows: Sequence[Values]) -> list[list[Row]]:
        """The rows of a statement for each of these sets of values, in their order.

        No two of them may be about the same row that the statement changes: see rounds.
        """

    @abstractmethod
    def many(self, statement: str, rows: Sequence[Values]) -> None:
        """A statement that answers nothing, for each of these sets of values."""

    @abstractmethod
    def flush(self) -> None:
        """Write the counters' changes."""

    def row(self, statement: str, **values: Any) -> Row | None:
        found = self.rows(statement, **values)
        return found[0] if found else None

    def each(self, statement: str, rows: Sequence[Values]) -> list[Row | None]:
        """A guarded statement for each: the row that it answers, or None if its guard let nothing through."""
        return [found[0] if found else None for found in self.gather(statement, rows)] if rows else []

    def move(self, project: int, type: str, before: str | None, after: str | None, jobs: int = 1) -> None:
        """Take jobs from one status's counter to another's; None is outside (not there yet, or deleted)."""
        for status, change in ((before, -jobs), (after, jobs)):
            if status is not None:
                key = (project, type, status)
                self._counters[key] = self._counters.get(key, 0) + change
        if before == "processing":
            self.freed.add((project, type))

    def moved(self, project: int, type: str, status: str) -> int:
        """By how much this transaction moves a counter; the database does not show that before the commit."""
        return self._counters.get((project, type, status), 0)

    def move_batch(self, batch: str | None, before: str | None, after: str | None, jobs: int = 1) -> None:
        """The same for the batch that a job belongs to, if it does."""
        if batch is None:
            return
        id = str(batch).replace("-", "")
        for status, change in ((before, -jobs), (after, jobs)):
            if status is not None:
                self._batches[id, status] = self._batches.get((id, status), 0) + change
        if after not in ("pending", "processing"):
            self.ended.add(id)

    def on_commit(self, then: Callable[[], None]) -> None:
        """Do something in this thread once the changes are certain."""
        self._on_commit.append(then)

    def committed(self) -> None:
        for then in self._on_commit:
            then()

    def changes(self) -> tuple[list[Values], list[Values]]:
        """The counters' changes as rows for `count` and `count_batch`, in an order that all transactions share."""
        counters = [
            {"project": project, "type": type, "status": status, "change": change}
            for (project, type, status), change in sorted(self._counters.items())
            if change
        ]
        batches = [
            {"batch": batch, "status": status, "change": change}
            for (batch, status), change in sorted(self._batches.items())
            if change
        ]
        self._counters.clear()
        self._batches.clear()
        return counters, batches


def rounds[T](items: Iterable[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    """The items in as few lists as keep those with the same key apart, and in their order.

    Who came first is answered first, also where one statement takes a whole list.
    """
    lists: list[list[T]] = []
    seen: dict[Hashable, int] = {}
    for item in items:
        number = seen[key(item)] = seen.get(key(item), -1) + 1
        if number == len(lists):
            lists.append([])
        lists[number].append(item)
    return lists
