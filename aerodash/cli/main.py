"""The `aerodash` command: its list of subcommands, and how their failures become one sentence and an exit code.

A subcommand is a module with HELP, arguments(parser) and run(options); all but the standard library is imported
inside run, so that asking for help, or the supervisor's start, does not pay for Django.
"""

import argparse
import sys
from collections.abc import Sequence
from types import ModuleType

from aerodash import __version__
from aerodash.cli import doctor, keeper, key, link, prepare, seed, up, web, worker
from aerodash.errors import AeroDashError

COMMANDS: dict[str, ModuleType] = {
    "up": up,
    "web": web,
    "keeper": keeper,
    "worker": worker,
    "key": key,
    "link": link,
    "seed": seed,
    "doctor": doctor,
    "prepare": prepare,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit code. What went wrong is one sentence on standard error."""
    options = _parser().parse_args(arguments)
    try:
        return int(COMMANDS[options.command].run(options) or 0)
    except AeroDashError as exc:
        return _fail(exc.message)
    except KeyboardInterrupt:
        return 130
    except Exception as exc:
        # Imported late: only a wrong setting needs it, and any other fault deserves its traceback.
        from django.core.exceptions import ImproperlyConfigured

        if isinstance(exc, ImproperlyConfigured):
            return _fail(str(exc))
        raise


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aerodash",
        description="AeroDash: cache, feature flags and a job queue over one HTTP API, with a live admin console.",
        epilog="Settings come from the environment; docs/settings.md lists them.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, module in COMMANDS.items():
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.arguments(command)
    return parser


def _fail(sentence: str) -> int:
    print(f"aerodash: {sentence}", file=sys.stderr)
    return 1
