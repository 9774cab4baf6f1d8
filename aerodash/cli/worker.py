"""`aerodash worker module:app`: run a program's worker, as declared with the Python SDK."""

import argparse
import logging
import os

from aerodash.cli import lifeline
from aerodash.errors import CannotStart

HELP = "run the job handlers of a Python module against a server (AERODASH_URL, AERODASH_API_KEY)"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "app", metavar="module:app", help="where the Worker is: shop.jobs:worker, or jobs.py:worker"
    )
    parser.add_argument("--concurrency", type=int, metavar="N", help="how many jobs run at once")


def run(options: argparse.Namespace) -> int:
    """Run jobs until SIGINT or SIGTERM. Raises CannotStart if the worker cannot be found or has no key."""
    lifeline.hold()
    from aerodash_sdk.core.errors import Misconfigured
    from aerodash_sdk.worker import load, run

    level = os.environ.get("AERODASH_LOG_LEVEL", "WARNING")
    try:
        logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    except ValueError:
        raise CannotStart(f"AERODASH_LOG_LEVEL: {level!r} is no log level; WARNING is one.") from None
    try:
        return run(load(options.app), concurrency=options.concurrency)
    except Misconfigured as exc:
        raise CannotStart(str(exc)) from exc
