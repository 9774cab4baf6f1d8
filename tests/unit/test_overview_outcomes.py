"""When a type fails more than by habit: judged against itself, whatever others do."""

from datetime import UTC, datetime, timedelta

import pytest

from aerodash.console.overview.outcomes import STEPS, Step, habit_of, judge
from aerodash.rollups.steps import choose

BEGAN = datetime(2026, 3, 18, 9, 0, tzinfo=UTC)


def steps(*outcomes: tuple[int, int, int], number: int = STEPS, minutes: int = 5) -> list[Step]:
    """(completed, failed, retried) of the last steps; those before have no runs."""
    padded = [(0, 0, 0)] * (number - len(outcomes)) + list(outcomes)
    return [Step(BEGAN + timedelta(minutes=minutes * at), *one) for at, one in enumerate(padded)]


def at(step: int) -> datetime:
    return BEGAN + timedelta(minutes=5 * step)


def test_type_that_begins_to_fail_is_out_of_its_habit() -> None:
    found = judge("send-email", steps(*[(1000, 3, 0)] * 33, *[(600, 300, 100)] * 3))

    assert found is not None
    assert found.rate == pytest.approx(0.4)
    assert found.failures == 1200
    assert found.failed == 9 * 3 + 900
    assert found.since == at(33)
    assert found.habit is not None
    assert found.habit.rate == pytest.approx(0.003, abs=0.0001)
    assert found.is_bad


def test_type_that_always_fails_as_much_is_quiet() -> None:
    assert judge("crawl", steps(*[(70, 0, 30), (75, 0, 25), (65, 0, 35)] * 12)) is None


def test_scatter_of_its_own_is_no_fault() -> None:
    calm, wild = [(100, 0, 2)] * 33, [(100, 0, 0), (90, 0, 10), (96, 0, 4)] * 11

    assert judge("a", steps(*calm, *[(90, 0, 10)] * 3)) is not None
    assert judge("a", steps(*wild, *[(90, 0, 10)] * 3)) is None


def test_four_failures_are_too_few_to_judge() -> None:
    assert judge("a", steps(*[(100, 0, 0)] * 33, (0, 0, 4))) is None
    assert judge("a", steps(*[(100, 0, 0)] * 33, (0, 0, 5))) is not None


def test_type_without_a_habit_may_fail_a_tenth() -> None:
    assert judge("new", steps((92, 8, 0))) is None
    found = judge("new", steps((80, 20, 0)))

    assert found is not None
    assert found.habit is None
    assert found.since is None


def test_fault_that_lasts_does_not_become_the_habit_while_hours_are_known() -> None:
    long = [(60, 40, 0)] * STEPS
    hours = steps(*[(1000, 5, 0)] * 20, *[(600, 400, 0)] * 4, number=25, minutes=60)

    assert judge("a", steps(*long)) is not None, "480 jobs failed for good in an hour"
    found = judge("a", steps(*long), hours)

    assert found is not None
    assert found.habit is not None
    assert found.habit.rate < 0.01
    assert found.failures == 120


def test_many_failures_for_good_are_said_although_they_are_the_habit() -> None:
    found = judge("a", steps(*[(18, 2, 0)] * STEPS))

    assert found is not None
    assert found.failed == 24
    assert found.since is None
    assert judge("a", steps(*[(18, 0, 2)] * STEPS)) is None, "retried ones are not"


def test_type_that_fails_a_little_more_is_a_warning() -> None:
    found = judge("a", steps(*[(1000, 0, 0)] * 33, *[(970, 0, 30)] * 3))

    assert found is not None
    assert not found.is_bad


def test_recovered_type_is_quiet() -> None:
    assert judge("a", steps(*[(100, 0, 0)] * 30, *[(50, 0, 50)] * 3, *[(100, 0, 0)] * 3)) is None


def test_steps_without_runs_say_nothing_of_the_habit() -> None:
    few = steps((10, 0, 0), (0, 0, 0), (10, 0, 0), (10, 0, 0))

    assert habit_of(few, 4) is None
    assert habit_of([*few, *steps((10, 0, 0), number=1)], 4) is not None


@pytest.mark.parametrize("range_s", [3 * 3600, 3 * 86_400])
def test_lines_that_are_asked_for_a_few_seconds_apart_have_the_same_steps(range_s: int) -> None:
    now = 1_795_539_007

    first, later = (choose(now - range_s, now, now + passed, range_s // 180) for passed in (0, 4))

    assert first == later
