"""Types of jobs: where they wait, how many there are, and what a project says about them."""

from django.db import models

from aerodash.models import Project
from jobs_admin.models.jobs import Status


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
    """A type and a priority that a project enqueues: where a lease looks for jobs. A type that has jobs has its lanes.

    seen_at_ms: when an enqueue last made sure that it is there; None: before it was noted. See engine/leftovers.py.
    """

    pk = models.CompositePrimaryKey("project_id", "type", "priority")
    project = models.ForeignKey(Project, models.CASCADE, db_index=False, db_constraint=False)
    type = models.CharField(max_length=128)
    priority = models.SmallIntegerField()
    seen_at_ms = models.BigIntegerField(null=True)

    def __str__(self) -> str:
        return f"{self.type} {self.priority}"


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
