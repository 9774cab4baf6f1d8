"""Queries for callers on the engine loop: in one thread that keeps its database connection.

Opening a connection for each read, as Django does for its own requests, costs more than the read itself.
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import Error as DatabaseTrouble
from django.db import connection

from aerodash import database, engines
from aerodash.errors import EngineDown

ENGINE = "jobs-reader"


class Reader:
    """The thread, from the opening of the engine loop to its closing."""

    async def open(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=ENGINE)

    async def drain(self) -> None:
        """Nothing to do: reads wait for the database only."""

    async def close(self) -> None:
        await asyncio.wrap_future(self._thread.submit(lambda: connection.close()))  # the thread's own
        self._thread.shutdown()

    async def check(self) -> None:
        await in_reader(_answers)()

    async def run[T](self, query: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self._thread.submit(query))


def in_reader[**P, T](query: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Make an async function of a query. Raises what it raises, and EngineDown when the database does not answer."""

    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return database.keep_asking(functools.partial(query, *args, **kwargs))
        except DatabaseTrouble as exc:
            raise EngineDown("The database does not answer.", reason="database_unavailable") from exc

    @functools.wraps(query)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return await engines.get(ENGINE).run(functools.partial(guarded, *args, **kwargs))

    return call


def _answers() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
