"""Reading the audit log: a page of it, one line with what it changed, and all that matches in pieces.

Newest first. A reader sees the lines about what she may see elsewhere: who may read the cache sees changes of entries,
only who administers a project sees those of its keys. Every function asks for that right itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q, QuerySet

from aerodash.auth import Actor, Scope
from aerodash.errors import InvalidInput, NotAllowed
from aerodash.ids import ProjectId
from aerodash.models import AuditEntry

LOOK_AT = 20_000
"""How many lines one search goes through."""

PIECE = 500

SEEN_WITH = {
    "entry": Scope.CACHE_READ,
    "cache": Scope.CACHE_READ,
    "flag": Scope.FLAGS_READ,
    "job": Scope.QUEUE_READ,
    "jobs": Scope.QUEUE_READ,
    "type": Scope.QUEUE_READ,
    "schedule": Scope.QUEUE_READ,
    "batch": Scope.QUEUE_READ,
    "demo": Scope.CACHE_READ,
}
"""The first word of a line's verb, and the right that shows it; all others need the admin right."""

DOORS = ("console", "api", "command", "keeper")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Filters:
    """What to look for; "" and None: everything.

    kind: the first word of the verb ("entry", "flag", …). by: a part of who did it. target: a part of what was changed.
    door: one of DOORS. until: nothing newer than this.
    """

    kind: str = ""
    by: str = ""
    target: str = ""
    door: str = ""
    until: datetime | None = None

    @property
    def is_narrow(self) -> bool:
        """Whether lines may have to be passed over to find those that match."""
        return bool(self.kind or self.by or self.target or self.door)


@dataclass(frozen=True, slots=True)
class Line:
    """One change. by_kind: "user", "key" or "system". target: what was changed, by its own name.

    before, after: the text on either side, None where the line tells none; the first 4 KiB of longer ones, whose whole
    length is before_bytes, after_bytes (0 if it is whole). revision: what the change made of the target, "" if it has none.
    """

    id: int
    at: datetime
    by: str
    by_kind: str
    by_id: str
    door: str
    verb: str
    target: str
    before: str | None
    after: str | None
    before_bytes: int
    after_bytes: int
    reason: str
    revision: str
    request_id: str


@dataclass(frozen=True, slots=True)
class LogPage:
    """older: the cursor of what comes next, None at the end. looked_back_to: the search ended there for now, having
    gone through LOOK_AT lines; `older` goes on."""

    lines: tuple[Line, ...]
    older: str | None
    looked_back_to: datetime | None = None


def page(project: ProjectId, actor: Actor, *, filters: Filters, before: str = "", limit: int = 50) -> LogPage:
    """The newest lines that match, or those behind a cursor (LogPage.older).

    Raises InvalidInput for an unknown kind, door or cursor, NotAllowed where this reader may see no line at all.
    """
    log = _seen(project, actor, filters, before)
    if not filters.is_narrow:
        rows = list(log[: limit + 1])
    else:
        looked_at = log.values("pk")[:LOOK_AT]
        rows = list(
            _narrowed(AuditEntry.objects.filter(pk__in=looked_at), filters).order_by(*_ORDER)[: limit + 1]
        )
        if len(rows) <= limit and (last := log[LOOK_AT - 1 : LOOK_AT].first()) is not None:
            return LogPage(tuple(map(_line, rows)), _cursor(last), last.at)
    older = _cursor(rows[limit - 1]) if len(rows) > limit else None
    return LogPage(tuple(map(_line, rows[:limit])), older)


def newer(project: ProjectId, actor: Actor, *, filters: Filters, than: int, most: int = 100) -> int:
    """How many lines that match came after the one of this id, up to `most`."""
    log = _narrowed(_seen(project, actor, filters, ""), filters)
    return log.order_by().filter(pk__gt=than)[:most].count()


def get(project: ProjectId, actor: Actor, *, id: int) -> Line | None:
    """One line, if there is one of this id that the reader may see."""
    row = _seen(project, actor, Filters(), "").filter(pk=id).first()
    return None if row is None else _line(row)


def pieces(project: ProjectId, actor: Actor, *, filters: Filters) -> Iterator[list[Line]]:
    """All that matches, newest first, read a few hundred lines at a time; what is added meanwhile is not in it."""
    before = ""
    while True:
        rows = list(_seen(project, actor, filters, before)[:PIECE])
        wanted = set(
            _narrowed(AuditEntry.objects.filter(pk__in=[r.pk for r in rows]), filters).values_list(
                "pk", flat=True
            )
        )
        yield [_line(row) for row in rows if row.pk in wanted]
        if len(rows) < PIECE:
            return
        before = _cursor(rows[-1])


_ORDER = ("-at", "-pk")


def _seen(project: ProjectId, actor: Actor, filters: Filters, before: str) -> QuerySet[AuditEntry]:
    """The project's lines that this reader may see, newest first, from a cursor and an instant on."""
    if filters.kind and filters.kind not in SEEN_WITH and not actor.may(Scope.ADMIN):
        raise InvalidInput(f"{filters.kind!r} is no kind of change that you may see.", field="kind")
    if filters.door and filters.door not in DOORS:
        raise InvalidInput(f"{filters.door!r} is none of {', '.join(DOORS)}.", field="door")
    log = AuditEntry.objects.filter(project_id=project)
    if not actor.may(Scope.ADMIN):
        words = [word for word, scope in SEEN_WITH.items() if actor.may(scope)]
        if not words:
            raise NotAllowed(
                "This needs the right to read the cache, flags or jobs.", scope=Scope.CACHE_READ.value
            )
        allowed = Q()
        for word in words:
            allowed |= Q(verb__startswith=f"{word}.")
        log = log.filter(allowed)
    if filters.until is not None:
        log = log.filter(at__lte=filters.until)
    if before:
        at, id = _place(before)
        log = log.filter(Q(at__lt=at) | Q(at=at, pk__lt=id), at__lte=at)
    return log.order_by(*_ORDER)


def _narrowed(log: QuerySet[AuditEntry], filters: Filters) -> QuerySet[AuditEntry]:
    if filters.kind:
        log = log.filter(verb__startswith=f"{filters.kind}.")
    if filters.by:
        log = log.filter(actor_label__icontains=filters.by)
    if filters.target:
        log = log.filter(target__contains=filters.target)
    if filters.door:
        log = log.filter(door=filters.door)
    return log


def _line(row: AuditEntry) -> Line:
    details = row.details
    return Line(
        id=row.pk,
        at=row.at,
        by=row.actor_label,
        by_kind=row.actor_kind,
        by_id=row.actor_id,
        door=row.door,
        verb=row.verb,
        target=row.target,
        before=details.get("before"),
        after=details.get("after"),
        before_bytes=details.get("before_bytes", 0),
        after_bytes=details.get("after_bytes", 0),
        reason=details.get("reason", ""),
        revision=details.get("revision", ""),
        request_id=row.request_id,
    )


def _cursor(row: AuditEntry) -> str:
    return f"{(row.at - _EPOCH) // timedelta(microseconds=1)}-{row.pk}"


def _place(cursor: str) -> tuple[datetime, int]:
    at_us, _, id = cursor.partition("-")
    try:
        if len(cursor) > 40 or not (at_us + id).isascii():
            raise ValueError
        return _EPOCH + timedelta(microseconds=int(at_us)), int(id)
    except (ValueError, OverflowError):
        raise InvalidInput("This is no place in the audit log.", field="before") from None
