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


class JobCounter(models.Model):
    """How many jobs of a type have a status, exact because it moves in the jobs' own transactions.

    The number is the sum of a key's rows: on SQLite there is one, on PostgreSQL each transaction adds one with its
    change, so that transactions do not queue on a row, and the keeper folds them.
    """

    project = models.ForeignKey(Project, models.CASCADE, db_index=False, db_constraint=False)
    type = models.CharField(max_length=128)
    status = models.CharField(max_length=10, choices=Status)
    count = models.BigIntegerField(default=0)

    class Meta:
        indexes = (models.Index(fields=["project", "type", "status"], name="counter_key"),)

    def __str__(self) -> str:
        return f"{self.type} {self.status}: {self.count}"


class JobLane(models.Model):
    """A type and a priority that a project ever enqueued: where a lease looks for jobs. Rows are only added."""

    pk = models.CompositePrimaryKey("project_id", "type", "priority")
    project = models.ForeignKey(Project, models.CASCADE, db_index=False, db_constraint=False)
    type = models.CharField(max_length=128)
    priority = models.SmallIntegerField()

    def __str__(self) -> str:
        return f"{self.type} {self.priority}"


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


class JobType(models.Model):
    """What a project says about all jobs of one type. A type without a row has the defaults.

    rate: so many starts per rate_per_ms, with bursts of rate_burst (a token bucket). partition_…: the same for each
    partition key. retention_…_s: how long ended jobs are kept; None takes the product's default.
    """

    pk = models.CompositePrimaryKey("project_id", "name")
    project = models.ForeignKey(Project, models.CASCADE, db_index=False)
    name = models.CharField(max_length=128)
    paused_at_ms = models.BigIntegerField(null=True)
    paused_by = models.CharField(max_length=160, default="")
    pause_reason = models.CharField(max_length=256, default="")
    retry_policy = models.TextField(default="")
    max_retries = models.IntegerField(null=True)
    lease_ms = models.BigIntegerField(null=True)
    timeout_ms = models.BigIntegerField(null=True)
    concurrency = models.IntegerField(null=True)
    rate = models.IntegerField(null=True)
    rate_per_ms = models.BigIntegerField(null=True)
    rate_burst = models.IntegerField(null=True)
    partition_concurrency = models.IntegerField(null=True)
    partition_rate = models.IntegerField(null=True)
    partition_rate_per_ms = models.BigIntegerField(null=True)
    partition_rate_burst = models.IntegerField(null=True)
    retention_completed_s = models.BigIntegerField(null=True)
    retention_failed_s = models.BigIntegerField(null=True)
    retention_cancelled_s = models.BigIntegerField(null=True)
    secret_paths = models.TextField(default="[]", help_text="A JSON array of paths into the payload.")

    def __str__(self) -> str:
        return self.name


class RateBucket(models.Model):
    """How many starts a type, or a partition key of it, had left at an instant. partition_key: "" for the whole type."""

    pk = models.CompositePrimaryKey("project_id", "type", "partition_key")
    project = models.ForeignKey(Project, models.CASCADE, db_index=False, db_constraint=False)
    type = models.CharField(max_length=128)
    partition_key = models.CharField(max_length=256)
    tokens = models.FloatField()
    at_ms = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.type} {self.partition_key}: {self.tokens}"


class Batch(models.Model):
    """A set of jobs with one progress. It is over when it is sealed and its last member has ended.

    on_complete: what to enqueue then, as JSON text; "" for nothing.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, db_index=False)
    name = models.CharField(max_length=128, default="")
    created_at_ms = models.BigIntegerField()
    created_by = models.CharField(max_length=160, default="")
    sealed_at_ms = models.BigIntegerField(null=True)
    ended_at_ms = models.BigIntegerField(null=True)
    on_complete = models.TextField(default="")
    completion_job_id = models.UUIDField(null=True)

    class Meta:
        indexes = (
            models.Index(fields=["project", "id"], name="batch_of_project"),
            models.Index(
                fields=["id", "sealed_at_ms"],
                condition=Q(ended_at_ms=None, sealed_at_ms__isnull=False),
                name="batch_unfinished",
            ),
        )

    def __str__(self) -> str:
        return self.name or str(self.id)


class BatchCounter(models.Model):
    """How many members of a batch have a status; rows sum up as JobCounter's do."""

    batch_id = models.UUIDField()
    status = models.CharField(max_length=10, choices=Status)
    count = models.BigIntegerField(default=0)

    class Meta:
        indexes = (models.Index(fields=["batch_id", "status"], name="batch_counter_key"),)

    def __str__(self) -> str:
        return f"{self.batch_id} {self.status}: {self.count}"


class Schedule(models.Model):
    """Enqueues a job of a type at each slot of a cron line, or every so often.

    cron: five fields, "" where every_ms is set. missed: what to do with slots that nobody was there for.
    job: the enqueue's other fields as JSON text. next_at_ms: the next slot; None while it is paused.
    """

    class Missed(models.TextChoices):
        SKIP = "skip"
        ONE = "one"
        ALL = "all"

    project = models.ForeignKey(Project, models.CASCADE)
    name = models.CharField(max_length=128)
    type = models.CharField(max_length=128)
    job = models.TextField()
    cron = models.CharField(max_length=128, default="")
    every_ms = models.BigIntegerField(null=True)
    timezone = models.CharField(max_length=64, default="UTC")
    missed = models.CharField(max_length=8, choices=Missed, default=Missed.ONE)
    paused_at_ms = models.BigIntegerField(null=True)
    created_at_ms = models.BigIntegerField()
    updated_at_ms = models.BigIntegerField()
    updated_by = models.CharField(max_length=160, default="")
    next_at_ms = models.BigIntegerField(null=True)
    last_at_ms = models.BigIntegerField(null=True)
    last_job_id = models.UUIDField(null=True)
    version = models.IntegerField(default=1)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["project", "name"], name="schedule_name"),)
        indexes = (
            models.Index(fields=["next_at_ms"], condition=Q(next_at_ms__isnull=False), name="schedule_next"),
        )

    def __str__(self) -> str:
        return self.name


class ScheduleSlot(models.Model):
    """A slot for which a schedule has enqueued its job. That there can be only one is what makes double firing impossible."""

    pk = models.CompositePrimaryKey("schedule_id", "slot_ms")
    schedule = models.ForeignKey(Schedule, models.CASCADE, db_index=False)
    slot_ms = models.BigIntegerField()
    job_id = models.UUIDField(null=True)

    def __str__(self) -> str:
        return f"{self.schedule_id} {self.slot_ms}"


class Worker(models.Model):
    """One incarnation of a worker process, as it last introduced itself. A new boot is a new row."""

    pk = models.CompositePrimaryKey("project_id", "worker_id")
    project = models.ForeignKey(Project, models.CASCADE, db_index=False, db_constraint=False)
    worker_id = models.CharField(max_length=64)
    hostname = models.CharField(max_length=128)
    pid = models.BigIntegerField()
    version = models.CharField(max_length=64)
    first_seen_at_ms = models.BigIntegerField()
    last_seen_at_ms = models.BigIntegerField()
    lost_at_ms = models.BigIntegerField(null=True, help_text="When a supervisor said that it had died.")
    lost_reason = models.CharField(max_length=1024, default="")

    class Meta:
        indexes = (models.Index(fields=["project", "-last_seen_at_ms"], name="worker_last_seen"),)

    def __str__(self) -> str:
        return f"{self.hostname} {self.pid}"
