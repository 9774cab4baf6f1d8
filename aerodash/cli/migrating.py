"""Bringing the database's schema up to date, once, however many processes start."""

import fcntl

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from aerodash.errors import CannotStart


def pending() -> list[str]:
    """The migrations that this version has and the database lacks, as app.name."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def apply() -> None:
    """Apply what is pending; other processes of this data folder that come meanwhile wait and find nothing to do.

    Raises CannotStart if the database cannot be opened or a migration fails.
    """
    with open(settings.AERODASH_DATA / "migrate.lock", "w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        try:
            if pending():
                call_command("migrate", verbosity=0, interactive=False)
        except DatabaseError as exc:
            raise CannotStart(f"The database cannot be brought up to date: {exc}.") from exc
