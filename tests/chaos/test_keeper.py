"""Keepers in processes of their own, as on several machines: one keeps house, whatever happens to it."""

import os
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings

from aerodash.keeper import lease
from tests import postgres
from tests.chaos.harness import PATIENCE_S, Installation, wait_for

pytestmark = pytest.mark.chaos

NOW = {"sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now')", "postgresql": "clock_timestamp()"}


class Keepers:
    """Three machines, each with a data folder of its own, on one database."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self.machines = [Installation(folder / f"machine-{n}" / "data", 1) for n in range(3)]
        variables = {"DATABASE_URL": url, "VALKEY_URL": settings.VALKEY_URL, "AERODASH_LOG_LEVEL": "INFO"}
        for machine in self.machines:
            machine.data.parent.mkdir()
            machine.environment |= variables
        self.processes: dict[int, subprocess.Popen[str]] = {}
        for machine in self.machines:
            process = machine.run("keeper")
            self.processes[process.pid] = process

    def holder(self) -> int | None:
        """The process that has the lease now, as the database says; None if nobody does."""
        held = self.lease()
        return held and held[0]

    def lease(self) -> tuple[int, int] | None:
        """(the process that has the lease now, its fence); None if nobody has it."""
        now = NOW[self.url.partition(":")[0]]
        rows = self._ask(f"SELECT holder, fence FROM aerodash_keeperlease WHERE expires_at > {now}")
        return (int(rows[0][0].split(":")[1]), rows[0][1]) if rows else None

    def _ask(self, sql: str) -> list[tuple[str, int]]:
        try:
            if self.url.startswith("sqlite"):
                path = Path(urlsplit(self.url).path)
                if not path.exists():
                    return []
                with closing(sqlite3.connect(path)) as connection:
                    return connection.execute(sql).fetchall()
            with psycopg.connect(self.url) as connection:
                return connection.execute(sql).fetchall()  # type: ignore[arg-type]
        except (sqlite3.OperationalError, psycopg.errors.UndefinedTable):
            return []  # not migrated yet

    def begun(self) -> list[int]:
        """What the keepers say themselves: each fence under which one of them kept house."""
        return [fence for process in self.processes for fence in self.begun_by(process)()]

    def begun_by(self, pid: int) -> Callable[[], list[int]]:
        machine = self.machines[list(self.processes).index(pid)]
        return lambda: [int(fence) for fence in re.findall(r"keeps house \(fence (\d+)\)", machine.log())]

    def another_than(self, pid: int) -> int | None:
        holder = self.holder()
        return holder if holder != pid else None


@pytest.fixture(params=["sqlite", "postgres"])
def keepers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Keepers]:
    url = f"sqlite:///{tmp_path}/shared.sqlite3" if request.param == "sqlite" else postgres.new_database()
    keepers = Keepers(tmp_path, url)
    yield keepers
    for machine in keepers.machines:
        machine.close()


def test_another_machine_takes_over_from_a_killed_keeper(keepers: Keepers):
    assert lease.LASTS_S + lease.RENEW_S < 5, "within five seconds, where nothing else keeps the machine busy"
    holders = [wait_for("a keeper", keepers.holder)]
    for _ in range(2):
        killed = holders[-1]
        keepers.processes[killed].kill()
        holders.append(wait_for("another keeper", lambda pid=killed: keepers.another_than(pid)))
    assert len(set(holders)) == 3, "each machine had its turn"
    # The killed ones may not have come to say so.
    wait_for("the last one's word", keepers.begun_by(holders[-1]))
    assert max(keepers.begun()) in keepers.begun_by(holders[-1])()
    assert len(set(keepers.begun())) == len(keepers.begun()), "no fence was held twice"
    assert wait_for("the last one's lease", keepers.holder) == holders[-1]


def test_a_keeper_that_was_paused_has_lost_its_turn(keepers: Keepers):
    first, old_fence = wait_for("a keeper", keepers.lease)
    os.kill(first, signal.SIGSTOP)
    wait_for("another keeper", lambda: keepers.another_than(first))
    os.kill(first, signal.SIGCONT)
    # It asks again within its second, so by the time another lease would have ended it has been told.
    deadline = time.monotonic() + lease.LASTS_S + lease.RENEW_S
    while time.monotonic() < deadline:
        assert (keepers.lease() or (first, old_fence + 1))[1] > old_fence, "its turn is over"
        time.sleep(0.05)
    second = wait_for("a keeper", keepers.holder)
    keepers.processes[second].terminate()
    assert keepers.processes[second].wait(PATIENCE_S) == 0
    assert keepers.holder() != second, "it gave its lease back"
    wait_for("another keeper", lambda: keepers.another_than(second))
    assert len(set(keepers.begun())) == len(keepers.begun()), "no fence was held twice"
