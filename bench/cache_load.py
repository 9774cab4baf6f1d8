"""The two loads that the cache is measured under, over HTTP on loopback.

`full`: 32 connections that each send the next request when they were answered, by wrk: 9 µs of processor a request
(against webdis, the fastest), where bench.load took 12 to 27. With two cores in all, a generator must leave them to the
servers. `Steady`: a fixed number of requests a second whatever the answers do, in a process of its own; a latency counts
from the instant at which the request was due, so that a server which stalls does not hide it by being asked less.
"""

import json
import multiprocessing
import os
import random
import select
import statistics
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from bench import load
from bench.installation import ROOT

CONNECTIONS = 32
WARM_UP_S = 1
LUA = ROOT / "bench/cache_wrk.lua"


@dataclass(frozen=True)
class Full:
    """What wrk saw. cores: of a processor, that the measured process used, that wrk used."""

    per_second: float
    p50_ms: float
    p99_ms: float
    server_cores: float
    generator_cores: float


def full(port: int, requests: Sequence[bytes], *, seconds: float, pid: int, warm: bool = True) -> Full:
    """Load a server with these requests, in turn, over 32 connections. pid: of the process that answers.

    Raises SystemExit if any answer was not a success: a rate of refusals is none.
    """
    with tempfile.NamedTemporaryFile(prefix="bench-requests-") as file:
        file.writelines(b"%d\n%b" % (len(request), request) for request in requests)
        file.flush()
        if warm:
            _wrk(port, file.name, WARM_UP_S)
        before, own_before = cpu_s(pid), _children_s()
        began = time.perf_counter()
        seen = _wrk(port, file.name, seconds)
        took = time.perf_counter() - began
        return Full(
            per_second=seen["requests"] * 1e6 / seen["microseconds"],
            p50_ms=seen["p50_us"] / 1000,
            p99_ms=seen["p99_us"] / 1000,
            server_cores=(cpu_s(pid) - before) / took,
            generator_cores=(_children_s() - own_before) / took,
        )


def _wrk(port: int, requests: str, seconds: float) -> dict[str, int]:
    command = [os.environ.get("WRK", "wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s"]
    command += ["--timeout", "30s", "-s", str(LUA), f"http://127.0.0.1:{port}", "--", requests]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    seen = json.loads(said[-1])
    if seen["wrong"] or seen["failed"]:
        raise SystemExit(
            f"port {port}: {seen['wrong']} refusals, {seen['failed']} requests without an answer"
        )
    return seen


def cpu_s(pid: int, thread: int | None = None) -> float:
    """Processor seconds that a process of this machine has used so far: all its threads, or one of them."""
    where = f"/proc/{pid}" if thread is None else f"/proc/{pid}/task/{thread}"
    fields = Path(f"{where}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _children_s() -> float:
    used = os.times()
    return used.children_user + used.children_system


@dataclass(frozen=True)
class Sample:
    """One request of a steady load. number: its place in the sequence of requests; due: on time.perf_counter's clock."""

    number: int
    due: float
    took_ms: float
    ok: bool


class Steady:
    """A load of so many requests a second, in a process of its own, until stopped."""

    def __init__(
        self, port: int, requests: Sequence[bytes], per_second: float, *, random_gaps: bool = False
    ) -> None:
        """requests: sent in turn. random_gaps: they come as independent callers do (exponential gaps), not evenly."""
        context = multiprocessing.get_context("spawn")
        self._stop = context.Event()
        self._here, there = context.Pipe()
        self._process = context.Process(
            target=_send_steadily,
            args=(port, list(requests), per_second, random_gaps, self._stop, there),
            daemon=True,
        )
        self._process.start()
        there.close()
        self._here.recv()  # connected

    def stop(self) -> list[Sample]:
        """End it; what it saw, in the order of the answers. Raises SystemExit if any was not a success."""
        self._stop.set()
        samples = [Sample(*fields) for fields in self._here.recv()]
        self._process.join()
        if wrong := sum(not sample.ok for sample in samples):
            raise SystemExit(f"{wrong} of {len(samples)} requests of the steady load were refused")
        return samples


@contextmanager
def steady(port: int, requests: Sequence[bytes], per_second: float) -> Iterator[list[Sample]]:
    """A steady load for as long as the block runs; its samples are in the list after that."""
    samples: list[Sample] = []
    running = Steady(port, requests, per_second)
    try:
        yield samples
    finally:
        samples += running.stop()


def half(
    port: int, requests: Sequence[bytes], per_second: float, *, seconds: float, random_gaps: bool = False
) -> list[float]:
    """Milliseconds of each request of a steady load of this rate, after a second of warming up."""
    running = Steady(port, requests, per_second, random_gaps=random_gaps)
    began = time.perf_counter() + WARM_UP_S
    time.sleep(WARM_UP_S + seconds)
    return [sample.took_ms for sample in running.stop() if sample.due >= began]


def percentile(values: Sequence[float], per_cent: float) -> float:
    """The value that so many per cent of the values do not exceed. Raises SystemExit where there are none."""
    if not values:
        raise SystemExit("nothing was measured")
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=1000, method="inclusive")[round(per_cent * 10) - 1]


def _send_steadily(
    port: int, requests: list[bytes], per_second: float, random_gaps: bool, stop: Any, report: Any
) -> None:
    """The process of a steady load."""
    callers = {}
    for _ in range(CONNECTIONS):
        caller = load.Connection(port)
        callers[caller.socket.fileno()] = caller
    idle, busy = deque(callers.values()), {}
    due_times: deque[float] = deque()
    numbered = cycle(enumerate(requests))
    rng = random.Random(1)
    seen: list[tuple[int, float, float, bool]] = []
    sent: dict[load.Connection, int] = {}
    clock = time.perf_counter
    report.send("connected")
    due, stopping, looked_at = clock(), False, 0.0
    while not stopping or busy:
        now = clock()
        if now - looked_at > 0.02:  # asking costs a system call
            looked_at, stopping = now, stopping or stop.is_set()
        while due <= now and not stopping:
            due_times.append(due)
            due += rng.expovariate(per_second) if random_gaps else 1 / per_second
        while due_times and idle and not stopping:
            caller = idle.popleft()
            number, request = next(numbered)
            caller.send(request)
            caller.sent_at = due_times.popleft()  # latency counts from then
            sent[caller] = number
            busy[caller.socket.fileno()] = caller
        # select takes microseconds, where poll and epoll would wait whole milliseconds
        ready, _, _ = select.select(
            list(busy), [], [], 0.02 if stopping else max(0.0, min(0.02, due - clock()))
        )
        for number_of_socket in ready:
            caller = busy[number_of_socket]
            if (answer := caller.receive()) is not None:
                seen.append(
                    (sent[caller], caller.sent_at, (clock() - caller.sent_at) * 1000, answer[0] < 300)
                )
                del busy[number_of_socket]
                idle.append(caller)
    report.send(seen)
