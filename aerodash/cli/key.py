"""`aerodash key`: make, list and revoke API keys."""

import argparse

from aerodash.cli import environment
from aerodash.errors import CannotStart

HELP = "make, list and revoke API keys"


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="create|list|revoke")
    create = actions.add_parser("create", help="make a key and print it; it cannot be shown again")
    create.add_argument("--project", required=True, metavar="SLUG")
    create.add_argument("--name", required=True, help="what people will know it by")
    create.add_argument(
        "--scope",
        action="append",
        default=[],
        metavar="SCOPE",
        help="what it may do, repeatable; all but admin if left out",
    )
    listing = actions.add_parser("list", help="list keys, without their text")
    listing.add_argument("--project", metavar="SLUG", help="only this project's")
    revoke = actions.add_parser("revoke", help="refuse a key from now on")
    revoke.add_argument("id", type=int)


def run(options: argparse.Namespace) -> None:
    environment.django()
    from aerodash import engines

    try:
        {"create": _create, "list": _list, "revoke": _revoke}[options.action](options)
    finally:
        engines.stop()


def _create(options: argparse.Namespace) -> None:
    from aerodash import engines, keys
    from aerodash.auth import ALL_SCOPES, Door, Scope, system_actor
    from aerodash.ids import ProjectId

    unknown = sorted(set(options.scope) - set(Scope))
    if unknown:
        raise CannotStart(f"There is no scope {unknown[0]!r}; the scopes are {', '.join(Scope)}.")
    scopes = {Scope(name) for name in options.scope} or ALL_SCOPES - {Scope.ADMIN}
    project, actor = ProjectId(_project(options.project).pk), system_actor(Door.COMMAND)
    _, text = engines.run(keys.create(project, actor, name=options.name, scopes=scopes))
    print(text)


def _list(options: argparse.Namespace) -> None:
    from aerodash.models import ApiKey

    keys = ApiKey.objects.select_related("project").order_by("project__slug", "pk")
    if options.project:
        keys = keys.filter(project=_project(options.project))
    for key in keys:
        state = "revoked" if key.revoked_at else "valid"
        print(
            f"{key.pk:>5}  {key.project.slug:<20} {state:<8} {key.hint}…  {key.name}  [{', '.join(key.scopes)}]"
        )


def _revoke(options: argparse.Namespace) -> None:
    from aerodash import engines, keys
    from aerodash.auth import Door, system_actor
    from aerodash.ids import ProjectId
    from aerodash.models import ApiKey

    key = ApiKey.objects.filter(pk=options.id).first()
    actor = system_actor(Door.COMMAND)
    if key is None or not engines.run(keys.revoke(ProjectId(key.project_id), actor, key_id=key.pk)):
        raise CannotStart(f"There is no valid key {options.id}; `aerodash key list` shows them.")
    print(f"Key {options.id} is revoked.")


def _project(slug: str):
    from aerodash.models import Project

    try:
        return Project.objects.get(slug=slug)
    except Project.DoesNotExist:
        raise CannotStart(f"There is no project {slug!r}.") from None
