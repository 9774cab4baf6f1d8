from django.apps import AppConfig


class JobsAdminConfig(AppConfig):
    name = "jobs_admin"

    def ready(self) -> None:
        from django.conf import settings
        from django.db import connections

        from aerodash import engines
        from jobs_admin import reading
        from jobs_admin.engine.sqlite import SqliteEngine

        # The path is asked for when the engine opens: tests give the database another name after this.
        engines.register(
            "jobs",
            lambda: SqliteEngine(
                str(connections["default"].settings_dict["NAME"]), valkey_url=settings.VALKEY_URL
            ),
        )
        engines.register(reading.ENGINE, reading.Reader)
