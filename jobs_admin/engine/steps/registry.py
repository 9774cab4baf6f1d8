"""Every step by its name, with whether its callers wait for the disk and when in a group it runs."""

from collections.abc import Mapping

from jobs_admin.engine.grouping import Step
from jobs_admin.engine.steps import (
    batches,
    cancel,
    counters,
    enqueue,
    forget,
    lease,
    prune,
    report,
    retry,
    run_now,
    schedules,
    settle,
    sweep,
    types,
)

STEPS: Mapping[str, Step] = {
    # A heartbeat or a lease that a power cut takes back costs a run of the job, never the job.
    "heartbeat": Step(lease.heartbeat, durable=False, order=0),
    "report": Step(report.report, durable=False, order=0),
    "settle": Step(settle.settle),
    "enqueue": Step(enqueue.enqueue),
    "cancel": Step(cancel.cancel),
    "retry": Step(retry.retry),
    "run_now": Step(run_now.run_now),
    "worker_lost": Step(sweep.worker_lost),
    "sweep": Step(sweep.sweep),
    "pause": Step(types.pause),
    "resume": Step(types.resume),
    "configure": Step(types.configure),
    # What a power cut brings back is pruned again.
    "prune": Step(prune.prune, durable=False),
    "forget": Step(forget.forget, durable=False),
    "is_anything_expired": Step(sweep.is_anything_expired, reads=True),
    "check": Step(counters.check, reads=True),
    "drift": Step(counters.drift, reads=True),
    "correct": Step(counters.correct),
    "fold": Step(counters.fold, durable=False),
    "create_batch": Step(batches.create),
    "seal_batch": Step(batches.seal),
    "finish_batches": Step(batches.finish),
    "batches_unfinished": Step(batches.unfinished, reads=True),
    "batch_members": Step(batches.members, reads=True),
    "set_schedule": Step(schedules.set_schedule),
    "change_schedule": Step(schedules.change),
    "delete_schedule": Step(schedules.delete),
    "scheduled_job": Step(schedules.job_of, reads=True),
    "due_schedules": Step(schedules.due, reads=True),
    "fault_schedule": Step(schedules.fault),
    "fire_schedule": Step(schedules.fire),
    # Last, so that it finds what the others of its group have made pending.
    "lease": Step(lease.lease, durable=False, order=2),
}
