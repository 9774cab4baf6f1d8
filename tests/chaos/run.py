"""A chaos run: a whole AeroDash under load, its parts killed and stopped at random, and what it kept of its promises.

    python -m tests.chaos.run --database sqlite|postgres --minutes 10 --seed N [--report FILE]

The seed decides what every client and wire worker does and which part is hit when. How these interleave is up to the
machine: the same seed replays the same attack, not the same instants. Exit code 0: no violation; the report says more.
"""

import argparse
import contextlib
import dataclasses
import math
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.chaos import checker, faults, history, report
from tests.chaos.client import SCHEDULE_EVERY_S, SCHEDULED_TYPE, SETTINGS, Client
from tests.chaos.harness import Installation, wait_for
from tests.chaos.history import Recorder
from tests.chaos.parts import ANSWER_S, Fleet, Part
from tests.chaos.snapshot import Database
from tests.chaos.wire import Wire
from tests.ports import free_port
from tests.postgres import OwnServer

CLIENTS = 3
PARTS = {"web": 1, "keeper": 2, "wire": 3, "sdk": 2, "sdk-child": 2, "valkey": 1}
DRAIN_S = 120.0
"""And half as long again as the load went on: types with limits get more than their workers may take meanwhile."""
WATCH_EVERY_S = 0.05
REVIVE_EVERY_S = 1.0


class Run:
    """One run on one database. folder: short, because Valkey's socket is in it."""

    def __init__(self, database: str, seed: str, load_s: float, folder: Path) -> None:
        self._database = database
        self._seed = seed
        self._load_s = load_s
        self._history = folder / "history"
        self._history.mkdir(parents=True)
        self._parts = dict(PARTS)
        self._server: OwnServer | None = None
        self._mending: list[threading.Thread] = []
        if database == "postgres":
            self._parts |= {"web": 2, "postgres": 1}
            self._server = OwnServer(configuration={"checkpoint_timeout": "5min"})
        self._limits = checker.Limits(
            brief=frozenset(type for type, said in SETTINGS.items() if "retention" in said),
            limited={type: said["concurrency"] for type, said in SETTINGS.items() if "concurrency" in said},
            keyed={
                type: said["partitionConcurrency"]
                for type, said in SETTINGS.items()
                if "partitionConcurrency" in said
            },
            rated={
                type: (
                    said["rateLimit"]["limit"] / said["rateLimit"]["perSeconds"],
                    said["rateLimit"]["burst"],
                )
                for type, said in SETTINGS.items()
                if "rateLimit" in said
            },
            one_writer=database == "sqlite",
        )
        self._ports = [free_port() for _ in range(self._parts["web"])]
        self.installation = Installation(folder / "var", self._ports[0])
        self._fleet = Fleet(self.installation, self._history, seed, self._ports)

    def go(self) -> report.Outcome:
        try:
            return self._go()
        finally:
            for part in self._fleet.parts.values():
                part.kill()
            self.installation.close()

    def _go(self) -> report.Outcome:
        url = self._start()
        began = time.monotonic()
        self._schedule()
        reader = Database(url)
        with self._load(), self._watch(reader):
            self._strike()
        load_s = time.monotonic() - began
        self._recover()
        self.installation.ok("/queue/schedule/delete", {"name": SCHEDULED_TYPE})
        drain_s = self._drain(reader)
        for part in self._fleet.of("wire", "sdk", "keeper", "web"):
            part.end()
        stored, seen = reader.snapshot(), history.read(self._history)
        # The first slot is due one period after it was set.
        slots = math.ceil((time.monotonic() - began) / SCHEDULE_EVERY_S)
        limits = dataclasses.replace(self._limits, schedules={SCHEDULED_TYPE: slots})
        return report.Outcome(
            self._database,
            self._seed,
            load_s,
            drain_s,
            self._parts,
            seen,
            stored,
            checker.check(seen, stored, limits),
        )

    def _start(self) -> str:
        """Everything runs and the project is set up; returns DATABASE_URL."""
        installation, fleet = self.installation, self._fleet
        installation.data.mkdir()
        if self._server is not None:
            fleet.postgres(self._server)
            self._server.execute("CREATE DATABASE chaos")
            url = self._server.url("chaos")
        else:
            url = f"sqlite://{installation.data / 'aerodash.sqlite3'}"
        installation.environment |= {"DATABASE_URL": url}
        fleet.valkey()
        installation.prepare()
        for number in range(self._parts["web"]):
            fleet.web(number + 1)
        fleet.await_web()
        for type, settings in SETTINGS.items():
            installation.ok("/queue/configure", {"type": type, "settings": settings})
        for number in range(2):
            fleet.keeper(number + 1)
            fleet.sdk(number + 1)
        for number in range(self._parts["wire"]):
            fleet.wire(number + 1)
        return url

    def _schedule(self) -> None:
        self.installation.ok(
            "/queue/schedule/set",
            {
                "name": SCHEDULED_TYPE,
                "type": SCHEDULED_TYPE,
                "payload": {"n": "schedule", "plan": "done"},
                "everySeconds": SCHEDULE_EVERY_S,
                "missed": "all",
            },
        )

    @contextlib.contextmanager
    def _load(self) -> Iterator[None]:
        stop = threading.Event()
        clients = []
        for number in range(1, CLIENTS + 1):
            recorder = Recorder(self._history, f"client-{number}")
            wire = Wire(self._ports, self.installation.key, recorder, first=number)
            clients.append(Client(number, f"{self._seed}:client-{number}", wire, stop))
        for client in clients:
            client.start()
        try:
            yield
        finally:
            stop.set()
            for client in clients:
                client.join()

    @contextlib.contextmanager
    def _watch(self, reader: Database) -> Iterator[None]:
        """Look all the time whether more jobs run than may, and write that down."""
        stop = threading.Event()
        recorder = Recorder(self._history, "watch")

        def watch() -> None:
            while not stop.wait(WATCH_EVERY_S):
                try:
                    running = reader.running()
                except (sqlite3.OperationalError, psycopg.OperationalError):
                    continue  # it is one of the parts that are hit
                for (type, key), number in running.items():
                    if number > self._limits.most(type, key):
                        seen = recorder.event("watch", "invoke", what=f"{type} {key}")
                        recorder.event("watch", "ok", seen, running=number)

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            yield
        finally:
            stop.set()
            watching.join()

    def _strike(self) -> None:
        """Carry out the plan."""
        recorder = Recorder(self._history, "faults")
        began = time.monotonic()
        for fault in faults.plan(self._seed, self._parts, load_s=self._load_s):
            self._look_after_all(began + fault.at_s)
            self._hit(fault, recorder)
        self._look_after_all(began + self._load_s)

    def _look_after_all(self, until: float) -> None:
        """As supervisors do: what gave up, because the database was away when it started, is started again."""
        while (left_s := until - time.monotonic()) > 0:
            time.sleep(min(left_s, REVIVE_EVERY_S))
            self._fleet.revive()

    def _hit(self, fault: faults.Planned, recorder: Recorder) -> None:
        """Do it, unless the part is still coming back from the last one."""
        part = self._fleet.parts[fault.part.replace("sdk-child", "sdk")]
        if not part.free.acquire(blocking=False):
            return
        recorder.event("fault", "fault", part=fault.part, kind=fault.kind, until=time.time() + fault.for_s)
        children_only = fault.part.startswith("sdk-child")
        match fault.kind:
            case "kill":
                part.hit(signal.SIGKILL, children_only=children_only)
            case "stop":
                part.hit(signal.SIGSTOP, children_only=children_only)
            case "term":
                part.ask_to_stop()
        self._mending.append(threading.Thread(target=self._mend, args=(part, fault)))
        self._mending[-1].start()

    def _mend(self, part: Part, fault: faults.Planned) -> None:
        """Once its time is over, beside the other faults."""
        try:
            time.sleep(fault.for_s)
            if fault.kind == "stop":
                part.hit(signal.SIGCONT)
            elif not fault.part.startswith("sdk-child"):  # whose parent sees to that
                part.end()
                part.start()
        finally:
            part.free.release()

    def _recover(self) -> None:
        """After the last fault everything runs again."""
        for mending in self._mending:
            mending.join()
        for part in self._fleet.parts.values():
            part.hit(signal.SIGCONT)
        wait_for("answers from all of web", self._answers, within_s=ANSWER_S)

    def _answers(self) -> bool:
        self._fleet.revive()
        return self._fleet.answers()

    def _drain(self, reader: Database) -> float:
        """Wait until all work is done; what is not by then stays for the checker to name."""
        began = looked_at = time.monotonic()

        def is_done() -> bool:
            nonlocal looked_at
            if time.monotonic() - looked_at > REVIVE_EVERY_S:
                self._fleet.revive()
                looked_at = time.monotonic()
            return reader.unfinished() == 0

        with contextlib.suppress(AssertionError):
            wait_for("the end of all work", is_done, within_s=DRAIN_S + self._load_s / 2)
        return time.monotonic() - began


def run(database: str, seed: str, load_s: float, *, keep: bool = False) -> report.Outcome:
    """Run once and print how it went. keep: leave histories, logs and rows also where nothing is violated."""
    with tempfile.TemporaryDirectory(prefix="aerodash-chaos-", ignore_cleanup_errors=True) as folder:
        chaos = Run(database, seed, load_s, Path(folder))
        try:
            outcome = chaos.go()
        except BaseException:
            print(chaos.installation.log()[-4000:], file=sys.stderr)
            raise
        if outcome.violated or keep:
            kept = Path(tempfile.mkdtemp(prefix="aerodash-chaos-kept-"))
            shutil.copytree(folder, kept, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
            (kept / "snapshot.json").write_text(outcome.stored.text())
            print(f"history, logs and database: {kept}")
    print(summary(outcome))
    return outcome


def summary(outcome: report.Outcome) -> str:
    """Some lines for a terminal."""
    seen = outcome.history
    kinds = Counter(f"{fault.kind} {fault.part.rpartition('-')[0]}" for fault in seen.faults)
    lines = [
        f"chaos on {outcome.database}, seed {outcome.seed}: {outcome.violated} violations",
        f"  {len(seen.ops)} operations in {outcome.load_s:.0f} s, {len(outcome.stored.jobs)} jobs, "
        f"drained in {outcome.drain_s:.1f} s, longest outage {report.outage_words(seen)}",
        f"  {len(seen.faults)} faults: " + ", ".join(f"{kind} ×{n}" for kind, n in kinds.most_common()),
    ]
    for rule, found in outcome.violations.items():
        lines += [f"  {rule}: {len(found)}", *(f"    {each}" for each in found[:5])]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.run")
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", default=str(random.randrange(10**6)))
    parser.add_argument("--report", type=Path, help="also write the report to this file")
    parser.add_argument("--keep", action="store_true", help="keep histories, logs and rows in any case")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    outcome = run(options.database, options.seed, options.minutes * 60, keep=options.keep)
    if options.report is not None:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(report.markdown(outcome))
    return 1 if outcome.violated else 0


if __name__ == "__main__":
    sys.exit(main())
