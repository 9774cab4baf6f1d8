"""The rows of operations: plain functions for the ORM, each one guarded statement or one transaction.

What the keeper writes is guarded by its turn, so that one that was cut off and wakes later changes nothing any more.
All raise django.db.Error.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Case, F, Q, Value, When
from django.utils import timezone

from aerodash.auth import Actor
from aerodash.ids import ProjectId
from aerodash.models import Operation as Row
from aerodash.operations.kinds import Json
from aerodash.operations.record import Operation, of_row, text

OPEN_READ = 200
PRUNE_BATCH = 500


def add(
    project: ProjectId,
    actor: Actor,
    *,
    kind: str,
    params: Json,
    total: int,
    total_is_exact: bool,
    open_at_most: int,
    id: UUID | None = None,
) -> Operation | None:
    """A new operation that waits for the keeper; None if the project has so many open already.

    id: None for a fresh one. Raises IntegrityError if it is taken.
    """
    open_now = Row.objects.filter(project_id=project, state__in=Row.OPEN)[:open_at_most]
    if len(open_now) >= open_at_most:
        return None
    row = Row.objects.create(
        **({} if id is None else {"id": id}),
        project_id=project,
        kind=kind,
        params=text(params),
        total=total,
        total_is_exact=total_is_exact,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=actor.label[:160],
        door=actor.door.value,
        request_id=actor.request_id,
    )
    return of_row(row)


def find(project: ProjectId, id: UUID, kinds: Collection[str]) -> Operation | None:
    row = Row.objects.filter(project_id=project, pk=id, kind__in=kinds).first()
    return None if row is None else of_row(row)


def page(
    project: ProjectId, kinds: Collection[str], states: Collection[str], *, before: UUID | None, limit: int
) -> list[Operation]:
    """The newest first, from before this id; up to limit of them."""
    rows = Row.objects.filter(project_id=project, kind__in=kinds).order_by("-id")
    if states:
        rows = rows.filter(state__in=states)
    if before is not None:
        rows = rows.filter(id__lt=before)
    return [of_row(row) for row in rows[:limit]]


def ask_to_cancel(project: ProjectId, id: UUID, by: str) -> bool:
    """End one that nobody has begun, or leave word for the keeper that runs it. False if it has ended, or was asked."""
    now = timezone.now()
    return bool(
        Row.objects.filter(
            project_id=project, pk=id, state__in=Row.OPEN, cancel_requested_at__isnull=True
        ).update(
            cancel_requested_at=now,
            cancel_requested_by=by[:160],
            state=_unless_begun(Row.State.CANCELLED, F("state")),
            ended_at=_unless_begun(now, F("ended_at")),
        )
    )


def open_now() -> list[Operation]:
    """The oldest of all that wait or run, of every project."""
    return [of_row(row) for row in Row.objects.filter(state__in=Row.OPEN).order_by("id")[:OPEN_READ]]


def take(operations: Iterable[Operation]) -> list[Operation]:
    """Begin a keeper's turn with each: from now on nobody else's writes count. Those that ended meanwhile are left out.

    One that was running was not put down properly: what its keeper did after it last wrote is not counted.
    """
    taken = []
    now = timezone.now()
    with transaction.atomic():
        for one in _in_order(operations):
            mine = Row.objects.filter(pk=one.id, turn=one.turn, state__in=Row.OPEN)
            if mine.update(
                turn=one.turn + 1,
                state=Row.State.RUNNING,
                started_at=one.started_at or now,
                written_at=now,
                done_is_exact=one.done_is_exact and one.state == Row.State.WAITING,
            ):
                taken.append(of_row(Row.objects.get(pk=one.id)))
    return taken


def write(operations: Iterable[Operation]) -> dict[UUID, bool]:
    """Write how far each is, in one transaction.

    Answers, by id, those that are still this keeper's, and whether somebody wants it cancelled.
    """
    held = {}
    now = timezone.now()
    with transaction.atomic():
        for one in _in_order(operations):
            mine = Row.objects.filter(pk=one.id, turn=one.turn, state=Row.State.RUNNING)
            if mine.update(written_at=now, **_progress(one)):
                asked = mine.values_list("cancel_requested_at", flat=True).get()
                held[one.id] = asked is not None
    return held


def end(one: Operation, state: str) -> bool:
    """Write how far it came and that it ended so. False if it is no longer this keeper's."""
    now = timezone.now()
    mine = Row.objects.filter(pk=one.id, turn=one.turn, state=Row.State.RUNNING)
    return bool(mine.update(state=state, ended_at=now, written_at=now, **_progress(one)))


def put_down(operations: Iterable[Operation]) -> None:
    """Write how far each is and let the next keeper have it; nothing that was done stays uncounted."""
    with transaction.atomic():
        for one in _in_order(operations):
            mine = Row.objects.filter(pk=one.id, turn=one.turn, state=Row.State.RUNNING)
            mine.update(state=Row.State.WAITING, **_progress(one))


def prune(ended_before: datetime) -> int:
    """Forget operations that ended before then, so many at once; returns how many."""
    old = Row.objects.filter(ended_at__lt=ended_before).values_list("pk", flat=True)[:PRUNE_BATCH]
    return int(Row.objects.filter(pk__in=list(old)).delete()[0])


def days_ago(days: int) -> datetime:
    ago: datetime = timezone.now() - timedelta(days=days)
    return ago


def _in_order(operations: Iterable[Operation]) -> list[Operation]:
    """By their ids, in which every transaction locks them, so that two keepers never wait for each other in a circle."""
    return sorted(operations, key=lambda one: one.id)


def _progress(one: Operation) -> dict[str, object]:
    return {
        "cursor": "" if one.cursor is None else text(one.cursor),
        "result": text(one.result),
        "done": one.done,
        "skipped": one.skipped,
        "done_is_exact": one.done_is_exact,
        "error": one.error,
    }


def _unless_begun(then: object, otherwise: F) -> Case:
    begun = Q(state=Row.State.RUNNING)
    return Case(When(begun, then=otherwise), default=Value(then))
