"""python -m aerodash_sdk.worker module:app [--concurrency N] [--processes P] …; --help lists the rest."""

import argparse
import sys

from aerodash_sdk.core.errors import Misconfigured
from aerodash_sdk.worker.options import add_arguments, start
from aerodash_sdk.worker.parent import EXIT_MISCONFIGURED


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m aerodash_sdk.worker", description="Run an AeroDash worker."
    )
    add_arguments(parser)
    try:
        return start(parser.parse_args())
    except Misconfigured as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return EXIT_MISCONFIGURED


if __name__ == "__main__":
    sys.exit(main())
