from django.apps import AppConfig


class AeroDashConfig(AppConfig):
    name = "aerodash"

    def ready(self) -> None:
        from aerodash import engines, operations
        from aerodash.console import masked
        from aerodash.realtime import quiet
        from aerodash.realtime.publish import Feed

        engines.register(
            "feed", Feed
        )  # first in, so last to close: what the other engines publish still leaves
        engines.register(operations.ENGINE, operations.Waits)
        quiet.install()
        masked.install()
