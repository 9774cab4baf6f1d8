"""/v1/cache/get of one 200-byte value on both lanes, in one run: `make bench`.

Two servers over one Valkey and one database, one process each, which differ only in AERODASH_EXPRESS; they are
loaded in turn, round by round, and the median ratio counts. Writes bench/results/wire_lanes.md.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import load  # noqa: E402
from bench.installation import free_port  # noqa: E402

VALUE = {"userId": "u-1685", "device": "web", "text": "x" * 150}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=32)
    args = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="aerodash-bench-") as folder,
        servers(Path(folder)) as (key, ports),
    ):
        headers = {"X-Aerostack-Key": key}
        for port in ports.values():
            call(port, "/v1/cache/set", {"key": "session:bench", "value": VALUE}, headers)
        body = json.dumps({"key": "session:bench"}).encode()
        rounds: dict[str, list[load.Result]] = {lane: [] for lane in ports}
        for _ in range(args.rounds):
            for lane, port in ports.items():
                result = load.run(
                    port, "/v1/cache/get", body, headers, connections=args.connections, seconds=args.seconds
                )
                if result.wrong:
                    raise SystemExit(f"{lane}: {result.wrong} replies were not 200")
                rounds[lane].append(result)
                print(
                    f"{lane:8} {result.per_second:9,.0f}/s  p50 {result.p50_ms:6.2f} ms  p99 {result.p99_ms:6.2f} ms"
                )
    report(rounds, args)


@contextmanager
def servers(folder: Path):
    """(API key, {lane: port}) of two running servers that share one data folder."""
    os.environ["AERODASH_DATA"] = str(folder)
    os.environ["DJANGO_SETTINGS_MODULE"] = "aerodash.settings"
    from aerodash import embedded

    valkey = embedded.start(folder / "valkey")
    processes = []
    try:
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        from aerodash import keys
        from aerodash.auth import Scope
        from aerodash.models import Project

        _, key = keys.mint(Project.objects.create(slug="bench", name="Bench"), "bench", [Scope.ADMIN])
        ports = {}
        for lane, express in (("express", "1"), ("ninja", "0")):
            port = free_port()
            command = [sys.executable, "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1"]
            command += ["--port", str(port), "--no-access-log", "aerodash.asgi:application"]
            environment = {**os.environ, "AERODASH_EXPRESS": express, "AERODASH_PORT": str(port)}
            processes.append(
                subprocess.Popen(
                    command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
                )
            )
            ports[lane] = port
        for port in ports.values():
            wait(port)
        yield key, ports
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        valkey.stop()


def wait(port: int) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not answer within 30 s")


def call(port: int, path: str, body: object, headers: dict[str, str]) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        json.dumps(body).encode(),
        {**headers, "Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=5).close()


def report(rounds: dict[str, list[load.Result]], args: argparse.Namespace) -> None:
    ratios = [a.per_second / b.per_second for a, b in zip(rounds["express"], rounds["ninja"], strict=True)]
    lines = [
        "# /v1/cache/get on both lanes",
        "",
        f"`make bench`: one web process a lane, {args.connections} connections, 200-byte value, {args.rounds} rounds of "
        f"{args.seconds:g} s in turn; Python {platform.python_version()}, {os.cpu_count()} cores shared with the load "
        f"generator and Valkey; {time.strftime('%Y-%m-%d')}.",
        "",
        "| lane | requests/s, median (min to max) | p50 ms | p99 ms |",
        "|---|---|---|---|",
    ]
    for lane, results in rounds.items():
        rates = [r.per_second for r in results]
        p50, p99 = (statistics.median(getattr(r, name) for r in results) for name in ("p50_ms", "p99_ms"))
        lines.append(
            f"| {lane} | {statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f}) | {p50:.2f} | {p99:.2f} |"
        )
    lines += [
        "",
        f"express / ninja, round by round: median {statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})",
    ]
    text = "\n".join(lines) + "\n"
    (ROOT / "bench/results").mkdir(exist_ok=True)
    (ROOT / "bench/results/wire_lanes.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
