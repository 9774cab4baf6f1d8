"""What the tests of the jobs pages share: jobs as programs and workers make them."""

from aerodash import engines
from aerodash.auth import ALL_SCOPES, Actor, Door
from aerodash.ids import ProjectId
from aerodash.models import Project
from jobs_admin import job_types, services
from jobs_admin.engine.contract import (
    LeasedJob,
    LeaseRef,
    Lost,
    NewJob,
    Report,
    RunResult,
    TypeSettings,
    WorkerInfo,
)

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
_KEY = Actor(kind="key", id="9", label="key shop-api", scopes=ALL_SCOPES)
INES = Actor(kind="user", id="7", label="Ines", scopes=ALL_SCOPES, door=Door.CONSOLE)


def enqueue(
    project: Project, type: str = "send-email", payload: bytes = b'{"n":1}', **options: object
) -> str:
    job = services.new_job(type, payload, **options)
    return engines.run(services.enqueue(ProjectId(project.pk), _KEY, job=job)).job_id


def add(project: Project, job: NewJob) -> str:
    """Enqueue a job that carries more than a payload and a delay."""
    return engines.run(services.enqueue(ProjectId(project.pk), _KEY, job=job)).job_id


def lease(project: Project, type: str = "send-email") -> LeasedJob:
    (job,) = engines.run(
        services.lease(
            ProjectId(project.pk),
            _KEY,
            types=[type],
            limit=1,
            lease_s=60,
            wait_s=5,
            worker=WorkerInfo("w1", "mailer-1", 11),
        )
    )
    return job


def report(project: Project, job: LeasedJob, **said: object) -> None:
    sent = [Report(job.id, job.lease_token, **said)]
    assert engines.run(services.report(ProjectId(project.pk), _KEY, reports=sent)) == ["accepted"]


def heartbeat(project: Project, job: LeasedJob) -> str:
    leases = [LeaseRef(job.id, job.lease_token)]
    [said] = engines.run(
        services.heartbeat(
            ProjectId(project.pk), _KEY, worker=WorkerInfo("w1", "mailer-1", 11), leases=leases, lease_s=60
        )
    )
    return said


def pause(project: Project, type: str, reason: str = "") -> None:
    engines.run(job_types.pause(ProjectId(project.pk), INES, type=type, reason=reason))


def configure(project: Project, type: str, **settings: object) -> None:
    said = TypeSettings(**settings)
    engines.run(job_types.configure(ProjectId(project.pk), INES, type=type, settings=said))


def lose_worker(project: Project, reason: str) -> None:
    """The worker that `lease` leases for is seen to die."""
    engines.run(services.worker_lost(ProjectId(project.pk), _KEY, lost=Lost("w1", reason)))


def settle(project: Project, job: LeasedJob, outcome: str, **said: object) -> None:
    result = RunResult(job.id, job.lease_token, outcome, **said)
    engines.run(services.settle(ProjectId(project.pk), _KEY, results=[result]))


def url(project: Project, rest: str = "") -> str:
    return f"/p/{project.slug}/jobs{rest}"
