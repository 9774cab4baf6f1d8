"""The flags of a project, and switching one: reads and writes of the cache entries `flag:NAME`.

Whoever may edit flags may do so without the right to write the whole cache; the verbs here ask for `flags:read` and
`flags:write`, and lend the cache's own right to the one entry they touch.
Source: flags.
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from aerodash import audit
from aerodash.audit import Change
from aerodash.auth import Actor, Scope
from aerodash.errors import InvalidInput
from aerodash.ids import ProjectId
from cache_admin import queries, services
from cache_admin.engine.contract import Entry
from cache_admin.flags import stored
from cache_admin.flags.reason import check_reason
from cache_admin.flags.stored import PREFIX, Flag

KEYS_A_STEP = 1000
VALUES_A_STEP = 200
TRIES = 5


@dataclass(frozen=True, slots=True)
class Toggle:
    """Whether a switch took place. reason when not: "absent", "not_a_flag", or "changed" (the flag is not at the
    expected revision any more). flag: as it stands afterwards; None if there is none."""

    done: bool
    reason: str
    flag: Flag | None


async def list_flags(project: ProjectId, actor: Actor) -> list[Flag]:
    """Every entry under `flag:`, by name, those that are not flags too. Raises NotAllowed, EngineDown."""
    reader = _lend(actor, Scope.FLAGS_READ, Scope.CACHE_READ)
    flags: list[Flag] = []
    cursor = None
    while True:
        page = await queries.list_keys(project, reader, prefix=PREFIX, limit=KEYS_A_STEP, cursor=cursor)
        for start in range(0, len(page.keys), VALUES_A_STEP):
            keys = page.keys[start : start + VALUES_A_STEP]
            entries = await queries.get_many(project, reader, keys=keys)
            flags += [_flag(entry) for entry in entries if entry is not None]
        cursor = page.next_cursor
        if cursor is None:
            return flags


async def get_flag(project: ProjectId, actor: Actor, *, name: str) -> Flag | None:
    """One flag as it stands, or None."""
    entry = await queries.get(project, _lend(actor, Scope.FLAGS_READ, Scope.CACHE_READ), key=_key(name))
    return None if entry is None else _flag(entry)


async def last_changes(project: ProjectId, actor: Actor, *, names: Iterable[str]) -> dict[str, Change]:
    """The newest change in the audit log for each of these flags; those without one are left out."""
    actor.require(Scope.FLAGS_READ)
    found = await audit.latest(project, targets=[_key(name) for name in names])
    return {key.removeprefix(PREFIX): change for key, change in found.items()}


async def toggle(
    project: ProjectId,
    actor: Actor,
    *,
    name: str,
    enabled: bool,
    expected_revision: str | None = None,
    reason: str = "",
) -> Toggle:
    """Switch one flag on or off; its other fields keep their text, the entry its metadata and expiry.

    expected_revision: the flag as the caller saw it; if it has changed since, nothing is done. None: whatever it is
    now. A flag that is already so is left alone. reason: for the audit log, in production needed.
    Raises InvalidInput without one there, NotAllowed, EngineDown.
    """
    writer = _lend(actor, Scope.FLAGS_WRITE, Scope.CACHE_WRITE)
    reader = _lend(actor, Scope.FLAGS_READ, Scope.CACHE_READ)
    await check_reason(project, key=_key(name), reason=reason)
    flag: Flag | None = None
    for _ in range(TRIES):
        entry = await queries.get(project, reader, key=_key(name))
        if entry is None:
            return Toggle(False, "absent", None)
        flag = _flag(entry)
        if flag.problem:
            return Toggle(False, "not_a_flag", flag)
        if expected_revision is not None and entry.revision != expected_revision:
            return Toggle(False, "changed", flag)
        if flag.enabled == enabled:
            return Toggle(True, "", flag)
        value = stored.with_enabled(entry.value, enabled)
        result = await services.set_entry(
            project, writer, key=entry.key, value=value, if_revision=entry.revision, keep_ttl=True
        )
        if result.done:
            await audit.record(
                project, actor, verb="flag.toggle", target=entry.key,
                before=entry.value, after=value, reason=reason, revision=result.revision,
            )  # fmt: skip
            return Toggle(
                True, "", dataclasses.replace(flag, enabled=enabled, revision=result.revision or "")
            )
        # somebody wrote between our read and our write: with an expectation the next round says so
    return Toggle(False, "changed", flag)


async def create(
    project: ProjectId, actor: Actor, *, name: str, enabled: bool, rollout: float, description: str,
    tags: list[str], reason: str = "",
) -> bool:  # fmt: skip
    """Make a new flag. False if there is an entry of this name already, whatever it holds.

    rollout: per cent, 0 to 100 in steps of 0.01. reason: for the audit log, in production needed.
    Raises InvalidInput, NotAllowed, EngineDown.
    """
    writer = _lend(actor, Scope.FLAGS_WRITE, Scope.CACHE_WRITE)
    await check_reason(project, key=_key(name), reason=reason)
    if not stored.is_name(name):
        raise InvalidInput(f"A flag's name is {stored.NAME_RULE}.", reason="invalid_name", field="name")
    if not 0 <= rollout <= 100 or round(rollout, 2) != rollout:
        raise InvalidInput(
            "A rollout is 0 to 100 per cent, in steps of 0.01.", reason="out_of_range", field="rollout"
        )
    value: dict[str, object] = {"enabled": enabled}
    if rollout != 100:
        value["rollout"] = int(rollout) if float(rollout).is_integer() else rollout
    if description:
        value["description"] = description
    if tags:
        value["tags"] = tags
    text = msgspec.json.encode(value)
    result = await services.set_entry(project, writer, key=_key(name), value=text, if_absent=True)
    if result.done:
        await audit.record(
            project,
            actor,
            verb="flag.create",
            target=_key(name),
            after=text,
            reason=reason,
            revision=result.revision,
        )
    return result.done


def _key(name: str) -> str:
    return PREFIX + name


def _flag(entry: Entry) -> Flag:
    return stored.read(entry.key, entry.value, revision=entry.revision, expires_at_ms=entry.expires_at_ms)


def _lend(actor: Actor, needed: Scope, lent: Scope) -> Actor:
    """The actor with the cache's right added, once the flag's own right is sure."""
    actor.require(needed)
    return dataclasses.replace(actor, scopes=actor.scopes | {lent})
