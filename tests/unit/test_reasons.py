"""The reasons that callers branch on are one vocabulary: nobody says one that errors.Reason does not list."""

import ast

from aerodash import errors
from aerodash.errors import Reason
from cache_admin import services as cache
from cache_admin.engine import link
from jobs_admin.engine import postgres, sqlite
from tests.unit.test_imports import modules

ERRORS = {
    name: thing
    for name, thing in vars(errors).items()
    if isinstance(thing, type) and issubclass(thing, errors.AeroDashError)
}


def said() -> dict[str, str]:
    """Every reason written in the code, and where."""
    found = {thing.reason: name for name, thing in ERRORS.items() if thing.reason}
    for name, path in modules():
        if name.startswith("aerodash_sdk"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS:
                for given in node.keywords:
                    if given.arg == "reason" and isinstance(given.value, ast.Constant):
                        found[given.value.value] = f"{name}, line {node.lineno}"
    tables = {
        "jobs_admin.engine.sqlite": (reason for _, reason in sqlite._REASONS.values()),
        "jobs_admin.engine.postgres": (reason for _, reason in postgres._REASONS.values()),
        "cache_admin.engine.link": (reason for reason, _ in link._REFUSALS.values()),
        "cache_admin.services": cache._COUNTER_REFUSALS,
    }
    return found | {reason: name for name, reasons in tables.items() for reason in reasons}


def test_every_reason_is_in_the_vocabulary() -> None:
    unknown = {word: where for word, where in said().items() if word not in set(Reason)}
    assert unknown == {}
