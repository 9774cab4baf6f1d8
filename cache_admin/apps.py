from django.apps import AppConfig


class CacheAdminConfig(AppConfig):
    name = "cache_admin"

    def ready(self) -> None:
        from django.conf import settings

        from aerodash import engines
        from cache_admin.engine.valkey import ValkeyCache

        engines.register("cache", lambda: ValkeyCache(settings.VALKEY_URL))
