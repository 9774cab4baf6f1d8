"""Processes that run jobs."""

from django.db import models

from aerodash.models import Project


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
