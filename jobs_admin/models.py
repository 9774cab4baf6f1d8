"""What the job engine keeps. Fields, constraints and indexes; every change of a row is a statement in engine/sql.

Instants are whole milliseconds since the epoch (`_at_ms`): the hot statements compare and add them, and both
databases keep them in eight bytes. Long texts stand last, so that reading the narrow columns of a row does not walk
through them. Source: jobs.md, sections States and Storage.
"""

from django.db import models
from django.db.models import Q

from aerodash.models import Project


class Status(models.TextChoices):
    """The product's five words. The finer ones (scheduled, retrying, cancelling) are derived, never stored."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Job(models.Model):
    """One job and where it stands now; what happened before is in its attempts and events.

    id: a UUIDv7, so that new rows go to the end of every index.
    run: how often it was ever leased; never falls. attempts: the retry budget used since the last retry by hand.
    crashes: lease expiries in a row. lease_token: "" unless it is being processed.
    payload, result: the caller's own JSON text; result is "" until there is one.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, db_index=False)
    type = models.CharField(max_length=128)
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    priority = models.SmallIntegerField(default=5)
    run = models.IntegerField(default=0)
    attempts = models.IntegerField(default=0)
    crashes = models.IntegerField(default=0)
    max_retries = models.IntegerField(default=3)
    created_at_ms = models.BigIntegerField()
    due_at_ms = models.BigIntegerField()
    started_at_ms = models.BigIntegerField(null=True)
    ended_at_ms = models.BigIntegerField(null=True)
    lease_token = models.CharField(max_length=32, default="")
    lease_expires_at_ms = models.BigIntegerField(null=True)
    worker_id = models.CharField(max_length=64, default="")
    worker_name = models.CharField(max_length=160, default="")
    cancel_requested_at_ms = models.BigIntegerField(null=True)
    cancel_requested_by = models.CharField(max_length=160, default="")
    retry_base_ms = models.BigIntegerField(null=True)
    retry_cap_ms = models.BigIntegerField(null=True)
    enqueued_by = models.CharField(max_length=160, default="")
    enqueued_door = models.CharField(max_length=16, default="")
    payload_version = models.IntegerField(default=1)
    payload_bytes = models.IntegerField()
    error_type = models.CharField(max_length=256, default="")
    error_message = models.TextField(default="")
    payload = models.TextField()
    result = models.TextField(default="")
    traceback = models.TextField(default="")

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(status__in=Status.values), name="job_status_is_known"),
            models.CheckConstraint(
                condition=Q(status=Status.PROCESSING, lease_expires_at_ms__isnull=False) & ~Q(lease_token="")
                | ~Q(status=Status.PROCESSING) & Q(lease_token="", lease_expires_at_ms=None),
                name="job_leased_while_processing",
            ),
        )
        indexes = (
            # What a lease reads: per project, type and priority, what is due first. SQLite 3.40 covers a query by a
            # partial index only if the condition's column is in it too.
            models.Index(
                fields=["project", "type", "priority", "due_at_ms", "status"],
                condition=Q(status=Status.PENDING),
                name="job_lease_order",
            ),
            # What the sweep reads: the leases that ended first.
            models.Index(
                fields=["lease_expires_at_ms"], condition=Q(status=Status.PROCESSING), name="job_lease_expiry"
            ),
            # The Jobs page, newest first. Without a status it merges the five ranges: one index less to write.
            models.Index(fields=["project", "status", "id"], name="job_by_status"),
            models.Index(fields=["project", "type", "status", "id"], name="job_by_type"),
            # The finer words that need a column besides the status; few rows match, so the indexes stay small. Their
            # status is always the same, but without it SQLite takes job_by_status.
            models.Index(
                fields=["project", "status", "id"],
                condition=Q(status=Status.PENDING, attempts__gt=0),
                name="job_retrying",
            ),
            models.Index(
                fields=["project", "status", "id"],
                condition=Q(status=Status.PROCESSING, cancel_requested_at_ms__isnull=False),
                name="job_cancelling",
            ),
        )

    def __str__(self) -> str:
        return f"{self.type} {self.id} ({self.status})"

    def state(self, now_ms: int) -> str:
        """The finer word for where it stands: status, or scheduled, retrying, cancelling."""
        if self.status == Status.PENDING:
            if self.attempts:
                return "retrying"
            return "scheduled" if self.due_at_ms > now_ms else "pending"
        if self.status == Status.PROCESSING and self.cancel_requested_at_ms is not None:
            return "cancelling"
        return str(self.status)


class Attempt(models.Model):
    """One run that has ended, and a run ends once. The run that goes on now is on the job's own row."""

    class Outcome(models.TextChoices):
        COMPLETED = "completed"
        FAILED = "failed"
        RELEASED = "released"
        LEASE_EXPIRED = "lease_expired"
        CANCELLED = "cancelled"

    pk = models.CompositePrimaryKey("job_id", "run")
    job = models.ForeignKey(Job, models.CASCADE, db_index=False)
    run = models.IntegerField()
    outcome = models.CharField(max_length=16, choices=Outcome)
    due_at_ms = models.BigIntegerField()
    leased_at_ms = models.BigIntegerField()
    ended_at_ms = models.BigIntegerField()
    next_due_at_ms = models.BigIntegerField(
        null=True, help_text="When the retry that followed was due, if one did."
    )
    payload_version = models.IntegerField()
    worker_id = models.CharField(max_length=64)
    worker_name = models.CharField(max_length=160)
    error_type = models.CharField(max_length=256, default="")
    error_message = models.TextField(default="")
    traceback = models.TextField(default="")

    def __str__(self) -> str:
        return f"run {self.run} of {self.job_id}: {self.outcome}"


class JobEvent(models.Model):
    """Something on a job's timeline that is neither its enqueue nor the end of a run. Rows are only ever added.

    One exception: a late result over the number that is kept is counted as `more` in the details of the last.
    """

    class Kind(models.TextChoices):
        CANCEL_REQUESTED = "cancel_requested"
        CANCELLED = "cancelled"
        RETRIED = "retried"
        LATE_RESULT = "late_result"
        POISONED = "poisoned"

    job = models.ForeignKey(Job, models.CASCADE, db_index=False)
    at_ms = models.BigIntegerField()
    kind = models.CharField(max_length=24, choices=Kind)
    run = models.IntegerField(help_text="The job's run at that moment.")
    actor_kind = models.CharField(max_length=16)
    actor_id = models.CharField(max_length=64)
    actor_label = models.CharField(max_length=160)
    door = models.CharField(max_length=16)
    request_id = models.CharField(max_length=64, default="")
    details = models.TextField(
        default="{}", help_text="A JSON object; users' values stand in it as JSON text."
    )

    class Meta:
        indexes = (models.Index(fields=["job", "id"], name="event_of_job"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.job_id} by {self.actor_label}"


class JobCounter(models.Model):
    """How many jobs of a type have a status, exact because it moves in the jobs' own transactions."""

    pk = models.CompositePrimaryKey("project_id", "type", "status")
    project = models.ForeignKey(Project, models.CASCADE, db_index=False)
    type = models.CharField(max_length=128)
    status = models.CharField(max_length=10, choices=Status)
    count = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.type} {self.status}: {self.count}"


class JobType(models.Model):
    """What a project says about all jobs of one type. A type without a row has the defaults."""

    pk = models.CompositePrimaryKey("project_id", "name")
    project = models.ForeignKey(Project, models.CASCADE, db_index=False)
    name = models.CharField(max_length=128)
    paused_at_ms = models.BigIntegerField(null=True)
    paused_by = models.CharField(max_length=160, default="")
    pause_reason = models.CharField(max_length=256, default="")
    retry_base_ms = models.BigIntegerField(null=True)
    retry_cap_ms = models.BigIntegerField(null=True)

    def __str__(self) -> str:
        return self.name


class Worker(models.Model):
    """One incarnation of a worker process, as it last introduced itself. A new boot is a new row."""

    pk = models.CompositePrimaryKey("project_id", "worker_id")
    project = models.ForeignKey(Project, models.CASCADE, db_index=False)
    worker_id = models.CharField(max_length=64)
    hostname = models.CharField(max_length=128)
    pid = models.BigIntegerField()
    version = models.CharField(max_length=64)
    first_seen_at_ms = models.BigIntegerField()
    last_seen_at_ms = models.BigIntegerField()

    class Meta:
        indexes = (models.Index(fields=["project", "-last_seen_at_ms"], name="worker_last_seen"),)

    def __str__(self) -> str:
        return f"{self.hostname} {self.pid}"
