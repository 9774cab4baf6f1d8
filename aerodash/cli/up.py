"""`aerodash up`: everything in one terminal."""

import argparse
import json
import os

from aerodash.cli import environment

HELP = "start everything: Valkey, web, keeper, and with --demo a demo project and its worker"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--demo", action="store_true", help="with a demo project, sample data and a worker for its jobs"
    )
    parser.add_argument(
        "--demo-traffic",
        action="store_true",
        help="the demo, and a new job every few seconds (implies --demo)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="once it answers, print one line of JSON: url, console_url, api_key",
    )


def run(options: argparse.Namespace) -> int:
    """Run until SIGINT, SIGTERM or SIGHUP, or until a part cannot be started. Raises CannotStart, EngineDown."""
    from aerodash.cli.registry import Registry
    from aerodash.cli.supervisor import Supervisor

    settings = environment.settings()
    with Registry(settings.AERODASH_DATA) as registry:
        registry.end_left_behind()
        environment.check_web(settings)
        variables = {**os.environ, "AERODASH_DATA": str(settings.AERODASH_DATA)}
        supervisor = Supervisor(
            settings,
            registry,
            variables,
            demo=options.demo or options.demo_traffic,
            traffic=options.demo_traffic,
            announce=_print_json if options.json else _print_for_people,
        )
        return supervisor.run()


def _print_json(facts: dict[str, str | None]) -> None:
    print(json.dumps({name: facts[name] for name in ("url", "console_url", "api_key")}), flush=True)


def _print_for_people(facts: dict[str, str | None]) -> None:
    url, key = facts["url"], facts["api_key"]
    lines = ["", f"AeroDash {facts['version']} answers at {url}", ""]
    lines += [
        f"  console   {facts['console_url']}",
        "            (signs you in once, within the hour; `aerodash link` makes another)",
    ]
    if key:
        lines += [f"  API key   {key}   (project {facts['project']})"]
        lines += ["", f"  curl {url}/v1/cache/set -H 'X-Aerostack-Key: {key}' \\"]
        lines += ["""       -H 'Content-Type: application/json' -d '{"key": "hello", "value": "world"}'"""]
    else:
        lines += ["  API key   make one with `aerodash key create`"]
    lines += [f"  data      {facts['data']}", "", "Ctrl-C stops it; everything is kept."]
    if facts["hint"]:
        lines += [str(facts["hint"])]
    print("\n".join(lines), flush=True)
