"""Who may come into a project, and as what. Each verb needs the admin right and leaves a line in the audit log."""

import re
from dataclasses import dataclass

from django.db import transaction

from aerodash import audit, database
from aerodash.auth import Actor, Role, Scope
from aerodash.errors import InvalidInput
from aerodash.ids import ProjectId
from aerodash.models import Member, Project, User

NAME = re.compile(r"[\w.@+-]{1,150}")
MOST = 500


@dataclass(frozen=True, slots=True)
class Added:
    """is_new: the person had no account before, and so cannot sign in without a link."""

    user: User
    is_new: bool


def listed(project: ProjectId, actor: Actor) -> list[Member]:
    """Everybody in the project, with their accounts, by name."""
    actor.require(Scope.ADMIN)
    return list(
        Member.objects.filter(project_id=project).select_related("user").order_by("user__username")[:MOST]
    )


async def add(project: ProjectId, actor: Actor, *, username: str, role: Role) -> Added:
    """Let a person in, with a new account if there is none of this name.

    username: 1..150 letters, digits and _.@+-. Raises InvalidInput also for who is in already, or one more than MOST.
    """
    actor.require(Scope.ADMIN)
    name = username.strip()
    if not NAME.fullmatch(name):
        raise InvalidInput("A name has 1 to 150 letters, digits and _.@+-.", field="username")
    added = await database.ask(_add)(project, name, role)
    await audit.record(project, actor, verb="member.add", target=added.user.username, after=role.value)
    return added


async def set_role(project: ProjectId, actor: Actor, *, member_id: int, role: Role) -> bool:
    """Change what a member may do, from the next request on. False if there is no such member.

    Raises InvalidInput if nobody would be left who owns the project.
    """
    actor.require(Scope.ADMIN)
    changed = await database.ask(_set_role)(project, member_id, role)
    if changed is None:
        return False
    name, before = changed
    if before != role.value:
        await audit.record(project, actor, verb="member.role", target=name, before=before, after=role.value)
    return True


async def remove(project: ProjectId, actor: Actor, *, member_id: int) -> str | None:
    """Shut a member out from the next request on; her name, None if there is no such member. The account stays.

    Raises InvalidInput if nobody would be left who owns the project.
    """
    actor.require(Scope.ADMIN)
    removed = await database.ask(_remove)(project, member_id)
    if removed is None:
        return None
    name, before = removed
    await audit.record(project, actor, verb="member.remove", target=name, before=before)
    return name


def may_have_link(member: Member) -> bool:
    """Whether an owner may make a sign-in link for this person: it opens whatever the person may open.

    So only for who has never signed in, is in no other project, and administrates no server.
    """
    user = member.user
    if user.last_login is not None or user.is_staff or user.is_superuser:
        return False
    return not Member.objects.filter(user=user).exclude(pk=member.pk).exists()


@transaction.atomic
def _add(project: ProjectId, name: str, role: Role) -> Added:
    _lock(project)
    if Member.objects.filter(project_id=project).count() >= MOST:
        raise InvalidInput(f"A project has at most {MOST} members.", field="username")
    user, is_new = User.objects.get_or_create(username=name)
    if is_new:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    _, is_member_now = Member.objects.get_or_create(
        project_id=project, user=user, defaults={"role": role.value}
    )
    if not is_member_now:
        raise InvalidInput(f"{name} is a member already.", field="username")
    return Added(user, is_new)


@transaction.atomic
def _set_role(project: ProjectId, member_id: int, role: Role) -> tuple[str, str] | None:
    member = _find(project, member_id)
    if member is None:
        return None
    before, member.role = member.role, role.value
    if role is not Role.OWNER:
        _keep_an_owner(member, before)
    member.save(update_fields=["role"])
    return member.user.username, before


@transaction.atomic
def _remove(project: ProjectId, member_id: int) -> tuple[str, str] | None:
    member = _find(project, member_id)
    if member is None:
        return None
    _keep_an_owner(member, member.role)
    name, before = member.user.username, member.role
    member.delete()
    return name, before


def _find(project: ProjectId, member_id: int) -> Member | None:
    _lock(project)
    return Member.objects.select_related("user").filter(project_id=project, pk=member_id).first()


def _lock(project: ProjectId) -> None:
    """One change of a project's members at a time: of two owners who remove each other, one stays."""
    Project.objects.select_for_update().get(pk=project)


def _keep_an_owner(member: Member, before: str) -> None:
    others = Member.objects.filter(project_id=member.project_id, role=Role.OWNER.value, user__is_active=True)
    if before == Role.OWNER.value and not others.exclude(pk=member.pk).exists():
        raise InvalidInput(
            f"{member.user.username} is the only owner; make somebody else one first.", field="role"
        )
