"""A database with very many jobs, made in seconds by the database itself."""

from tests.conformance.jobs.store import START_MS, Store

PROJECTS, TYPES, KEYS = 10, 5, 50

_NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {jobs})",
    "postgres": "WITH numbers (n) AS (SELECT * FROM generate_series(1, {jobs}))",
}
_ID = {
    "sqlite": f"printf('%012x%020x', {START_MS} - 3600000 + n / 1000, n)",
    "postgres": f"CAST(lpad(to_hex({START_MS} - 3600000 + n / 1000), 12, '0') || lpad(to_hex(n), 20, '0') AS uuid)",
}
_BATCH = {
    "sqlite": "printf('%032x', n / 10000)",
    "postgres": "CAST(lpad(to_hex(n / 10000), 32, '0') AS uuid)",
}
_TRUE = {"sqlite": "1", "postgres": "true"}
_FALSE = {"sqlite": "0", "postgres": "false"}


_ABOUT = (
    (
        "jobevent",
        "job_id, at_ms, kind, run, actor_kind, actor_id, actor_label, door, request_id, details",
        "id, due_at_ms, 'retried', 1, 'user', '1', 'Ann', 'api', '', '{}'",
    ),
    ("joblog", "job_id, run, at_ms, level, message", "id, 1, due_at_ms, 'info', 'x'"),
    (
        "jobprogress",
        "job_id, run, percent, message, at_ms, log_lines, log_dropped",
        "id, 1, 1.0, '', due_at_ms, 1, 0",
    ),
    ("jobtag", "project_id, tag, job_id", "project_id, 'tag', id"),
    (
        "idempotencykey",
        "project_id, key, job_id, at_ms",
        "project_id, CAST(id AS varchar(40)), id, due_at_ms",
    ),
)
"""What else there is about the jobs that failed: table, columns, values."""


def _rest(of: int) -> str:
    """n modulo `of`, as every database has it."""
    return f"(n - n / {of} * {of})"


def fill(store: Store, jobs: int) -> None:
    """So many jobs of PROJECTS projects (1, 2, …) and TYPES types, nine of ten ended, each with an attempt.

    Of those that wait some are due later, some have a deadline, a partition key or a unique key; one of a hundred runs.
    """
    kind = store.kind
    due = f"{START_MS} - 3600000 + n / 1000"
    runs = f"({_rest(100)} = 10)"
    waits = f"({_rest(10)} = 0)"
    columns = {
        "id": _ID[kind],
        "project_id": f"1 + {_rest(PROJECTS * 7)} / 7",
        "type": f"'type-' || {_rest(TYPES * 3)} / 3",
        "status": f"CASE WHEN {runs} THEN 'processing' WHEN {waits} THEN 'pending'"
        f" WHEN {_rest(13)} = 0 THEN 'failed' WHEN {_rest(17)} = 0 THEN 'cancelled' ELSE 'completed' END",
        "priority": f"CASE WHEN {_rest(11)} = 0 THEN 0 ELSE 5 END",
        "run": "1",
        "attempts": f"CASE WHEN {waits} THEN 0 ELSE 1 END",
        "crashes": "0",
        "max_retries": "3",
        "created_at_ms": due,
        "due_at_ms": f"CASE WHEN {_rest(40)} = 0 THEN {due} + 7200000 ELSE {due} END",
        "ended_at_ms": f"CASE WHEN {waits} THEN NULL ELSE {due} END",
        "started_at_ms": due,
        "lease_token": f"CASE WHEN {runs} THEN 'x' ELSE '' END",
        "lease_expires_at_ms": f"CASE WHEN {runs} THEN {START_MS} + n ELSE NULL END",
        "worker_id": "'w'",
        "worker_name": "'w'",
        "cancel_requested_by": "''",
        "retry_policy": "''",
        "deadline_at_ms": f"CASE WHEN {_rest(50)} = 0 THEN {START_MS} + 60000 ELSE NULL END",
        "unique_key": f"CASE WHEN {_rest(30)} = 0 THEN 'key-' || n ELSE '' END",
        "holds_key": f"CASE WHEN {_rest(30)} = 0 THEN {_TRUE[kind]} ELSE {_FALSE[kind]} END",
        "partition_key": f"CASE WHEN {_rest(20)} = 10 THEN 'part-' || {_rest(KEYS * 20)} ELSE '' END",
        "batch_id": f"CASE WHEN {_rest(25)} = 0 THEN {_BATCH[kind]} END",
        "traceparent": "''",
        "enqueued_by": "'filling'",
        "enqueued_door": "'api'",
        "payload_version": "1",
        "payload_bytes": "2",
        "tags": "''",
        "error_type": "''",
        "error_message": "''",
        "payload": "'{}'",
        "result": "''",
        "traceback": "''",
    }
    made_anew = _drop_indexes(store) if kind == "postgres" else []
    store.run(
        f"{_NUMBERS[kind].format(jobs=jobs)} INSERT INTO jobs_admin_job ({', '.join(columns)})"
        f" SELECT {', '.join(columns.values())} FROM numbers"
    )
    store.run(
        "INSERT INTO jobs_admin_attempt (job_id, run, outcome, due_at_ms, leased_at_ms, ended_at_ms, payload_version,"
        " worker_id, worker_name, error_type, error_message, traceback)"
        " SELECT id, 1, status, due_at_ms, due_at_ms, due_at_ms, 1, 'w', 'w', '', '', ''"
        " FROM jobs_admin_job WHERE status = 'failed'"
    )
    for table, names, values in _ABOUT:
        store.run(
            f"INSERT INTO jobs_admin_{table} ({names}) SELECT {values} FROM jobs_admin_job WHERE status = 'failed'"
        )
    store.run(
        "INSERT INTO jobs_admin_jobcounter (project_id, type, status, count)"
        " SELECT project_id, type, status, count(*) FROM jobs_admin_job GROUP BY project_id, type, status"
    )
    store.run(
        "INSERT INTO jobs_admin_joblane (project_id, type, priority)"
        " SELECT DISTINCT project_id, type, priority FROM jobs_admin_job"
    )
    for index in made_anew:
        store.run(index)
    store.run("ANALYZE")


def _drop_indexes(store: Store) -> list[str]:
    """The indexes of the jobs that no constraint needs, as statements: made in one go they take a fifth of the time."""
    indexes = store.run(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'jobs_admin_job' AND NOT indexdef LIKE '%UNIQUE%'"
    )
    for index in indexes:
        store.run(f"DROP INDEX {index['indexname']}")
    return ["SET maintenance_work_mem = '256MB'", *(index["indexdef"] for index in indexes)]
