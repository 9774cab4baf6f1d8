"""Bodies of the schedule operations. Source: wire contract, section 4."""

from typing import Annotated, ClassVar, Literal

from msgspec import UNSET, Meta, Raw, UnsetType

from aerodash import limits
from aerodash.wire.inputs import Reply, Request
from jobs_admin.schemas import Aliases, EnqueueRequest, Instant

type Name = Annotated[
    str,
    Meta(min_length=1, max_length=128, pattern=limits.JOB_TYPE_PATTERN, description="A-Z a-z 0-9 . _ : -"),
]


class ScheduleSetRequest(EnqueueRequest, kw_only=True):
    """A schedule to add or to replace: when, and the job as an enqueue has it, but for times, batch and idempotencyKey."""

    aliases: ClassVar[Aliases] = {
        **EnqueueRequest.aliases,
        "everySeconds": ("every", "every_seconds"),
        "timezone": ("timeZone", "time_zone", "tz"),
    }

    name: Name
    cron: (
        Annotated[
            str,
            Meta(
                max_length=limits.CRON_CHARS,
                description="Five fields: minute, hour, day-of-month, month, day-of-week.",
            ),
        ]
        | None
    ) = None
    everySeconds: (
        Annotated[
            float,
            Meta(ge=limits.EVERY_MIN_S, le=limits.EVERY_MAX_S, description="Counted from its creation."),
        ]
        | None
    ) = None
    timezone: (
        Annotated[
            str,
            Meta(max_length=limits.TIMEZONE_CHARS, description="Of cron: an IANA name; UTC if absent."),
        ]
        | None
    ) = None
    missed: (
        Annotated[
            Literal["skip", "one", "all"],
            Meta(description="What becomes of slots that no keeper was there for; one if absent."),
        ]
        | None
    ) = None
    paused: Annotated[bool, Meta(description="Absent: as it is.")] | None = None


class ScheduleSetReply(Reply):
    """nextAt: its next slot; absent while it is paused."""

    success: bool
    nextAt: Instant | UnsetType = UNSET


class ScheduleRecord(Reply, kw_only=True):
    """A schedule, with its job as schedule/set takes it."""

    name: str
    type: str
    payload: Raw
    cron: str | UnsetType = UNSET
    everySeconds: float | UnsetType = UNSET
    timezone: str
    missed: Literal["skip", "one", "all"]
    paused: bool
    pausedAt: Instant | UnsetType = UNSET
    nextAt: Instant | UnsetType = UNSET
    lastAt: Instant | UnsetType = UNSET
    lastJobId: str | UnsetType = UNSET
    createdAt: Instant
    updatedAt: Instant
    updatedBy: str
    maxRetries: int | UnsetType = UNSET
    priority: int
    retryDelay: dict[str, float | str | list[float]] | UnsetType = UNSET
    uniqueKey: dict[str, float | str] | UnsetType = UNSET
    timeoutSeconds: float | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    partitionKey: str | UnsetType = UNSET
    traceparent: str | UnsetType = UNSET
    fault: Annotated[str, Meta(description="Why its last slot could not be enqueued.")] | UnsetType = UNSET


class ScheduleListRequest(Request):
    """Which page of schedules."""

    limit: Annotated[int, Meta(ge=1, le=limits.SCHEDULES_PER_PAGE)] | None = None
    cursor: Annotated[str, Meta(description="Opaque; from the page before.")] | None = None


class ScheduleListReply(Reply):
    """A page of schedules, by name."""

    schedules: list[ScheduleRecord]
    list_complete: bool
    cursor: str | UnsetType = UNSET


class ScheduleRequest(Request):
    """Which schedule."""

    name: Name


class ScheduleRunReply(Reply):
    """The job that was enqueued, or the one that has its unique key already (duplicate)."""

    jobId: str
    success: bool
    duplicate: bool | UnsetType = UNSET
