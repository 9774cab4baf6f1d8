"""The audit log: who changed what, through which door, from what to what."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max

from aerodash import database
from aerodash.auth import Actor
from aerodash.ids import ProjectId
from aerodash.models import AuditEntry
from aerodash.realtime import topics
from aerodash.realtime.publish import publish

SIDE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Change:
    """The newest line about one target: when and by whom. revision: what it made of the target ("" if it has none);
    if the target is at another one, a program has written it since."""

    at: datetime
    by: str
    revision: str


async def record(
    project: ProjectId,
    actor: Actor,
    *,
    verb: str,
    target: str,
    before: str | bytes | None = None,
    after: str | bytes | None = None,
    reason: str = "",
    revision: str | None = None,
) -> None:
    """Add one line. Call it once the change is done.

    verb: "entry.set", "flag.toggle", … target: what was changed, by its own name (a cache key, a job id). before,
    after: the text on either side, cut at 4 KiB with its whole length told; None where there is nothing to tell.
    revision: of what was changed, after the change, where it has one.
    """
    details: dict[str, str | int] = {}
    if reason:
        details["reason"] = reason
    if revision:
        details["revision"] = revision
    for side, text in (("before", before), ("after", after)):
        if text is not None:
            details |= _bounded(side, text.encode() if isinstance(text, str) else text)
    await database.ask(AuditEntry.objects.create)(
        project_id=project,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=_storable(actor.label[:160]),
        door=actor.door.value,
        verb=verb,
        target=_storable(target),
        details={name: _storable(v) if isinstance(v, str) else v for name, v in details.items()},
        request_id=actor.request_id,
    )
    publish(project, topics.AUDIT)


async def latest(project: ProjectId, *, targets: Sequence[str]) -> dict[str, Change]:
    """The newest change of each of these targets; those of which the log knows none are left out.

    The caller has checked that the reader may see them.
    """
    of_targets = {_storable(target): target for target in targets}
    found = await database.ask(_newest)(project, list(of_targets))
    return {of_targets[target]: change for target, change in found}


def _newest(project: ProjectId, targets: Sequence[str]) -> list[tuple[str, Change]]:
    of_targets = AuditEntry.objects.filter(project_id=project, target__in=targets).values("target")
    newest = of_targets.annotate(newest=Max("id")).values("newest")
    return [
        (line.target, Change(line.at, line.actor_label, line.details.get("revision", "")))
        for line in AuditEntry.objects.filter(id__in=newest)
    ]


def _storable(text: str) -> str:
    """PostgreSQL keeps no NUL in a text: a cache key may have one."""
    return text.replace("\0", "\N{SYMBOL FOR NULL}")


def _bounded(side: str, text: bytes) -> dict[str, str | int]:
    if len(text) <= SIDE_BYTES:
        return {side: text.decode(errors="replace")}
    return {side: text[:SIDE_BYTES].decode(errors="ignore"), f"{side}_bytes": len(text)}
