"""The timeline's pure parts: histograms, steps of time, counters that go down, what a process counts."""

import asyncio
import itertools
import math
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from django.db import OperationalError
from hypothesis import given
from hypothesis import strategies as st

from aerodash.ids import ProjectId
from aerodash.rollups import steps, tally
from aerodash.rollups.cells import LONGEST_MS, RELATIVE_ERROR, Cell, bounds, pack, quantiles, unpack
from aerodash.rollups.metrics import OTHER
from aerodash.rollups.store import grown
from aerodash.rollups.tally import Delta, Tally, cells_of, deltas_of
from cache_admin import rollups as cache
from jobs_admin import rollups as jobs

ONE, TWO = ProjectId(1), ProjectId(2)
NOW_S = 1_800_000_000
times = st.integers(0, 10**5) | st.integers(0, LONGEST_MS)


def of(values: Sequence[int]) -> Cell:
    cell = Cell()
    for value in values:
        cell.time(value)
    return cell


@given(st.lists(times, min_size=1), st.lists(st.integers(0, 20), max_size=5), st.floats(0, 1))
def test_a_quantile_of_merged_histograms_lies_close_to_the_true_one(values, cuts, q):
    merged = Cell()
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(values)], strict=True):
        merged.add(of(values[start:end]))
    true = sorted(values)[min(max(math.ceil(q * len(values) - 1e-9), 1), len(values)) - 1]
    [found] = merged.quantiles([q])
    assert abs(found - true) <= RELATIVE_ERROR * true
    assert (merged.count, merged.total) == (len(values), sum(values))
    assert merged.least == min(values)
    assert merged.most == max(values)


@given(times)
def test_a_time_is_within_the_bounds_of_its_bucket(ms):
    [where] = of([ms]).times
    low, high = bounds(where)
    assert low <= ms <= high
    assert high - low <= 2 * RELATIVE_ERROR * low


def test_buckets_follow_each_other_without_a_gap():
    last = -1
    for where in range(560):
        low, high = bounds(where)
        assert low == last + 1
        last = high


def test_times_below_zero_and_beyond_the_longest_count_as_those():
    cell = of([-5, 10 * LONGEST_MS])
    assert (cell.least, cell.most) == (0, LONGEST_MS)
    assert cell.quantiles([0, 1]) == [0, pytest.approx(LONGEST_MS, rel=RELATIVE_ERROR)]


def test_there_is_no_quantile_of_nothing():
    with pytest.raises(ValueError, match="no times"):
        quantiles({}, [0.5])


@given(st.dictionaries(st.integers(0, 2**16 - 1), st.integers(1, 2**32 - 1)))
def test_a_packed_histogram_is_the_same_again(counted):
    assert unpack(pack(counted)) == counted
    assert len(pack(counted)) == 6 * len(counted)


ranges = st.tuples(st.integers(0, steps.LONGEST_S), st.integers(1, steps.LONGEST_S)).map(
    lambda pair: (NOW_S - pair[0], NOW_S - pair[0] + pair[1])
)


@given(ranges)
def test_tiles_cover_a_range_once_and_to_the_second_that_is_kept(of_range):
    start_s, end_s = of_range
    found = steps.tiles(start_s, end_s, NOW_S)
    for before, after in itertools.pairwise(found):
        assert before.end_s == after.start_s
    for tile in found:
        assert tile.start_s % tile.step_s == 0
        assert tile.end_s % tile.step_s == 0
        [kept] = [one for one in steps.RESOLUTIONS if one.step_s == tile.step_s]
        # One step more is kept than is promised, because a range is rounded outwards.
        assert kept.knows(tile.start_s + tile.step_s, NOW_S)
    first, last = found[0], found[-1]
    assert first.start_s <= start_s < first.start_s + first.step_s
    assert last.end_s - last.step_s < end_s <= last.end_s
    finest = next(one.step_s for one in steps.RESOLUTIONS if one.knows(start_s, NOW_S))
    assert first.start_s == start_s or first.step_s == finest


@given(ranges, st.sampled_from((0, 1, 60, 600, 86_400)))
def test_a_series_covers_its_range_with_a_bounded_number_of_whole_buckets(of_range, at_least_s):
    start_s, end_s = of_range
    choice = steps.choose(start_s, end_s, NOW_S, at_least_s)
    starts = choice.starts()
    assert choice.start_s <= start_s < choice.start_s + choice.shown_s
    assert choice.end_s - choice.shown_s < end_s <= choice.end_s
    assert len(starts) <= steps.POINTS_MOST
    assert choice.shown_s % choice.kept_s == 0
    assert choice.shown_s >= at_least_s
    [kept] = [one for one in steps.RESOLUTIONS if one.step_s == choice.kept_s]
    assert kept.knows(start_s, NOW_S)


@pytest.mark.parametrize(
    ("back_s", "shown_s", "kept_s"),
    [
        (900, 10, 10),
        (3 * 3_600, 10, 10),
        (86_400, 120, 60),
        (7 * 86_400, 3_600, 3_600),
        (400 * 86_400, 43_200, 3_600),
    ],
)
def test_the_finest_steps_that_fit_are_chosen(back_s, shown_s, kept_s):
    choice = steps.choose(NOW_S - back_s, NOW_S, NOW_S)
    assert (choice.shown_s, choice.kept_s) == (shown_s, kept_s)


@pytest.mark.parametrize(
    ("before", "now", "growth"),
    [
        pytest.param(10, 15, 5, id="grew"),
        pytest.param(10, 10, 0, id="stood"),
        pytest.param(1_000, 40, 40, id="began again at zero"),
        pytest.param(1_000, 990, 0, id="came back as it was a moment ago"),
        pytest.param(0, 0, 0, id="nothing yet"),
    ],
)
def test_a_counter_grows_by_what_is_certainly_new(before, now, growth):
    assert grown(before, now) == growth


class Rows:
    """What a tally sends. refuses: how often it is not taken."""

    def __init__(self) -> None:
        self.sent: list[Delta] = []
        self.refuses = 0
        self.tried = asyncio.Event()

    async def __call__(self, deltas: Sequence[Delta]) -> None:
        self.tried.set()
        if self.refuses:
            self.refuses -= 1
            raise OperationalError("database is locked")
        self.sent += deltas

    def counts(self) -> dict[tuple[ProjectId, str, str, int], int]:
        found: dict[tuple[ProjectId, str, str, int], int] = {}
        for project, text in self.sent:
            for key, cell in cells_of(project, text):
                found[key] = found.get(key, 0) + cell.count
        return found


@pytest.fixture
def rows() -> Rows:
    return Rows()


async def test_what_is_counted_is_sent_once_under_its_project_and_ten_seconds(rows: Rows):
    counting = Tally(rows)
    counting.cell(ONE, "jobs.completed", "mail", 19_999).count += 2
    counting.cell(ONE, "jobs.completed", "mail", 10_000).count += 1
    counting.cell(ONE, "jobs.completed", "mail", 20_000).count += 1
    counting.cell(TWO, "jobs.completed", "mail", 10_000).count += 1
    await counting.flush()
    await counting.close()
    assert rows.counts() == {
        (ONE, "jobs.completed", "mail", 10): 3,
        (ONE, "jobs.completed", "mail", 20): 1,
        (TWO, "jobs.completed", "mail", 10): 1,
    }


async def test_it_is_sent_by_itself_after_a_while(rows: Rows):
    counting = Tally(rows, flush_s=0.01)
    counting.cell(ONE, "jobs.failed", "mail", 0).count += 1
    async with asyncio.timeout(60):
        await rows.tried.wait()
    await counting.close()
    assert rows.counts() == {(ONE, "jobs.failed", "mail", 0): 1}


async def test_what_the_database_refuses_is_kept_and_sent_by_itself_later(rows: Rows, caplog):
    rows.refuses = 3
    counting = Tally(rows, flush_s=0.01)
    counting.cell(ONE, "jobs.failed", "mail", 0).count += 1
    async with asyncio.timeout(60):
        while not rows.sent:
            rows.tried.clear()
            await rows.tried.wait()
            counting.cell(ONE, "jobs.failed", "mail", 0).count += 1
        added = rows.counts()
    await counting.close()
    assert added[ONE, "jobs.failed", "mail", 0] >= 1 + 3
    assert len([line for line in caplog.messages if "are kept" in line]) == 1


async def test_a_close_sends_what_is_left_and_says_what_it_cannot(rows: Rows, caplog):
    counting = Tally(rows)
    counting.cell(ONE, "jobs.failed", "mail", 0).count += 1
    rows.refuses = 1
    await counting.close()
    assert rows.sent == []
    assert "1 figures of this process's last seconds are lost" in caplog.messages


async def test_labels_over_the_bound_are_put_together_and_none_is_lost(rows: Rows):
    counting = Tally(rows, cells_most=3)
    for number in range(10):
        counting.cell(ONE, "jobs.failed", f"type-{number}", 0).count += 1
    await counting.close()
    counted = rows.counts()
    assert len(counted) == 4
    assert counted[ONE, "jobs.failed", OTHER, 0] == 7


async def test_after_a_long_refusal_the_oldest_figures_are_given_up(rows: Rows, caplog):
    counting = Tally(rows, cells_most=3)
    for second in range(0, 1_000, 10):
        counting.cell(ONE, "jobs.failed", "mail", second * 1_000).count += 1
    await counting.close()
    counted = rows.counts()
    assert len(counted) <= 6
    assert max(at_s for _, _, _, at_s in counted) == 990
    assert any("figures are lost" in line for line in caplog.messages)


def test_a_row_has_a_bounded_number_of_figures_of_one_project():
    cells = {
        (project, "jobs.wait_ms", f"type-{number}", 0): of([number])
        for project in (ONE, TWO)
        for number in range(tally.CELLS_IN_DELTA + 1)
    }
    deltas = deltas_of(cells)
    assert [project for project, _ in deltas] == [ONE, ONE, TWO, TWO]
    assert {key: cell for project, text in deltas for key, cell in cells_of(project, text)} == cells


@pytest.mark.parametrize(
    "text", ["", "7", '[["jobs.failed"]]', '[["a","b",0,null,0,0,0,{}]]', '[["a","b",0,1,0,0,0,7]]']
)
def test_a_row_that_is_not_ours_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        cells_of(ONE, text)


def test_every_metric_is_documented_and_no_other():
    document = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "metrics.md").read_text(
        encoding="utf-8"
    )
    documented = set(re.findall(r"^\| `(\w+\.\w+)` \| (\w+) \| (\w*) ?\|", document, re.MULTILINE))
    assert documented == {(one.name, one.kind.value, one.label) for one in (*cache.METRICS, *jobs.METRICS)}
