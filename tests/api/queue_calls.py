"""What several queue tests do on the way to what they are about."""

import re
from typing import Any

import uuid_utils.compat

from tests.api.client import ApiClient

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
WORKER = {"id": "w-1", "hostname": "host-a", "pid": 41, "version": "1.0"}


async def enqueue(api: ApiClient, type: str = "email", payload: Any = None, **options: Any) -> str:
    reply = await api.post("/v1/queue/enqueue", {"type": type, "payload": payload, **options})
    assert reply.status == 201, reply.body
    return reply.json["jobId"]


async def lease(api: ApiClient, **options: Any) -> list[dict[str, Any]]:
    reply = await api.post("/v1/queue/lease", {"worker": WORKER, "limit": 10, **options})
    assert reply.status == 200, reply.body
    return reply.json["jobs"]


async def settle(api: ApiClient, job: dict[str, Any], outcome: str = "completed", **said: Any) -> str:
    result = {"jobId": job["id"], "leaseToken": job["leaseToken"], "outcome": outcome, **said}
    reply = await api.post("/v1/queue/settle", {"results": [result]})
    assert reply.status == 200, reply.body
    return reply.json["results"][0]["outcome"]


async def report(api: ApiClient, job: dict[str, Any], **said: Any) -> str:
    sent = {"jobId": job["id"], "leaseToken": job["leaseToken"], **said}
    reply = await api.post("/v1/queue/progress", {"reports": [sent]})
    assert reply.status == 200, reply.body
    return reply.json["results"][0]["outcome"]


async def ended(api: ApiClient, outcome: str = "failed", **options: Any) -> str:
    """A job that has ended as completed, failed or cancelled; its id."""
    job_id = await enqueue(api, maxRetries=0, **options)
    if outcome == "cancelled":
        await api.post("/v1/queue/cancel", {"jobId": job_id})
        return job_id
    [job] = [job for job in await lease(api, limit=1000) if job["id"] == job_id]
    await settle(api, job, outcome)
    return job_id


async def record(api: ApiClient, job_id: str) -> dict[str, Any]:
    reply = await api.post("/v1/queue/job", {"jobId": job_id})
    assert (reply.status, reply.json["exists"]) == (200, True)
    return reply.json["job"]


def refused(reply: Any, field: str) -> None:
    """A 400 in the contract's shape that names the field."""
    assert reply.status == 400, reply.body
    assert set(reply.json) == {"code", "message", "details"}
    assert reply.json["code"] == "VALIDATION_ERROR"
    assert reply.json["details"]["field"] == field, reply.json


def new_batch(project: Any) -> str:
    """An open batch of the project; its id."""
    from jobs_admin.models import Batch

    made = Batch.objects.create(id=uuid_utils.compat.uuid7(), project=project, created_at_ms=1)
    return str(made.pk)
