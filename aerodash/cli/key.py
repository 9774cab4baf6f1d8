"""`aerodash key`: make, list, change and revoke API keys."""

import argparse

from aerodash.cli import environment
from aerodash.errors import CannotStart

HELP = "make, list, change and revoke API keys"
MODES = ("auto", "on", "off")


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="create|list|compat|revoke")
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
    create.add_argument(
        "--compat",
        choices=MODES,
        default="auto",
        help="whether replies bend to generated clients: by their User-Agent (auto), always, never",
    )
    compat = actions.add_parser("compat", help="change whether replies to a key bend to generated clients")
    compat.add_argument("id", type=int)
    compat.add_argument("mode", choices=MODES)
    listing = actions.add_parser("list", help="list keys, without their text")
    listing.add_argument("--project", metavar="SLUG", help="only this project's")
    revoke = actions.add_parser("revoke", help="refuse a key from now on")
    revoke.add_argument("id", type=int)


def run(options: argparse.Namespace) -> None:
    environment.django()
    from aerodash import engines

    try:
        {"create": _create, "list": _list, "compat": _compat, "revoke": _revoke}[options.action](options)
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
    _, text = engines.run(
        keys.create(project, actor, name=options.name, scopes=scopes, compat=options.compat)
    )
    print(text)


def _list(options: argparse.Namespace) -> None:
    from aerodash.models import ApiKey

    keys = ApiKey.objects.select_related("project").order_by("project__slug", "pk")
    if options.project:
        keys = keys.filter(project=_project(options.project))
    for key in keys:
        state = "revoked" if key.revoked_at else "valid"
        bent = "" if key.compat == "auto" else f"  compat {key.compat}"
        print(
            f"{key.pk:>5}  {key.project.slug:<20} {state:<8} {key.hint}…  {key.name}"
            f"  [{', '.join(key.scopes)}]{bent}"
        )


def _compat(options: argparse.Namespace) -> None:
    from aerodash import engines, keys
    from aerodash.auth import Door, system_actor

    project, actor = _project_of_key(options.id), system_actor(Door.COMMAND)
    if not engines.run(keys.set_compat(project, actor, key_id=options.id, compat=options.mode)):
        raise _no_valid_key(options.id)
    print(f"Key {options.id} has compat {options.mode}.")


def _revoke(options: argparse.Namespace) -> None:
    from aerodash import engines, keys
    from aerodash.auth import Door, system_actor

    project, actor = _project_of_key(options.id), system_actor(Door.COMMAND)
    if not engines.run(keys.revoke(project, actor, key_id=options.id)):
        raise _no_valid_key(options.id)
    print(f"Key {options.id} is revoked.")


def _project_of_key(key_id: int):
    from aerodash.ids import ProjectId
    from aerodash.models import ApiKey

    key = ApiKey.objects.filter(pk=key_id).first()
    if key is None:
        raise _no_valid_key(key_id)
    return ProjectId(key.project_id)


def _no_valid_key(key_id: int) -> CannotStart:
    return CannotStart(f"There is no valid key {key_id}; `aerodash key list` shows them.")


def _project(slug: str):
    from aerodash.models import Project

    try:
        return Project.objects.get(slug=slug)
    except Project.DoesNotExist:
        raise CannotStart(f"There is no project {slug!r}.") from None
