"""What workers do: lease, report, extend, settle, and what their supervisor says of one that died."""

from aerodash.auth import Scope
from aerodash.wire.operation import Call, operation
from jobs_admin import forms, services
from jobs_admin.schemas_work import (
    Beat,
    Heard,
    HeartbeatReply,
    HeartbeatRequest,
    LeaseReply,
    LeaseRequest,
    ProgressReply,
    ProgressRequest,
    Settled,
    SettleReply,
    SettleRequest,
    WorkerLostReply,
    WorkerLostRequest,
)


@operation("/queue/lease", request=LeaseRequest, reply=LeaseReply, scope=Scope.QUEUE_WORK, long_poll=True)
async def queue_lease(call: Call, body: LeaseRequest) -> LeaseReply:
    """Take due jobs to run them.

    Each is yours until `leaseExpiresAt`; extend with /queue/heartbeat, end with /queue/settle. Waits up to
    `waitSeconds` for the first job; an empty list means that none came.
    """
    leased = await services.lease(
        call.project,
        call.actor,
        types=body.types,
        limit=body.limit,
        lease_s=body.leaseSeconds,
        wait_s=body.waitSeconds,
        worker=forms.worker(body.worker),
        is_connected=call.is_connected,
    )
    project = str(call.project)
    return LeaseReply(jobs=[forms.leased_record(project, job) for job in leased])


@operation("/queue/heartbeat", request=HeartbeatRequest, reply=HeartbeatReply, scope=Scope.QUEUE_WORK)
async def queue_heartbeat(call: Call, body: HeartbeatRequest) -> HeartbeatReply:
    """Extend leases and learn of cancels.

    Answers in the order of `leases`: extended, lease_lost (stop: the job is somebody else's) or cancel_requested.
    """
    beats = await services.heartbeat(
        call.project,
        call.actor,
        worker=forms.worker(body.worker),
        leases=[forms.lease_ref(lease) for lease in body.leases],
        lease_s=body.leaseSeconds,
    )
    return HeartbeatReply(
        leases=[Beat(jobId=lease.jobId, outcome=beat) for lease, beat in zip(body.leases, beats, strict=True)]
    )


@operation("/queue/settle", request=SettleRequest, reply=SettleReply, scope=Scope.QUEUE_WORK)
async def queue_settle(call: Call, body: SettleRequest) -> SettleReply:
    """End runs.

    Answers in the order of `results`: accepted, lease_lost (nothing changed) or cancelled (a cancel came first).
    """
    settled = await services.settle(
        call.project, call.actor, results=[forms.run_result(sent) for sent in body.results]
    )
    return SettleReply(
        results=[
            Settled(jobId=sent.jobId, outcome=outcome)
            for sent, outcome in zip(body.results, settled, strict=True)
        ]
    )


@operation("/queue/progress", request=ProgressRequest, reply=ProgressReply, scope=Scope.QUEUE_WORK)
async def queue_progress(call: Call, body: ProgressRequest) -> ProgressReply:
    """Say how far running jobs are, and keep their log lines.

    Answers in the order of `reports`: accepted, lease_lost (nothing was kept) or cancel_requested (kept; the job is to
    stop). A message over 1 KiB and a line over 4 KiB are cut, and say so.
    """
    heard = await services.report(
        call.project, call.actor, reports=[forms.report(sent) for sent in body.reports]
    )
    return ProgressReply(
        results=[
            Heard(jobId=sent.jobId, outcome=outcome)
            for sent, outcome in zip(body.reports, heard, strict=True)
        ]
    )


@operation("/queue/worker-lost", request=WorkerLostRequest, reply=WorkerLostReply, scope=Scope.QUEUE_WORK)
async def queue_worker_lost(call: Call, body: WorkerLostRequest) -> WorkerLostReply:
    """End the runs of a worker process that was seen to die.

    They count as crashes, with `reason` and `traceback` as their error; where `begun` names the jobs whose handler had
    started, the others are released instead, at no cost to them.
    """
    count = await services.worker_lost(call.project, call.actor, lost=forms.lost_worker(body))
    return WorkerLostReply(success=True, count=count)
