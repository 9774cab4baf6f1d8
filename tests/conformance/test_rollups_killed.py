"""A keeper in a process of its own is killed while it adds figures: what it had not added is added once."""

import time

from django.db.models import Sum

from aerodash.models import RollupBucket, RollupDelta
from aerodash.rollups import store
from aerodash.rollups.cells import Cell
from aerodash.rollups.steps import FINEST_S, RESOLUTIONS, floor
from aerodash.rollups.tally import Delta, deltas_of

ROWS = 2_000
PATIENCE_S = 60.0


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
