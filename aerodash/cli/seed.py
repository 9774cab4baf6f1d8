"""`aerodash seed`: the demo project and its data, on an installation that is set up."""

import argparse
import signal
import threading

from aerodash.cli import environment, lifeline

HELP = "make the demo project, or fill in what is missing of it"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--traffic", action="store_true", help="and go on enqueueing a job every few seconds")


def run(options: argparse.Namespace) -> None:
    lifeline.hold()
    environment.django()
    from aerodash import demo, engines
    from aerodash.cli import migrating

    migrating.apply()
    try:
        _, project, _ = demo.see_to_it()
        if options.traffic:
            stopping = threading.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: stopping.set())
            demo.traffic(project, stopping)
    finally:
        engines.stop()
