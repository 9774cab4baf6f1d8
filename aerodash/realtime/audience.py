"""Who of those that have a page open may still look: asked for all of them together, before anything is pushed.

A session or a membership may end while its page is open, and a push shows data: so both are checked like at a page view.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import batched

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from aerodash.auth import ROLE_SCOPES, Role, Scope
from aerodash.console.access import Access
from aerodash.database import ask
from aerodash.ids import ProjectId
from aerodash.models import Member

ASKED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Seat:
    """A person in a project, by one session of theirs."""

    access: Access
    session_key: str


@ask
def still(project: ProjectId, seats: Collection[Seat], scope: Scope) -> dict[Seat, Access]:
    """The access that each of these has now; those whose session, membership or right is gone are left out.

    Two questions to the database however many they are (two for each ASKED_AT_ONCE of them).
    """
    sessions = {session.session_key: session for session in _sessions({seat.session_key for seat in seats})}
    members = {
        member.user_id: member for member in _members(project, {seat.access.user.pk for seat in seats})
    }
    hashes = {id: member.user.get_session_auth_hash() for id, member in members.items()}
    allowed: dict[Seat, Access] = {}
    for seat in seats:
        session, member = sessions.get(seat.session_key), members.get(seat.access.user.pk)
        if session is None or member is None:
            continue
        said = session.get_decoded()
        if said.get(SESSION_KEY) != str(member.user_id):
            continue
        if not constant_time_compare(said.get(HASH_SESSION_KEY, ""), hashes[member.user_id]):
            continue
        access = _with_role(seat.access, Role(member.role))
        if access.may(scope):
            allowed[seat] = access
    return allowed


def _sessions(keys: Iterable[str]) -> Iterator[Session]:
    for some in batched(keys, ASKED_AT_ONCE):
        yield from Session.objects.filter(session_key__in=some, expire_date__gt=timezone.now())


def _members(project: ProjectId, users: Iterable[int]) -> Iterator[Member]:
    for some in batched(users, ASKED_AT_ONCE):
        of_project = Member.objects.filter(project_id=project, user_id__in=some, user__is_active=True)
        yield from of_project.select_related("user")


def _with_role(access: Access, role: Role) -> Access:
    if role is access.role:
        return access
    return replace(access, role=role, actor=replace(access.actor, scopes=ROLE_SCOPES[role]))
