"""Leasing on PostgreSQL while somebody holds a snapshot open (a backup, a long report), at 1000 jobs a second.

The load goes on throughout: 1000 jobs a second are enqueued and one SDK worker runs them. Every 30 s a burst of
10 000 jobs of another type is enqueued, and one caller leases and settles them as fast as it can: the capacity.
"""

import json
import statistics
import threading
import time
from typing import Any

import psycopg

from bench import load
from bench.installation import Installation
from bench.measures import PAYLOAD, Stamps, worker

PER_SECOND = 1000
EVERY_S = 30
BURST = 10_000
LEASED = 200
WARM_UP_BURSTS = 3


def hold(at: Installation, *, minutes: float) -> dict[str, Any]:
    """Capacities in jobs a second: before the snapshot, a series of (seconds since it began, capacity), and after it."""
    stop = threading.Event()
    sent: list[int] = []
    producer = threading.Thread(target=_produce, args=(at, stop, sent))
    stamps = Stamps(at.folder / "stamps")
    with worker(at, stamps):
        producer.start()
        try:
            before = [_burst(at, EVERY_S / 3) for _ in range(WARM_UP_BURSTS)]
            series = []
            with psycopg.connect(at.database_url) as holder:
                holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                holder.execute("SELECT count(*) FROM jobs_admin_joblane")
                began = time.monotonic()
                while (held_s := time.monotonic() - began) < minutes * 60:
                    series.append((round(held_s), _burst(at, EVERY_S)))
                    print(f"snapshot held {series[-1][0]} s: {series[-1][1]:.0f} jobs/s", flush=True)
            after = [_burst(at, EVERY_S / 3) for _ in range(WARM_UP_BURSTS)]
        finally:
            stop.set()
            producer.join()
        run_of_load = len(stamps)
    at_the_end = statistics.median(rate for _, rate in series[-3:])
    return {
        "minutes": minutes,
        "before": statistics.median(before),
        "at_the_end": at_the_end,
        "ratio": at_the_end / statistics.median(before),
        "after": statistics.median(after),
        "series": series,
        "load_enqueued": sum(sent),
        "load_run": run_of_load,
    }


def _produce(at: Installation, stop: threading.Event, sent: list[int]) -> None:
    """Ten jobs every ten milliseconds, and more after a delay."""
    caller = load.Connection(at.port)
    ten = load.request(
        at.port, "/v1/queue/enqueueMany", {"jobs": [{"type": "noop", "payload": PAYLOAD}] * 10}, at.headers
    )
    due = time.monotonic()
    while not stop.is_set():
        _answered(caller, ten)
        sent.append(10)
        due += 10 / PER_SECOND
        if (left_s := due - time.monotonic()) > 0:
            time.sleep(left_s)
    caller.close()


def _burst(at: Installation, period_s: float) -> float:
    """Jobs leased and settled a second. Takes at least the period, mostly idle."""
    until = time.monotonic() + period_s
    caller = load.Connection(at.port)
    many = {"jobs": [{"type": "burst", "payload": PAYLOAD}] * 1000}
    for _ in range(BURST // 1000):
        _answered(caller, load.request(at.port, "/v1/queue/enqueueMany", many, at.headers))
    take = load.request(
        at.port,
        "/v1/queue/lease",
        {"types": ["burst"], "limit": LEASED, "worker": {"id": "bench-burst"}},
        at.headers,
    )
    done, began = 0, time.perf_counter()
    while jobs := _answered(caller, take)["jobs"]:
        results = [
            {"jobId": job["id"], "leaseToken": job["leaseToken"], "outcome": "completed"} for job in jobs
        ]
        _answered(caller, load.request(at.port, "/v1/queue/settle", {"results": results}, at.headers))
        done += len(jobs)
    rate = done / (time.perf_counter() - began)
    caller.close()
    time.sleep(max(0.0, until - time.monotonic()))
    return rate


def _answered(caller: load.Connection, request: bytes) -> dict[str, Any]:
    status, body = caller.ask(request)
    if status not in (200, 201):
        raise SystemExit(f"answered {status}: {body.decode()}")
    return json.loads(body)
