"""The job queue over HTTP against its goals and its peers, all in one run, in turn: `make bench-jobs`.

    python -m bench.jobs [--database sqlite|postgres|both] [--rounds 3] [--peers] [--filled] [--snapshot-minutes 10] [--quick]

Each round starts each database's AeroDash (`aerodash up`, its own Valkey, web process and keeper) on fresh data and
measures it, then on data with a past (--filled), then each peer; medians count. Writes bench/results/jobs.md and
jobs.json. With everything it takes about an hour, and nothing else should run meanwhile.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import fill_jobs, installation, measures, report, snapshot
from bench.measures import Figures

type Measured = Callable[[installation.Installation, measures.Plan], Figures]

ALL: Sequence[Measured] = (
    measures.pickup,
    measures.drain,
    measures.enqueue,
    measures.bulk,
    measures.sdk,
    measures.recovery,
)
FILLED = ALL[:-1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", choices=("sqlite", "postgres", "both"), default="both")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--peers", action="store_true", help="measure the peers too (installs them on first use)"
    )
    parser.add_argument(
        "--filled", action="store_true", help="once more with 5 million finished, 1 million waiting jobs"
    )
    parser.add_argument("--finished", type=int, default=5_000_000)
    parser.add_argument("--waiting", type=int, default=1_000_000)
    parser.add_argument(
        "--snapshot-minutes", type=float, default=0, help="hold a snapshot open on PostgreSQL so long"
    )
    parser.add_argument("--quick", action="store_true", help="short measurements, to see that it runs")
    parser.add_argument("--only", default="", help="measures, by name, separated by commas")
    parser.add_argument(
        "--folder", type=Path, help="on the disk to measure; the system's temporary folder by default"
    )
    parser.add_argument("--port", type=int, default=0, help="where the servers listen; 0 takes a free one")
    parser.add_argument("--results", type=Path, default=installation.ROOT / "bench/results")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aerodash-bench-", dir=args.folder) as name, ExitStack() as stack:
        run = Run(args, Path(name), stack)
        if args.filled:
            run.fill()
        run.rounds()
        if args.snapshot_minutes:
            run.snapshot()
        print(report.write(run.found, args.results))


class Run:
    def __init__(self, args: argparse.Namespace, folder: Path, stack: ExitStack) -> None:
        self.args = args
        self.plan = measures.QUICK if args.quick else measures.FULL
        self.folder = folder
        self.databases = ("sqlite", "postgres") if args.database == "both" else (args.database,)
        machine = installation.machine(folder)  # before anything of ours runs
        self.found = report.Found(
            machine, command="python -m bench.jobs " + " ".join(sys.argv[1:]), rounds=args.rounds
        )
        self.postgres_url = ""
        if "postgres" in self.databases or args.snapshot_minutes:
            self.postgres_url = stack.enter_context(installation.postgres(folder / "postgres"))
            self.found.machine |= installation.postgres_facts(self.postgres_url)
        self.filled_urls: dict[str, str] = {}
        self.peers: tuple[Any, ...] = ()
        if args.peers:
            from bench import peers

            self.peers = peers.install()
            self.found.versions = peers.versions(self.peers)
            self.stores = peers.Stores(folder / "peers", stack)

    def fill(self) -> None:
        """Make the databases with a past; every round goes on with them."""
        for database in self.databases:
            where, url = self._filled(database), self._url(database, "filled")
            with installation.up(where, database_url=url, port=self.args.port):
                pass  # migrates, and makes the project
            fill_jobs.fill(
                url or f"sqlite:///{where}/aerodash.sqlite3",
                project="main",
                finished=self.args.finished,
                waiting=self.args.waiting,
            )
            self.filled_urls[database] = url
        self.found.filled = {"finished": self.args.finished, "waiting": self.args.waiting}

    def rounds(self) -> None:
        """Fresh data, data with a past, and the peers, in turn."""
        for number in range(1, self.args.rounds + 1):
            for database in self.databases:
                where = self.folder / f"{database}-{number}"
                self._measure(database, where, self._url(database, f"round_{number}"), ALL)
                if database in self.filled_urls:
                    where, url = self._filled(database), self.filled_urls[database]
                    self._measure(f"{database}, filled", where, url, FILLED)
            for peer in self.peers:
                from bench import peers

                self._keep(peer.title, peers.measure(peer, self.stores, quick=self.args.quick))

    def snapshot(self) -> None:
        url = self._url("postgres", "snapshot")
        with installation.up(self.folder / "snapshot", database_url=url, port=self.args.port) as at:
            self.found.snapshot = snapshot.hold(at, minutes=self.args.snapshot_minutes)

    def _measure(self, subject: str, where: Path, url: str, measured: Sequence[Measured]) -> None:
        only = self.args.only.split(",") if self.args.only else [measure.__name__ for measure in measured]
        with installation.up(where, database_url=url, port=self.args.port) as at:
            figures: Figures = {}
            for measure in measured:
                if measure.__name__ in only:
                    figures |= measure(at, self.plan)
            self._keep(subject, figures)

    def _keep(self, subject: str, figures: Figures) -> None:
        self.found.add(subject, figures)
        print(subject, " ".join(f"{name}={value:.4g}" for name, value in figures.items()), flush=True)

    def _filled(self, database: str) -> Path:
        return self.folder / f"{database}-filled"

    def _url(self, database: str, name: str) -> str:
        """ "" for SQLite; on the PostgreSQL server a new database."""
        return installation.new_database(self.postgres_url, name) if database == "postgres" else ""


if __name__ == "__main__":
    main()
