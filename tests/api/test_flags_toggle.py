"""Switching a flag: what a program reads afterwards, and what concurrent writers may rely on."""

import asyncio
import json

import pytest

from aerodash.auth import ROLE_SCOPES, Actor, Door, Role
from aerodash.errors import NotAllowed
from aerodash.models import AuditEntry
from cache_admin import queries, services
from cache_admin.flags import services as flags

FULL = rb'{ "rollout" : 12.50, "\u0065nabled" : true, "x": 9007199254740993, "n": {"enabled": true}, "s": "\"enabled\": true" }'


@pytest.fixture
def mei() -> Actor:
    return Actor(
        kind="user",
        id="7",
        label="Mei",
        scopes=ROLE_SCOPES[Role.OPERATOR],
        door=Door.CONSOLE,
        request_id="req_1",
    )


async def write(project_id, actor, name: str, value: bytes, **options: object) -> str:
    return (await services.set_entry(project_id, actor, key=f"flag:{name}", value=value, **options)).revision


async def read(project_id, actor, name: str):
    return await queries.get(project_id, actor, key=f"flag:{name}")


async def test_toggle_is_read_back_as_a_cache_entry(project_id, actor, mei):
    await write(project_id, actor, "a", b'{"enabled":true}')
    result = await flags.toggle(project_id, mei, name="a", enabled=False)
    entry = await read(project_id, actor, "a")
    assert result.done
    assert json.loads(entry.value) == {"enabled": False}
    assert result.flag.revision == entry.revision


async def test_toggle_is_read_back_by_a_program_over_http(project_id, actor, mei, api):
    await write(project_id, actor, "a", b'{"enabled":false,"rollout":25}')
    await flags.toggle(project_id, mei, name="a", enabled=True)
    reply = await api.post("/v1/cache/get", {"key": "flag:a"})
    assert reply.json["value"] == {"enabled": True, "rollout": 25}


async def test_toggle_changes_the_one_word_and_nothing_else(project_id, actor, mei):
    await write(project_id, actor, "a", FULL, ttl_s=600, metadata=b'{"owner": "web"}')
    before = await read(project_id, actor, "a")
    await flags.toggle(project_id, mei, name="a", enabled=False)
    after = await read(project_id, actor, "a")
    assert after.value == FULL.strip().replace(rb'"\u0065nabled" : true', rb'"\u0065nabled" : false')
    assert (after.metadata, after.expires_at_ms) == (before.metadata, before.expires_at_ms)
    await flags.toggle(project_id, mei, name="a", enabled=True)
    assert (await read(project_id, actor, "a")).value == before.value


async def test_toggle_to_what_it_is_writes_nothing(project_id, actor, mei):
    revision = await write(project_id, actor, "a", b'{"enabled":true}')
    assert (await flags.toggle(project_id, mei, name="a", enabled=True)).done
    assert (await read(project_id, actor, "a")).revision == revision
    assert not await AuditEntry.objects.filter(project_id=project_id).aexists()


async def test_toggle_of_another_revision_is_refused(project_id, actor, mei):
    old = await write(project_id, actor, "a", b'{"enabled":true}')
    await write(project_id, actor, "a", b'{"enabled":true,"rollout":5}')
    result = await flags.toggle(project_id, mei, name="a", enabled=False, expected_revision=old)
    assert (result.done, result.reason) == (False, "changed")
    assert (await read(project_id, actor, "a")).value == b'{"enabled":true,"rollout":5}'


@pytest.mark.parametrize(
    "value", [b"true", b"[]", b"{}", b'{"enabled":"yes"}', b'{"enabled":true,"rollout":-1}']
)
async def test_what_is_not_a_flag_is_not_touched(project_id, actor, mei, value):
    await write(project_id, actor, "a", value)
    result = await flags.toggle(project_id, mei, name="a", enabled=True)
    assert (result.done, result.reason) == (False, "not_a_flag")
    assert (await read(project_id, actor, "a")).value == value


async def test_absent_flag_is_a_result(project_id, mei):
    result = await flags.toggle(project_id, mei, name="nope", enabled=True)
    assert (result.done, result.reason, result.flag) == (False, "absent", None)


async def test_toggles_and_other_writers_at_once_lose_no_write(project_id, actor, mei):
    """A program counts up a field by compare-and-set while somebody flips the switch: every count must survive."""
    await write(project_id, actor, "a", b'{"enabled":true,"n":0}')

    async def count_up() -> None:
        for _ in range(20):
            while True:
                entry = await read(project_id, actor, "a")
                stored = json.loads(entry.value)
                stored["n"] += 1
                done = await services.set_entry(
                    project_id,
                    actor,
                    key="flag:a",
                    value=json.dumps(stored).encode(),
                    if_revision=entry.revision,
                )
                if done.done:
                    break

    async def flip() -> None:
        for number in range(20):
            await flags.toggle(project_id, mei, name="a", enabled=number % 2 == 0)

    await asyncio.gather(count_up(), flip())
    assert json.loads((await read(project_id, actor, "a")).value)["n"] == 20


async def test_toggle_is_in_the_audit_log(project_id, actor, mei):
    await write(project_id, actor, "a", b'{"enabled":true}')
    await flags.toggle(project_id, mei, name="a", enabled=False, reason="SMTP is down")
    line = await AuditEntry.objects.aget(project_id=project_id)
    assert (line.verb, line.target, line.actor_label, line.door, line.request_id) == (
        "flag.toggle", "flag:a", "Mei", "console", "req_1",
    )  # fmt: skip
    assert (line.details["before"], line.details["after"]) == ('{"enabled":true}', '{"enabled":false}')
    assert line.details["reason"] == "SMTP is down"


async def test_audit_line_is_bounded(project_id, actor, mei):
    await write(project_id, actor, "a", b'{"enabled":true,"x":"' + "é".encode() * 4000 + b'"}')
    await flags.toggle(project_id, mei, name="a", enabled=False)
    line = await AuditEntry.objects.aget(project_id=project_id)
    assert len(line.details["before"].encode()) <= 4096
    assert line.details["before_bytes"] == 8023


async def test_toggle_needs_the_right(project_id, reader, actor):
    await write(project_id, actor, "a", b'{"enabled":true}')
    with pytest.raises(NotAllowed):
        await flags.toggle(project_id, reader, name="a", enabled=False)
