"""Writing the audit log: who changed what, through which door, from what to what."""

from aerodash.auth import Actor, ProjectId
from aerodash.models import AuditEntry

SIDE_BYTES = 4096


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
    details: dict[str, object] = {}
    if reason:
        details["reason"] = reason
    if revision:
        details["revision"] = revision
    for side, text in (("before", before), ("after", after)):
        if text is not None:
            details |= _bounded(side, text.encode() if isinstance(text, str) else text)
    await AuditEntry.objects.acreate(
        project_id=project,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=actor.label[:160],
        door=actor.door.value,
        verb=verb,
        target=target,
        details=details,
        request_id=actor.request_id,
    )


def _bounded(side: str, text: bytes) -> dict[str, object]:
    if len(text) <= SIDE_BYTES:
        return {side: text.decode(errors="replace")}
    return {side: text[:SIDE_BYTES].decode(errors="ignore"), f"{side}_bytes": len(text)}
