"""Which jobs may be leased now: due, most urgent first, of types that are not paused, within every limit.

A lane is a type and a priority. A lease looks at the first due job of each lane and merges them by urgency.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aerodash.ids import ProjectId
from jobs_admin.engine import rules
from jobs_admin.engine.transactions import Row, Transaction, Values

KEYS_PER_LOOK = 200
"""Partition keys that one lease looks at beyond the head of the lane."""

WINDOW = 200
"""Jobs at the head of a lane with limits per key that are looked at, at least."""

BEHIND = 2_000
"""Jobs behind such a head among which one lease looks for those without a key."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A row of lanes.sql: where jobs wait, and what their type says."""

    type: str
    priority: int
    first_due_at_ms: int | None
    lease_ms: int | None
    timeout_ms: int | None
    concurrency: int | None
    rate: rules.Rate | None
    partition_concurrency: int | None
    partition_rate: rules.Rate | None

    @property
    def is_limited(self) -> bool:
        return self.concurrency is not None or self.rate is not None or self.has_keys

    @property
    def has_keys(self) -> bool:
        return self.partition_concurrency is not None or self.partition_rate is not None


@dataclass(slots=True)
class Bucket:
    """The starts that a type ("" as key) or a partition key of it has left."""

    type: str
    key: str
    rate: rules.Rate
    tokens: float


@dataclass(slots=True)
class Room:
    """How many more of a type, or of a partition key of it, may start now."""

    free: float
    bucket: Bucket | None = None

    @property
    def is_empty(self) -> bool:
        return self.free < 1 or (self.bucket is not None and self.bucket.tokens < 1)

    @property
    def starts(self) -> float:
        """How many whole starts there are."""
        return self.free if self.bucket is None else min(self.free, self.bucket.tokens // 1)

    def take(self) -> None:
        self.free -= 1
        if self.bucket is not None:
            self.bucket.tokens -= 1


@dataclass(slots=True)
class Candidate:
    """A job that may be leased. ref: how the dialect finds its row again. buckets: what its start counts against."""

    ref: Any
    due_at_ms: int
    lane: Lane
    key: str = ""
    buckets: list[Bucket] = field(default_factory=list)

    @property
    def urgency(self) -> int:
        return rules.urgency(self.lane.priority, self.due_at_ms)


@dataclass(frozen=True, slots=True)
class Found:
    """jobs: most urgent first. next_due_at_ms: when there may be more, where that is known."""

    jobs: list[Candidate]
    next_due_at_ms: int | None


def find(tx: Transaction, now: int, project: ProjectId, types: tuple[str, ...] | None, limit: int) -> Found:
    """Up to `limit` jobs of these types (None: all)."""
    lanes = [_lane(row) for row in tx.rows("lanes", project=project, types=types, now=now)]
    due = [lane for lane in lanes if lane.first_due_at_ms is not None and lane.first_due_at_ms <= now]
    later = [lane.first_due_at_ms for lane in lanes if lane.first_due_at_ms is not None]
    next_due = min((at for at in later if at > now), default=None)
    if not due:
        return Found([], next_due)
    limited = sorted({lane.type for lane in due if lane.is_limited})
    if not limited:
        jobs = _heads(tx, now, project, due, limit)
        jobs.sort(key=lambda job: job.urgency)
        return Found(jobs[:limit], next_due)
    return _within_limits(tx, now, project, due, limited, limit, next_due)


def _first_urgency(lane: Lane) -> int:
    return rules.urgency(lane.priority, lane.first_due_at_ms or 0)


def _lane(row: Sequence[Any]) -> Lane:
    type, priority, first_due, lease_ms, timeout_ms, concurrency, *rates = row
    rate, per_ms, burst, partition_concurrency, *partition_rate = rates
    return Lane(
        type, priority, first_due, lease_ms, timeout_ms, concurrency,
        rules.rate_of(rate, per_ms, burst), partition_concurrency, rules.rate_of(*partition_rate),
    )  # fmt: skip


def _heads(
    tx: Transaction,
    now: int,
    project: ProjectId,
    lanes: Sequence[Lane],
    limit: int,
    rooms: dict[str, Room] | None = None,
) -> list[Candidate]:
    """The first `limit` due jobs of each lane, or of all lanes together; of none more than its type has room for."""
    found: list[Candidate] = []
    for statement, some in (
        ("lane_due", sorted((lane for lane in lanes if not lane.has_keys), key=_first_urgency)),
        ("lane_due_keys", [lane for lane in lanes if lane.has_keys]),
    ):
        rows = [
            {
                "project": project,
                "type": lane.type,
                "priority": lane.priority,
                "now": now,
                "limit": max(limit, WINDOW) if lane.has_keys else _most(lane, limit, rooms),
                "together": limit,
                "skip": 0,
            }
            for lane in some
        ]
        heads = tx.gather(statement, rows) if rows else []
        if statement == "lane_due" and len(rows) > 1 and not any(heads):
            # Those that come first may all be locked by others or past their deadline, and hide what waits elsewhere.
            heads = _one_by_one(tx, statement, rows, limit)
        for lane, jobs in zip(some, heads, strict=True):
            found += [Candidate(ref, due, lane, *key) for ref, due, *key in jobs]
    return found


def _most(lane: Lane, limit: int, rooms: dict[str, Room] | None) -> int:
    """How many jobs of a lane are of use: more than its type lets start would take the places of other types' jobs."""
    return limit if rooms is None else int(min(limit, rooms[lane.type].starts))


def _one_by_one(tx: Transaction, statement: str, rows: Sequence[Values], limit: int) -> list[list[Row]]:
    """The heads of these lanes, each asked for by itself, until there are enough."""
    heads: list[list[Row]] = []
    left = limit
    for row in rows:
        heads.append(tx.gather(statement, [row])[0] if left > 0 else [])
        left -= len(heads[-1])
    return heads


def _within_limits(
    tx: Transaction,
    now: int,
    project: ProjectId,
    lanes: Sequence[Lane],
    limited: Sequence[str],
    limit: int,
    next_due: int | None,
) -> Found:
    # From here until the commit nobody else starts jobs of these types.
    tx.gather("type_lock", [{"project": project, "type": type} for type in limited])
    rooms = _rooms(tx, now, project, lanes)
    open_lanes = [lane for lane in lanes if not rooms[lane.type].is_empty]
    heads = _heads(tx, now, project, open_lanes, limit, rooms)
    heads.sort(key=lambda job: job.urgency)
    keys = _Keys(tx, now, project)
    keys.load(heads)
    chosen = _choose(heads, rooms, keys, limit)
    if len(chosen) < limit:
        for lane in open_lanes:
            # A head full of jobs whose keys have no room would hide the others behind it.
            if (
                lane.has_keys
                and not rooms[lane.type].is_empty
                and sum(j.lane is lane for j in heads) >= WINDOW
            ):
                for behind in (
                    _other_keys(tx, now, project, lane, known={job.key for job in heads}),
                    _without_key(tx, now, project, lane, max(limit, WINDOW)),
                ):
                    keys.load(behind)
                    chosen += _choose(behind, rooms, keys, limit - len(chosen))
    waits = [
        room.bucket.rate.ms_to_one(room.bucket.tokens)
        for room in (*rooms.values(), *keys.rooms.values())
        if room.bucket and room.bucket.tokens < 1
    ]
    if waits:
        next_due = min(now + min(waits), next_due or now + min(waits))
    return Found(chosen, next_due)


def _choose(heads: Sequence[Candidate], rooms: dict[str, Room], keys: "_Keys", limit: int) -> list[Candidate]:
    chosen: list[Candidate] = []
    for job in heads:
        if len(chosen) >= limit:
            break
        room, key_room = rooms[job.lane.type], keys.room(job)
        if room.is_empty or (key_room is not None and key_room.is_empty):
            continue
        for counted in (room, key_room):
            if counted is not None:
                counted.take()
                if counted.bucket is not None:
                    job.buckets.append(counted.bucket)
        chosen.append(job)
    return chosen


def _rooms(tx: Transaction, now: int, project: ProjectId, lanes: Sequence[Lane]) -> dict[str, Room]:
    by_type = {lane.type: lane for lane in lanes}
    rooms = {type: Room(float("inf")) for type in by_type}
    counted = [lane for lane in by_type.values() if lane.concurrency is not None]
    rows = [{"project": project, "type": lane.type} for lane in counted]
    for lane, running in zip(counted, tx.each("running", rows), strict=True):
        # A lease of this transaction, for other callers, may have started some already.
        started = tx.moved(project, lane.type, "processing")
        rooms[lane.type].free = (lane.concurrency or 0) - (running[0] if running else 0) - started
    rated = [(lane.type, "", lane.rate) for lane in by_type.values() if lane.rate is not None]
    for bucket in _buckets(tx, now, project, rated):
        rooms[bucket.type].bucket = bucket
    return rooms


def _buckets(
    tx: Transaction, now: int, project: ProjectId, rated: Sequence[tuple[str, str, rules.Rate]]
) -> list[Bucket]:
    rows = [{"project": project, "type": type, "partition_key": key} for type, key, _ in rated]
    return [
        Bucket(type, key, rate, rate.tokens(found[0], found[1], now) if found else float(rate.burst))
        for (type, key, rate), found in zip(rated, tx.each("bucket", rows), strict=True)
    ]


class _Keys:
    """The rooms of the partition keys that candidates have. A job without a key is under its type's limits only."""

    def __init__(self, tx: Transaction, now: int, project: ProjectId) -> None:
        self._tx = tx
        self._now = now
        self._project = project
        self.rooms: dict[tuple[str, str], Room] = {}

    def load(self, jobs: Sequence[Candidate]) -> None:
        """Look up those that are not known yet."""
        new = {
            (job.lane.type, job.key): job.lane
            for job in jobs
            if job.key and job.lane.has_keys and (job.lane.type, job.key) not in self.rooms
        }
        for place in new:
            self.rooms[place] = Room(float("inf"))
        counted = [place for place, lane in new.items() if lane.partition_concurrency is not None]
        rows = [{"project": self._project, "type": type, "partition_key": key} for type, key in counted]
        for place, running in zip(counted, self._tx.each("running_of_key", rows), strict=True):
            most = new[place].partition_concurrency or 0
            self.rooms[place].free = most - (running[0] if running else 0)
        rated = [(*place, lane.partition_rate) for place, lane in new.items() if lane.partition_rate]
        for bucket in _buckets(self._tx, self._now, self._project, rated):
            self.rooms[bucket.type, bucket.key].bucket = bucket

    def room(self, job: Candidate) -> Room | None:
        return self.rooms.get((job.lane.type, job.key))


def _other_keys(
    tx: Transaction, now: int, project: ProjectId, lane: Lane, known: set[str]
) -> list[Candidate]:
    """The first due job of each partition key after those that the last look ended with, and round again."""
    place = (project, lane.type, lane.priority)
    after = tx.memory.last_key.get(place, "")
    found: list[Candidate] = []
    for begin in dict.fromkeys((after, "")):
        rows = tx.rows(
            "keys_waiting",
            project=project,
            type=lane.type,
            priority=lane.priority,
            after=begin,
            now=now,
            limit=KEYS_PER_LOOK,
        )
        found += [
            Candidate(ref, due, lane, key) for key, ref, due in rows if ref is not None and key not in known
        ]
        if len(rows) >= KEYS_PER_LOOK:
            tx.memory.last_key[place] = rows[-1][0]
            break
        tx.memory.last_key[place] = ""
    unique = {job.key: job for job in found}
    return sorted(unique.values(), key=lambda job: job.urgency)


def _without_key(tx: Transaction, now: int, project: ProjectId, lane: Lane, head: int) -> list[Candidate]:
    """The jobs without a key among the next ones behind the lane's head, and at its end from the head on again.

    No index has them by themselves: a type that has limits by key rarely has jobs without one.
    """
    place = (project, lane.type, lane.priority)
    skip = max(tx.memory.skipped.get(place, head), head)
    row = {
        "project": project, "type": lane.type, "priority": lane.priority, "now": now, "limit": BEHIND, "skip": skip
    }  # fmt: skip
    [found] = tx.gather("lane_due_keys", [row])
    tx.memory.skipped[place] = skip + BEHIND if len(found) == BEHIND else head
    return [Candidate(ref, due, lane, key) for ref, due, key in found if not key]
