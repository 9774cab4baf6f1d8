"""A short chaos run on each database; `make chaos` is the long one. docs/proof.md says what it does and checks."""

import pytest

from tests.chaos.faults import plan
from tests.chaos.run import PARTS, run

SEED = "2472"  # one under which every kind of part is killed within seconds
LOAD_S = 9.0

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_nothing_is_lost_and_nothing_ends_twice_whatever_is_killed(database: str):
    outcome = run(database, SEED, LOAD_S)  # prints the seed
    assert outcome.violations == {}
    # It was under attack, and went on working all the same.
    assert len(outcome.history.faults) >= 5
    assert sum(job["status"] == "completed" for job in outcome.stored.jobs.values()) > 20


def test_the_same_seed_plans_the_same_faults():
    assert plan(SEED, PARTS, load_s=600) == plan(SEED, PARTS, load_s=600)
    assert plan(SEED, PARTS, load_s=600) != plan("5", PARTS, load_s=600)
