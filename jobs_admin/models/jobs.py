"""Jobs and all that is kept about one of them: attempts, timeline, log, progress, tags."""

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
    retry_policy: JSON text as rules.RetryPolicy reads it; "" leaves it to the type.
    unique_key, holds_key: while it holds its key, no other job of the type can have it; unique_until_ms: None means
    for as long as it is unfinished. run_ends_at_ms: when the run that goes on now is over its time limit.
    tags: a JSON array's text, "" for none; the same stand in JobTag, by which they are found.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, db_index=False, db_constraint=False)
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
    run_ends_at_ms = models.BigIntegerField(null=True)
    retry_policy = models.TextField(default="")
    timeout_ms = models.BigIntegerField(null=True)
    deadline_at_ms = models.BigIntegerField(null=True)
    unique_key = models.CharField(max_length=256, default="")
    unique_until_ms = models.BigIntegerField(null=True)
    holds_key = models.BooleanField(default=False)
    partition_key = models.CharField(max_length=256, default="")
    batch_id = models.UUIDField(null=True)
    traceparent = models.CharField(max_length=64, default="")
    enqueued_by = models.CharField(max_length=160, default="")
    enqueued_door = models.CharField(max_length=16, default="")
    payload_version = models.IntegerField(default=1)
    payload_bytes = models.IntegerField()
    tags = models.TextField(default="")
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
            # Who holds a unique key is decided here, never by a read before a write.
            models.UniqueConstraint(
                fields=["project", "type", "unique_key"],
                condition=Q(holds_key=True),
                name="job_holds_unique_key",
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
            # Few jobs have what these are about, so the others pay nothing for them.
            models.Index(
                fields=["deadline_at_ms", "status"],
                condition=Q(status=Status.PENDING, deadline_at_ms__isnull=False),
                name="job_deadline",
            ),
            models.Index(
                fields=["project", "type", "partition_key", "priority", "due_at_ms", "status"],
                condition=Q(status=Status.PENDING) & ~Q(partition_key=""),
                name="job_waiting_by_key",
            ),
            models.Index(
                fields=["project", "type", "partition_key", "status"],
                condition=Q(status=Status.PROCESSING) & ~Q(partition_key=""),
                name="job_running_by_key",
            ),
            models.Index(
                fields=["batch_id", "status", "id"], condition=Q(batch_id__isnull=False), name="job_of_batch"
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
        TIMED_OUT = "timed_out"
        WORKER_LOST = "worker_lost"
        CANCELLED = "cancelled"

    pk = models.CompositePrimaryKey("job_id", "run")
    job = models.ForeignKey(Job, models.CASCADE, db_index=False, db_constraint=False)
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
        EXPIRED = "expired"
        REPLACED = "replaced"
        RUN_NOW = "run_now"
        CANCEL_SEEN = "cancel_seen"

    job = models.ForeignKey(Job, models.CASCADE, db_index=False, db_constraint=False)
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


class JobLog(models.Model):
    """A line that a handler wrote. Of a job so many are kept; the others are counted in its progress."""

    class Level(models.TextChoices):
        DEBUG = "debug"
        INFO = "info"
        WARNING = "warning"
        ERROR = "error"

    job = models.ForeignKey(Job, models.CASCADE, db_index=False, db_constraint=False)
    run = models.IntegerField()
    at_ms = models.BigIntegerField()
    level = models.CharField(max_length=8, choices=Level)
    message = models.TextField()

    class Meta:
        indexes = (models.Index(fields=["job", "id"], name="log_of_job"),)

    def __str__(self) -> str:
        return f"{self.level}: {self.message}"


class JobProgress(models.Model):
    """How far a job's run says it is. A row of its own, so that the job's wide one is not written anew each time."""

    job = models.OneToOneField(Job, models.CASCADE, primary_key=True, db_constraint=False)
    run = models.IntegerField()
    percent = models.FloatField(null=True)
    message = models.CharField(max_length=1024, default="")
    at_ms = models.BigIntegerField()
    log_lines = models.IntegerField(default=0, help_text="Lines kept, of all runs.")
    log_dropped = models.IntegerField(default=0, help_text="Lines that were over the bound and are not kept.")

    def __str__(self) -> str:
        return f"{self.job_id}: {self.percent} %"


class JobTag(models.Model):
    """A tag of a job, to find jobs by it."""

    pk = models.CompositePrimaryKey("project_id", "tag", "job_id")
    project = models.ForeignKey(Project, models.CASCADE, db_index=False, db_constraint=False)
    tag = models.CharField(max_length=64)
    job = models.ForeignKey(Job, models.CASCADE, db_constraint=False)

    def __str__(self) -> str:
        return self.tag


class IdempotencyKey(models.Model):
    """Which job an enqueue made that carried this key; kept for a day."""

    pk = models.CompositePrimaryKey("project_id", "key")
    project = models.ForeignKey(Project, models.CASCADE, db_index=False, db_constraint=False)
    key = models.CharField(max_length=256)
    job_id = models.UUIDField()
    at_ms = models.BigIntegerField()

    class Meta:
        indexes = (models.Index(fields=["at_ms"], name="idempotency_age"),)

    def __str__(self) -> str:
        return self.key
