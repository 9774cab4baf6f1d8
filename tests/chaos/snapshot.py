"""What the database says once a chaos run is over, read past the engine: plain rows of plain SELECTs."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg.rows import dict_row

type Row = Mapping[str, Any]

OF_A_JOB = {
    "job": "id, type, status, run, attempts, max_retries, created_at_ms, due_at_ms, ended_at_ms, unique_key, partition_key, batch_id, payload",
    "attempt": "job_id, run, outcome, due_at_ms, leased_at_ms, ended_at_ms, next_due_at_ms, worker_id, error_type",
    "jobevent": "id, job_id, kind, run, at_ms",
}


@dataclass
class Snapshot:
    """Ids are as the API shows them. jobs: by id. attempts, events: by job, in the order of their runs and ids."""

    jobs: dict[str, Row] = field(default_factory=dict)
    attempts: dict[str, list[Row]] = field(default_factory=dict)
    events: dict[str, list[Row]] = field(default_factory=dict)
    counters: dict[tuple[str, str], int] = field(default_factory=dict)
    batches: list[Row] = field(default_factory=list)
    batch_counters: dict[tuple[str, str], int] = field(default_factory=dict)

    def text(self) -> str:
        """As JSON, for people who look for the cause of a violation."""
        parts = {"jobs": self.jobs, "attempts": self.attempts, "events": self.events, "batches": self.batches}
        return json.dumps(parts, default=str, indent=1)


class Database:
    """A DATABASE_URL, asked from outside."""

    def __init__(self, url: str) -> None:
        self.url = url

    def rows(self, sql: str) -> list[Row]:
        if self.url.startswith("sqlite"):
            with closing(sqlite3.connect(urlsplit(self.url).path, timeout=10)) as connection:
                connection.row_factory = sqlite3.Row
                return [dict(row) for row in connection.execute(sql)]
        with psycopg.connect(self.url, row_factory=dict_row, connect_timeout=10) as connection:
            return connection.execute(sql).fetchall()  # type: ignore[arg-type]

    def unfinished(self) -> int:
        """Jobs that have not ended, and sealed batches whose end nobody has noted."""
        [row] = self.rows(
            """
            SELECT (SELECT count(*) FROM jobs_admin_job WHERE status IN ('pending', 'processing'))
                + (SELECT count(*) FROM jobs_admin_batch WHERE sealed_at_ms IS NOT NULL AND ended_at_ms IS NULL)
                AS number
            """
        )
        return int(row["number"])

    def running(self) -> dict[tuple[str, str], int]:
        """How many jobs of each type, and of each partition key of a type, are being processed at this moment, counted.

        The key "" stands for all of the type.
        """
        found: dict[tuple[str, str], int] = {}
        for row in self.rows(
            "SELECT type, partition_key, count(*) AS n FROM jobs_admin_job WHERE status = 'processing' GROUP BY 1, 2"
        ):
            found[row["type"], ""] = found.get((row["type"], ""), 0) + row["n"]
            if row["partition_key"]:
                found[row["type"], row["partition_key"]] = row["n"]
        return found

    def snapshot(self) -> Snapshot:
        found = Snapshot()
        tables = {
            table: self.rows(f"SELECT {columns} FROM jobs_admin_{table}")
            for table, columns in OF_A_JOB.items()
        }
        for row in tables["job"]:
            job = {**row, "id": shown(row["id"]), "batch_id": shown(row["batch_id"])}
            found.jobs[job["id"]] = job | {"payload": json.loads(row["payload"])}
        found.attempts = _by_job(tables["attempt"], "run")
        found.events = _by_job(tables["jobevent"], "id")
        for row in self.rows(
            "SELECT type, status, sum(count) AS n FROM jobs_admin_jobcounter GROUP BY type, status"
        ):
            found.counters[row["type"], row["status"]] = int(row["n"])
        for row in self.rows("SELECT * FROM jobs_admin_batch"):
            found.batches.append(
                {**row, "id": shown(row["id"]), "completion_job_id": shown(row["completion_job_id"])}
            )
        for row in self.rows(
            "SELECT batch_id, status, sum(count) AS n FROM jobs_admin_batchcounter GROUP BY batch_id, status"
        ):
            found.batch_counters[shown(row["batch_id"]), row["status"]] = int(row["n"])
        return found


def shown(id: Any) -> str:
    """An id as the API shows it: SQLite keeps it as 32 digits, PostgreSQL as a uuid; "" for none."""
    if id is None:
        return ""
    text = str(id).replace("-", "")
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _by_job(rows: Iterable[Row], order: str) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row[order]):
        grouped.setdefault(shown(row["job_id"]), []).append(row)
    return grouped
