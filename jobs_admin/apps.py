from typing import TYPE_CHECKING

from django.apps import AppConfig

if TYPE_CHECKING:
    from jobs_admin.engine.contract import JobEngine


class JobsAdminConfig(AppConfig):
    name = "jobs_admin"

    def ready(self) -> None:
        from aerodash import engines
        from aerodash.rollups import metrics
        from jobs_admin import reading, rollups

        metrics.register(*rollups.METRICS)
        engines.register("jobs", _engine)
        engines.register(reading.ENGINE, reading.Reader)


def _engine() -> "JobEngine":
    from jobs_admin import batches, rollups

    engine = _of_database()
    engine.on_finished = batches.tell
    engine.on_figures = rollups.count
    return engine


def _of_database() -> "JobEngine":
    """The job engine of the database that Django uses when the engine opens: tests give it another name after start."""
    from django.conf import settings
    from django.db import connections

    from aerodash import database, valkey_url

    if settings.DATABASE_KIND == "postgres":
        from jobs_admin.engine.postgres import PostgresEngine

        return PostgresEngine(database.conninfo(), valkey_url=valkey_url.nodes(settings.VALKEY_URL)[0])
    from jobs_admin.engine.sqlite import SqliteEngine

    return SqliteEngine(
        str(connections["default"].settings_dict["NAME"]), valkey_url=valkey_url.nodes(settings.VALKEY_URL)[0]
    )
