"""python -m aerodash_sdk.worker module:worker [--concurrency N]"""

import argparse
import sys

from aerodash_sdk.core.errors import Misconfigured
from aerodash_sdk.worker.running import load, run


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m aerodash_sdk.worker", description="Run an AeroDash worker."
    )
    parser.add_argument("target", help="where the worker is, as module:name")
    parser.add_argument("--concurrency", type=int, help="how many jobs run at once")
    arguments = parser.parse_args()
    try:
        return run(load(arguments.target), concurrency=arguments.concurrency)
    except Misconfigured as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
