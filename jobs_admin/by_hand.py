"""What people do to single jobs in the console: as services do it, and each stands in the audit log as well.

Programs do these by the thousand, so services leave a line on the job's timeline only. Rights and bounds are theirs.
"""

import json

from aerodash import audit, engines
from aerodash.auth import Actor
from aerodash.ids import ProjectId
from jobs_admin import services
from jobs_admin.engine.contract import Enqueued, NewJob, NotRunNow, Refusal
from jobs_admin.services import CancelResult


@engines.on_engine_loop
async def enqueue(project: ProjectId, actor: Actor, *, job: NewJob) -> Enqueued:
    """Add one job. See services.enqueue."""
    added = await services.enqueue(project, actor, job=job)
    said = {"type": job.type, "priority": job.priority, "tags": job.tags, "payload": job.payload}
    after = json.dumps({name: value for name, value in said.items() if value != ()}, ensure_ascii=False)
    verb = "job.enqueue.duplicate" if added.duplicate else "job.enqueue"
    await audit.record(project, actor, verb=verb, target=added.job_id, after=after)
    return added


@engines.on_engine_loop
async def retry(
    project: ProjectId, actor: Actor, *, job_id: str, payload: bytes | None = None
) -> Refusal | None:
    """Put an ended job back, with another payload if one is given; why not, if it was refused. See services.retry."""
    done = await services.retry(project, actor, job_ids=[job_id], payload=payload)
    refused = done.refused.get(job_id)
    if refused is None:
        verb = "job.retry" if payload is None else "job.retry.edited"
        await audit.record(project, actor, verb=verb, target=job_id, after=payload)
    return refused


@engines.on_engine_loop
async def run_now(project: ProjectId, actor: Actor, *, job_id: str) -> NotRunNow | None:
    """Make a waiting job due now; why not, if it was refused. See services.run_now."""
    done = await services.run_now(project, actor, job_ids=[job_id])
    refused = done.refused.get(job_id)
    if refused is None:
        await audit.record(project, actor, verb="job.run_now", target=job_id)
    return refused


@engines.on_engine_loop
async def cancel(project: ProjectId, actor: Actor, *, job_id: str) -> CancelResult:
    """Keep a job from starting, or ask it to end. See services.cancel."""
    done = await services.cancel(project, actor, job_id=job_id)
    if done.success:
        await audit.record(project, actor, verb="job.cancel", target=job_id)
    return done
