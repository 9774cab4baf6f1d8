"""A keeper in a process of its own is killed while it adds figures: what it had not added is added once."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.db.models import Sum

from aerodash.models import KeeperLease, RollupBucket, RollupDelta
from aerodash.rollups import store
from aerodash.rollups.cells import Cell
from aerodash.rollups.steps import FINEST_S, RESOLUTIONS, floor
from aerodash.rollups.tally import Delta, deltas_of
from tests.fixtures import database_url

ROWS = 2_000
PATIENCE_S = 60.0


@pytest.fixture
def start_keeper(tmp_path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    KeeperLease.objects.all().delete()
    environment = {
        **os.environ,
        "AERODASH_DATA": str(tmp_path),
        "DATABASE_URL": database_url(),
        "VALKEY_URL": settings.VALKEY_URL,
    }
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "aerodash", "keeper"]
        started.append(subprocess.Popen(command, env=environment, start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_what_a_killed_keeper_had_not_added_is_added_once(project_id, start_keeper):
    at_s = floor(int(time.time()), FINEST_S)
    rows: list[Delta] = []
    for number in range(ROWS):
        cell = Cell()
        cell.time(number)
        rows += deltas_of({(project_id, "jobs.run_ms", f"type-{number % 5}", at_s): cell})
    store.send(rows)
    waiting = RollupDelta.objects.filter(project_id=project_id)

    killed = start_keeper()
    deadline = time.monotonic() + PATIENCE_S
    while waiting.count() == ROWS:
        assert time.monotonic() < deadline
    killed.kill()
    killed.wait()
    assert 0 < waiting.count() < ROWS

    while store.ingest():
        pass
    assert not waiting.exists()
    for resolution in RESOLUTIONS:
        buckets = RollupBucket.objects.filter(series__project_id=project_id, series__metric="jobs.run_ms")
        of_all = buckets.filter(series__label="", step_s=resolution.step_s)
        whole = of_all.aggregate(Sum("count"), Sum("total"))
        assert whole == {"count__sum": ROWS, "total__sum": sum(range(ROWS))}
