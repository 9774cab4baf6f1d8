"""One operation as callers see it, whether it runs, has ended, or waits for the keeper."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import msgspec

from aerodash.ids import ProjectId
from aerodash.models import Operation as Row
from aerodash.operations.kinds import Json


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of aerodash.models.Operation, decoded.

    total: how many things there were at the start, exactly or about. done: how many were changed; is_exact is False
    where a killed keeper or a lost reply left up to a few hundred uncounted. skipped: looked at and left as they are.
    error: why it failed, or what holds it up.
    """

    id: UUID
    project: ProjectId
    kind: str
    params: Json
    state: str
    turn: int
    cursor: Json | None
    result: Json
    total: int
    total_is_exact: bool
    done: int
    skipped: int
    done_is_exact: bool
    error: str
    by: str
    door: str
    created_at: datetime
    started_at: datetime | None
    written_at: datetime | None
    ended_at: datetime | None
    cancel_requested_at: datetime | None
    cancel_requested_by: str

    @property
    def is_open(self) -> bool:
        """Whether it waits or runs."""
        return self.state in Row.OPEN

    def after(self, cursor: Json | None, *, done: int, skipped: int, result: Json) -> "Operation":
        """The same, a step later."""
        return replace(
            self,
            cursor=cursor,
            done=self.done + done,
            skipped=self.skipped + skipped,
            result={**self.result, **result},
        )


def of_row(row: Row) -> Operation:
    return Operation(
        id=row.id,
        project=ProjectId(row.project_id),
        kind=row.kind,
        params=msgspec.json.decode(row.params),
        state=Row.State(row.state).value,
        turn=row.turn,
        cursor=msgspec.json.decode(row.cursor) if row.cursor else None,
        result=msgspec.json.decode(row.result),
        total=row.total,
        total_is_exact=row.total_is_exact,
        done=row.done,
        skipped=row.skipped,
        done_is_exact=row.done_is_exact,
        error=row.error,
        by=row.actor_label,
        door=row.door,
        created_at=row.created_at,
        started_at=row.started_at,
        written_at=row.written_at,
        ended_at=row.ended_at,
        cancel_requested_at=row.cancel_requested_at,
        cancel_requested_by=row.cancel_requested_by,
    )


def text(value: Json) -> str:
    """JSON text as the row keeps it."""
    return msgspec.json.encode(value).decode()
