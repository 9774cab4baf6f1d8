"""Asking the database outside of requests: on whichever database the run is, and with a connection that was lost."""

import pytest
from django.db import OperationalError, connection

from aerodash import audit, database, engines


def _number() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 7")
        return cursor.fetchone()[0]


def test_a_lost_connection_is_replaced_and_asked_again():
    connection.ensure_connection()
    lost = connection.connection
    lost.close()  # behind Django's back, as a database that restarts does
    assert database.keep_asking(_number) == 7
    assert connection.connection is not lost


def test_a_question_that_fails_on_a_sound_connection_is_asked_once():
    asked = []

    def fails() -> None:
        asked.append(1)
        raise OperationalError("disk full")

    connection.ensure_connection()
    with pytest.raises(OperationalError, match="disk full"):
        database.keep_asking(fails)
    assert asked == [1]
    assert connection.connection is None, "it is not trusted any more"


def test_a_change_is_noted_whatever_characters_its_target_has(project_id, actor):
    target = "entry a\0b"

    async def note_and_look():
        await audit.record(project_id, actor, verb="entry.set", target=target, after="x\0y", revision="r1")
        return await audit.latest(project_id, targets=[target, "entry other"])

    found = engines.run(note_and_look())
    assert list(found) == [target]
    assert (found[target].by, found[target].revision) == ("key test", "r1")
