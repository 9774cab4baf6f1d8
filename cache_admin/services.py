"""The verbs that change the cache. Each asks for the right `cache:write` and tells the live pages what changed."""

from collections.abc import Sequence
from dataclasses import dataclass

from aerodash import engines, limits
from aerodash.auth import Actor, Scope
from aerodash.errors import InvalidInput
from aerodash.ids import ProjectId
from aerodash.realtime import topics
from aerodash.realtime.publish import publish
from cache_admin import bulk, flushes
from cache_admin.bounds import (
    JsonText,
    check_counter,
    check_key,
    check_keys,
    check_ttl,
    metadata_text,
    value_text,
)
from cache_admin.engine.contract import (
    CacheEngine,
    DeleteResult,
    ExpireResult,
    NewEntry,
    Removed,
    SetResult,
)
from cache_admin.flushes import Flushed

IDS_TOLD = 100


@dataclass(frozen=True, slots=True)
class Counted:
    """A counter's new digits, and the project's revision."""

    value: bytes
    revision: str


@engines.on_engine_loop
async def set_entry(
    project: ProjectId,
    actor: Actor,
    *,
    key: str,
    value: JsonText,
    ttl_s: int | None = None,
    metadata: JsonText | None = None,
    if_revision: str | None = None,
    if_absent: bool = False,
    if_present: bool = False,
    keep_ttl: bool = False,
) -> SetResult:
    """Write one entry, and its ttl: None means never, and clears an old one unless keep_ttl.

    value: JSON text, kept byte for byte. metadata: a JSON object's text; None keeps what is stored, {} clears it.
    At most one condition; a refused one is a result: done False, reason "exists", "absent" or "revision_mismatch", and
    the entry's revision if there is one. Raises InvalidInput, NotAllowed, EngineDown.
    Source: wire contract, section 3.
    """
    actor.require(Scope.CACHE_WRITE)
    check_key(key)
    check_ttl(ttl_s)
    if (if_revision is not None) + if_absent + if_present > 1:
        raise InvalidInput(
            "Only one of ifRevision, ifAbsent and ifPresent can be given.", reason="conflicting_conditions"
        )
    if keep_ttl and ttl_s is not None:
        raise InvalidInput("A ttl is either kept or given.", reason="conflicting_conditions", field="ttl")
    result = await _engine().set(
        project,
        NewEntry(key, value_text(value), ttl_s, metadata_text(metadata)),
        keep_ttl=keep_ttl,
        if_revision=if_revision,
        if_absent=if_absent,
        if_present=if_present,
    )
    if result.done:
        _tell(project, (key,))
    return result


@engines.on_engine_loop
async def set_many(
    project: ProjectId, actor: Actor, *, entries: Sequence[tuple[str, JsonText, int | None, JsonText | None]]
) -> str:
    """Write up to 1000 entries (key, value, ttl_s, metadata) in one instant, all or none; answers their revision.

    Raises InvalidInput naming the entry, NotAllowed, EngineDown.
    """
    actor.require(Scope.CACHE_WRITE)
    if len(entries) > limits.SET_MANY_ENTRIES:
        raise InvalidInput(
            f"entries has {len(entries)} items, over the limit of {limits.SET_MANY_ENTRIES}.",
            reason="too_many", field="entries", limit=limits.SET_MANY_ENTRIES,
        )  # fmt: skip
    checked = []
    for number, (key, value, ttl_s, metadata) in enumerate(entries):
        within = f"entries[{number}]"
        check_key(key, field=f"{within}.key")
        check_ttl(ttl_s, field=f"{within}.ttl")
        text = value_text(value, field=f"{within}.value")
        checked.append(NewEntry(key, text, ttl_s, metadata_text(metadata, field=f"{within}.metadata")))
    revision = await _engine().set_many(project, checked)
    if checked:
        _tell(project, [entry.key for entry in checked])
    return revision


@engines.on_engine_loop
async def delete(
    project: ProjectId, actor: Actor, *, key: str, if_revision: str | None = None
) -> DeleteResult:
    """Remove one entry. done is False only when if_revision does not hold; removed says whether there was one."""
    actor.require(Scope.CACHE_WRITE)
    check_key(key)
    result = await _engine().delete(project, key, if_revision=if_revision)
    if result.removed:
        _tell(project, (key,))
    return result


@engines.on_engine_loop
async def delete_many(project: ProjectId, actor: Actor, *, keys: Sequence[str]) -> Removed:
    """Remove up to 10 000 entries: up to 1000 in one instant, above that in chunks of 250, all gone when answered."""
    actor.require(Scope.CACHE_WRITE)
    check_keys(keys, limit=limits.DELETE_MANY_KEYS)
    removed = await _engine().delete_many(project, keys)
    if removed.number:
        _tell(project, keys)
    return removed


@engines.on_engine_loop
async def expire(project: ProjectId, actor: Actor, *, key: str, ttl_s: int | None) -> ExpireResult:
    """Change when one entry expires; its value and metadata stay as they are.

    ttl_s: whole seconds from 1 to ten years; None means never. done is False if the entry is absent or expired.
    Raises InvalidInput for a ttl out of bounds, NotAllowed, EngineDown. Source: wire contract, section 3.
    """
    actor.require(Scope.CACHE_WRITE)
    check_key(key)
    check_ttl(ttl_s)
    result = await _engine().expire(project, key, ttl_s)
    if result.done:
        _tell(project, (key,))
    return result


@engines.on_engine_loop
async def increment(
    project: ProjectId,
    actor: Actor,
    *,
    key: str,
    amount: int = 1,
    initial_value: int = 0,
    ttl_s: int | None = None,
) -> Counted:
    """Add to a counter. An absent one is made as initial_value + amount, and takes ttl_s.

    An existing one keeps its ttl and metadata. Raises InvalidInput with reason not_an_integer when the entry is no
    JSON integer within int64, counter_overflow when the sum is not, and writes nothing then; NotAllowed, EngineDown.
    """
    actor.require(Scope.CACHE_WRITE)
    check_key(key)
    check_ttl(ttl_s)
    check_counter(amount, field="amount")
    check_counter(initial_value, field="initialValue")
    result = await _engine().increment(project, key, amount, initial_value=initial_value, ttl_s=ttl_s)
    if result.value is None or result.revision is None:
        raise InvalidInput(_COUNTER_REFUSALS[result.reason or ""], reason=result.reason or "", field="key")
    _tell(project, (key,))
    return Counted(result.value, result.revision)


@engines.on_engine_loop
async def flush(project: ProjectId, actor: Actor, *, prefix: str | None = None) -> Flushed:
    """Remove every entry under the prefix (None: all of the project's, flags too), and answer when they are gone.

    What is written after the call stays. Runs to its end even if the caller leaves. Up to 5000 entries are removed
    here; more by an operation of the keeper, whose steps leave room for other callers, and which people can watch and
    stop. Raises InvalidInput, NotAllowed, EngineDown; of an operation that does not move, with its id.
    """
    wanted = await bulk.measure(project, actor, prefix=prefix or "")
    if wanted.is_small:
        return await flushes.remove(project, actor, wanted=wanted)
    return await flushes.ended(project, await flushes.start(project, actor, wanted=wanted))


_COUNTER_REFUSALS = {
    "not_an_integer": "The stored value is not an integer of 64 bits, so it cannot be counted up.",
    "counter_overflow": "The counter would leave the range of 64 bits.",
}


def _tell(project: ProjectId, keys: Sequence[str]) -> None:
    publish(project, topics.CACHE, keys if len(keys) <= IDS_TOLD else ())
    if flags := [key for key in keys if key.startswith(bulk.FLAG_PREFIX)]:
        publish(project, topics.FLAGS, flags if len(flags) <= IDS_TOLD else ())


def _engine() -> CacheEngine:
    return engines.get("cache")
