"""`aerodash keeper`: sweeps, retention and the other housekeeping; any number may run, one at a time works."""

import argparse

from aerodash.cli import environment, lifeline

HELP = "run the housekeeping: expired leases and entries, retention (one at a time does the work)"


def arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(options: argparse.Namespace) -> None:
    """Run until SIGINT or SIGTERM."""
    lifeline.hold()
    environment.django()
    from aerodash.cli import migrating
    from aerodash.keeper import process

    migrating.apply()
    process.run()
