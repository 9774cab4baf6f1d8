"""What jobs leave behind is forgotten: lanes of types that have none, empty counters, silent workers, old batches.

See engine/leftovers.py for what is kept how long, and why a lane that goes is never one that an enqueue relies on.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jobs_admin.engine.leftovers import LANE_KEPT_MS, WORKER_KEPT_MS, Forget
from jobs_admin.engine.steps.history import stored
from jobs_admin.engine.transactions import Row, Transaction

type Place = tuple[Any, ...]
"""What orders the rows of a kind; () is before the first."""


def forget(tx: Transaction, now: int, calls: Sequence[Forget]) -> list[bool]:
    return [_forget(tx, now, call) for call in calls]


def _forget(tx: Transaction, now: int, call: Forget) -> bool:
    """One stretch of one kind, from where the last one stopped."""
    kinds = list(_KINDS)
    kind, after = tx.memory.left_over_to or (kinds[0], ())
    reached = _KINDS[kind](tx, now, call, after)
    following = kinds[kinds.index(kind) + 1 :]
    then = (kind, reached) if reached else (following[0], ()) if following else None
    tx.on_commit(lambda: setattr(tx.memory, "left_over_to", then))
    return then is not None


def _lanes(tx: Transaction, now: int, call: Forget, after: Place) -> Place:
    project, type, priority = after or (0, "", 0)
    found = tx.rows("lanes_after", project=project, type=type, priority=priority, limit=call.limit)
    named = [dict(zip(("project", "type", "priority"), row, strict=False)) for row in found]
    unknown = [{**lane, "now": now} for lane, row in zip(named, found, strict=True) if row[3] is None]
    not_since = now - LANE_KEPT_MS
    old = [
        {**lane, "not_since": not_since}
        for lane, row in zip(named, found, strict=True)
        if row[3] is not None and row[3] <= not_since
    ]
    tx.many("lane_noted", unknown)
    tx.many("prune_lane", old)
    return _reached(found, call, 3)


def _counters(tx: Transaction, now: int, call: Forget, after: Place) -> Place:
    [last] = after or (0,)
    found = tx.rows("counters_after", after=last, limit=call.limit)
    tx.many("prune_counter", [{"id": id} for id, is_empty in found if is_empty])
    return _reached(found, call, 1)


def _workers(tx: Transaction, now: int, call: Forget, after: Place) -> Place:
    project, worker = after or (0, "")
    found = tx.rows("workers_after", project=project, id=worker, limit=call.limit)
    not_since = now - WORKER_KEPT_MS
    silent = [
        {"project": project, "id": id, "not_since": not_since}
        for project, id, seen in found
        if seen <= not_since
    ]
    tx.many("prune_worker", silent)
    return _reached(found, call, 2)


def _batches(tx: Transaction, now: int, call: Forget, after: Place) -> Place:
    [last] = after or ("0" * 32,)
    not_since = now - call.batch_ms
    found = tx.rows("batches_after", after=stored(str(last)), not_since=not_since, limit=call.limit)
    over = [{"batch": stored(str(id)), "not_since": not_since} for id, is_over in found if is_over]
    gone = [row for row, done in zip(over, tx.each("prune_batch", over), strict=True) if done is not None]
    tx.many("prune_batch_counter", gone)
    return _reached(found, call, 1)


def _reached(found: Sequence[Row], call: Forget, columns: int) -> Place:
    """Where a full stretch ended; () where there are no more rows."""
    return tuple(found[-1][:columns]) if len(found) == call.limit else ()


_KINDS: Mapping[str, Callable[[Transaction, int, Forget, Place], Place]] = {
    "lanes": _lanes,
    "counters": _counters,
    "workers": _workers,
    "batches": _batches,
}
