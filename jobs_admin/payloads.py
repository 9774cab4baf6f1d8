"""The last payloads of a type: what a form for the next one is made from."""

from aerodash.auth import Actor
from aerodash.ids import ProjectId
from jobs_admin import queries
from jobs_admin.models import Job
from jobs_admin.payload_forms import FORM_BYTES

LAST = 20


def last(project: ProjectId, actor: Actor, *, type: str) -> list[str]:
    """The payloads of the newest LAST jobs of this type, the newest first; those that no form could carry are left out."""
    rows = queries.page(project, actor, type=type, limit=LAST).jobs
    ids = [row.id for row in rows if row.payload_bytes <= FORM_BYTES]
    found = dict(Job.objects.filter(pk__in=ids).values_list("pk", "payload"))
    texts = {str(id): payload for id, payload in found.items()}
    return [texts[id] for id in ids if id in texts]
