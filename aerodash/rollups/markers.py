"""What may have caused what a chart shows: changes that people made, new worker versions, restarts of the cache.

From the audit log, and from series whose labels tell something when they are new (Metric.marks). A reader sees what she
may see elsewhere.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Min, Q

from aerodash import instants
from aerodash.auth import Actor, Scope
from aerodash.ids import ProjectId
from aerodash.models import AuditEntry, RollupSeries
from aerodash.operations import kinds
from aerodash.rollups import metrics
from aerodash.rollups.queries import check_range

MARKERS_MOST = 200
LABEL_CHARS = 120

SEEN_WITH = {
    "flag": Scope.FLAGS_READ,
    "type": Scope.QUEUE_READ,
    "schedule": Scope.QUEUE_READ,
    "batch": Scope.QUEUE_READ,
    "jobs": Scope.QUEUE_READ,
    "cache": Scope.CACHE_READ,
    "key": Scope.ADMIN,
    "settings": Scope.ADMIN,
}
"""The first word of an audit line's verb, and the right that shows it. What is about one entry or one job stays out."""

_WORDS = {
    "flag.create": "{} created",
    "type.pause": "{} paused",
    "type.resume": "{} resumed",
    "type.configure": "Settings of {} changed",
    "schedule.set": "Schedule {} set",
    "schedule.pause": "Schedule {} paused",
    "schedule.resume": "Schedule {} resumed",
    "schedule.delete": "Schedule {} deleted",
    "cache.flush": "Keys under {} deleted",
    "key.create": "API key {} created",
    "key.revoke": "API key {} revoked",
    "key.compat": "Settings of API key {} changed",
}


@dataclass(frozen=True, slots=True)
class Marker:
    """One change, to be drawn at its instant.

    kind: the first word of the audit line's verb ("flag", "type", "jobs", …), or of the metric ("workers", "cache").
    label: what happened, in a few words. by: who did it, "" where nobody is known. target: what was changed, by its own
    name. audit_id: the audit line, if there is one.
    """

    at: datetime
    kind: str
    label: str
    by: str = ""
    target: str = ""
    audit_id: int | None = None


def markers(
    project: ProjectId, actor: Actor, *, start_at: datetime, end_at: datetime, most: int = MARKERS_MOST
) -> list[Marker]:
    """The changes within a range, oldest first; of more than `most` (1..200) the newest.

    Raises InvalidInput for an empty range or one longer than 400 days, django.db.Error.
    """
    start_s, end_s = check_range(start_at, end_at)
    found = _changes(project, actor, start_at, end_at, most) + _new_labels(
        project, actor, start_s, end_s, most
    )
    return sorted(found, key=lambda marker: marker.at)[-most:]


def _changes(
    project: ProjectId, actor: Actor, start_at: datetime, end_at: datetime, most: int
) -> list[Marker]:
    wanted = Q()
    for word, scope in SEEN_WITH.items():
        if actor.may(scope):
            wanted |= Q(verb__startswith=f"{word}.")
    if not wanted:
        return []
    lines = AuditEntry.objects.filter(wanted, project_id=project, at__gte=start_at, at__lt=end_at)
    return [
        Marker(
            line.at,
            line.verb.partition(".")[0],
            _label(line)[:LABEL_CHARS],
            line.actor_label,
            line.target,
            line.pk,
        )
        for line in lines.order_by("-at")[:most]
    ]


def _new_labels(project: ProjectId, actor: Actor, start_s: int, end_s: int, most: int) -> list[Marker]:
    """What appeared within the range. What was there when a metric began says nothing: then everything was new."""
    wanted = {metric.name: metric for metric in metrics.marking() if actor.may(metric.scope)}
    found: list[Marker] = []
    for metric in wanted.values():
        of_metric = RollupSeries.objects.filter(project_id=project, metric=metric.name)
        of_metric = of_metric.exclude(label__in=(metrics.TOTAL, metrics.OTHER, metrics.UNNAMED))
        began_s = of_metric.aggregate(Min("first_at_s"))["first_at_s__min"]
        if began_s is None:
            continue
        new = of_metric.filter(first_at_s__gt=began_s, first_at_s__gte=start_s, first_at_s__lt=end_s)
        for label, first_at_s in new.order_by("-first_at_s").values_list("label", "first_at_s")[:most]:
            at = instants.of_ms(first_at_s * 1000)
            found.append(Marker(at, metric.family, metric.marks.format(label)[:LABEL_CHARS], target=label))
    return found


def _label(line: AuditEntry) -> str:
    kind, _, what = line.verb.rpartition(".")
    if what in ("start", "cancel") and kinds.knows(kind) and (params := _after(line)):
        words = kinds.find(kind).words(params)
        text = " ".join(part for part in (words.doing, words.what, words.target) if part)
        return text if what == "start" else f"Stopped: {text}"
    if line.verb == "flag.toggle":
        return f"{_name(line)} turned {'on' if _after(line).get('enabled') else 'off'}"
    return _WORDS.get(line.verb, f"{line.verb} {{}}").format(_name(line))


def _name(line: AuditEntry) -> str:
    return line.target.removeprefix("flag:") or "everything"


def _after(line: AuditEntry) -> dict[str, object]:
    """What the line says of the state afterwards; nothing if that is no whole JSON object."""
    try:
        after = json.loads(line.details.get("after", ""))
    except ValueError:
        return {}
    return after if isinstance(after, dict) else {}
