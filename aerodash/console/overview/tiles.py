"""The eight vital signs, always in this order. One is tinted only where a rule is breached, and shows its baseline or limit.

Pure: facts in, tiles out.
"""

from dataclasses import dataclass
from datetime import datetime

from aerodash.console.overview.cache import CacheNow
from aerodash.console.overview.house import HouseNow
from aerodash.console.overview.issues import OLD, Known
from aerodash.console.overview.outcomes import Outcomes
from aerodash.console.overview.queue import QueueNow
from aerodash.templatetags.aerodash_ui import grouped, size

UNKNOWN = "–"


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure. since: it counts up from there, and value is not shown. note: its baseline, its limit, or what it is
    part of. tone: "bad", "warn" or ""."""

    label: str
    value: str
    note: str
    url: str
    tone: str = ""
    small: str = ""
    since: datetime | None = None


def tiles(known: Known, home: str, now: datetime) -> list[Tile]:
    """Five of the queue, three of the cache; those that she may not see are left out. home: "/p/shop"."""
    found: list[Tile] = []
    if known.queue is not None:
        found += _of_queue(known, home, now)
    if known.cache is not None:
        found += _of_cache(known.cache, home)
    return found


def _of_queue(known: Known, home: str, now: datetime) -> list[Tile]:
    counted = isinstance(known.house, HouseNow) and known.house.has_keeper
    outcomes = known.outcomes if isinstance(known.outcomes, Outcomes) and counted else None
    queue = known.queue if isinstance(known.queue, QueueNow) else None
    return [
        _failed(outcomes, home),
        _completed(outcomes, home),
        *(_oldest_and_due(queue, home, now) if queue else _not_known(home)),
        _workers(queue, home)
        if queue
        else Tile("Workers alive", UNKNOWN, "not known now", f"{home}/workers"),
    ]


def _failed(outcomes: Outcomes | None, home: str) -> Tile:
    url = f"{home}/jobs?status=failed"
    if outcomes is None or outcomes.failed is None:
        return Tile("Failed /min", UNKNOWN, "not counted now", url)
    tone = ""
    if outcomes.failing:
        tone = "bad" if any(one.is_bad for one in outcomes.failing) else "warn"
    return Tile("Failed /min", grouped(outcomes.failed), _baseline(outcomes.usual_failed), url, tone)


def _completed(outcomes: Outcomes | None, home: str) -> Tile:
    url = f"{home}/jobs?status=completed"
    if outcomes is None or outcomes.completed is None:
        return Tile("Completed /min", UNKNOWN, "not counted now", url)
    return Tile("Completed /min", grouped(outcomes.completed), _baseline(outcomes.usual_completed), url)


def _oldest_and_due(queue: QueueNow, home: str, now: datetime) -> list[Tile]:
    due_url = f"{home}/jobs?status=due"
    oldest_url = f"{home}/jobs/{queue.waiting[0].job_id}" if queue.waiting else due_url
    if queue.oldest_due_at is None:
        oldest = Tile("Oldest due job", "none", "limit 2 min", oldest_url)
    else:
        tone = "warn" if now - queue.oldest_due_at >= OLD else ""
        oldest = Tile("Oldest due job", "", "limit 2 min", oldest_url, tone, since=queue.oldest_due_at)
    due = Tile(
        "Due now",
        f"{'' if queue.due.is_exact else 'over '}{grouped(queue.due.number)}",
        f"of {grouped(queue.counts.pending)} pending",
        due_url,
    )
    return [oldest, due]


def _not_known(home: str) -> list[Tile]:
    url = f"{home}/jobs?status=due"
    return [Tile(label, UNKNOWN, "not known now", url) for label in ("Oldest due job", "Due now")]


def _workers(queue: QueueNow, home: str) -> Tile:
    workers, url = queue.workers, f"{home}/workers"
    if workers.lost:
        tone = "warn" if workers.alive else "bad"
        note = f"{len(workers.lost):,} lost in 15 min"
        return Tile(
            "Workers alive", grouped(workers.alive), note, url, tone, f"of {grouped(workers.expected)}"
        )
    tone = "bad" if not workers.alive and queue.waiting else ""
    return Tile("Workers alive", grouped(workers.alive), "heard in 30 s", url, tone)


def _of_cache(cache: object, home: str) -> list[Tile]:
    engine = f"{home}/engine"
    if not isinstance(cache, CacheNow):
        labels = ("Cache ops /s", "Cache keys", "Replica behind")
        return [
            Tile(label, UNKNOWN, "engine away", engine, "bad" if not place else "")
            for place, label in enumerate(labels)
        ]
    figures = cache.figures
    ratio = "no reads in 1 min" if figures.hit_ratio is None else f"hit ratio {figures.hit_ratio:.1f} %"
    rate = figures.rate
    return [
        Tile(
            "Cache ops /s",
            f"{rate:,.0f}" if rate >= 10 or rate == 0 else f"{rate:.1f}",
            ratio,
            f"{home}/cache",
        ),
        _keys(cache, home),
        _replica(cache, engine),
    ]


def _keys(cache: CacheNow, home: str) -> Tile:
    figures, tone = cache.figures, cache.memory_tone
    keys = f"{'' if figures.keys.exact else '≈ '}{grouped(figures.keys.number)}"
    used, bound = size(cache.health.used_bytes), cache.limit_bytes
    note = f"{used} of {size(bound)}" if bound else f"engine {used}"
    return Tile("Cache keys", keys, note, f"{home}/engine" if tone else f"{home}/cache", tone)


def _replica(cache: CacheNow, url: str) -> Tile:
    replicas = cache.health.replicas
    if not replicas:
        return Tile("Replica behind", UNKNOWN, "no replica", url, "warn" if cache.is_replica_late else "")
    following = sum(one.is_online for one in replicas)
    return Tile(
        "Replica behind",
        size(max(one.lag_bytes for one in replicas)),
        f"{following:,} of {len(replicas):,} follow{'s' if len(replicas) == 1 else ''}",
        url,
        "warn" if cache.is_replica_late else "",
    )


def _baseline(usual: float | None) -> str:
    if usual is None:
        return "no baseline yet"
    return f"baseline {usual:,.0f}" if usual >= 10 or usual == round(usual) else f"baseline {usual:.1f}"
