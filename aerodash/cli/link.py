"""`aerodash link`: a fresh one-time sign-in link, for whoever lost theirs."""

import argparse

from aerodash.cli import environment
from aerodash.errors import CannotStart

HELP = "print a one-time link that signs a person in to the console"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user", metavar="USERNAME")
    parser.add_argument("--minutes", type=int, default=15, help="how long it works (default: 15)")


def run(options: argparse.Namespace) -> None:
    settings = environment.django()
    from aerodash.console import links
    from aerodash.models import User

    try:
        user = User.objects.get(username=options.user)
    except User.DoesNotExist:
        raise CannotStart(f"There is no user {options.user!r}.") from None
    print(f"{settings.AERODASH_PUBLIC_URL}/sign-in/{links.mint(user, minutes=options.minutes)}")
