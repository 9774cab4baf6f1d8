"""What follows from how a run ended: delays, budgets, poison."""

import pytest

from jobs_admin.engine import rules

NOW = 1_000_000
POLICY = {"base_ms": None, "cap_ms": None, "luck": 1.0}


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
    assert rules.retry_delay_ms(failures, rules.RETRY_BASE_MS, rules.RETRY_CAP_MS, luck) == expected


def test_a_base_of_zero_retries_at_once():
    assert (
        rules.after_failure(NOW, attempts=1, max_retries=1, base_ms=0, cap_ms=None, luck=1.0).due_at_ms == NOW
    )


@pytest.mark.parametrize(("attempts", "status"), [(1, "pending"), (3, "pending"), (4, "failed")])
def test_max_retries_3_means_4_runs(attempts, status):
    assert rules.after_failure(NOW, attempts=attempts, max_retries=3, **POLICY).status == status


def test_the_workers_delay_wins_but_not_over_the_budget():
    assert (
        rules.after_failure(NOW, attempts=1, max_retries=1, retry_after_ms=7, **POLICY).due_at_ms == NOW + 7
    )
    assert rules.after_failure(NOW, attempts=2, max_retries=1, retry_after_ms=7, **POLICY).status == "failed"


def test_final_fails_at_once():
    assert rules.after_failure(NOW, attempts=1, max_retries=9, final=True, **POLICY).status == "failed"


def test_crashes_rerun_at_once_then_back_off_then_count_as_poison():
    after = [rules.after_crash(NOW, crashes=n, attempts=n, max_retries=9, **POLICY) for n in (1, 2, 3)]
    assert [(next.status, next.due_at_ms, next.poison) for next in after] == [
        ("pending", NOW, False),
        ("pending", NOW + 8_000, False),
        ("failed", None, True),
    ]


def test_a_crash_over_the_budget_fails_without_being_poison():
    after = rules.after_crash(NOW, crashes=1, attempts=1, max_retries=0, **POLICY)
    assert (after.status, after.poison) == ("failed", False)


def test_every_lower_priority_waits_a_minute_longer():
    assert rules.urgency(0, NOW + 59_999) < rules.urgency(1, NOW) < rules.urgency(0, NOW + 60_001)
