"""What production asks of whoever changes a flag, by whichever verb: the switch, the entry's value, its end."""

from aerodash import database
from aerodash.errors import InvalidInput
from aerodash.ids import ProjectId
from aerodash.models import Project
from cache_admin.flags.stored import PREFIX


async def check_reason(project: ProjectId, *, key: str, reason: str) -> None:
    """Let a flag of a production project be changed only with a reason, which goes into the audit log.

    Other keys and other projects need none. Raises InvalidInput. Source: flags, "Console".
    """
    if not key.startswith(PREFIX) or reason.strip():
        return
    production = Project.objects.filter(pk=project, environment=Project.Environment.PRODUCTION)
    if await database.ask(production.exists)():
        raise InvalidInput(
            "In production a flag is changed with a reason, for the audit log.",
            reason="reason_needed", field="reason",
        )  # fmt: skip
