"""Each statement finds its rows by the index that its first lines name, in a database with a million jobs."""

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from jobs_admin.engine import statements
from jobs_admin.engine.contract import Unique
from tests.conformance.jobs.conftest import Queue
from tests.conformance.jobs.filling import fill
from tests.conformance.jobs.store import Clock, PostgresStore, SqliteStore

FOLDER = Path(statements.__file__).parent / "sql"
SQLITE = statements.load("sqlite")

JOBS = 1_000_000

LARGE = {
    f"jobs_admin_{table}"
    for table in ("job", "attempt", "jobevent", "joblog", "jobprogress", "jobtag", "idempotencykey")
}

COUNT_ALL = {"drift", "drift_batches", "fold", "fold_batches", "prune_types"}
"""Run by the keeper now and then, and read every counter, or (drift) every job's index entry."""

SORT_A_PAGE = {"batch_members", "batch_newest"}
"""Merge a bounded page of each of two ranges."""


def opening(dialect: str, name: str) -> str:
    """What a statement's file says before the statement, in one line."""
    text = (FOLDER / dialect / f"{name}.sql").read_text()
    return " ".join(line.removeprefix("-- ") for line in text.splitlines() if line.startswith("-- "))


def indexes_named(dialect: str, name: str, known: set[str]) -> set[str]:
    """The indexes by which a statement says that it finds its rows."""
    words = opening(dialect, name).partition("Index:")[2]
    return {index for index in known if re.search(rf"\b{index}\b(?! grows)", words)}


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> Iterator[sqlite3.Connection]:
    """A million jobs, most of them ended, with statistics, as after somebody's ANALYZE."""
    store = SqliteStore(tmp_path_factory.mktemp("plans"))
    fill(store, JOBS)
    yield store._connection
    store.close()


def plan(connection: sqlite3.Connection, sql: str) -> list[str]:
    names = set(re.findall(r"(?<![:\w]):([a-z_]+)", sql))
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", dict.fromkeys(names))]


@pytest.mark.parametrize("name", sorted(SQLITE))
def test_a_statement_uses_the_index_that_it_names_and_reads_no_table_through(database, name):
    known = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
    steps = plan(database, SQLITE[name])
    if not steps:  # an insert that reads nothing
        return
    for index in indexes_named("sqlite", name, known):
        assert any(f"INDEX {index} (" in step or name in COUNT_ALL for step in steps), (index, steps)
    if "primary key" in opening("sqlite", name).partition("Index:")[2]:
        assert any("sqlite_autoindex" in step or "INTEGER PRIMARY KEY" in step for step in steps), steps
    if name not in COUNT_ALL:
        # A common table expression of the statement's own is read through, and so is a list that was given.
        own = {
            *re.findall(r"(\w+) \([\w, ]+\) AS \(", SQLITE[name]),
            *re.findall(r"\) AS (\w+)", SQLITE[name]),
        }
        own |= {"json_each", "CONSTANT"}  # a list that was given; one row that is of no table
        bad = [
            step
            for step in steps
            if ((found := re.search(r"\bSCAN (\w+)", step)) and found[1] not in own)
            or ("TEMP B-TREE" in step and name not in SORT_A_PAGE)
            or "AUTOMATIC" in step
        ]
        assert bad == []


POSTGRES = statements.load_sets()


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Iterator[PostgresStore]:
    store = PostgresStore(tmp_path_factory.mktemp("plans"))
    fill(store, JOBS)
    yield store
    store.close()


@pytest.fixture(scope="module")
def session(filled: PostgresStore) -> Iterator[psycopg.Connection]:
    """As the engine has it: its settings decide about plans."""
    session = filled.dialect().connect()
    yield session._connection
    session.close()


def nodes(plan: dict) -> Iterator[dict]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


@pytest.mark.parametrize("name", sorted(POSTGRES))
def test_on_postgres_a_statement_uses_the_index_that_it_names_and_reads_no_table_through(session, name):
    known = {row[0] for row in session.execute("SELECT indexname FROM pg_indexes", prepare=False)}
    [[[explained]]] = session.execute(
        f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {POSTGRES[name].sql}", prepare=False
    ).fetchall()
    used = list(nodes(explained["Plan"]))
    through = {
        node["Relation Name"]
        for node in used
        if node["Node Type"].endswith("Seq Scan") and "Relation Name" in node
    }
    if name not in COUNT_ALL:
        assert through & LARGE == set()
    indexes = {node["Index Name"] for node in used if "Index Name" in node}
    tables = {node["Relation Name"] for node in used if "Relation Name" in node}
    for index in indexes_named("postgres", name, known):
        # A table that has next to nothing in it is read as it is.
        assert index in indexes or name in COUNT_ALL or not tables & LARGE, (index, indexes)


async def test_on_postgres_no_verb_reads_more_than_its_own_rows_among_a_million(filled: PostgresStore):
    clock = Clock()
    clock.move(30)  # until some leases have expired
    engine = filled.engine(clock)
    await engine.open()
    queue = Queue(engine, filled, clock, 1)
    before = rows_read(filled)
    for _ in range(5):
        await queue.enqueue("type-1", tags=("tag",), idempotency_key="i", unique=Unique("k", replace=True))
        await queue.enqueue("type-1", partition_key="part-10")
        jobs = await queue.lease(5) + await queue.lease(5, types=["type-1", "type-2"])
        assert len(jobs) == 10
        await queue.beat(jobs[0])
        await queue.report(jobs[0], percent=1.0)
        await queue.settle(jobs[0])
        await queue.settle(jobs[1], "failed")
        await queue.settle(jobs[2], "released")
        await queue.cancel(jobs[3].id)
        await queue.cancel(jobs[4].id)
        await queue.settle(jobs[4])
        await queue.retry(jobs[0].id)
        assert len((await engine.sweep(limit=5)).changed) > 0
        await engine.prune(dict.fromkeys(("completed", "failed", "cancelled"), 1000), limit=5)
    await engine.close()  # a session says what it read when it ends
    async with asyncio.timeout(60):
        while (read := rows_read(filled) - before) == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert read < 20_000


def rows_read(store: PostgresStore) -> int:
    """Rows of the big tables, and entries of their indexes, that sessions have read so far."""
    [rows] = store.run(
        "SELECT sum(seq_tup_read) AS read FROM pg_stat_user_tables"
        " WHERE relname IN ('jobs_admin_job', 'jobs_admin_attempt', 'jobs_admin_jobevent', 'jobs_admin_joblog')"
    )
    [entries] = store.run(
        "SELECT sum(idx_tup_read) AS read FROM pg_stat_user_indexes WHERE relname LIKE 'jobs_admin_%'"
    )
    return int(rows["read"] + entries["read"])


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_every_statement_opens_with_purpose_guard_and_index(dialect):
    for path in sorted((FOLDER / dialect).glob("*.sql")):
        said = opening(dialect, path.stem)
        assert not said.startswith(("Guard", "Index")), path.name
        assert "Guard:" in said, path.name
        assert "Index:" in said, path.name
