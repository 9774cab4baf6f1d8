"""What a project says about all jobs of one type: pause, resume, configure. As services are; each is audited.

All need the queue:manage right, raise NotAllowed, InvalidInput for a bound, and EngineDown with nothing written.
Source: jobs.md, "What a job may carry, and what a type may say".
"""

import dataclasses
import json

from aerodash import audit, engines
from aerodash.auth import Actor, Scope
from aerodash.ids import ProjectId
from aerodash.realtime import topics
from aerodash.realtime.publish import publish
from jobs_admin.bounds import check_pause_reason, check_settings, check_type
from jobs_admin.engine.contract import JobEngine, TypeSettings, Who
from jobs_admin.models import JobType
from jobs_admin.reading import in_reader
from jobs_admin.records import settings_of


@engines.on_engine_loop
async def pause(project: ProjectId, actor: Actor, *, type: str, reason: str = "") -> None:
    """Let nobody lease jobs of a type; those that run go on. Paused again, the first pause stands.

    reason: up to 256 characters, for whoever wonders why nothing runs.
    """
    actor.require(Scope.QUEUE_MANAGE)
    check_type(type, "type")
    check_pause_reason(reason)
    await _engine().pause(project, _who(actor), type, reason)
    publish(project, topics.JOBS)
    await audit.record(project, actor, verb="type.pause", target=type, reason=reason)


@engines.on_engine_loop
async def resume(project: ProjectId, actor: Actor, *, type: str) -> None:
    """Take a pause back; workers that wait for such jobs get them at once."""
    actor.require(Scope.QUEUE_MANAGE)
    check_type(type, "type")
    await _engine().resume(project, type)
    publish(project, topics.JOBS)
    await audit.record(project, actor, verb="type.resume", target=type)


@engines.on_engine_loop
async def configure(project: ProjectId, actor: Actor, *, type: str, settings: TypeSettings) -> None:
    """Replace all that a type says, for every lease and every end of a run from now on. A pause stays.

    Each setting within its bounds: see bounds.check_settings.
    """
    actor.require(Scope.QUEUE_MANAGE)
    check_type(type, "type")
    check_settings(settings)
    before = await _said(project, type)
    await _engine().configure(project, type, settings)
    publish(project, topics.JOBS)
    await audit.record(
        project, actor, verb="type.configure", target=type, before=_text(before), after=_text(settings)
    )


@in_reader
def _said(project: ProjectId, type: str) -> TypeSettings:
    row = JobType.objects.filter(project_id=project, name=type).first()
    return TypeSettings() if row is None else settings_of(row)


def _text(settings: TypeSettings) -> str:
    """What is set, as JSON, for people who read the log."""
    said = {name: value for name, value in dataclasses.asdict(settings).items() if value not in (None, ())}
    return json.dumps(said, ensure_ascii=False)


def _engine() -> JobEngine:
    engine: JobEngine = engines.get("jobs")
    return engine


def _who(actor: Actor) -> Who:
    return Who(actor.kind, actor.id, actor.label, actor.door.value, actor.request_id)
