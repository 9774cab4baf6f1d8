"""Bodies about job types. Source: wire contract, section 4."""

from typing import Annotated, ClassVar

from msgspec import UNSET, Meta, Raw, UnsetType

from aerodash import limits
from aerodash.wire.inputs import Reply, Request
from jobs_admin.schemas import (
    Aliases,
    CountsByStatus,
    Instant,
    JobType,
    LeaseSeconds,
    MaxRetries,
    RetryDelay,
    Seconds,
    TimeoutSeconds,
)


class PauseRequest(Request):
    """Which type to pause, and why."""

    type: JobType
    reason: Annotated[str, Meta(max_length=limits.PAUSE_REASON_CHARS)] | None = None


class ResumeRequest(Request):
    """Which type to resume."""

    type: JobType


class RateLimit(Request):
    """So many starts per so many seconds, as a token bucket. burst: at once after a quiet time; absent: limit."""

    aliases: ClassVar[Aliases] = {"perSeconds": ("per_seconds",)}

    limit: Annotated[int, Meta(ge=1, le=limits.RATE_MAX)]
    perSeconds: Annotated[float, Meta(ge=0.001, le=limits.RATE_PERIOD_MAX_S)] = 1
    burst: Annotated[int, Meta(ge=1, le=limits.RATE_MAX)] | None = None


class Retention(Request):
    """How many seconds ended jobs are kept, by status; absent: as the server's settings say."""

    completed: Annotated[int, Meta(ge=1, le=limits.RETENTION_MAX_S)] | None = None
    failed: Annotated[int, Meta(ge=1, le=limits.RETENTION_MAX_S)] | None = None
    cancelled: Annotated[int, Meta(ge=1, le=limits.RETENTION_MAX_S)] | None = None


class TypeSettings(Request):
    """What a type says about its jobs, all of it. Absent: no limit, or the product's default."""

    aliases: ClassVar[Aliases] = {
        "retryDelay": ("retryDelaySeconds", "retry_delay", "retry_delay_seconds"),
        "leaseSeconds": ("lease_seconds",),
        "timeoutSeconds": ("timeout", "timeout_seconds"),
        "maxRetries": ("max_retries", "retries"),
        "rateLimit": ("rate_limit",),
        "partitionConcurrency": ("partition_concurrency",),
        "partitionRateLimit": ("partition_rate_limit",),
        "secretPaths": ("secret_paths",),
    }

    retryDelay: Seconds | RetryDelay | None = None
    leaseSeconds: LeaseSeconds | None = None
    timeoutSeconds: TimeoutSeconds | None = None
    maxRetries: MaxRetries | None = None
    concurrency: Annotated[int, Meta(ge=1, le=limits.CONCURRENCY_MAX)] | None = None
    rateLimit: RateLimit | None = None
    partitionConcurrency: Annotated[int, Meta(ge=1, le=limits.CONCURRENCY_MAX)] | None = None
    partitionRateLimit: RateLimit | None = None
    retention: Retention | None = None
    secretPaths: (
        Annotated[
            list[Annotated[str, Meta(min_length=1, max_length=limits.SECRET_PATH_CHARS)]],
            Meta(max_length=limits.SECRET_PATHS, description="JSON Pointers (RFC 6901) into the payload."),
        ]
        | None
    ) = None


class ConfigureRequest(Request):
    """Which type, and what its settings are from now on: all of them."""

    type: JobType
    settings: TypeSettings


class TypesRequest(Request):
    """Which page of types."""

    limit: Annotated[int, Meta(ge=1, le=limits.TYPES_PER_PAGE)] = 100
    cursor: Annotated[str, Meta(description="Opaque; from the page before.")] | None = None


class Paused(Reply):
    """When a type was paused, by whom and why."""

    at: Instant
    by: str
    reason: str


class JobTypeRecord(Reply, kw_only=True):
    """A type that has jobs or settings."""

    type: str
    counts: CountsByStatus
    paused: Paused | UnsetType = UNSET
    settings: Annotated[Raw, Meta(extra_json_schema={"$ref": "#/components/schemas/TypeSettings"})]


class TypesReply(Reply):
    """A page of types, by name."""

    types: list[JobTypeRecord]
    list_complete: bool
    cursor: str | UnsetType = UNSET
