"""Sets of jobs with one progress."""

from django.db import models
from django.db.models import Q

from aerodash.models import Project
from jobs_admin.models.jobs import Status


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
