"""What an empty installation needs before anybody can come in: a project, its owner and a first key."""

from aerodash import engines, keys
from aerodash.auth import ALL_SCOPES, Door, Role, Scope, system_actor
from aerodash.ids import ProjectId
from aerodash.models import Member, Project, User


def see_to_it() -> tuple[User, Project, str | None]:
    """An owner who may sign in, a project of theirs, and, if they were made just now, the text of its first key.

    Makes the user `admin` and the project `main` only where there is nobody at all; else it changes nothing.
    """
    member = Member.objects.select_related("user", "project").filter(role=Role.OWNER).order_by("pk").first()
    if member is not None:
        return member.user, member.project, None
    project, _ = Project.objects.get_or_create(
        slug="main", defaults={"name": "Main", "environment": Project.Environment.PRODUCTION}
    )
    user, made = User.objects.get_or_create(
        username="admin", defaults={"is_staff": True, "is_superuser": True}
    )
    if made:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    Member.objects.get_or_create(project=project, user=user, defaults={"role": Role.OWNER})
    scopes = ALL_SCOPES - {Scope.ADMIN}
    making = keys.create(ProjectId(project.pk), system_actor(Door.COMMAND), name="first key", scopes=scopes)
    _, text = engines.run(making)
    return user, project, text
