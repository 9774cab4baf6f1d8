from django.apps import AppConfig


class CacheAdminConfig(AppConfig):
    name = "cache_admin"

    def ready(self) -> None:
        from django.conf import settings

        from aerodash import engines
        from aerodash.operations import kinds
        from aerodash.rollups import metrics
        from cache_admin import bulk, flushes, rollups, transfer
        from cache_admin.engine.valkey import ValkeyCache
        from cache_admin.figures import tell

        metrics.register(*rollups.METRICS)
        for kind in (flushes.OPERATION, bulk.OPERATION, *transfer.OPERATIONS):
            kinds.register(kind)
        engines.register(
            "cache",
            lambda: ValkeyCache(settings.VALKEY_URL, replica_url=settings.VALKEY_REPLICA_URL, counted=tell),
        )
