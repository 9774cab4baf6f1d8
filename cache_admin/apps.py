from django.apps import AppConfig


class CacheAdminConfig(AppConfig):
    name = "cache_admin"

    def ready(self) -> None:
        from django.conf import settings

        from aerodash import engines
        from aerodash.operations import kinds
        from cache_admin import flushes
        from cache_admin.engine.valkey import ValkeyCache
        from cache_admin.figures import tell

        kinds.register(flushes.OPERATION)
        engines.register(
            "cache",
            lambda: ValkeyCache(settings.VALKEY_URL, replica_url=settings.VALKEY_REPLICA_URL, counted=tell),
        )
