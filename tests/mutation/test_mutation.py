"""The mutation check finds every guard, and a suite that has lost its fence is red. `make mutation` tries them all."""

from pathlib import Path

import pytest

from tests.mutation import guards
from tests.mutation.run import Copy, Mutant, mutants

STATEMENT = """-- Guard: a = 1 AND b = 2, says WHERE this comment.
UPDATE job SET a = 'x AND y' WHERE id = :id AND (a IS NULL OR b > 2) AND c BETWEEN 1 AND 3
    AND NOT EXISTS (SELECT 1 FROM other WHERE other.id = job.id AND other.d IN ('WHERE', 'AND') ORDER BY 1)
RETURNING id
"""


def test_each_condition_of_each_where_is_a_guard():
    assert [guard.condition for guard in guards.guards(STATEMENT)] == [
        "id = :id",
        "(a IS NULL OR b > 2)",
        "c BETWEEN 1 AND 3",
        "NOT EXISTS (SELECT 1 FROM other WHERE other.id = job.id AND other.d IN ('WHERE', 'AND') ORDER BY 1)",
        "other.id = job.id",
        "other.d IN ('WHERE', 'AND')",
    ]


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
    assert _fence(dialect, statement, part).store == dialect


def test_every_guard_in_python_still_stands_where_the_table_says():
    assert len(list(mutants("python"))) > 5


def test_without_the_lease_fence_the_suite_is_red(tmp_path: Path):
    fence = _fence("sqlite", "settle_completed", "lease_token")
    copy = Copy(tmp_path / "copy", None)
    assert copy.verdict(fence, ["guards"]) == "killed"
