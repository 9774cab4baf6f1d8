"""What people change in the console: the verbs of `services`, each with a line in the audit log.

Programs' writes are not recorded one by one (their revision and expiry is all an entry keeps of them).
Each verb raises InvalidInput where a flag would change in production without a reason (flags/reason.py).
Source: console, "Entry history".
"""

from dataclasses import dataclass

from aerodash import audit
from aerodash.audit import Change
from aerodash.auth import Actor, Scope
from aerodash.ids import ProjectId
from aerodash.operations.record import Operation
from cache_admin import bulk, flushes, queries, services
from cache_admin.bulk import Changed, Range, Rule
from cache_admin.engine.contract import DeleteResult, Entry, SetResult
from cache_admin.flags.reason import check_reason


@dataclass(frozen=True, slots=True)
class Save:
    """A compare-and-set's outcome. current: the entry as it stands when it had changed (None: it is gone)."""

    done: bool
    current: Entry | None = None


@dataclass(frozen=True, slots=True)
class Deleted:
    """How many entries went at once, or the operation that removes them."""

    number: int
    operation: Operation | None = None


async def last_edit(project: ProjectId, actor: Actor, *, key: str) -> Change | None:
    """Who changed this entry in the console last; None if nobody did, or if it is not known."""
    actor.require(Scope.CACHE_READ)
    return (await audit.latest(project, targets=[key])).get(key)


async def create(
    project: ProjectId, actor: Actor, *, key: str, value: bytes, ttl_s: int | None, reason: str = ""
) -> SetResult:
    """Write an entry that does not exist yet; reason "exists" if it does. Raises as services.set_entry."""
    actor.require(Scope.CACHE_WRITE)
    await check_reason(project, key=key, reason=reason)
    result = await services.set_entry(project, actor, key=key, value=value, ttl_s=ttl_s, if_absent=True)
    if result.done:
        await audit.record(
            project, actor, verb="entry.create", target=key,
            after=value, reason=reason, revision=result.revision,
        )  # fmt: skip
    return result


async def save_value(
    project: ProjectId, actor: Actor, *, key: str, value: bytes, revision: str, reason: str = ""
) -> Save:
    """Replace the value of the entry at this revision; its expiry and metadata stay.

    If somebody else wrote it first, nothing is saved and the result carries what they wrote.
    """
    return await _replace(project, actor, key=key, revision=revision, value=value, reason=reason)


async def save_metadata(
    project: ProjectId, actor: Actor, *, key: str, metadata: bytes, revision: str, reason: str = ""
) -> Save:
    """Replace the metadata (a JSON object's text; {} clears it) at this revision; value and expiry stay."""
    return await _replace(project, actor, key=key, revision=revision, metadata=metadata, reason=reason)


async def change_expiry(
    project: ProjectId, actor: Actor, *, key: str, ttl_s: int | None, reason: str = ""
) -> bool:
    """Let the entry expire in ttl_s seconds from now (None: never), whatever its revision. False if it is gone."""
    actor.require(Scope.CACHE_WRITE)
    await check_reason(project, key=key, reason=reason)
    before = await queries.get(project, actor, key=key)
    result = await services.expire(project, actor, key=key, ttl_s=ttl_s)
    if result.done:
        await audit.record(
            project, actor, verb="entry.expire", target=key, revision=result.revision,
            before=_expiry(before), after="never" if ttl_s is None else f"in {ttl_s} s", reason=reason,
        )  # fmt: skip
    return result.done


async def delete(
    project: ProjectId, actor: Actor, *, key: str, revision: str, reason: str = ""
) -> DeleteResult:
    """Remove the entry at this revision. removed is False if it changed meanwhile, or is gone."""
    actor.require(Scope.CACHE_WRITE)
    await check_reason(project, key=key, reason=reason)
    before = await queries.get(project, actor, key=key)
    result = await services.delete(project, actor, key=key, if_revision=revision)
    if result.removed:
        await audit.record(
            project, actor, verb="entry.delete", target=key, before=before and before.value, reason=reason
        )
    return result


async def delete_range(
    project: ProjectId, actor: Actor, *, wanted: Range, reason: str = "", before: str = ""
) -> Deleted:
    """Remove the entries of a range: a few at once, many by an operation, which is returned and goes on by itself.

    before: its figures as they were shown, for the audit log.
    """
    actor.require(Scope.CACHE_WRITE)
    if wanted.holds_flags:
        await check_reason(project, key=bulk.FLAG_PREFIX, reason=reason)
    if not wanted.is_small:
        return Deleted(0, await flushes.start(project, actor, wanted=wanted, reason=reason, before=before))
    removed = await flushes.remove(project, actor, wanted=wanted)
    await audit.record(
        project, actor, verb=flushes.KIND, target=wanted.named,
        before=_figures(wanted, before), after=f"{removed.number} removed", reason=reason,
    )  # fmt: skip
    return Deleted(removed.number)


async def change_expiries(
    project: ProjectId, actor: Actor, *, wanted: Range, rule: Rule, reason: str = "", before: str = ""
) -> Changed:
    """Change when the entries of a range expire: a few at once, many by an operation, as for delete_range."""
    actor.require(Scope.CACHE_WRITE)
    bulk.check_rule(rule)
    if wanted.holds_flags:
        await check_reason(project, key=bulk.FLAG_PREFIX, reason=reason)
    if not wanted.is_small:
        started = await bulk.start(project, actor, wanted=wanted, rule=rule, reason=reason, before=before)
        return Changed(0, 0, started)
    changed = await bulk.change_expiry(project, actor, wanted=wanted, rule=rule)
    await audit.record(
        project, actor, verb=bulk.KIND, target=wanted.named, before=_figures(wanted, before),
        after=f"{rule.said}: {changed.number} changed, {changed.left} left", reason=reason,
    )  # fmt: skip
    return changed


async def _replace(
    project: ProjectId,
    actor: Actor,
    *,
    key: str,
    revision: str,
    value: bytes | None = None,
    metadata: bytes | None = None,
    reason: str = "",
) -> Save:
    actor.require(Scope.CACHE_WRITE)
    await check_reason(project, key=key, reason=reason)
    entry = await queries.get(project, actor, key=key)
    if entry is None or entry.revision != revision:
        return Save(False, entry)
    result = await services.set_entry(
        project, actor, key=key, value=entry.value if value is None else value, metadata=metadata,
        if_revision=revision, keep_ttl=True,
    )  # fmt: skip
    if not result.done:
        return Save(False, await queries.get(project, actor, key=key))
    before, after = (entry.value, value) if metadata is None else (entry.metadata, metadata)
    verb = "entry.set" if metadata is None else "entry.set_metadata"
    await audit.record(
        project,
        actor,
        verb=verb,
        target=key,
        before=before,
        after=after,
        reason=reason,
        revision=result.revision,
    )
    return Save(True)


def _figures(wanted: Range, before: str) -> str | None:
    """What a range was, for the audit log: its figures, and of named keys which."""
    return "\n".join(filter(None, (before, *(wanted.keys or ())))) or None


def _expiry(entry: Entry | None) -> str | None:
    if entry is None:
        return None
    return "never" if entry.expires_at_ms is None else f"at {entry.expires_at_ms} ms"
