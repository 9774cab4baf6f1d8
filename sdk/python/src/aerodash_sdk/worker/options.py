"""The command line of a worker, the same for `aerodash worker` and `python -m aerodash_sdk.worker`."""

import argparse
import os

from aerodash_sdk.core.errors import Misconfigured
from aerodash_sdk.worker.memory import parse_bytes
from aerodash_sdk.worker.parent import Parent
from aerodash_sdk.worker.running import configure_logging, load, run
from aerodash_sdk.worker.supervisor import Supervisor
from aerodash_sdk.worker.worker import CONCURRENCY_MAX

PROCESSES_MAX = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As in aerodash/cli/worker.py, which must not import this package to print a help text."""
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


def start(options: argparse.Namespace) -> int:
    """Supervise worker processes until SIGINT or SIGTERM; in such a process, run the worker. Returns the exit code.

    Raises Misconfigured if an option is out of bounds, or the worker cannot be found or has no key.
    """
    _in_bounds("--concurrency", options.concurrency, CONCURRENCY_MAX)
    _in_bounds("--async-concurrency", options.async_concurrency, CONCURRENCY_MAX)
    _in_bounds("--processes", options.processes, PROCESSES_MAX)
    memory_limit = _memory_limit(options.memory_limit)
    configure_logging()
    parent = Parent.from_environment()
    if parent is None and os.name == "posix":
        return Supervisor(
            _passed_on(options),
            processes=options.processes,
            memory_limit=memory_limit,
            reload=options.reload,
        ).run()
    return run(
        load(options.target),
        concurrency=options.concurrency,
        async_concurrency=options.async_concurrency,
        parent=parent,
    )


def _passed_on(options: argparse.Namespace) -> list[str]:
    """The part of the command line that a worker process needs."""
    arguments = [options.target]
    for name in ("concurrency", "async_concurrency"):
        if (value := getattr(options, name)) is not None:
            arguments += [f"--{name.replace('_', '-')}", str(value)]
    return arguments


def _in_bounds(name: str, value: int | None, most: int) -> None:
    if value is not None and not 1 <= value <= most:
        raise Misconfigured(f"{name} must be from 1 to {most}, not {value}.")


def _memory_limit(text: str | None) -> int | None:
    try:
        return parse_bytes(text) if text is not None else None
    except ValueError as exc:
        raise Misconfigured(f"--memory-limit: {exc}") from exc
