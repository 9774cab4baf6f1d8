"""What the suite needs to know of each database: how to make an empty one, and how to look into it from outside."""

import itertools
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings

from jobs_admin.engine.contract import JobEngine
from jobs_admin.engine.sqlite import SqliteEngine

START_MS = 1_800_000_000_000


class Clock:
    """The time, moved by hand."""

    def __init__(self) -> None:
        self.now_ms = START_MS

    def __call__(self) -> int:
        return self.now_ms

    def move(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1000)


class SqliteStore:
    """A database file of its own, with the migrated schema."""

    def __init__(self, path: Path) -> None:
        from django.db import connection

        connection.ensure_connection()
        self.path = path
        with sqlite3.connect(path) as copy:
            connection.connection.backup(copy)
        copy.close()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._numbers = itertools.count(1_000_000)
        for table in ("attempt", "jobevent", "jobcounter", "jobtype", "worker", "job"):
            self._connection.execute(f"DELETE FROM jobs_admin_{table}")

    def close(self) -> None:
        self._connection.close()

    def engine(self, clock: Callable[[], int], **options: Any) -> JobEngine:
        """A new engine over this database; several may be open at once, like several processes."""
        return SqliteEngine(str(self.path), **{"valkey_url": settings.VALKEY_URL, "clock": clock, **options})

    def new_project(self) -> int:
        number = next(self._numbers)
        columns = self._connection.execute("PRAGMA table_info(aerodash_project)").fetchall()
        values = {"id": number, "slug": f"p{number}", "created_at": "2026-01-01"}
        names = [column["name"] for column in columns]
        marks = ", ".join("?" for _ in names)
        self._connection.execute(
            f"INSERT INTO aerodash_project ({', '.join(names)}) VALUES ({marks})",
            [values.get(name, "[]") for name in names],
        )
        return number

    def run(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in self._connection.execute(sql, values)]

    def job(self, job_id: str) -> dict[str, Any]:
        return self.run("SELECT * FROM jobs_admin_job WHERE id = ?", job_id.replace("-", ""))[0]

    def jobs(self, project: int) -> dict[str, dict[str, Any]]:
        return {
            row["id"]: row for row in self.run("SELECT * FROM jobs_admin_job WHERE project_id = ?", project)
        }

    def attempts(self, job_id: str) -> list[dict[str, Any]]:
        return self.run(
            "SELECT * FROM jobs_admin_attempt WHERE job_id = ? ORDER BY run", job_id.replace("-", "")
        )

    def events(self, job_id: str) -> list[dict[str, Any]]:
        return self.run(
            "SELECT * FROM jobs_admin_jobevent WHERE job_id = ? ORDER BY id", job_id.replace("-", "")
        )

    def pause(self, project: int, type: str) -> None:
        self._connection.execute(
            "INSERT INTO jobs_admin_jobtype (project_id, name, paused_at_ms, paused_by, pause_reason) VALUES (?, ?, 1, '', '')",
            (project, type),
        )

    def wrong_counters(self) -> list[dict[str, Any]]:
        """Counters that do not equal COUNT(*), counted here in another way than the engine's own reconciler does."""
        return self.run(
            """
            SELECT project_id, type, status, sum(counted) AS counted, sum(actual) AS actual FROM (
                SELECT project_id, type, status, count AS counted, 0 AS actual FROM jobs_admin_jobcounter
                UNION ALL
                SELECT project_id, type, status, 0, 1 FROM jobs_admin_job
            ) GROUP BY project_id, type, status HAVING sum(counted) <> sum(actual)
            """
        )


STORES = {"sqlite": SqliteStore}
