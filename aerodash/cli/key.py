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
    {"create": _create, "list": _list, "revoke": _revoke}[options.action](options)


def _create(options: argparse.Namespace) -> None:
    from aerodash import keys
    from aerodash.auth import ALL_SCOPES, Scope

    unknown = sorted(set(options.scope) - set(Scope))
    if unknown:
        raise CannotStart(f"There is no scope {unknown[0]!r}; the scopes are {', '.join(Scope)}.")
    scopes = {Scope(name) for name in options.scope} or ALL_SCOPES - {Scope.ADMIN}
    key, text = keys.mint(_project(options.project), options.name, scopes)
    _note(key, "key.create")
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
    from django.utils import timezone

    from aerodash.models import ApiKey

    if not ApiKey.objects.filter(pk=options.id, revoked_at=None).update(revoked_at=timezone.now()):
        raise CannotStart(f"There is no valid key {options.id}; `aerodash key list` shows them.")
    _note(ApiKey.objects.get(pk=options.id), "key.revoke")
    print(f"Key {options.id} is revoked.")


def _note(key, verb: str) -> None:
    from asgiref.sync import async_to_sync

    from aerodash import audit
    from aerodash.auth import Door, ProjectId, system_actor

    record = async_to_sync(audit.record)
    record(
        ProjectId(key.project_id), system_actor(Door.COMMAND), verb=verb, target=f"key {key.pk} ({key.name})"
    )


def _project(slug: str):
    from aerodash.models import Project

    try:
        return Project.objects.get(slug=slug)
    except Project.DoesNotExist:
        raise CannotStart(f"There is no project {slug!r}.") from None
