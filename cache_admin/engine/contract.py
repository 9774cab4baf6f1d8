"""What any cache engine promises. Verbs take and give bytes and numbers; they know no requests, models or rights.

Values and metadata are JSON text, kept byte for byte. Keys are text, ordered by their UTF-8 bytes. Every write moves
the entry, the indexes and the project's revision together, or changes nothing.
All verbs raise EngineDown when the store is away, full or overloaded; a write that was under way then may have
happened. Bounds (aerodash.limits) are the caller's to check.
Source: wire contract, section 3; architecture, "Valkey layout".
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from aerodash.ids import ProjectId
from cache_admin.engine.vitals import SlowCommand, Vitals


@dataclass(frozen=True, slots=True)
class Entry:
    """One live entry. value, metadata: JSON text. expires_at_ms: since 1970; None means never.

    revision: the project's revision at its last write, opaque.
    """

    key: str
    value: bytes
    metadata: bytes | None
    expires_at_ms: int | None
    revision: str


@dataclass(frozen=True, slots=True)
class NewEntry:
    """One entry to write. ttl_s: None means never. metadata: None keeps what is stored, b"{}" clears it."""

    key: str
    value: bytes
    ttl_s: int | None = None
    metadata: bytes | None = None


@dataclass(frozen=True, slots=True)
class SetResult:
    """Whether a write happened.

    done: False when a condition refused it; then reason is "exists" (if_absent), "absent" (if_present, or if_revision
    on no entry) or "revision_mismatch", and nothing changed.
    revision: the new one; when refused, that of the entry as it stands, None if there is none.
    """

    done: bool
    reason: str | None
    revision: str | None


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """done and reason: as for SetResult. removed: whether there was an entry. revision: the project's, or, when
    refused, the entry's."""

    done: bool
    removed: bool
    reason: str | None
    revision: str | None


@dataclass(frozen=True, slots=True)
class Removed:
    """How many entries a bulk removal really removed, and the project's revision after it."""

    number: int
    revision: str


@dataclass(frozen=True, slots=True)
class FlushStep:
    """What one step of a flush did. removed: how many entries; looked_at: how many keys it passed.

    last: the key to go on after, None when the range is done. up_to: the n that this flush goes by.
    revision: the project's.
    """

    removed: int
    looked_at: int
    last: str | None
    up_to: int
    revision: str


class Change(StrEnum):
    """How a bulk change moves the moments at which entries expire."""

    SET = "set"
    EXTEND = "extend"
    CAP = "cap"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class NewExpiry:
    """When entries shall expire.

    SET: ttl_ms after from_ms. EXTEND: ttl_ms later than they would; those that never expire stay so. CAP: not later than
    ttl_ms after from_ms; those that would be gone by then stay as they are. NEVER: not at all.
    spread_ms: moments are spread evenly over so long, later than said, or with CAP earlier: below ttl_ms then.
    latest_ms: where SET and EXTEND end.
    """

    change: Change
    from_ms: int
    latest_ms: int
    ttl_ms: int = 0
    spread_ms: int = 0


@dataclass(frozen=True, slots=True)
class ExpireStep:
    """What one step of a bulk change of expiry did. changed: how many entries; the others: as for FlushStep."""

    changed: int
    looked_at: int
    last: str | None
    up_to: int
    revision: str


@dataclass(frozen=True, slots=True)
class ReadStep:
    """What one step of reading a range found. looked_at: how many keys it passed, of which some may have been gone.

    last: the key to go on after, None when the range is done.
    """

    entries: tuple[Entry, ...]
    looked_at: int
    last: str | None


@dataclass(frozen=True, slots=True)
class WriteStep:
    """What one step of an import did. refused: by the condition. expired: left out because their time was over."""

    written: int
    refused: int
    expired: int
    revision: str


@dataclass(frozen=True, slots=True)
class ExpireResult:
    """done: False when there is no such entry."""

    done: bool
    revision: str


@dataclass(frozen=True, slots=True)
class CounterResult:
    """value: the new value's digits, or None with the reason: "not_an_integer" or "counter_overflow"."""

    value: bytes | None
    reason: str | None
    revision: str | None


class Give(StrEnum):
    """What a listing tells of each entry."""

    KEYS = "keys"
    METADATA = "metadata"
    PREVIEW = "preview"


@dataclass(frozen=True, slots=True)
class EntryRow:
    """What a listing tells of one entry. size_bytes: of value and metadata; like preview it is filled for Give.PREVIEW only."""

    key: str
    metadata: bytes | None = None
    expires_at_ms: int | None = None
    revision: str = ""
    preview: bytes = b""
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the order asked for. more: whether live keys follow in that order."""

    rows: tuple[EntryRow, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Count:
    """exact is False when so much had expired that it could not all be taken out of the count in time."""

    number: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Stats:
    """What programs and people did to one project's cache. A killed process takes its last second with it.

    hits, misses: entries that were asked for (get, get_many, has) and were there or not. writes: entries set, counted
    up, given another expiry or deleted by key. bytes_written: of values and metadata. expired: entries found to have
    expired. a_second: reads and writes in each of the last 60 whole seconds, oldest first. recent_hits, recent_misses:
    in those.
    """

    hits: int
    misses: int
    writes: int
    bytes_written: int
    expired: int
    a_second: tuple[int, ...]
    recent_hits: int
    recent_misses: int


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of the tree: every key that begins with `prefix`, which ends with ":". count: how many."""

    prefix: str
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the tree, or a page of it, in byte order. total: all keys below. last: the last folder's prefix or
    key of this page when more follow, else None."""

    folders: tuple[Folder, ...]
    keys: tuple[str, ...]
    total: Count
    last: str | None


@dataclass(frozen=True, slots=True)
class Sample:
    """Keys from all over a range and how many bytes each one's value and metadata are. count: all keys of the range."""

    count: int
    keys: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """What is known of the replica that answers reads.

    follows: whether it is connected to the primary. lag_bytes: how much of the primary's stream of changes it has not
    got, as far as both say. silent_s: since it heard from the primary. served, behind, away: how many reads of this
    process it answered, and left to the primary because it was behind what the reader had seen, or did not answer.
    """

    answers: bool
    follows: bool
    lag_bytes: int | None
    silent_s: int | None
    served: int
    behind: int
    away: int


class CacheEngine(ABC):
    """The verbs. `project` comes first; see the module's words for what holds for all."""

    @abstractmethod
    async def open(self) -> None:
        """Start; must not fail when the store is away."""

    @abstractmethod
    async def check(self) -> None:
        """Return if the store answers; raise EngineDown if not."""

    @abstractmethod
    async def drain(self) -> None:
        """The process is about to end: answer now those who are made to wait, if any are. All else goes on."""

    @abstractmethod
    async def close(self) -> None:
        """Answer what is queued, then release everything."""

    @abstractmethod
    async def get(self, project: ProjectId, key: str, *, seen: str | None = None) -> Entry | None:
        """The entry, or None if it is absent or expired.

        seen: None for the newest. A revision: what is at least as new as it will do; "": whatever a replica has.
        """

    @abstractmethod
    async def get_many(
        self, project: ProjectId, keys: Sequence[str], *, seen: str | None = None
    ) -> list[Entry | None]:
        """The same for each key, in order, all as of one instant."""

    @abstractmethod
    async def has(self, project: ProjectId, key: str) -> bool:
        """Whether the entry exists; its value is not read."""

    @abstractmethod
    async def set(
        self,
        project: ProjectId,
        entry: NewEntry,
        *,
        keep_ttl: bool = False,
        if_revision: str | None = None,
        if_absent: bool = False,
        if_present: bool = False,
    ) -> SetResult:
        """Write one entry; its ttl replaces the stored one. keep_ttl leaves the stored one (a new entry has none) and does
        not look at entry.ttl_s. At most one condition may be given."""

    @abstractmethod
    async def set_many(self, project: ProjectId, entries: Sequence[NewEntry]) -> str:
        """Write all in one instant, and answer the revision they share. A key named twice keeps its last value."""

    @abstractmethod
    async def delete(self, project: ProjectId, key: str, *, if_revision: str | None = None) -> DeleteResult:
        """Remove one entry; that it was absent already is done too, unless if_revision is given."""

    @abstractmethod
    async def delete_many(self, project: ProjectId, keys: Sequence[str]) -> Removed:
        """Remove all: in one instant up to 1000 keys, above that in chunks of 250."""

    @abstractmethod
    async def expire(self, project: ProjectId, key: str, ttl_s: int | None) -> ExpireResult:
        """Change when one entry expires (None: never), and nothing else of it."""

    @abstractmethod
    async def increment(
        self, project: ProjectId, key: str, amount: int, *, initial_value: int = 0, ttl_s: int | None = None
    ) -> CounterResult:
        """Add to a counter within int64 and keep its ttl and metadata. An absent one is made as initial_value + amount,
        and only then takes ttl_s."""

    @abstractmethod
    async def flush(self, project: ProjectId, prefix: str = "") -> Removed:
        """Remove every entry under the prefix that was written before the call; later writes stay. Runs in bounded
        steps, and to its end even if the caller is cancelled."""

    @abstractmethod
    async def flush_step(
        self,
        project: ProjectId,
        prefix: str,
        *,
        up_to: int | None,
        after: str | None,
        limit: int,
        keys: Sequence[str] | None = None,
    ) -> FlushStep:
        """One bounded step of a flush: look at up to `limit` keys (at most 1000) in byte order and remove those that
        were last written at n `up_to` or before; n is the part of a revision behind its dot.

        up_to: None for the first step, which then answers the project's n at that moment (limit 0 only asks for it); one
        that lies ahead of n, because the store lost its data, removes nothing and answers 0. after: the step before's
        `last`, None at the start. What is written meanwhile stays. A step may be repeated: if its outcome is unknown,
        the same call again removes what is left, and counts only that. keys: look at these, at most 1000 and perhaps none, in place of the range.
        """

    @abstractmethod
    async def expire_step(
        self,
        project: ProjectId,
        prefix: str,
        expiry: NewExpiry,
        *,
        up_to: int | None,
        after: str | None,
        limit: int,
        keys: Sequence[str] | None = None,
    ) -> ExpireStep:
        """One bounded step of changing when the entries of a range expire; value and metadata stay.

        up_to, after, limit, keys: as for flush_step. An entry that is changed has a new revision, above up_to, so a step
        that is repeated changes it no second time.
        """

    @abstractmethod
    async def read_step(
        self,
        project: ProjectId,
        prefix: str,
        *,
        after: str | None,
        limit: int,
        size_bytes: int,
        keys: Sequence[str] | None = None,
    ) -> ReadStep:
        """Whole entries in byte order of their keys, as of one instant; they count as no one's reads.

        It looks at up to `limit` keys (at most 1000), and stops once the entries have size_bytes. keys: look at these in
        place of the range; go on with those behind the first `looked_at`.
        """

    @abstractmethod
    async def write_step(
        self,
        project: ProjectId,
        entries: Sequence[Entry],
        *,
        if_absent: bool = False,
        if_present: bool = False,
    ) -> WriteStep:
        """Write entries as they are, their moment of expiry and their metadata too (None clears it), in one instant.

        Their revisions are not looked at. A key named twice keeps its last value, with if_absent its first.
        """

    @abstractmethod
    async def count_present(self, project: ProjectId, keys: Sequence[str]) -> int:
        """How many of up to 1000 keys have an entry; one named twice counts twice. No one's reads."""

    @abstractmethod
    async def list(
        self,
        project: ProjectId,
        *,
        prefix: str = "",
        after: str | None = None,
        limit: int,
        give: Give,
        down: bool = False,
    ) -> Page:
        """Up to `limit` live entries under the prefix, upwards from the key after `after`, or downwards from the one
        before it. `after` lies under the prefix and need not exist."""

    @abstractmethod
    async def count(self, project: ProjectId, prefix: str = "") -> Count:
        """How many live entries there are under the prefix."""

    @abstractmethod
    async def tree(
        self, project: ProjectId, *, prefix: str = "", after: str | None = None, limit: int
    ) -> Level:
        """The folders and loose keys directly below the prefix, `limit` of both together, from behind `after`
        (a Level's `last`)."""

    @abstractmethod
    async def purge(self, project: ProjectId, *, budget_s: float) -> bool:
        """Take expired entries out of the indexes for at most about budget_s. False when some are left."""

    @abstractmethod
    async def stats(self, project: ProjectId) -> Stats:
        """The project's counters: this process's up to now, those of others up to a second ago."""

    @abstractmethod
    async def now_ms(self) -> int:
        """The clock that expiry goes by, in ms since 1970."""

    @abstractmethod
    async def peek(self, project: ProjectId, key: str, *, limit_bytes: int) -> EntryRow | None:
        """One live entry with the first bytes of its value, as of one instant: a large one need not be read. It counts as
        no one's read."""

    @abstractmethod
    async def memory_bytes(self, project: ProjectId, key: str) -> int | None:
        """What the store itself takes for an entry; None if it is gone. Raises EngineDown, with reason "no_permission"
        where the store's user may not ask."""

    @abstractmethod
    async def sample(
        self, project: ProjectId, prefixes: Sequence[str], *, each: int, keys: Sequence[str] = ()
    ) -> Sequence[Sample]:
        """`each` keys under each of the prefixes, one of each of so many equal stretches, all where there are no more; then
        the `keys` themselves, a Sample for each. Runs in steps of a few milliseconds; expired entries may be among them, with 0 bytes."""

    @abstractmethod
    async def vitals(self) -> Vitals:
        """How all servers are. Raises EngineDown if none answers."""

    @abstractmethod
    async def slow_commands(self, *, limit: int) -> Sequence[SlowCommand]:
        """The newest of what took the servers long, newest first. Raises EngineDown, with reason "no_permission" where
        their user may not ask."""

    async def replica_state(self) -> ReplicaState | None:
        """None where no replica answers reads. Raises EngineDown if the primary does not answer."""
        return None
