"""AeroDash on PostgreSQL in real processes: several of them, and a database that is restarted or away."""

import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPMessage

import psycopg
import pytest

from aerodash.cli import migrating
from tests import postgres
from tests.chaos.harness import PATIENCE_S, Installation, wait_for
from tests.ports import free_port

pytestmark = pytest.mark.chaos


@pytest.fixture
def server() -> Iterator[postgres.OwnServer]:
    """A server that this test may end."""
    server = postgres.OwnServer(port=free_port())
    server.start()
    server.execute("CREATE DATABASE shop")
    yield server
    server.stop()


@pytest.fixture
def installed(installation: Installation, server: postgres.OwnServer) -> Installation:
    installation.environment |= {"DATABASE_URL": server.url("shop"), "AERODASH_WEB_PROCESSES": "3"}
    return installation


def test_many_processes_serve_and_all_of_them_end_what_they_began(installed: Installation):
    process, _ = installed.up()
    wait_for("all three processes", lambda: _serving(installed) == 3)
    installed.ok("/cache/set", {"key": "a", "value": 1})
    with ThreadPoolExecutor(12) as callers:
        answers = list(callers.map(lambda _: installed.call("/cache/get", {"key": "a"})[0], range(120)))
    assert answers == [200] * 120
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0
    assert installed.processes() == {}
    assert "Killing" not in installed.log()


def test_machines_that_start_at_once_migrate_once(installed: Installation, server: postgres.OwnServer):
    with psycopg.connect(server.url("shop"), autocommit=True) as another:
        another.execute("SELECT pg_advisory_lock(%s)", [migrating.ADVISORY_LOCK])
        waiting = [installed.run("prepare", AERODASH_DATA=f"{installed.data}-{n}") for n in range(3)]
        wait_for("all of them to wait", lambda: _connected(another) >= 3)
        assert not _tables(another), "nobody migrates while another machine does"
    for process in waiting:
        assert process.wait(PATIENCE_S) == 0, installed.log()
    with psycopg.connect(server.url("shop")) as another:
        assert _tables(another)
        (twice,) = another.execute(
            "SELECT count(*) - count(DISTINCT (app, name)) FROM django_migrations"
        ).fetchone()
    assert twice == 0


def test_a_restarted_database_is_not_noticed_and_one_that_is_away_is_named(
    installed: Installation, server: postgres.OwnServer
):
    installed.up()
    installed.ok("/cache/set", {"key": "a", "value": 1})

    server.stop()
    server.start()
    time.sleep(1)  # in which a key that was asked about is trusted
    for _ in range(6):  # by one process or the other
        assert installed.call("/cache/get", {"key": "a"})[0] == 200
        assert _page(installed, "/sign-in")[0] == 200

    server.stop()
    time.sleep(1)
    status, reply = installed.call("/cache/get", {"key": "a"})
    assert (status, reply["details"]["reason"]) == (503, "database_unavailable")
    status, headers, page = _page(installed, "/sign-in/no-such-link")
    assert (status, headers["Retry-After"]) == (503, "1")
    assert "The database does not answer." in page
    status, _, ready = _page(installed, "/readyz")
    assert status == 503
    assert '"jobs-reader":"ok"' not in ready
    assert _page(installed, "/healthz")[0] == 200

    server.start()
    wait_for(
        "the database to be found again",
        lambda: all(installed.call("/cache/get", {"key": "a"})[0] == 200 for _ in range(6)),
    )


def test_the_doctor_names_what_a_database_lacks(installation: Installation):
    lax = postgres.OwnServer(
        port=free_port(), configuration={"fsync": "off", "synchronous_commit": "off", "max_connections": "20"}
    )
    lax.start()
    lax.execute("CREATE DATABASE shop ENCODING 'LATIN1' TEMPLATE template0")
    installation.environment |= {"DATABASE_URL": lax.url("shop"), "AERODASH_WEB_PROCESSES": "4"}
    said = _doctor(installation)
    assert "ok    database: PostgreSQL 18" in said
    assert re.search(r"ok    database's clock: 0\.\d\d s", said)
    assert "MEND  database's encoding: LATIN1" in said
    assert "MEND  database's durability: fsync is off, synchronous_commit is off" in said
    assert "MEND  database's connections: 17 allowed" in said
    assert "MEND  migrations:" in said
    lax.stop()
    away = _doctor(installation)
    assert "MEND  database: it cannot be opened: " in away
    assert "Connection refused" in away


def _doctor(installation: Installation) -> str:
    process = installation.run("doctor")
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1, "Valkey is missing in any case"
    return output


def _serving(installed: Installation) -> int:
    """The processes that answer requests: those of web, but not their parent."""
    return len([c for c in installed.processes().values() if re.search(r"-m aerodash web\b", c)]) - 1


def _connected(to: psycopg.Connection) -> int:
    row = to.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ).fetchone()
    assert row is not None
    return row[0]


def _tables(of: psycopg.Connection) -> list[tuple[str]]:
    return of.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()


def _page(installed: Installation, path: str) -> tuple[int, HTTPMessage, str]:
    try:
        with urllib.request.urlopen(f"{installed.url}{path}", timeout=PATIENCE_S) as reply:
            return reply.status, reply.headers, reply.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.headers, refused.read().decode()
