"""Projects, people, keys and the audit log: what both planes share."""

import uuid_utils.compat
from django.contrib.auth.models import AbstractUser
from django.db import models

from aerodash.auth import Role


class User(AbstractUser):
    """A person who signs in to the console."""

    class Meta:
        db_table = "aerodash_user"


class Project(models.Model):
    """One tenant. Its number never changes and names its keys in Valkey; its slug may."""

    class Environment(models.TextChoices):
        PRODUCTION = "production"
        STAGING = "staging"
        DEVELOPMENT = "development"

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=120)
    environment = models.CharField(max_length=16, choices=Environment, default=Environment.DEVELOPMENT)
    allowed_origins = models.JSONField(
        default=list, blank=True, help_text="Origins whose pages may call the API from a browser."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    members: models.ManyToManyField = models.ManyToManyField(User, through="Member", related_name="projects")

    def __str__(self) -> str:
        return self.slug

    @property
    def is_production(self) -> bool:
        """Whether changes here reach customers, so that the console asks before some of them."""
        return self.environment == self.Environment.PRODUCTION


class Member(models.Model):
    """One person's role in one project."""

    project = models.ForeignKey(Project, models.CASCADE)
    user = models.ForeignKey(User, models.CASCADE)
    role = models.CharField(max_length=16, choices=[(role.value, role.value) for role in Role])

    class Meta:
        constraints = (models.UniqueConstraint(fields=["project", "user"], name="member_once_per_project"),)

    def __str__(self) -> str:
        return f"{self.user_id} in {self.project_id}: {self.role}"


class ApiKey(models.Model):
    """What a program shows instead of a password. Only a digest is kept; the text is shown once."""

    class Compat(models.TextChoices):
        """Whether replies bend to generated clients (wire contract, section 8)."""

        AUTO = "auto", "by the client's User-Agent"
        ON = "on", "always"
        OFF = "off", "never"

    project = models.ForeignKey(Project, models.CASCADE)
    name = models.CharField(max_length=120)
    digest = models.CharField(max_length=64, unique=True)
    hint = models.CharField(max_length=24, help_text="The first characters, by which people tell keys apart.")
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    compat = models.CharField(
        max_length=8,
        choices=Compat,
        default=Compat.AUTO,
        help_text="Whether replies bend to the types of generated clients.",
    )
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class SignInLink(models.Model):
    """A link that signs one person in, once, within its time. Only a digest is kept."""

    user = models.ForeignKey(User, models.CASCADE)
    digest = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"for {self.user_id} until {self.expires_at:%H:%M:%S}"


class AuditEntry(models.Model):
    """One change, by anybody, through any door. Rows are only ever added."""

    project = models.ForeignKey(Project, models.CASCADE)
    at = models.DateTimeField(auto_now_add=True)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.CharField(max_length=64)
    actor_label = models.CharField(max_length=160)
    door = models.CharField(max_length=16)
    verb = models.CharField(max_length=64)
    target = models.CharField(max_length=1100)
    details = models.JSONField(default=dict)
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        indexes = (
            models.Index(fields=["project", "-at"], name="audit_project_newest"),
            models.Index(fields=["project", "target", "-id"], name="audit_target_newest"),
        )

    def __str__(self) -> str:
        return f"{self.verb} {self.target} by {self.actor_label}"


class KeeperLease(models.Model):
    """Who may do the housekeeping until when. One row; its fence rises each time another process takes over."""

    name = models.CharField(primary_key=True, max_length=32)
    holder = models.CharField(max_length=128)
    fence = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.holder} (fence {self.fence})"


class Operation(models.Model):
    """One piece of long work: what was asked for, by whom, and how far the keeper is with it.

    params, cursor and result are JSON text, not JSON columns: a cache key may hold NUL, which PostgreSQL's JSON does not.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        CANCELLED = "cancelled"
        FAILED = "failed"

    OPEN = (State.WAITING, State.RUNNING)

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7)
    project = models.ForeignKey(Project, models.CASCADE)
    kind = models.CharField(max_length=64)
    params = models.TextField(default="{}")
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    turn = models.IntegerField(
        default=0, help_text="Rises each time a keeper takes it up; it fences the others."
    )
    cursor = models.TextField(blank=True, help_text="Where it stands; empty at the start.")
    result = models.TextField(default="{}")
    total = models.BigIntegerField()
    total_is_exact = models.BooleanField()
    done = models.BigIntegerField(default=0)
    skipped = models.BigIntegerField(default=0, help_text="Looked at and left as they are.")
    done_is_exact = models.BooleanField(default=True)
    error = models.TextField(blank=True, help_text="Why it failed, or what holds it up.")
    actor_kind = models.CharField(max_length=16)
    actor_id = models.CharField(max_length=64)
    actor_label = models.CharField(max_length=160)
    door = models.CharField(max_length=16)
    request_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    written_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_by = models.CharField(max_length=160, blank=True)

    class Meta:
        indexes = (
            models.Index(fields=["project", "-id"], name="operation_project_newest"),
            models.Index(
                fields=["id"], name="operation_open", condition=models.Q(state__in=("waiting", "running"))
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.id}: {self.state}"


class RollupDelta(models.Model):
    """What one process counted in a project within two seconds, until the keeper adds it to the buckets.

    figures: JSON text, as aerodash.rollups.tally writes it.
    """

    project = models.ForeignKey(Project, models.CASCADE, db_index=False, db_constraint=False)
    figures = models.TextField()

    def __str__(self) -> str:
        return f"{self.pk} of {self.project_id}"


class RollupSeries(models.Model):
    """One line of one timeline: a metric of a project, of one label or ("") of all.

    first_at_s: the bucket it began with. counter, turn: of a count that is read off a counter elsewhere, what that said
    last, and how often it was read; a keeper that read an older turn adds nothing.
    """

    project = models.ForeignKey(Project, models.CASCADE, db_index=False, db_constraint=False)
    metric = models.CharField(max_length=64)
    label = models.CharField(max_length=128)
    first_at_s = models.BigIntegerField()
    counter = models.BigIntegerField(null=True)
    turn = models.BigIntegerField(default=0)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["project", "metric", "label"], name="rollup_series_key"),
        )

    def __str__(self) -> str:
        return f"{self.metric} {self.label}"


class RollupBucket(models.Model):
    """What a series has in the step_s seconds from at_s on; see aerodash.rollups.cells.Cell."""

    pk = models.CompositePrimaryKey("series_id", "step_s", "at_s")
    series = models.ForeignKey(RollupSeries, models.CASCADE, db_index=False, db_constraint=False)
    step_s = models.IntegerField()
    at_s = models.BigIntegerField()
    count = models.BigIntegerField()
    total = models.FloatField()
    least = models.FloatField(null=True)
    most = models.FloatField(null=True)
    times = models.BinaryField(default=bytes)

    def __str__(self) -> str:
        return f"{self.count} from {self.at_s} for {self.step_s} s"
