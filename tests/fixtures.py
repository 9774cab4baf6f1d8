"""The fixed cast and the factories: projects, actors, keys, people."""

import itertools
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from aerodash import engines
from aerodash.auth import ALL_SCOPES, ROLE_SCOPES, Actor, Door, Role
from aerodash.ids import ProjectId
from tests.ports import free_port

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker) -> None:
    """The migrated test database. pytest-django's own makes one only for tests that carry its mark.

    The one on PostgreSQL is a copy of a migrated one: see tests/conftest.py.
    """
    from django.conf import settings
    from django.test.utils import setup_databases

    if settings.DATABASE_KIND == "sqlite":
        with django_db_blocker.unblock():
            setup_databases(verbosity=0, interactive=False, aliases={"default"}, serialized_aliases=set())


def database_url() -> str:
    """DATABASE_URL of the run's own database, for processes that tests start."""
    from django.conf import settings
    from django.db import connection

    if settings.DATABASE_KIND == "postgres":
        return os.environ["DATABASE_URL"]
    return f"sqlite:///{connection.settings_dict['NAME']}"


@pytest.fixture(autouse=True, scope="session")
def _database(django_db_setup: None, django_db_blocker) -> Iterator[None]:
    """Let every test use the database: see the module's words on why nothing is rolled back."""
    with django_db_blocker.unblock():
        engines.start()
        yield
        engines.stop()


@pytest.fixture
def project():
    """A new, empty project in the development environment."""
    from aerodash.models import Project

    number = next(_numbers)
    return Project.objects.create(slug=f"project-{number}", name=f"Project {number}")


@pytest.fixture
def project_id(project) -> ProjectId:
    return ProjectId(project.pk)


@pytest.fixture
def actor() -> Actor:
    """A key that may do everything."""
    return Actor(kind="key", id="1", label="key test", scopes=ALL_SCOPES)


@pytest.fixture
def reader() -> Actor:
    """A person who may only look."""
    return Actor(kind="user", id="2", label="Vera", scopes=ROLE_SCOPES[Role.VIEWER], door=Door.CONSOLE)


@pytest.fixture
def api_key(project) -> str:
    """The text of a key of `project` that may do everything."""
    from aerodash import keys
    from aerodash.auth import Scope

    return keys.mint(project, "test", [Scope.ADMIN])[1]


@pytest.fixture
def api(api_key):
    """A caller of the express lane with a key of `project`."""
    from tests.api.client import ApiClient

    return ApiClient(api_key)


@pytest.fixture(scope="session")
def live_server_url(_database, tmp_path_factory) -> Iterator[str]:
    """A real server process over the tests' own Valkey and database; its address, without a slash at the end."""
    from django.conf import settings

    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("server") / "server.log"
    environment = {
        **os.environ,
        "AERODASH_PORT": str(port),
        "DATABASE_URL": database_url(),
        "VALKEY_URL": settings.VALKEY_URL,
    }
    command = [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "asgi",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "aerodash.asgi:application"],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_it_answers(url, process, log)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise AssertionError(f"The server did not stop: {log.read_text()[-2000:]}") from None


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=5) as response:
                if response.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"The server does not answer: {log.read_text()[-4000:]}")
