"""A database that was filled under the first schema of jobs has everything in it after the upgrade."""

import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from jobs_admin.engine.rules import RetryPolicy
from tests import postgres

_numbers = itertools.count(1)

FILL = """
import json, sys
import django
django.setup()
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

state = MigrationExecutor(connection).loader.project_state([("jobs_admin", "0001_initial"), ("aerodash", "0001_initial")])
for name, rows in json.loads(sys.argv[1]):
    model = state.apps.get_model(name)
    for row in rows:
        model.objects.create(**row)
"""

READ = """
import json, sys
import django
django.setup()
from django.apps import apps

said = {}
for name in sys.argv[1:]:
    model = apps.get_model("jobs_admin", name)
    said[name] = [{field.attname: getattr(row, field.attname) for field in model._meta.local_concrete_fields
                   if field.attname != "pk"} for row in model.objects.all()]
print(json.dumps(said, default=str))
"""


@pytest.fixture(params=["sqlite", "postgres"])
def environment(request: pytest.FixtureRequest, tmp_path: Path):
    """For processes that use an empty database of this kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'old.sqlite3'}"
    else:
        name = f"migrations_{os.getpid()}_{next(_numbers)}"
        postgres.server().execute(f"CREATE DATABASE {name}")
        url = postgres.server().url(name)
    yield {
        **{key: value for key, value in os.environ.items() if key != "AERODASH_TEST_DATABASE"},
        "DJANGO_SETTINGS_MODULE": "aerodash.settings",
        "AERODASH_DATA": str(tmp_path),
        "DATABASE_URL": url,
        "VALKEY_URL": "redis://127.0.0.1:1/0",
    }
    if request.param == "postgres":
        postgres.drop(url)


def python(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def job(number: int, status: str, **columns) -> dict:
    row = {
        "id": f"01900000-0000-7000-8000-{number:012d}",
        "project_id": 1,
        "type": "email",
        "status": status,
        "created_at_ms": 1_000 + number,
        "due_at_ms": 2_000 + number,
        "payload": json.dumps({"é": number}, ensure_ascii=False),
        "payload_bytes": 10 + number,
    }
    return row | columns


JOBS = [
    job(1, "pending", priority=9, retry_base_ms=500, retry_cap_ms=9_000),
    job(2, "pending", attempts=1, run=1, error_type="ValueError", error_message="no", traceback="line"),
    job(3, "processing", run=2, attempts=2, lease_token="t" * 32, lease_expires_at_ms=99, worker_id="w"),
    job(4, "processing", lease_token="u" * 32, lease_expires_at_ms=98, cancel_requested_at_ms=5, type="slow"),
    job(5, "completed", result='"done"', ended_at_ms=7, type="slow", retry_base_ms=700),
    job(6, "failed", crashes=2, max_retries=0, payload_version=3, ended_at_ms=8),
    job(
        7, "cancelled", cancel_requested_by="Ann", ended_at_ms=9, enqueued_by="key shop", enqueued_door="api"
    ),
]
COUNTED = Counter((row["type"], row["status"]) for row in JOBS)
ATTEMPTS = [
    {
        "job_id": JOBS[place]["id"], "run": run, "outcome": outcome, "due_at_ms": 1, "leased_at_ms": 2, "ended_at_ms": 3,
        "next_due_at_ms": 4, "payload_version": 1, "worker_id": "w", "worker_name": "host:1", "error_message": "x",
    }
    for place, run, outcome in ((1, 1, "failed"), (2, 1, "lease_expired"), (4, 1, "completed"))
]  # fmt: skip
EVENTS = [
    {
        "job_id": JOBS[place]["id"], "at_ms": 5 + place, "kind": kind, "run": 1, "actor_kind": "user", "actor_id": "7",
        "actor_label": "Ann", "door": "console", "details": '{"a": 1}',
    }
    for place, kind in ((3, "cancel_requested"), (6, "cancelled"), (4, "late_result"))
]  # fmt: skip
TYPES = [
    {"project_id": 1, "name": "email", "paused_at_ms": 77, "paused_by": "Ann", "pause_reason": "why", "retry_base_ms": 60},
    {"project_id": 1, "name": "slow", "retry_base_ms": 1_000, "retry_cap_ms": 2_000},
    {"project_id": 1, "name": "plain"},
]  # fmt: skip
WORKERS = [
    {
        "project_id": 1, "worker_id": "w", "hostname": "host", "pid": 1, "version": "1.0", "first_seen_at_ms": 1,
        "last_seen_at_ms": 2,
    }
]  # fmt: skip


def before() -> list[tuple[str, list[dict]]]:
    counters = [
        {"project_id": 1, "type": type, "status": status, "count": count}
        for (type, status), count in COUNTED.items()
    ]
    return [
        ("aerodash.Project", [{"id": 1, "slug": "shop", "name": "Shop"}]),
        ("jobs_admin.Job", JOBS),
        ("jobs_admin.Attempt", ATTEMPTS),
        ("jobs_admin.JobEvent", EVENTS),
        ("jobs_admin.JobCounter", counters),
        ("jobs_admin.JobType", TYPES),
        ("jobs_admin.Worker", WORKERS),
    ]


def same(old: list[dict], new: list[dict], key) -> None:
    """Every old row is there with all that it had, and no other is."""
    by_key = {key(row): row for row in new}
    assert len(new) == len(old)
    for row in old:
        found = by_key[key(row)]
        moved = {name: value for name, value in row.items() if not name.startswith("retry_")}
        assert {name: found[name] for name in moved} == moved


def test_everything_is_there_after_the_upgrade(environment):
    python(environment, "-m", "django", "migrate", "jobs_admin", "0001", "--verbosity", "0")
    python(environment, "-c", FILL, json.dumps(before()))
    python(environment, "-m", "django", "migrate", "--verbosity", "0")
    names = ("job", "attempt", "jobevent", "jobcounter", "jobtype", "worker", "joblane")
    after = json.loads(python(environment, "-c", READ, *names))

    same(JOBS, after["job"], lambda row: row["id"])
    policies = {row["id"]: row["retry_policy"] for row in after["job"]}
    assert RetryPolicy.parse(policies[JOBS[0]["id"]]) == RetryPolicy("exponential", 500, 9_000)
    assert RetryPolicy.parse(policies[JOBS[4]["id"]]) == RetryPolicy("exponential", 700, 3_600_000)
    assert [policies[row["id"]] for row in (JOBS[1], JOBS[5])] == ["", ""]
    assert {
        (row["holds_key"], row["unique_key"], row["partition_key"], row["tags"]) for row in after["job"]
    } == {(False, "", "", "")}
    same(ATTEMPTS, after["attempt"], lambda row: (row["job_id"], row["run"]))
    same(EVENTS, after["jobevent"], lambda row: (row["job_id"], row["kind"]))
    assert [row["kind"] for row in sorted(after["jobevent"], key=lambda row: row["id"])] == [
        row["kind"] for row in EVENTS
    ]
    assert {(row["type"], row["status"]): row["count"] for row in after["jobcounter"]} == COUNTED
    same(TYPES, after["jobtype"], lambda row: row["name"])
    types = {row["name"]: RetryPolicy.parse(row["retry_policy"]) for row in after["jobtype"]}
    assert types == {
        "email": RetryPolicy("exponential", 60, 3_600_000),
        "slow": RetryPolicy("exponential", 1_000, 2_000),
        "plain": RetryPolicy(),
    }
    same(WORKERS, after["worker"], lambda row: row["worker_id"])
    assert {(row["type"], row["priority"]) for row in after["joblane"]} == {
        ("email", 9),
        ("email", 5),
        ("slow", 5),
    }
    # New lines of a timeline come after the old ones.
    new = EVENTS[0] | {"kind": "retried"}
    script = "import django; django.setup(); from jobs_admin.models import JobEvent; import json, sys; "
    script += "print(JobEvent.objects.create(**json.loads(sys.argv[1])).pk)"
    assert int(python(environment, "-c", script, json.dumps(new))) > max(
        row["id"] for row in after["jobevent"]
    )
