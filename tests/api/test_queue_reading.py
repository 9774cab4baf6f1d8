"""The thread that reads for the API: it keeps its connection, lets go of it at the end, and says when the database is away."""

import pytest
from django.db import DatabaseError, connection

from aerodash import engines
from aerodash.errors import EngineDown
from jobs_admin.reading import Reader, in_reader


def _connection_of_this_thread() -> object:
    connection.ensure_connection()
    return connection.connection


async def test_reads_share_one_connection_that_closing_closes():
    reader = Reader()
    await reader.open()
    first = await reader.run(_connection_of_this_thread)
    assert await reader.run(_connection_of_this_thread) is first
    await reader.close()
    with pytest.raises(Exception, match="closed database"):
        first.execute("SELECT 1")


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
