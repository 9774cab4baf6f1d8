from typing import TYPE_CHECKING

from django.apps import AppConfig

if TYPE_CHECKING:
    from aerodash.rollups.tally import Tally


class AeroDashConfig(AppConfig):
    name = "aerodash"

    def ready(self) -> None:
        from aerodash import engines, operations
        from aerodash.console import masked
        from aerodash.realtime import quiet
        from aerodash.realtime.publish import Feed
        from aerodash.rollups import tally

        engines.register(
            "feed", Feed
        )  # first in, so last to close: what the other engines publish still leaves
        engines.register(tally.ENGINE, _tally)
        engines.register(operations.ENGINE, operations.Waits)
        quiet.install()
        masked.install()


def _tally() -> "Tally":
    from aerodash import database
    from aerodash.rollups import store
    from aerodash.rollups.tally import Tally

    return Tally(database.ask(store.send))
