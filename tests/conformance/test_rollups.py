"""The timeline in the database: exact whatever is cut off or done twice, bounded, and read at any resolution."""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

import pytest
from django.db import OperationalError, connection, transaction

from aerodash import database, engines, instants
from aerodash.audit import record
from aerodash.auth import ROLE_SCOPES, Actor, Role, Scope
from aerodash.errors import InvalidInput, NotAllowed
from aerodash.ids import ProjectId
from aerodash.models import Project, RollupBucket, RollupDelta, RollupSeries
from aerodash.rollups import keeper, queries, steps, store
from aerodash.rollups.cells import RELATIVE_ERROR, Cell
from aerodash.rollups.markers import markers
from aerodash.rollups.metrics import OTHER, TOTAL
from aerodash.rollups.steps import DAY_S, FINEST_S, floor
from aerodash.rollups.tally import Delta, Key, Tally, deltas_of
from cache_admin import queries as cache_queries
from cache_admin import rollups as cache_rollups
from cache_admin import services as cache_services
from cache_admin.engine import vitals
from cache_admin.engine.vitals import LostNode, Node, Vitals
from jobs_admin import rollups as jobs_rollups
from jobs_admin.engine.contract import NewJob, RunResult, Who, WorkerInfo
from jobs_admin.models import Job, Worker

HOUR_S = 3_600


@pytest.fixture(autouse=True)
def _nothing_waits() -> None:
    """What other tests counted would be added here."""
    while store.ingest():
        pass


@pytest.fixture
def now_s() -> int:
    return int(time.time())


def at(second: int) -> datetime:
    return instants.of_ms(second * 1_000)


def send(cells: dict[Key, Cell]) -> None:
    store.send(deltas_of(cells))


def counted(
    project: ProjectId, number: int, at_s: int, *, label: str = "mail", metric: str = "jobs.failed"
) -> None:
    send({(project, metric, label, floor(at_s, FINEST_S)): Cell(number)})


def all_of(
    project: ProjectId, step_s: int, metric: str = "jobs.failed", label: str = TOTAL
) -> dict[int, int]:
    rows = RollupBucket.objects.filter(
        series__project_id=project, series__metric=metric, series__label=label, step_s=step_s
    )
    return dict(rows.values_list("at_s", "count"))


def test_what_was_counted_is_in_every_resolution_once_and_in_the_whole(project_id, now_s):
    then = floor(now_s, HOUR_S) - HOUR_S
    for label, second, number in (("mail", 0, 1), ("mail", 5, 2), ("sms", 10, 4), ("mail", 60, 8)):
        counted(project_id, number, then + second, label=label)
    assert store.ingest() is False
    assert all_of(project_id, 10, label="mail") == {then: 3, then + 60: 8}
    assert all_of(project_id, 60, label="mail") == {then: 3, then + 60: 8}
    assert all_of(project_id, 3_600, label="mail") == {then: 11}
    assert all_of(project_id, 10) == {then: 3, then + 10: 4, then + 60: 8}
    assert all_of(project_id, 60) == {then: 7, then + 60: 8}
    assert all_of(project_id, 3_600) == {then: 15}
    assert not RollupDelta.objects.filter(project_id=project_id).exists()


def test_what_comes_late_is_added_where_it_is_still_kept(project_id, now_s):
    for back_s in (
        steps.RESOLUTIONS[0].kept_s + 60,
        steps.RESOLUTIONS[1].kept_s + HOUR_S,
        steps.LONGEST_S + HOUR_S,
    ):
        counted(project_id, 1, now_s - back_s)
    store.ingest()
    assert [len(all_of(project_id, one.step_s)) for one in steps.RESOLUTIONS] == [0, 1, 2]


def test_a_keeper_that_is_cut_off_anywhere_counts_nothing_twice(project_id, now_s, monkeypatch):
    """Each write of an ingest fails once; the next keeper begins again."""
    for second in range(0, 120, 10):
        counted(project_id, 1, now_s - second)
    real, written, fails_after = store._write, 0, 0

    def cut_off(step_s, cells):
        nonlocal written
        real(step_s, cells)
        written += 1
        if written == fails_after:
            raise OperationalError("cut off")

    monkeypatch.setattr(store, "_write", cut_off)
    for fails_after in range(1, 1 + len(steps.RESOLUTIONS)):  # noqa: B007 - cut_off reads it
        written = 0
        with pytest.raises(OperationalError, match="cut off"):
            store.ingest()
    monkeypatch.undo()
    store.ingest()
    for step_s in (10, 60, 3_600):
        assert sum(all_of(project_id, step_s).values()) == 12
    assert store.ingest() is False
    assert sum(all_of(project_id, 10).values()) == 12


def in_threads(*calls: Callable[[], object]) -> list[object]:
    """Run all at once, each on a connection of its own; what they returned or raised."""
    results: list[object] = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def run(place: int) -> None:
        try:
            start.wait(60)
            results[place] = calls[place]()
        except Exception as exc:  # noqa: BLE001 - the test looks at it
            results[place] = exc
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return results


def test_two_keepers_at_once_count_everything_once(project_id, now_s):
    for number in range(120):
        cells = {(project_id, "jobs.run_ms", f"type-{number % 7}", floor(now_s, FINEST_S)): Cell()}
        for cell in cells.values():
            cell.time(number)
        send(cells)

    def ingest_all() -> None:
        while store.ingest():
            pass

    assert in_threads(ingest_all, ingest_all, ingest_all) == [None, None, None]
    for step_s in (10, 60, 3_600):
        assert sum(all_of(project_id, step_s, "jobs.run_ms").values()) == 120
    found = RollupBucket.objects.filter(series__project_id=project_id, series__label=TOTAL, step_s=3_600)
    assert sum(row.total for row in found) == sum(range(120))


def test_figures_of_a_project_that_is_gone_hold_up_nobody(project_id, now_s):
    gone = Project.objects.create(slug=f"gone-{project_id}", name="Gone")
    counted(ProjectId(gone.pk), 1, now_s)
    pk = gone.pk
    RollupDelta.objects.filter(project_id=pk).update(project_id=pk + 1_000_000)
    counted(project_id, 1, now_s)
    store.ingest()
    assert sum(all_of(project_id, 10).values()) == 1
    assert not RollupSeries.objects.filter(project_id=pk + 1_000_000).exists()
    counted(ProjectId(pk), 1, now_s)
    store.ingest()
    gone.delete()
    assert not RollupSeries.objects.filter(project_id=pk).exists()


def test_figures_that_cannot_be_read_hold_up_nobody(project_id, now_s, caplog):
    RollupDelta.objects.create(project_id=project_id, figures='{"of": "a later version"}')
    RollupDelta.objects.create(project_id=project_id, figures="[7]")
    counted(project_id, 1, now_s)
    store.ingest()
    assert sum(all_of(project_id, 10).values()) == 1
    assert any("cannot be read and are lost" in line for line in caplog.messages)


def test_labels_are_bounded_for_a_family_together_and_the_rest_is_kept_under_one(
    project_id, now_s, monkeypatch
):
    monkeypatch.setattr(store, "LABELS_MOST", 3)
    for number in range(6):
        counted(project_id, 1, now_s, label=f"type-{number}")
    for number in range(6):
        counted(project_id, 2, now_s, label=f"type-{number}", metric="jobs.completed")
    store.ingest()
    step_s = 3_600
    kept = {"type-0", "type-1", "type-2", OTHER, TOTAL}
    for metric, each in (("jobs.failed", 1), ("jobs.completed", 2)):
        rows = RollupSeries.objects.filter(project_id=project_id, metric=metric)
        assert set(rows.values_list("label", flat=True)) == kept
        assert sum(all_of(project_id, step_s, metric, OTHER).values()) == 3 * each
        assert sum(all_of(project_id, step_s, metric).values()) == 6 * each
    counted(project_id, 1, now_s, label="type-5")
    store.ingest()
    assert sum(all_of(project_id, step_s, label=OTHER).values()) == 4


def sample(project: ProjectId, at_s: int, turns=None, **counters: int) -> None:
    named = {(project, f"cache.{name}"): value for name, value in counters.items()}
    known = store.turns(["cache.hits", "cache.misses"]) if turns is None else turns
    store.add_sample(store.Sample(at_s, counters=named, turns=known))


def test_a_counter_counts_from_when_it_was_read_first_and_outlives_a_restart_of_its_store(project_id, now_s):
    then = floor(now_s, FINEST_S)
    for step, value in enumerate((1_000, 1_010, 1_010, 5, 8, 7)):
        sample(project_id, then + 10 * step, hits=value)
    assert all_of(project_id, 10, "cache.hits") == {then + 10: 10, then + 30: 5, then + 40: 3}


def test_of_two_keepers_that_read_a_counter_at_the_same_time_one_counts(project_id, now_s):
    sample(project_id, now_s, hits=100)
    turns = store.turns(["cache.hits"])
    sample(project_id, now_s, turns, hits=130)
    sample(project_id, now_s, turns, hits=120)  # read before the other one wrote, and slow
    assert sum(all_of(project_id, 3_600, "cache.hits").values()) == 30
    sample(project_id, now_s, hits=140)
    assert sum(all_of(project_id, 3_600, "cache.hits").values()) == 40


def test_a_counter_is_not_forgotten_while_it_says_nothing_new(project_id, now_s):
    sample(project_id, now_s, hits=100)
    prune_all(now_s + 500 * DAY_S)
    sample(project_id, now_s, hits=101)
    assert sum(all_of(project_id, 3_600, "cache.hits").values()) == 1


def prune_all(now_s: int) -> None:
    last: int | None = 0
    while last is not None:
        last = store.prune(last, now_s)


def test_what_is_old_is_forgotten_and_then_its_series(project_id, now_s):
    counted(project_id, 1, now_s)
    store.ingest()
    prune_all(now_s + HOUR_S)
    assert [len(all_of(project_id, one.step_s)) for one in steps.RESOLUTIONS] == [1, 1, 1]
    prune_all(now_s + 4 * HOUR_S)
    assert [len(all_of(project_id, one.step_s)) for one in steps.RESOLUTIONS] == [0, 1, 1]
    prune_all(now_s + 4 * DAY_S)
    assert [len(all_of(project_id, one.step_s)) for one in steps.RESOLUTIONS] == [0, 0, 1]
    prune_all(now_s + 402 * DAY_S)
    assert not RollupSeries.objects.filter(project_id=project_id).exists()


async def test_the_pruner_goes_round_no_more_than_once_a_minute(monkeypatch):
    asked: list[int] = []

    def prune(after: int) -> int | None:
        asked.append(after)
        return after + 1 if after < 5 else None

    monkeypatch.setattr(keeper.store, "prune", prune)
    pruner = keeper.Pruner()
    for _ in range(5):
        await pruner.run()
    assert asked == [0, 1, 2, 3, 4, 5]


async def test_a_sampler_measures_once_in_each_ten_seconds(monkeypatch):
    measured: list[int] = []
    seconds = iter([100.2, 101.2, 109.9, 110.1, 119.0, 125.0])

    async def measure(at_s: int) -> None:
        measured.append(at_s)

    monkeypatch.setattr(keeper.time, "time", lambda: next(seconds))
    sampler = keeper.Sampler(measure)
    for _ in range(6):
        await sampler.run()
    assert measured == [100, 110, 120]


def test_reads_agree_with_what_happened_at_every_resolution(project_id, actor, now_s):
    """Against brute force: failures and times of four days, of three types."""
    lucky = random.Random(7)
    began = now_s - 4 * DAY_S
    happened = sorted(
        (
            lucky.choice((lucky.randrange(began, now_s), lucky.randrange(now_s - HOUR_S, now_s))),
            f"type-{lucky.randrange(3)}",
            int(lucky.lognormvariate(5, 2)),
        )
        for _ in range(600)
    )
    cells: dict[Key, Cell] = {}
    for second, type, ms in happened:
        start = floor(second, FINEST_S)
        cells.setdefault((project_id, "jobs.failed", type, start), Cell()).count += 1
        cells.setdefault((project_id, "jobs.run_ms", type, start), Cell()).time(ms)
    send(cells)
    while store.ingest():
        pass
    for back_s in (900, 2 * HOUR_S, DAY_S, 4 * DAY_S):
        for label in (None, "type-1"):
            asked = {"label": label, "start_at": at(now_s - back_s), "end_at": at(now_s)}
            of_label = [one for one in happened if label in (None, one[1])]
            found = queries.series(project_id, actor, "jobs.failed", **asked)
            [values] = found.values.values()
            for start, value in zip(found.at, values, strict=True):
                assert value == sum(start <= second < start + found.step_s for second, _, _ in of_label)
            # The range's beginning is rounded down to what is kept of it, no more.
            finest = next(one.step_s for one in steps.RESOLUTIONS if one.knows(now_s - back_s, now_s))
            start = floor(now_s - back_s, finest)
            times = sorted(ms for second, _, ms in of_label if start <= second)
            assert queries.total(project_id, actor, "jobs.failed", **asked) == len(times)
            quantiles = queries.quantiles(project_id, actor, "jobs.run_ms", **asked, qs=(0.5, 0.95))
            assert quantiles.count == len(times)
            assert quantiles.mean == pytest.approx(sum(times) / len(times))
            for q, value in quantiles.values.items():
                true = times[max(-(-round(q * 100) * len(times) // 100), 1) - 1]
                assert abs(value - true) <= RELATIVE_ERROR * true
        top = queries.totals(project_id, actor, "jobs.failed", start_at=at(now_s - back_s), end_at=at(now_s))
        counts: dict[str, int] = {}
        for second, type, _ in happened:
            counts[type] = counts.get(type, 0) + (second >= start)
        assert dict(top) == {type: count for type, count in counts.items() if count}
        assert [count for _, count in top] == sorted(counts.values(), reverse=True)


def test_the_labels_with_the_most_are_told_apart_and_the_others_put_together(project_id, actor, now_s):
    then = floor(now_s, HOUR_S) - HOUR_S
    for number in range(5):
        counted(project_id, 10 - number, then, label=f"type-{number}")
    store.ingest()
    asked = {"start_at": at(then), "end_at": at(then + 20)}
    found = queries.by_label(project_id, actor, "jobs.failed", **asked, most=2)
    assert found.at == [then, then + 10]
    assert found.values == {"type-0": [10, 0], "type-1": [9, 0], OTHER: [8 + 7 + 6, 0]}
    assert list(found.values) == ["type-0", "type-1", OTHER]
    assert list(queries.by_label(project_id, actor, "jobs.failed", **asked, most=5).values) == [
        f"type-{number}" for number in range(5)
    ]


def gauge(project: ProjectId, at_s: int, metric: str, **values: float) -> None:
    named = {
        (project, metric, TOTAL if label == "whole" else label): value for label, value in values.items()
    }
    store.add_sample(store.Sample(at_s, named))


def test_a_gauge_has_gaps_and_keeps_what_one_looks_for(project_id, actor, now_s):
    then = floor(now_s, HOUR_S) - HOUR_S
    for second, due, alive, keys in ((0, 5, 3, 10), (10, 900, 0, 20), (20, 7, 3, 60), (60, 1, 2, 1)):
        gauge(project_id, then + second, "jobs.due", whole=due)
        gauge(project_id, then + second, "workers.alive", whole=alive)
        gauge(project_id, then + second, "cache.keys", whole=keys)
    minute = {"start_at": at(then), "end_at": at(then + 180), "step_s": 60}

    def values(metric: str) -> list[float | None]:
        return queries.series(project_id, actor, metric, **minute).values[TOTAL]

    assert values("jobs.due") == [900, 1, None]
    assert values("workers.alive") == [0, 2, None]
    assert values("cache.keys") == [30, 1, None]
    fine = queries.series(project_id, actor, "jobs.due", start_at=at(then), end_at=at(then + 40))
    assert fine.values[TOTAL] == [5, 900, 7, None]


def test_a_label_that_a_sample_does_not_name_was_zero_then(project_id, actor, now_s):
    then = floor(now_s, HOUR_S) - HOUR_S
    gauge(project_id, then, "workers.alive", whole=2, old=2)
    gauge(project_id, then + 10, "workers.alive", whole=3, old=2, new=1)
    gauge(project_id, then + 20, "workers.alive", whole=1, new=1)
    fine = {"start_at": at(then), "end_at": at(then + 40)}

    def values(label: str, **options) -> list[float | None]:
        return queries.series(project_id, actor, "workers.alive", label=label, **options).values[label]

    assert values("old", **fine) == [2, 2, 0, None]
    assert values("new", **fine) == [0, 1, 1, None]
    assert values("old", start_at=at(then), end_at=at(then + 60), step_s=60) == [0]


def test_the_newest_sample_tells_how_it_is_now_unless_it_is_old(project_id, actor, now_s):
    assert queries.newest(project_id, actor, "jobs.due") is None
    gauge(project_id, floor(now_s, FINEST_S) - 60, "jobs.due", whole=9)
    assert queries.newest(project_id, actor, "jobs.due") is None
    gauge(project_id, floor(now_s, FINEST_S), "jobs.due", whole=4, mail=4)
    now = queries.newest(project_id, actor, "jobs.due")
    assert now is not None
    assert (now.value, now.at) == (4, at(floor(now_s, FINEST_S)))
    for label, value in (("mail", 4), ("sms", 0)):
        of_label = queries.newest(project_id, actor, "jobs.due", label=label)
        assert of_label is not None
        assert of_label.value == value


def test_times_in_steps_have_a_line_for_each_quantile_and_gaps(project_id, actor, now_s):
    then = floor(now_s, HOUR_S) - HOUR_S
    cell = Cell()
    for ms in range(1, 31):
        cell.time(ms)
    send({(project_id, "jobs.wait_ms", "mail", then): cell})
    store.ingest()
    found = queries.quantile_series(
        project_id, actor, "jobs.wait_ms", start_at=at(then), end_at=at(then + 20), qs=(0.5, 0.95, 0.999)
    )
    assert found.values == {"p50": [15, None], "p95": [29, None], "p99.9": [30, None]}


def test_a_rate_does_not_dip_where_time_is_not_over():
    rollup = queries.Rollup([0, 60, 120, 180], {TOTAL: [60, 60, 30, 0]}, step_s=60, as_of_s=150)
    assert rollup.per_minute() == [60, 60, 60, None]


def test_nothing_ever_happened(project_id, actor, now_s):
    asked = {"start_at": at(now_s - 60), "end_at": at(now_s)}
    assert set(queries.series(project_id, actor, "jobs.failed", **asked).values[TOTAL]) == {0}
    assert set(queries.series(project_id, actor, "jobs.due", **asked).values[TOTAL]) == {None}
    assert queries.totals(project_id, actor, "jobs.failed", **asked) == []
    assert queries.total(project_id, actor, "jobs.failed", **asked) == 0
    assert queries.quantiles(project_id, actor, "jobs.run_ms", **asked) == queries.Quantiles(0, None, {})
    assert queries.by_label(project_id, actor, "jobs.failed", **asked).values == {}
    assert markers(project_id, actor, **asked) == []


@pytest.mark.parametrize("back_s", [0, -60, 401 * DAY_S])
def test_a_range_that_is_empty_or_too_long_is_refused(project_id, actor, now_s, back_s):
    for ask in (queries.series, queries.totals, queries.quantiles, queries.total):
        with pytest.raises(InvalidInput):
            ask(project_id, actor, "jobs.run_ms", start_at=at(now_s - back_s), end_at=at(now_s))
    with pytest.raises(InvalidInput):
        markers(project_id, actor, start_at=at(now_s - back_s), end_at=at(now_s))


def test_who_may_not_read_jobs_sees_none_of_their_figures(project_id, now_s):
    stranger = Actor("key", "1", "key cache", frozenset({Scope.CACHE_READ}))
    asked = {"start_at": at(now_s - 60), "end_at": at(now_s)}
    for ask in (queries.series, queries.totals, queries.quantiles, queries.total, queries.by_label):
        with pytest.raises(NotAllowed):
            ask(project_id, stranger, "jobs.run_ms", **asked)
    with pytest.raises(NotAllowed):
        queries.newest(project_id, stranger, "jobs.due")
    queries.series(project_id, stranger, "cache.hits", **asked)


def changed(project: ProjectId, *lines: tuple[str, str, str]) -> None:
    ines = Actor("user", "1", "Ines")
    for verb, target, after in lines:
        engines.run(record(project, ines, verb=verb, target=target, after=after))


def test_markers_say_what_people_changed_and_not_what_they_did_to_one_entry(project_id, actor):
    changed(
        project_id,
        ("flag.toggle", "flag:new-checkout", '{"enabled": true, "rollout": 50}'),
        ("flag.toggle", "flag:new-checkout", '{"enabled": false}'),
        ("type.pause", "mail", ""),
        ("cache.flush", "", "12 removed"),
        ("cache.flush.start", "0190", '{"prefix": "session:", "upTo": 9}'),
        ("cache.flush.start", "0191", "cut off, as what is over 4 KiB is"),
        ("entry.set", "a", "1"),
        ("something.new", "x", ""),
    )
    now = datetime.now(tz=instants.of_ms(0).tzinfo)
    found = markers(project_id, actor, start_at=now - timedelta(minutes=1), end_at=now + timedelta(minutes=1))
    assert [(one.kind, one.label) for one in found] == [
        ("flag", "new-checkout turned on"),
        ("flag", "new-checkout turned off"),
        ("type", "mail paused"),
        ("cache", "Keys under everything deleted"),
        ("cache", "Deleting the keys under session:"),
        ("cache", "cache.flush.start 0191"),
    ]
    assert all(one.by == "Ines" and one.audit_id for one in found)
    newest = markers(
        project_id, actor, start_at=now - timedelta(minutes=1), end_at=now + timedelta(minutes=1), most=2
    )
    assert newest == found[-2:]
    assert (
        markers(project_id, actor, start_at=now + timedelta(minutes=1), end_at=now + timedelta(minutes=2))
        == []
    )


def test_markers_are_only_of_what_a_reader_may_see(project_id):
    changed(project_id, ("flag.toggle", "flag:a", ""), ("type.pause", "mail", ""), ("key.create", "shop", ""))
    gauge(project_id, 10_000_000, "workers.alive", whole=1, first=1)
    now = datetime.now(tz=instants.of_ms(0).tzinfo)
    recent = {"start_at": now - timedelta(minutes=1), "end_at": now + timedelta(minutes=1)}
    seen = {
        name: [one.kind for one in markers(project_id, Actor("user", "1", "V", scopes), **recent)]
        for name, scopes in (
            ("viewer", ROLE_SCOPES[Role.VIEWER]),
            ("owner", ROLE_SCOPES[Role.OWNER]),
            ("queue", frozenset({Scope.QUEUE_READ})),
            ("none", frozenset[Scope]()),
        )
    }
    assert seen == {
        "viewer": ["flag", "type"],
        "owner": ["flag", "type", "key"],
        "queue": ["type"],
        "none": [],
    }


def test_a_version_is_marked_when_it_is_first_seen_and_not_where_recording_began(project_id, actor, now_s):
    then = floor(now_s, FINEST_S) - 100
    gauge(project_id, then, "workers.alive", whole=2, **{"1.0": 2, "(none)": 1})
    gauge(project_id, then + 50, "workers.alive", whole=2, **{"1.0": 1, "1.1": 1})
    gauge(project_id, then + 60, "workers.alive", whole=2, **{"1.1": 2, OTHER: 1})
    gauge(project_id, then, "cache.engine_runs", whole=1, aaaa=1)
    gauge(project_id, then + 70, "cache.engine_runs", whole=1, bbbb=1)
    found = markers(project_id, actor, start_at=at(then - 10), end_at=at(now_s))
    assert [(one.at, one.kind, one.label, one.target) for one in found] == [
        (at(then + 50), "workers", "Worker version 1.1 first seen", "1.1"),
        (at(then + 70), "cache", "Cache engine restarted", "bbbb"),
    ]


@contextlib.contextmanager
def database_locked() -> Iterator[None]:
    """Another process writes, and goes on with it."""
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute("LOCK TABLE aerodash_rollupdelta IN EXCLUSIVE MODE")
            held.set()
            free.wait(120)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(60)
    try:
        yield
    finally:
        free.set()
        thread.join(60)


def send_impatiently(deltas: Sequence[Delta]) -> None:
    """As a tally sends, but a lock is not waited for as long."""
    is_sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        if is_sqlite:
            cursor.execute("PRAGMA busy_timeout = 10")
        with transaction.atomic():
            if not is_sqlite:
                cursor.execute("SET LOCAL lock_timeout = '10ms'")
            store.send(deltas)


def test_while_the_database_is_locked_figures_are_kept_and_nobody_waits(project_id, now_s):
    async def count(number: int) -> Tally:
        counting = Tally(database.ask(send_impatiently), flush_s=3_600)
        for _ in range(number):
            counting.cell(project_id, "jobs.failed", "mail", now_s * 1_000).count += 1
        return counting

    counting = engines.run(count(3))
    with database_locked():
        engines.run(counting.flush())
    assert not RollupDelta.objects.filter(project_id=project_id).exists()
    engines.run(counting.close())
    store.ingest()
    assert sum(all_of(project_id, 10, label="mail").values()) == 3


@pytest.fixture
def only_this_project(project_id, monkeypatch) -> None:
    """The suite has hundreds of projects; what is measured of one is the same."""
    monkeypatch.setattr(jobs_rollups, "_projects", lambda: [project_id])
    monkeypatch.setattr(cache_rollups, "_projects", lambda: [project_id])


def test_the_cache_is_measured(project_id, actor, now_s, only_this_project):
    async def use(times: int) -> None:
        await cache_services.set_entry(project_id, actor, key="a", value=b"1")
        for _ in range(times):
            await cache_queries.get(project_id, actor, key="a")
            await cache_queries.get(project_id, actor, key="b")

    then = floor(now_s, FINEST_S)
    for step, times in enumerate((5, 3, 0)):
        if times:
            engines.run(use(times))
        engines.run(cache_rollups.measure(then + 10 * step))
    asked = {"start_at": at(then), "end_at": at(then + 30)}

    def values(metric: str) -> list[float | None]:
        return queries.series(project_id, actor, metric, **asked).values[TOTAL]

    assert values("cache.hits") == [0, 3, 0]
    assert values("cache.misses") == [0, 3, 0]
    assert values("cache.writes") == [0, 1, 0]
    assert values("cache.keys") == [1, 1, 1]
    assert values("cache.engine_runs") == [1, 1, 1]
    assert all(value and value > 100_000 for value in values("cache.memory_bytes"))
    assert values("cache.replica_lag_bytes") == [None, None, None]


def node(**options) -> Node:
    said = "role:master\r\nused_memory:100\r\nmaster_repl_offset:1000\r\n"
    for name, value in options.items():
        said += f"{name}:{value}\r\n"
    return vitals.node("127.0.0.1:1", said.encode())


def test_the_engine_is_the_sum_of_its_servers_and_as_far_behind_as_the_slowest_replica():
    replica = "ip=10.0.0.2,port=6379,state=online,offset={},lag={}"
    first = node(run_id="a", connected_slaves=2, slave0=replica.format(990, 1), slave1=replica.format(400, 7))
    second = node(run_id="b", used_memory=50)
    assert cache_rollups._of_engine(Vitals((first, second))) == {
        ("cache.memory_bytes", TOTAL): 150,
        ("cache.replica_lag_bytes", TOTAL): 600,
        ("cache.replica_silent_s", TOTAL): 7,
        ("cache.engine_runs", TOTAL): 2,
        ("cache.engine_runs", "a"): 1,
        ("cache.engine_runs", "b"): 1,
    }
    lost = Vitals((first,), lost=(LostNode("10.0.0.9:1", 1, "no answer"),))
    assert ("cache.memory_bytes", TOTAL) not in cache_rollups._of_engine(lost)


def test_jobs_are_measured(project_id, actor, now_s, only_this_project):
    hour_ms = 3_600_000
    now_ms = now_s * 1_000
    engine = engines.get("jobs")
    who = Who("key", "1", "key", "api")
    jobs = [
        NewJob("mail", "{}", 2),
        NewJob("mail", "{}", 2, priority=1),
        NewJob("mail", "{}", 2, delay_ms=hour_ms),
        NewJob("sms", "{}", 2),
        NewJob("later", "{}", 2, delay_ms=hour_ms),
    ]
    engines.run(engine.enqueue(project_id, who, jobs))
    Job.objects.filter(project_id=project_id, type="sms").update(due_at_ms=now_ms - 90_000)
    for worker, version in (("w-1", "1.0"), ("w-2", "1.0"), ("w-3", "")):
        info = WorkerInfo(worker, "host", 1, version)
        engines.run(engine.lease(project_id, info, types=["none"], limit=1, lease_ms=None))
    Worker.objects.filter(project_id=project_id, worker_id="w-2").update(last_seen_at_ms=now_ms - hour_ms)
    then = floor(now_s, FINEST_S)
    engines.run(jobs_rollups.measure(then))
    asked = {"start_at": at(then), "end_at": at(then + 10)}

    def value(metric: str, label: str | None = None) -> float | None:
        [values] = queries.series(project_id, actor, metric, label=label, **asked).values.values()
        return values[0]

    assert [value("jobs.due", label) for label in (None, "mail", "sms", "later")] == [3, 2, 1, 0]
    oldest_s = value("jobs.oldest_due_s")
    assert oldest_s is not None
    assert oldest_s == value("jobs.oldest_due_s", "sms") >= 90
    assert value("jobs.oldest_due_s", "later") == 0
    assert [value("workers.alive", label) for label in (None, "1.0", "(none)", "2.0")] == [2, 1, 1, 0]


def test_what_the_job_engine_does_comes_to_the_timeline_by_itself(project_id, actor, now_s):
    """The process's own engine, its own tally, and the keeper's task."""
    engine = engines.get("jobs")
    who, worker = Who("key", "1", "key", "api"), WorkerInfo("w", "host", 1)

    async def work() -> None:
        await engine.enqueue(project_id, who, [NewJob("mail", "{}", 2)] * 5)
        leased = await engine.lease(project_id, worker, types=None, limit=5, lease_ms=None)
        results = [RunResult(job.id, job.lease_token, "completed") for job in leased.jobs]
        assert len(results) == 5
        await engine.settle(project_id, who, results)
        await engines.get("rollups").flush()

    engines.run(work())
    engines.run(keeper.ingest())
    asked = {"start_at": at(now_s - 60), "end_at": at(now_s + 600)}
    for metric in ("jobs.enqueued", "jobs.completed", "jobs.wait_ms", "jobs.run_ms"):
        assert queries.total(project_id, actor, metric, **asked) == 5, metric
    assert queries.totals(project_id, actor, "jobs.completed", **asked) == [("mail", 5)]
