"""What follows from how a run ended, and what a limit lets through: delays, budgets, poison, rates."""

import json

import pytest

from jobs_admin.engine import rules
from jobs_admin.engine.rules import Rate, RetryPolicy

NOW = 1_000_000
DEFAULT = {"policy": RetryPolicy(), "luck": 1.0}


@pytest.mark.parametrize(
    ("failures", "luck", "expected"),
    [
        (1, 0.0, 2_000),
        (1, 1.0, 4_000),
        (2, 0.5, 6_000),
        (5, 1.0, 64_000),
        (11, 1.0, 3_600_000),
        (1000, 0.0, 1_800_000),
    ],
)
def test_retry_delays_are_half_sure_half_luck_and_capped(failures, luck, expected):
    assert RetryPolicy().delay_ms(failures, luck) == expected


@pytest.mark.parametrize(("failures", "expected"), [(1, 5), (2, 70), (3, 0), (4, 0), (1000, 0)])
def test_a_list_of_delays_goes_on_with_its_last(failures, expected):
    assert RetryPolicy("list", delays_ms=(5, 70, 0)).delay_ms(failures, 1.0) == expected


@pytest.mark.parametrize("failures", [1, 2, 1000])
def test_a_fixed_delay_knows_no_luck_and_no_cap(failures):
    policy = RetryPolicy("fixed", base_ms=9_000, cap_ms=1)
    assert (policy.delay_ms(failures, 0.0), policy.delay_ms(failures, 1.0)) == (9_000, 9_000)


@pytest.mark.parametrize(
    "policy", [RetryPolicy(), RetryPolicy("fixed", base_ms=0), RetryPolicy("list", delays_ms=(1, 2))]
)
def test_a_policy_is_read_as_it_was_stored(policy):
    assert RetryPolicy.parse(policy.text()) == policy


def test_the_jobs_own_policy_counts_before_its_types_before_the_default():
    own, types = RetryPolicy("fixed", base_ms=1), RetryPolicy("fixed", base_ms=2)
    assert RetryPolicy.parse(own.text(), types.text()) == own
    assert RetryPolicy.parse("", types.text()) == types
    assert RetryPolicy.parse("", "") == RetryPolicy()
    # As the first schema's upgrade writes them, without a list.
    assert RetryPolicy.parse(json.dumps({"kind": "exponential", "base_ms": 7, "cap_ms": 9})) == RetryPolicy(
        base_ms=7, cap_ms=9
    )


def test_a_base_of_zero_retries_at_once():
    policy = RetryPolicy(base_ms=0)
    after = rules.after_failure(NOW, attempts=1, max_retries=1, policy=policy, luck=1.0)
    assert after.due_at_ms == NOW


@pytest.mark.parametrize(("attempts", "status"), [(1, "pending"), (3, "pending"), (4, "failed")])
def test_max_retries_3_means_4_runs(attempts, status):
    assert rules.after_failure(NOW, attempts=attempts, max_retries=3, **DEFAULT).status == status


def test_the_workers_delay_wins_but_not_over_the_budget():
    after = rules.after_failure(NOW, attempts=1, max_retries=1, retry_after_ms=7, **DEFAULT)
    assert after.due_at_ms == NOW + 7
    assert rules.after_failure(NOW, attempts=2, max_retries=1, retry_after_ms=7, **DEFAULT).status == "failed"


def test_final_fails_at_once():
    assert rules.after_failure(NOW, attempts=1, max_retries=9, final=True, **DEFAULT).status == "failed"


def test_crashes_rerun_at_once_then_back_off_then_count_as_poison():
    after = [rules.after_crash(NOW, crashes=n, attempts=n, max_retries=9, **DEFAULT) for n in (1, 2, 3)]
    assert [(next.status, next.due_at_ms, next.poison) for next in after] == [
        ("pending", NOW, False),
        ("pending", NOW + 8_000, False),
        ("failed", None, True),
    ]


def test_a_crash_over_the_budget_fails_without_being_poison():
    after = rules.after_crash(NOW, crashes=1, attempts=1, max_retries=0, **DEFAULT)
    assert (after.status, after.poison) == ("failed", False)


def test_every_lower_priority_waits_a_minute_longer():
    assert rules.urgency(0, NOW + 59_999) < rules.urgency(1, NOW) < rules.urgency(0, NOW + 60_001)


def test_a_rate_fills_up_to_its_burst_and_not_over_it():
    rate = Rate(starts=2, per_ms=1_000, burst=3)
    assert [rate.tokens(0.5, NOW, NOW + ms) for ms in (0, 250, 1_000, 10_000)] == [0.5, 1.0, 2.5, 3.0]


def test_a_clock_that_goes_back_takes_nothing_from_a_rate():
    assert Rate(2, 1_000, 3).tokens(1.5, NOW, NOW - 5_000) == 1.5


@pytest.mark.parametrize("tokens", [0.0, 0.1, 0.5, 0.999])
def test_when_a_rate_says_that_one_may_start_it_may(tokens):
    rate = Rate(starts=7, per_ms=10_000, burst=7)
    wait_ms = rate.ms_to_one(tokens)
    assert rate.tokens(tokens, NOW, NOW + wait_ms) >= 1
    assert rate.tokens(tokens, NOW, NOW + wait_ms - 3) < 1


def test_there_is_no_wait_while_there_is_one_left():
    assert Rate(7, 10_000, 7).ms_to_one(1.0) == 0


def test_a_type_without_a_rate_has_none_and_without_a_burst_its_number():
    assert rules.rate_of(None, None, None) is None
    assert rules.rate_of(5, 1_000, None) == Rate(5, 1_000, 5)
    assert rules.rate_of(5, 1_000, 2) == Rate(5, 1_000, 2)


@pytest.mark.parametrize(
    ("sizes", "expected"), [([], 0), ([5], 1), ([50], 1), ([5, 5, 5], 2), ([1] * 10, 10), ([50, 1], 1)]
)
def test_what_fits_is_taken_from_the_first_on_and_one_at_least(sizes, expected):
    assert rules.first_fitting(sizes, 10) == expected
