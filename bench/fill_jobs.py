"""Fill a database with jobs of the past and of the future, straight through SQL, as the engine would have left it.

    python -m bench.fill_jobs [--finished 5000000] [--waiting 1000000] [--project SLUG]     with AERODASH_DATA or DATABASE_URL

The database is migrated and has the project, nobody writes to it meanwhile, and it has no job of the two types yet.
Finished ones are of the type that bench.jobs measures and ended over the last 20 hours, each with its attempt; waiting
ones are of another type and due. Counters and lanes agree with them (the keeper's reconciler finds nothing).
"""

import argparse
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

FINISHED_TYPE = "noop"
WAITING_TYPE = "backlog"
CHUNK = 50_000
SPREAD_MS = 20 * 3600 * 1000
PAYLOAD = '{"user": 42, "note": "' + "x" * 176 + '"}'

# Of a hundred finished jobs, the first two failed and one was cancelled while it waited.
_STATUS = "CASE WHEN n % 100 < 2 THEN 'failed' WHEN n % 100 < 3 THEN 'cancelled' ELSE 'completed' END"

_JOB = """
INSERT INTO jobs_admin_job (
    id, project_id, type, status, priority, run, attempts, crashes, max_retries, created_at_ms, due_at_ms,
    started_at_ms, ended_at_ms, lease_token, worker_id, worker_name, cancel_requested_by, retry_policy, unique_key,
    holds_key, partition_key, traceparent, enqueued_by, enqueued_door, payload_version, payload_bytes, tags,
    error_type, error_message, payload, result, traceback
)
WITH RECURSIVE series(n) AS (SELECT CAST({first} AS bigint) UNION ALL SELECT n + 1 FROM series WHERE n < {last}),
job AS (SELECT n, {begin} + n * {span} / {amount} AS at, {status} AS status FROM series)
SELECT
    {id}, {project}, '{type}', status, 5, {runs}, {runs}, 0, 3, at, at,
    {started}, {ended}, '', {worker}, {worker}, '', '', '',
    {false}, '', '', 'key bench', 'api', 1, {payload_bytes}, '',
    CASE WHEN status = 'failed' THEN 'ValueError' ELSE '' END, '', '{payload}', '', ''
FROM job
"""

_ATTEMPTS = """
INSERT INTO jobs_admin_attempt (
    job_id, run, outcome, due_at_ms, leased_at_ms, ended_at_ms, payload_version, worker_id, worker_name,
    error_type, error_message, traceback
)
SELECT id, run, status, due_at_ms, started_at_ms, ended_at_ms, 1, worker_id, worker_name, error_type, '', ''
FROM jobs_admin_job
WHERE project_id = {project} AND type = '{type}' AND status = '{status}' AND run > 0
"""


def fill(
    database_url: str, *, project: str, finished: int, waiting: int, say: Callable[[str], None] = print
) -> None:
    """Add the jobs to the project of this slug. database_url: as AeroDash takes it."""
    now = time.time_ns() // 1_000_000
    with _connection(database_url) as (run, is_postgres):
        ((number,),) = run(f"SELECT id FROM aerodash_project WHERE slug = '{project}'")
        for type in (FINISHED_TYPE, WAITING_TYPE):
            if run(
                f"SELECT 1 FROM jobs_admin_jobcounter WHERE project_id = {number} AND type = '{type}' LIMIT 1"
            ):
                raise SystemExit(f"The project has jobs of type {type} already.")
        words = {
            "project": number,
            "begin": now - SPREAD_MS,
            "payload": PAYLOAD,
            "payload_bytes": len(PAYLOAD),
            "false": "false" if is_postgres else "0",
            "id": _POSTGRES_ID if is_postgres else _SQLITE_ID,
        }
        for first, last in _chunks(finished):
            ran = "CASE WHEN status = 'cancelled' THEN {0} ELSE {1} END"
            run(
                _JOB.format(
                    **words,
                    first=first, last=last, amount=finished, span=SPREAD_MS - 3_600_000,
                    type=FINISHED_TYPE, status=_STATUS,
                    runs=ran.format("0", "1"), started=ran.format("NULL", "at + 5"), ended="at + 25",
                    worker=ran.format("''", "'bench:1'"),
                )
            )  # fmt: skip
            if last % 1_000_000 == 0:
                say(f"{last:,} finished jobs")
        for status in ("completed", "failed"):
            run(_ATTEMPTS.format(project=number, type=FINISHED_TYPE, status=status))
        for first, last in _chunks(waiting):
            run(
                _JOB.format(
                    **words,
                    first=first, last=last, amount=waiting, span=SPREAD_MS,
                    type=WAITING_TYPE, status="'pending'", runs="0", started="NULL", ended="NULL", worker="''",
                )
            )  # fmt: skip
        say(f"{waiting:,} waiting jobs")
        _count(run, number)
        run(
            "VACUUM ANALYZE jobs_admin_job, jobs_admin_attempt"
            if is_postgres
            else "PRAGMA wal_checkpoint(TRUNCATE)"
        )


# A UUIDv7 of the job's time: 48 bits of milliseconds, the version, the number in place of randomness.
_SQLITE_ID = "printf('%012x7%03x8%015x', at, n % 4096, n)"
_POSTGRES_ID = "(lpad(to_hex(at), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid"


def _count(run: Callable[[str], list[tuple[Any, ...]]], project: int) -> None:
    for type in (FINISHED_TYPE, WAITING_TYPE):
        run(
            f"INSERT INTO jobs_admin_jobcounter (project_id, type, status, count) "
            f"SELECT project_id, type, status, count(*) FROM jobs_admin_job "
            f"WHERE project_id = {project} AND type = '{type}' GROUP BY project_id, type, status"
        )
        run(
            f"INSERT INTO jobs_admin_joblane (project_id, type, priority) VALUES ({project}, '{type}', 5) "
            f"ON CONFLICT DO NOTHING"
        )


def _chunks(amount: int) -> Iterator[tuple[int, int]]:
    """First and last number of each chunk."""
    for first in range(1, amount + 1, CHUNK):
        yield first, min(first + CHUNK - 1, amount)


@contextmanager
def _connection(database_url: str) -> Iterator[tuple[Callable[[str], list[tuple[Any, ...]]], bool]]:
    """A function that runs one statement in a transaction of its own and returns its rows; and the dialect."""
    if database_url.startswith("sqlite"):
        path = database_url.removeprefix("sqlite://").replace("//", "/")
        connection = sqlite3.connect(f"file:{path}?mode=rw", uri=True, isolation_level=None)
        # Only while it is filled: a crash would cost the fill, and closing it writes everything down.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -524288")
        yield lambda sql: connection.execute(sql).fetchall(), False
        connection.close()
    else:
        import psycopg

        with psycopg.connect(database_url, autocommit=True) as server:

            def run(sql: str) -> list[tuple[Any, ...]]:
                cursor = server.execute(sql.replace("%", "%%").encode(), ())
                return cursor.fetchall() if cursor.description else []

            run("SET synchronous_commit = off")
            yield run, True


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--finished", type=int, default=5_000_000)
    parser.add_argument("--waiting", type=int, default=1_000_000)
    parser.add_argument("--project", default="default")
    args = parser.parse_args()
    default = f"sqlite:///{os.environ.get('AERODASH_DATA', 'var')}/aerodash.sqlite3"
    fill(
        os.environ.get("DATABASE_URL", default),
        project=args.project,
        finished=args.finished,
        waiting=args.waiting,
    )
