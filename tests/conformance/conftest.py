"""What tests of the keeper share: real ones, in processes of their own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings

from tests.fixtures import database_url


@pytest.fixture
def start_keeper(tmp_path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """start_keeper(): one more keeper on the test's database and store; all are killed at the end."""
    from aerodash.models import KeeperLease

    KeeperLease.objects.all().delete()
    environment = {
        **os.environ,
        "AERODASH_DATA": str(tmp_path),
        "DATABASE_URL": database_url(),
        "VALKEY_URL": settings.VALKEY_URL,
    }
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "aerodash", "keeper"]
        started.append(subprocess.Popen(command, env=environment, start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
