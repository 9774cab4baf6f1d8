"""The mutation check finds every guard, and a suite that has lost its fence is red. `make mutation` tries them all."""

from pathlib import Path

import pytest

from tests.mutation import guards
from tests.mutation.run import DIALECTS, Mutant, equivalents, markdown, mutants, try_all, verdicts

STATEMENT = """-- Guard: a = 1 AND b = 2, says WHERE this comment.
UPDATE job SET a = 'x AND y' WHERE id = :id AND (a IS NULL OR b > 2) AND c BETWEEN 1 AND 3
    AND NOT EXISTS (SELECT 1 FROM other WHERE other.id = job.id AND other.d IN ('WHERE', 'AND') ORDER BY 1)
RETURNING id
"""
JOINED = """INSERT INTO a SELECT 1 FROM b LEFT JOIN c ON c.id = b.id AND c.d = 1 JOIN e ON e.id = c.id
WHERE b.f = 2 ON CONFLICT (id) WHERE held DO UPDATE SET g = 1 WHERE g IS NULL"""


def test_each_condition_of_each_where_is_a_guard():
    assert [guard.condition for guard in guards.guards(STATEMENT)] == [
        "id = :id",
        "(a IS NULL OR b > 2)",
        "c BETWEEN 1 AND 3",
        "NOT EXISTS (SELECT 1 FROM other WHERE other.id = job.id AND other.d IN ('WHERE', 'AND') ORDER BY 1)",
        "other.id = job.id",
        "other.d IN ('WHERE', 'AND')",
    ]


def test_so_is_each_condition_of_a_join_and_none_of_a_conflicts_index():
    found = [guard.condition for guard in guards.guards(JOINED)]
    assert found == ["c.id = b.id", "c.d = 1", "e.id = c.id", "b.f = 2", "g IS NULL"]


def test_one_guard_at_a_time_is_taken_out():
    guard = guards.guards(STATEMENT)[1]
    assert guards.without(STATEMENT, guard) == STATEMENT.replace(
        "(a IS NULL OR b > 2)", "((a IS NULL OR b > 2) OR TRUE)"
    )


@pytest.mark.parametrize(
    ("sql", "changes"),
    [
        ("UPDATE a SET b = 1", True),
        ("WITH c AS (SELECT 1) DELETE FROM a", True),
        ("INSERT INTO a VALUES (1) ON CONFLICT DO UPDATE SET b = 2", True),
        ("SELECT a FROM b FOR UPDATE SKIP LOCKED", False),
    ],
)
def test_only_statements_that_write_have_guards(sql: str, changes: bool):
    assert guards.writes(sql) == changes


FENCES = [
    ("settle_completed", "lease_token"),
    ("settle_expired", "lease_expires_at_ms <= :now"),
    ("heartbeat", "lease_token"),
    ("cancel_pending", "'pending'"),
]


def _fence(dialect: str, statement: str, part: str) -> Mutant:
    [fence] = [
        mutant
        for mutant in mutants(dialect)
        if mutant.path.stem == statement and part in mutant.what.partition(": ")[2]
    ]
    return fence


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
@pytest.mark.parametrize(("statement", "part"), FENCES)
def test_both_dialects_have_the_fences(dialect: str, statement: str, part: str):
    assert _fence(dialect, statement, part).dialect == dialect


def test_every_guard_in_python_still_stands_where_the_table_says():
    assert len(list(mutants("python"))) > 5


def test_every_guard_that_is_said_to_be_equivalent_is_there():
    there = {(dialect, mutant.what) for dialect in DIALECTS for mutant in mutants(dialect)}
    assert set(equivalents()) <= there


def test_without_a_fence_the_suite_is_red_and_the_report_says_so(tmp_path: Path):
    results = tmp_path / "results"
    fence = _fence("sqlite", "settle_completed", "lease_token")
    [charged] = [one for one in mutants("python") if one.what == "rules: a final failure is final"]
    try_all([fence], ["key_guards", "guards"], results)
    found = verdicts(results)
    assert found[fence.key]["verdict"] == "killed"
    assert "/test_guards.py::" in found[fence.key]["by"]
    assert charged.key not in found
    report = markdown(results)
    assert f"- sqlite: `{fence.what}`" not in report
    assert f"- python: `{charged.what}`" in report.partition("Not tried:")[2]
