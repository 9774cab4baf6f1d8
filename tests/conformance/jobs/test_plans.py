"""Each statement finds its rows by the index that its first lines name, whatever the size of the tables."""

import re
import sqlite3
from pathlib import Path

import pytest

from jobs_admin.engine import statements
from tests.conformance.jobs.store import SqliteStore

FOLDER = Path(statements.__file__).parent / "sql" / "sqlite"
STATEMENTS = statements.load("sqlite")

USES = {
    "type_next": "COVERING INDEX job_lease_order (project_id=? AND type>?)",
    "lane_next": "COVERING INDEX job_lease_order (project_id=? AND type=? AND priority>?)",
    "lane_due": "COVERING INDEX job_lease_order (project_id=? AND type=? AND priority=? AND due_at_ms<?)",
    "lease": "INTEGER PRIMARY KEY (rowid=?)",
    "payload_sizes": "INTEGER PRIMARY KEY (rowid=?)",
    "expired": "INDEX job_lease_expiry (lease_expires_at_ms<?)",
    "late_again": "INDEX event_of_job (job_id=?)",
    "drift": "COVERING INDEX job_by_type",
    "paused": "INDEX sqlite_autoindex_jobs_admin_jobtype_1 (project_id=?)",
    **{
        name: "INDEX sqlite_autoindex_jobs_admin_job_1 (id=?)"
        for name in (
            *("heartbeat", "run", "status", "retry", "cancel_pending", "cancel_processing"),
            *("settle_completed", "settle_failed", "settle_released", "settle_cancelled", "settle_expired"),
        )
    },
}
INSERTS = {"enqueue", "attempt", "event", "count", "worker"}


def plan(connection: sqlite3.Connection, sql: str) -> list[str]:
    names = set(re.findall(r":([a-z_]+)", sql))
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", dict.fromkeys(names))]


@pytest.fixture
def connection(store: SqliteStore) -> sqlite3.Connection:
    return store._connection


@pytest.mark.parametrize("name", sorted(USES))
def test_a_statement_uses_its_index(connection, name):
    steps = plan(connection, STATEMENTS[name])
    assert any(USES[name] in step for step in steps), steps
    if name != "drift":  # counts everything, once an hour, in the keeper
        bad = [
            step for step in steps if ("SCAN" in step and "json_each" not in step) or "TEMP B-TREE" in step
        ]
        assert bad == []


@pytest.mark.parametrize("name", sorted(INSERTS))
def test_an_insert_reads_nothing(connection, name):
    assert [step for step in plan(connection, STATEMENTS[name]) if "SCAN" in step] == []


def test_every_statement_is_checked_here():
    assert set(USES) | INSERTS == set(STATEMENTS)


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_every_statement_opens_with_purpose_guard_and_index(name):
    comment = "\n".join(
        line for line in (FOLDER / f"{name}.sql").read_text().splitlines() if line.startswith("-- ")
    )
    assert "Guard:" in comment
    assert "Index:" in comment
