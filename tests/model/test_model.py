"""Spin proves the states of jobs.md for the bounds of job.pml, and refutes it with any guard taken out."""

import re

import pytest

from tests.model.spin import MODEL, TABLE, check, find

pytestmark = pytest.mark.model


@pytest.fixture(scope="session")
def spin() -> str:
    """Fails, rather than skips, where Spin cannot be had: what was not proved must not look proved."""
    return find()


@pytest.mark.parametrize("scenario", TABLE["scenarios"])
def test_every_step_keeps_every_property(spin: str, scenario: str):
    verdict = check(spin, TABLE["scenarios"][scenario])
    assert verdict.broken == ""
    assert verdict.states > 10_000


@pytest.mark.parametrize("scenario", TABLE["live"])
def test_every_acknowledged_job_ends(spin: str, scenario: str):
    assert check(spin, TABLE["live"][scenario], live=True).broken == ""


def test_without_a_keeper_a_job_whose_lease_was_never_received_is_lost(spin: str):
    alone = {**TABLE["live"]["crashes"], "KEEPERS": 0, "CRASHES": 0, "MAX_RETRIES": 0}
    assert check(spin, alone, live=True).broken == "no_job_is_lost"


@pytest.mark.parametrize("guard", TABLE["refuted"])
def test_without_one_guard_a_property_falls(spin: str, guard: str):
    variant = TABLE["refuted"][guard]
    verdict = check(spin, TABLE["scenarios"][variant["scenario"]], without=[guard])
    assert verdict.broken == variant["breaks"]


@pytest.mark.parametrize("twins", TABLE["twins"], ids=lambda twins: "+".join(twins["guards"]))
def test_of_two_guards_that_say_the_same_one_is_enough_and_none_is_not(spin: str, twins: dict):
    scenario = TABLE["scenarios"][twins["scenario"]]
    for guard in twins["guards"]:
        assert check(spin, scenario, without=[guard]).broken == "", guard
    assert check(spin, scenario, without=twins["guards"]).broken == twins["breaks"]


@pytest.mark.parametrize("guard", TABLE["implied"])
def test_a_guard_that_the_others_imply_is_not_needed_by_itself(spin: str, guard: str):
    assert check(spin, TABLE["scenarios"][TABLE["implied"][guard]["scenario"]], without=[guard]).broken == ""


def test_every_guard_of_the_model_stands_in_the_table():
    guards = set(re.findall(r"(?:guard\(|:: )([A-Z]+(?:_[A-Z]+)+)(?:,| ->)", MODEL.read_text()))
    twins = (guard for pair in TABLE["twins"] for guard in pair["guards"])
    assert guards == {*TABLE["refuted"], *TABLE["implied"], *twins}
