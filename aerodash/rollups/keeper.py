"""What the keeper does for the timeline: it adds what processes counted, and forgets what is old.

What is measured, and not counted, comes from the apps' own tasks: see `Sampler`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from aerodash import database
from aerodash.rollups import store
from aerodash.rollups.steps import FINEST_S, floor

INGEST_EVERY_S = 2.0
REST_TIMES = 10
"""How many times as long as a transaction the rest after it lasts: on SQLite others wait to write meanwhile."""
LOOK_EVERY_S = 1.0
PRUNE_EVERY_S = 5.0
PRUNE_STEPS = 4
ROUND_S = 60.0


async def ingest() -> None:
    """Add to the buckets what waits. Raises django.db.Error."""
    more = True
    while more:
        began = time.monotonic()
        more = await database.ask(store.ingest)()
        if more:
            await asyncio.sleep(REST_TIMES * (time.monotonic() - began))


class Pruner:
    """Goes round all series, a few at a time, no more than once a minute."""

    def __init__(self) -> None:
        self._after = 0
        self._next_round_at = float("-inf")

    async def run(self) -> None:
        """The next steps of a round. Raises django.db.Error."""
        for _ in range(PRUNE_STEPS):
            if time.monotonic() < self._next_round_at:
                return
            last = await database.ask(store.prune)(self._after)
            self._after = last or 0
            if last is None:
                self._next_round_at = time.monotonic() + ROUND_S


class Sampler:
    """A task that measures once in every 10 s: it looks each second whether new ones have begun.

    A fixed pause between measurements would sooner or later leave out a bucket.
    """

    def __init__(self, measure: Callable[[int], Awaitable[None]]) -> None:
        """measure: takes the second at which the bucket begins."""
        self._measure = measure
        self._measured_at_s = 0

    async def run(self) -> None:
        at_s = floor(int(time.time()), FINEST_S)
        if at_s != self._measured_at_s:
            self._measured_at_s = at_s
            await self._measure(at_s)


TASKS: list[tuple[str, float, Callable[[], Awaitable[object]]]] = [
    ("rollups.ingest", INGEST_EVERY_S, ingest),
    ("rollups.prune", PRUNE_EVERY_S, Pruner().run),
]
