"""The thread that reads for the API: it keeps its connection, lets go of it at the end, and says when the database is away."""

import sqlite3
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError, connection

from aerodash import engines
from aerodash.errors import EngineDown
from jobs_admin.reading import Reader, in_reader


def _connection_of_this_thread() -> object:
    connection.ensure_connection()
    return connection.connection


def _is_held(link: Any) -> bool:
    """Whether somebody has this connection: SQLite's are closed when they are given up, PostgreSQL's go to the pool."""
    if settings.DATABASE_KIND == "postgres":
        return link._pool is not None
    try:
        link.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


async def test_reads_share_one_connection_that_closing_closes():
    reader = Reader()
    await reader.open()
    first = await reader.run(_connection_of_this_thread)
    assert await reader.run(_connection_of_this_thread) is first
    assert _is_held(first)
    await reader.close()
    assert not _is_held(first)


async def test_a_database_that_does_not_answer_is_engine_down_and_found_again():
    answers = iter([DatabaseError("gone"), 7])

    @in_reader
    def read() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def twice() -> tuple[str, int]:
        with pytest.raises(EngineDown) as refused:
            engines.run(read())
        return refused.value.reason, engines.run(read())

    assert twice() == ("database_unavailable", 7)
