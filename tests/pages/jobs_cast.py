"""What the tests of the jobs pages share: jobs as programs and workers make them."""

from aerodash import engines
from aerodash.auth import ALL_SCOPES, Actor
from aerodash.ids import ProjectId
from aerodash.models import Project
from jobs_admin import services
from jobs_admin.engine.contract import LeasedJob, RunResult, WorkerInfo

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
_KEY = Actor(kind="key", id="9", label="key shop-api", scopes=ALL_SCOPES)


def enqueue(
    project: Project, type: str = "send-email", payload: bytes = b'{"n":1}', **options: object
) -> str:
    job = services.enqueue(ProjectId(project.pk), _KEY, type=type, payload=payload, **options)
    return engines.run(job).job_id


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


def settle(project: Project, job: LeasedJob, outcome: str, **said: object) -> None:
    result = RunResult(job.id, job.lease_token, outcome, **said)
    engines.run(services.settle(ProjectId(project.pk), _KEY, results=[result]))


def url(project: Project, rest: str = "") -> str:
    return f"/p/{project.slug}/jobs{rest}"
