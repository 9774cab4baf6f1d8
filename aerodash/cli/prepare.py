"""`aerodash prepare`: what `aerodash up` does once before people come in; a process of its own beside web's start."""

import argparse
import json
import sys

from aerodash.cli import environment, lifeline

HELP = "bring the database up to date and print a sign-in link, as JSON (part of `up`)"
LINK_MINUTES = 60


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--demo", action="store_true", help="see to the demo project too")


def run(options: argparse.Namespace) -> None:
    lifeline.hold()
    settings = environment.django()
    from aerodash import engines
    from aerodash.cli import doctor, migrating
    from aerodash.console import links

    migrating.apply()
    for finding in doctor.engine(settings):
        if finding.mend:
            print(f"aerodash: {finding.subject}: {finding.fact.rstrip('.')}. {finding.mend}", file=sys.stderr)
    if options.demo:
        from aerodash import demo

        user, project, key = demo.see_to_it()
    else:
        from aerodash import first_start

        user, project, key = first_start.see_to_it()
    facts = {
        "sign_in": f"/sign-in/{links.mint(user, minutes=LINK_MINUTES)}",
        "project": project.slug,
        "api_key": key,
    }
    engines.stop()
    print(json.dumps(facts))
