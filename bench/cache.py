"""The cache over HTTP against its goals and its peers, all in one run: `make bench-cache`.

    python -m bench.cache [--rounds 5] [--big 10000000] [--quick] [--only speed,space,memory]

Each round loads AeroDash's one web process, bare django-ninja endpoints and webdis in turn, then AeroDash at half of
the rate it reached; medians count. Then one project is filled (bench/fill_cache.py) and looked through, and memory is
measured (bench/cache_memory.py). Writes bench/results/cache.md and cache.json. Needs wrk and webdis: scripts/peer.
Takes about 20 minutes, and nothing else should run meanwhile.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import cache_report, cache_space, cache_speed, installation
from bench.cache_report import Found

PARTS = ("speed", "space", "memory")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="of each measurement, a second of warming up besides"
    )
    parser.add_argument(
        "--big", type=int, default=10_000_000, help="keys of the big project, a multiple of 100"
    )
    parser.add_argument(
        "--quick", action="store_true", help="short measurements and 100,000 keys, to see that it runs"
    )
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument(
        "--folder", type=Path, help="on the disk to measure; the system's temporary folder by default"
    )
    parser.add_argument("--results", type=Path, default=installation.ROOT / "bench/results")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.seconds, args.big = 1, 1.0, min(args.big, 100_000)
    parts = args.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--only knows no {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="aerodash-bench-", dir=args.folder) as name:
        folder = Path(name)
        found = Found(
            installation.machine(folder),
            command="make bench-cache " + " ".join(sys.argv[1:]),
            rounds=args.rounds,
        )
        if "speed" in parts:
            _speed(found, folder, args.rounds, args.seconds)
        if "space" in parts:
            with installation.up(folder / "space") as at:
                plan = cache_space.Plan(
                    args.big, calls=50 if args.quick else 500, idle_s=2 if args.quick else 15
                )
                _keep(found, "space", cache_space.measure(at, plan))
        if "memory" in parts:
            found.memory = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "bench.cache_memory",
                    "--keys",
                    str(20_000 if args.quick else 200_000),
                ],
                cwd=installation.ROOT,
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            ).stdout
    print(cache_report.write(found, args.results))


def _speed(found: Found, folder: Path, rounds: int, seconds: float) -> None:
    with cache_speed.contenders(folder) as contenders:
        ours = contenders[0]
        for _ in range(rounds):
            for contender in contenders:
                for verb in contender.requests:
                    _keep(found, contender.name, cache_speed.at_full(contender, verb, seconds))
            for verb in cache_speed.VERBS:
                full = statistics.median(found.figures[ours.name][f"{verb}_rate"])
                _keep(found, ours.name, cache_speed.at_half(ours, verb, full, seconds))


def _keep(found: Found, subject: str, figures: cache_speed.Figures) -> None:
    found.add(subject, figures)
    print(subject, " ".join(f"{name}={value:.4g}" for name, value in figures.items()), flush=True)


if __name__ == "__main__":
    main()
