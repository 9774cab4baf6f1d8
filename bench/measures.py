"""What bench.jobs measures of a running AeroDash, over HTTP, with 200-byte payloads and no-op jobs.

Each measure takes the installation and answers its figures by name; what it enqueued is run or left as it says.
"""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import load
from bench.installation import ROOT, Installation, end

PAYLOAD = {"user": 42, "note": "x" * 176}  # 200 bytes of JSON
assert len(json.dumps(PAYLOAD)) == 200

LEASE_S = 5
GIVE_UP_S = 180
MANY = 1000

type Figures = dict[str, float]


@dataclass(frozen=True)
class Plan:
    """How much of everything one round does."""

    seconds: float
    drained: int
    pickups: int
    recoveries: int


FULL = Plan(seconds=5.0, drained=20_000, pickups=300, recoveries=1)
QUICK = Plan(seconds=1.5, drained=5_000, pickups=60, recoveries=1)


class Stamps:
    """The file that bench.noop_worker writes the starts of its jobs to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(b"")

    def __len__(self) -> int:
        return self.path.stat().st_size // 8

    def all(self) -> list[float]:
        return [at for (at,) in struct.iter_unpack("<d", self.path.read_bytes())]

    def wait_for(self, count: int, *, poll_s: float) -> None:
        deadline = time.monotonic() + GIVE_UP_S
        while len(self) < count:
            if time.monotonic() > deadline:
                raise SystemExit(f"{len(self)} of {count} jobs began within {GIVE_UP_S} s")
            time.sleep(poll_s)


@contextmanager
def worker(
    installation: Installation, stamps: Stamps, *, supervised: bool = False, lease_s: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """One worker process with the SDK and its default settings; ended with the block.

    supervised: under `aerodash worker`, as people run it. lease_s: None leaves it to the server.
    """
    bare = ["bench.noop_worker"]
    module = ["aerodash", "worker", "bench.noop_worker:worker"] if supervised else bare
    environment = {
        **os.environ,
        "BENCH_STAMPS": str(stamps.path),
        "BENCH_LEASE_S": str(lease_s or ""),
        "AERODASH_URL": f"http://127.0.0.1:{installation.port}",
        "AERODASH_API_KEY": installation.key,
        "AERODASH_DATA": str(installation.folder),
    }
    with open(installation.folder / "worker.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *module], cwd=ROOT, env=environment, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        end(process)


def enqueue(at: Installation, plan: Plan) -> Figures:
    """Jobs a second that one caller, 32 and 128 callers get accepted, one request a job. They stay waiting."""
    body = json.dumps({"type": "waiting", "payload": PAYLOAD}).encode()
    found: Figures = {}
    for callers in (1, 32, 128):
        found[f"enqueue_{callers}"] = _load(at, "/v1/queue/enqueue", body, callers, plan).per_second
    return found


def bulk(at: Installation, plan: Plan) -> Figures:
    """Jobs a second with 1000 a call, by one caller and by two. They stay waiting."""
    body = json.dumps({"jobs": [{"type": "waiting", "payload": PAYLOAD}] * MANY}).encode()
    found: Figures = {}
    for callers in (1, 2):
        result = _load(at, "/v1/queue/enqueueMany", body, callers, plan)
        found[f"bulk_{callers}"] = result.per_second * MANY
    return found


def sdk(at: Installation, plan: Plan) -> Figures:
    """The same through the Python SDK by one caller, who makes each request anew."""
    from aerodash_sdk import Client, NewJob

    with Client(f"http://127.0.0.1:{at.port}", at.key) as client:
        client.queue.send("waiting", PAYLOAD)  # connects
        one = _repeat(lambda: client.queue.send("waiting", PAYLOAD), plan.seconds)
        many = _repeat(
            lambda: client.queue.send_many([NewJob("waiting", PAYLOAD) for _ in range(MANY)]), plan.seconds
        )
    return {"sdk_1": one, "sdk_bulk": many * MANY}


def pickup(at: Installation, plan: Plan) -> Figures:
    """Milliseconds from the call that enqueues a job to the start of its handler in an idle worker."""
    stamps = Stamps(at.folder / "stamps")
    caller = load.Connection(at.port)
    job = load.request(at.port, "/v1/queue/enqueue", {"type": "noop", "payload": PAYLOAD}, at.headers)
    took = []
    with worker(at, stamps):
        _ask(caller, job)
        stamps.wait_for(1, poll_s=0.01)
        for sample in range(2, plan.pickups + 2):
            time.sleep(0.015)
            began = time.monotonic()
            _ask(caller, job)
            stamps.wait_for(sample, poll_s=0.001)
            took.append((stamps.all()[sample - 1] - began) * 1000)
        _wait_until_settled(at, "noop")
    caller.close()
    took.sort()
    return {"pickup_p50": took[len(took) // 2], "pickup_p99": took[int(len(took) * 0.99)]}


def drain(at: Installation, plan: Plan) -> Figures:
    """Jobs a second of one worker process that finds them waiting: first handler's start to last outcome stored."""
    return {"drain": _drained(at, plan, "noop"), "drain_async": _drained(at, plan, "noop-async")}


def _drained(at: Installation, plan: Plan, type: str) -> float:
    stamps = Stamps(at.folder / "stamps")
    caller = load.Connection(at.port)
    jobs = {"jobs": [{"type": type, "payload": PAYLOAD}] * MANY}
    for _ in range(plan.drained // MANY):
        _ask(caller, load.request(at.port, "/v1/queue/enqueueMany", jobs, at.headers))
    caller.close()
    with worker(at, stamps):
        stamps.wait_for(plan.drained, poll_s=0.02)
        _wait_until_settled(at, type)
        ended = time.monotonic()
    starts = stamps.all()
    if len(starts) != plan.drained:
        raise SystemExit(f"{plan.drained} jobs began {len(starts)} times")
    return plan.drained / (ended - starts[0])


def recovery(at: Installation, plan: Plan) -> Figures:
    """Seconds from kill -9 in mid-job to the job's next start: by its lease, and seen by a supervising parent."""
    bare = [_killed(at, supervised=False) for _ in range(plan.recoveries)]
    supervised = [_killed(at, supervised=True) for _ in range(plan.recoveries)]
    return {"recovery_lease": max(bare), "recovery_supervised": max(supervised)}


def _killed(at: Installation, *, supervised: bool) -> float:
    """Another worker is up, to take the job over; a supervisor has to say that its child died before that."""
    stamps, others = Stamps(at.folder / "stamps"), Stamps(at.folder / "other-stamps")
    caller = load.Connection(at.port)
    with worker(at, stamps, supervised=supervised, lease_s=LEASE_S):
        _ask(
            caller, load.request(at.port, "/v1/queue/enqueue", {"type": "slow", "payload": None}, at.headers)
        )
        stamps.wait_for(1, poll_s=0.01)
        with worker(at, others, lease_s=LEASE_S):
            time.sleep(1.5)  # well into the job, and for the other to come up
            killed_at = time.monotonic()
            os.kill(int(Path(f"{stamps.path}.pid").read_text()), signal.SIGKILL)
            deadline = killed_at + GIVE_UP_S
            while not (again := [*stamps.all()[1:], *others.all()]):
                if time.monotonic() > deadline:
                    raise SystemExit(f"the job of a killed worker did not run again within {GIVE_UP_S} s")
                time.sleep(0.005)
            _wait_until_settled(at, "slow")
    caller.close()
    return min(again) - killed_at


def _load(at: Installation, path: str, body: bytes, callers: int, plan: Plan) -> load.Result:
    result = load.run(at.port, path, body, at.headers, connections=callers, seconds=plan.seconds, want=201)
    if result.wrong:
        raise SystemExit(f"{path}: {result.wrong} replies were not 201")
    return result


def _repeat(call: Callable[[], object], seconds: float) -> float:
    """Calls a second."""
    calls, began = 0, time.perf_counter()
    while (now := time.perf_counter()) - began < seconds:
        call()
        calls += 1
    return calls / (now - began)


def _ask(caller: load.Connection, request: bytes) -> dict[str, Any]:
    status, body = caller.ask(request)
    if status not in (200, 201):
        raise SystemExit(f"answered {status}: {body.decode()}")
    return json.loads(body)


def _wait_until_settled(at: Installation, type: str) -> None:
    """Return once no job of this type is pending or processing."""
    caller = load.Connection(at.port)
    asks = [
        load.request(at.port, "/v1/queue/jobs", {"type": type, "status": status, "limit": 1}, at.headers)
        for status in ("processing", "pending")
    ]
    deadline = time.monotonic() + GIVE_UP_S
    while any(_ask(caller, ask)["jobs"] for ask in asks):
        if time.monotonic() > deadline:
            raise SystemExit(f"jobs of type {type} were not settled within {GIVE_UP_S} s")
        time.sleep(0.002)
    caller.close()
