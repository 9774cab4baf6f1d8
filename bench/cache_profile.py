"""Where the time of a cache request goes in the web process, under full load: docs/performance.md.

    python -m bench.cache_profile [--py-spy PATH] [--seconds 10]      needs wrk (scripts/peer) and py-spy, as root

py-spy looks 250 times a second at what the thread does that holds the interpreter, while wrk loads the process; without
py-spy, the same load gives the processor time of a request, by thread, and the samples divide it among the stages.
"""

import argparse
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from bench import cache_load, cache_speed
from bench.installation import up
from bench.tables import head, number, row

RATE = 250
EVENT_LOOP = "granian's event loop, its callbacks and futures, tasks"
# By the innermost frame that has one of these in it.
STAGES = (
    ("read the body", ("read_body (",)),
    ("hand the answer to granian", ("reply (aerodash/wire",)),
    ("whose key it is", ("identify (", "aerodash/keys.py")),
    ("headers, request id, route, length", ("headers_of (", "new_request_id (", "find (aerodash/wire", "check_length (")),
    ("decode and check the body", ("aerodash/wire/inputs.py",)),
    ("tell the live pages", ("aerodash/realtime/", "channels")),
    ("queue, pack, send, and read Valkey's replies", ("cache_admin/engine/", "/redis/", "redis/", "asyncio/streams.py")),
    ("the verb: rights, bounds, reply", ("cache_admin/", "aerodash/engines.py", "aerodash/auth.py")),
    ("actor, encode, headers", ("aerodash/wire/execute.py",)),
    ("the lane itself", ("aerodash/wire/express.py", "aerodash/asgi.py")),
)  # fmt: skip
SERVES = "AbstractWorker.start (granian"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--py-spy", default="py-spy")
    parser.add_argument("--seconds", type=int, default=10)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aerodash-bench-") as name, up(Path(name) / "aerodash") as at:
        contender = cache_speed.aerodash(at)
        contender.fill_and_check()
        columns = {
            verb: profile(contender, verb, args.seconds, args.py_spy, Path(name))
            for verb in cache_speed.VERBS
        }
    print("\n".join(head(["µs of processor a request", *columns])))
    for stage in columns["get"]:
        print(row([stage, *(number(column.get(stage, 0.0)) for column in columns.values())]))


def profile(
    contender: cache_speed.Contender, verb: str, seconds: int, py_spy: str, folder: Path
) -> dict[str, float]:
    """Microseconds of each stage."""
    before = _threads_s(contender.pid)
    plain = cache_load.full(
        contender.port, contender.requests[verb], seconds=seconds, pid=contender.pid, warm=False
    )
    used = {thread: s - before.get(thread, 0.0) for thread, s in _threads_s(contender.pid).items()}
    requests = plain.per_second * seconds
    main = used.pop(contender.pid)
    samples = folder / f"{verb}.raw"
    command = [
        py_spy,
        "record",
        "--gil",
        "--rate",
        str(RATE),
        "--duration",
        str(seconds),
        "--format",
        "raw",
        "--output",
        str(samples),
    ]
    spy = subprocess.Popen(
        [*command, "--pid", str(contender.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    cache_load.full(contender.port, contender.requests[verb], seconds=seconds + 1, pid=contender.pid)
    _, said = spy.communicate()
    if spy.returncode:
        raise SystemExit(f"py-spy: {said.decode()}")
    seen = _by_stage(samples)
    total = seen.total()
    stages = {
        stage: seen[stage] / total * main / requests * 1e6
        for stage in (EVENT_LOOP, *(name for name, _ in STAGES))
    }
    return {
        **stages,
        "**the interpreter's thread**": main / requests * 1e6,
        "granian's own threads: HTTP and sockets": sum(used.values()) / requests * 1e6,
        "requests a second": plain.per_second,
    }


def _by_stage(samples: Path) -> Counter[str]:
    """How many samples of the thread that serves fell into each stage."""
    seen: Counter[str] = Counter()
    for line in samples.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        if SERVES in stack:
            seen[_stage(stack.split(";"))] += int(count)
    return seen


def _stage(frames: list[str]) -> str:
    for frame in reversed(frames):
        for stage, marks in STAGES:
            if any(mark in frame for mark in marks):
                return stage
    return EVENT_LOOP


def _threads_s(pid: int) -> dict[int, float]:
    """Processor seconds of each thread so far. The first thread has the process's own number."""
    return {
        int(task.name): cache_load.cpu_s(pid, int(task.name)) for task in Path(f"/proc/{pid}/task").iterdir()
    }


if __name__ == "__main__":
    main()
