"""What every test stands on: a real Valkey, a real database, and a project of its own.

TEST_DATABASE chooses the database of the run: sqlite (a file, the default) or postgres (see tests/postgres.py).

Engines write through connections of their own, so nothing is rolled back between tests: each test makes a new
project and touches nothing outside it.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# Before any import of settings: tests never touch the developer's own data folder. The module is named here and not
# in pyproject.toml, because pytest-django would read that, and import the settings, before this file.
os.environ["DJANGO_SETTINGS_MODULE"] = "aerodash.settings"
_DATA = Path(tempfile.mkdtemp(prefix="aerodash-test-"))
os.environ["AERODASH_DATA"] = str(_DATA)
for _name in ("VALKEY_URL", "CHANNELS_URL", "DATABASE_URL", "DATABASE_URL_FILE"):
    os.environ.pop(_name, None)
if (_kind := os.environ.get("TEST_DATABASE", "sqlite")) == "postgres":
    from tests import postgres

    os.environ["DATABASE_URL"] = postgres.new_database()
elif _kind == "sqlite":
    os.environ["AERODASH_TEST_DATABASE"] = str(_DATA / "test.sqlite3")
else:
    raise RuntimeError(f"TEST_DATABASE: {_kind!r} is neither sqlite nor postgres.")

from django.conf import settings  # noqa: E402

from aerodash import embedded  # noqa: E402

_valkey = embedded.start(_DATA / "valkey")
if _valkey.url != settings.VALKEY_URL:  # loads the settings, which makes pytest-django set Django up
    raise RuntimeError(f"The tests would write to {settings.VALKEY_URL}.")


def _clean_up() -> None:
    _valkey.stop()
    shutil.rmtree(_DATA, ignore_errors=True)


atexit.register(_clean_up)

pytest_plugins = ["tests.fixtures"]
