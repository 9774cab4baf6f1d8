"""Jobs that are enqueued by the clock."""

from django.db import models
from django.db.models import Q

from aerodash.models import Project


class Schedule(models.Model):
    """Enqueues a job of a type at each slot of a cron line, or every so often.

    cron: five fields, "" where every_ms is set. missed: what to do with slots that nobody was there for.
    job: the enqueue's other fields as JSON text. next_at_ms: the next slot; None while it is paused.
    fault: why its last slots could not be enqueued, in a sentence; until look_at_ms it is not tried again then.
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
    look_at_ms = models.BigIntegerField(null=True)
    fault = models.TextField(null=True)  # noqa: DJ001 - added to a table that servers of the version before write to

    class Meta:
        constraints = (models.UniqueConstraint(fields=["project", "name"], name="schedule_name"),)
        indexes = (
            models.Index(
                fields=["next_at_ms", "look_at_ms"],
                condition=Q(next_at_ms__isnull=False),
                name="schedule_next",
            ),
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
