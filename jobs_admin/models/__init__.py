"""What the job engine keeps, a module a subject. Fields, constraints and indexes; every change of a row is a
statement in engine/sql.

Instants are whole milliseconds since the epoch (`_at_ms`): the hot statements compare and add them, and both
databases keep them in eight bytes. Long texts stand last, so that reading the narrow columns of a row does not walk
through them. Source: jobs.md, sections States and Storage.
"""

from jobs_admin.models.batches import Batch, BatchCounter
from jobs_admin.models.jobs import Attempt, IdempotencyKey, Job, JobEvent, JobLog, JobProgress, JobTag, Status
from jobs_admin.models.schedules import Schedule, ScheduleSlot
from jobs_admin.models.types import JobCounter, JobLane, JobType, RateBucket
from jobs_admin.models.workers import Worker

__all__ = [
    "Attempt",
    "Batch",
    "BatchCounter",
    "IdempotencyKey",
    "Job",
    "JobCounter",
    "JobEvent",
    "JobLane",
    "JobLog",
    "JobProgress",
    "JobTag",
    "JobType",
    "RateBucket",
    "Schedule",
    "ScheduleSlot",
    "Status",
    "Worker",
]
