"""`aerodash worker module:app`: run a program's worker, as declared with the Python SDK."""

import argparse
import os

from aerodash.cli import lifeline
from aerodash.errors import CannotStart

HELP = "run the job handlers of a Python module against a server (AERODASH_URL, AERODASH_API_KEY)"


def arguments(parser: argparse.ArgumentParser) -> None:
    """As the SDK has them in aerodash_sdk.worker.options; a test compares the two."""
    parser.add_argument(
        "target", metavar="module:app", help="where the Worker is: shop.jobs:worker, or jobs.py:worker"
    )
    parser.add_argument(
        "--concurrency", type=int, metavar="N", help="how many sync handlers run at once, in each process"
    )
    parser.add_argument(
        "--async-concurrency",
        type=int,
        metavar="N",
        help="how many async handlers run at once, in each process",
    )
    parser.add_argument(
        "--processes", type=int, default=1, metavar="P", help="how many processes run jobs (1)"
    )
    parser.add_argument(
        "--memory-limit", metavar="SIZE", help="end and replace a process that uses more memory: 512M, 2G"
    )
    parser.add_argument(
        "--reload", action="store_true", help="start again when a .py file below the current folder changes"
    )


def run(options: argparse.Namespace) -> int:
    """Run jobs until SIGINT or SIGTERM. Raises CannotStart if the worker cannot be found or has no key."""
    lifeline.hold()
    from aerodash_sdk.core.errors import Misconfigured
    from aerodash_sdk.worker.options import start

    os.environ.setdefault("AERODASH_LOG_LEVEL", "WARNING")
    try:
        return start(options)
    except Misconfigured as exc:
        raise CannotStart(str(exc)) from exc
