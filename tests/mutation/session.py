"""A pytest plugin: one session tries many mutants, each in a process forked from it.

    python -m pytest -p tests.mutation.session --store sqlite --mutants FILE --verdicts FILE tests/conformance/jobs

To start pytest, Django, Valkey and the schema takes longer than the test that notices a mutant. So the session starts
them once. First all tests run in a fork without any mutant: they must pass, and each says which statements it ran and
how long it took. Then each mutant has a fork, which runs the tests that run its statement (no other can notice it), the
guards' own and quick ones first, until one fails.

Run in a copy of the repository (tests/mutation/run.py): a mutant is written over the file that it changes.
"""

import contextlib
import functools
import importlib
import json
import os
import signal
import sys
import tempfile
import time
import traceback
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

LONGEST_S = 600
"""For the tests of one mutant; it is then said to hang."""

EVERY_TEST_S = 3_600
POLL_S = 0.02


@dataclass(frozen=True)
class Seen:
    """What a test did without any mutant."""

    statements: frozenset[str]
    seconds: float


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mutation")
    group.addoption("--store", default="", help="only tests on this database; all if left out")
    group.addoption(
        "--mutants", type=Path, required=True, help="a JSON list of mutants, see tests/mutation/run.py"
    )
    group.addoption(
        "--verdicts", type=Path, required=True, help="a line of JSON for each mutant is added to it"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    store = config.getoption("store")
    items[:] = [item for item in items if not store or _store(item) == store]


class _Failures:
    """Which tests failed, heard from pytest."""

    def __init__(self) -> None:
        self.reports: list[pytest.TestReport] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.reports.append(report)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    config = session.config
    failures = _Failures()
    config.pluginmanager.register(failures)
    _set_up(session.items)
    seen = _seen(session.items, failures)
    for mutant in json.loads(config.getoption("mutants").read_text()):
        chosen = _that_may_notice(mutant, session.items, seen)
        began = time.monotonic()
        verdict, by = _verdict(mutant, chosen, failures)
        line = {
            **{name: mutant[name] for name in ("key", "dialect", "what")},
            "verdict": verdict,
            "by": by,
            "tests": len(chosen),
            "seconds": round(time.monotonic() - began, 1),
        }
        with config.getoption("verdicts").open("a") as verdicts:
            verdicts.write(f"{json.dumps(line)}\n")
    return True


def _set_up(items: Sequence[pytest.Item]) -> None:
    """What all tests of the session share is made here, by one test of each database, so that each fork finds it."""
    for item in {_store(item): item for item in items}.values():
        _run(item)
    from django.db import connections

    from aerodash import engines

    # Neither a connection nor a thread lives on in a fork.
    engines.stop()
    connections.close_all()


def _seen(items: Sequence[pytest.Item], failures: _Failures) -> dict[str, Seen]:
    """Raises RuntimeError if a test fails without any mutant."""

    def work() -> dict[str, Any]:
        from jobs_admin.engine import statements

        used = _recorded(statements)
        done = {}
        for item in items:
            used.clear()
            _forget(statements)  # also what was made of several
            began = time.monotonic()
            _run(item)
            done[item.nodeid] = [sorted(used), time.monotonic() - began]
            if failures.reports:
                return {"failed": f"{item.nodeid}\n{failures.reports[0].longreprtext}"}
        return {"done": done}

    found = _forked(work, EVERY_TEST_S)
    if found is None or "failed" in found:
        raise RuntimeError(f"A test fails without any mutant: {found and found['failed']}")
    return {id: Seen(frozenset(used), seconds) for id, (used, seconds) in found["done"].items()}


def _that_may_notice(
    mutant: dict[str, str], items: Sequence[pytest.Item], seen: dict[str, Seen]
) -> list[pytest.Item]:
    chosen = [
        item
        for item in items
        if mutant["dialect"] == "python" or Path(mutant["path"]).stem in seen[item.nodeid].statements
    ]
    return sorted(chosen, key=lambda item: ("guards" not in item.path.stem, seen[item.nodeid].seconds))


def _verdict(mutant: dict[str, str], items: Sequence[pytest.Item], failures: _Failures) -> tuple[str, str]:
    """One of killed, survived and hung, and the test that failed."""

    def work() -> dict[str, Any]:
        _become(mutant)
        for item in items:
            _run(item)
            if failures.reports:
                return {"by": item.nodeid}
        return {"by": ""}

    path = Path(mutant["path"])
    original = path.read_text()
    try:
        found = _forked(work, LONGEST_S)
    finally:
        path.write_text(original)
    if found is None:
        return "hung", ""
    if not found["by"]:
        return "survived", ""
    # It was the mutant, and not the machine or something that an earlier fork left.
    [noticed] = [item for item in items if item.nodeid == found["by"]]
    _check([noticed], failures)
    return "killed", found["by"]


def _check(items: Sequence[pytest.Item], failures: _Failures) -> None:
    """Raises RuntimeError if one of the tests fails without any mutant."""

    def work() -> dict[str, Any]:
        for item in items:
            _run(item)
        return {"failed": [f"{report.nodeid}\n{report.longreprtext}" for report in failures.reports]}

    found = _forked(work, LONGEST_S)
    if found is None or found["failed"]:
        raise RuntimeError(f"A test fails without any mutant: {found and found['failed'][0]}")


def _run(item: pytest.Item) -> None:
    """One test with its fixtures. What the session's fixtures made stays: the session is what comes next."""
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=item.session)


def _store(item: pytest.Item) -> str:
    """The database that a test is about."""
    params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    of_its_file = "postgres" if "postgres" in item.path.stem else ""
    return str(params.get("store") or params.get("store_kind") or of_its_file)


def _become(mutant: dict[str, str]) -> None:
    path = Path(mutant["path"])
    if path.suffix == ".py":
        _replace_code(importlib.import_module(".".join(path.with_suffix("").parts)), mutant["text"])
        return
    from jobs_admin.engine import statements

    path.write_text(mutant["text"])
    _forget(statements)


def _forget(statements: types.ModuleType) -> None:
    """Have every statement read again."""
    for value in list(vars(statements).values()):
        if hasattr(value, "cache_clear"):
            value.cache_clear()


def _replace_code(module: types.ModuleType, text: str) -> None:
    """Have the functions of a module do what this text of it says, whoever has imported them."""
    fresh = types.ModuleType(module.__name__)
    exec(compile(text, str(module.__file__), "exec"), fresh.__dict__)
    for new, old in _functions(fresh, module):
        old.__code__ = new.__code__


def _functions(fresh: Any, old: Any) -> Iterator[tuple[types.FunctionType, types.FunctionType]]:
    for name, value in vars(fresh).items():
        if getattr(value, "__module__", "") != (getattr(fresh, "__module__", None) or fresh.__name__):
            continue
        if isinstance(value, types.FunctionType):
            yield value, getattr(old, name)
        elif isinstance(value, type):
            yield from _functions(value, getattr(old, name))


def _recorded(statements: types.ModuleType) -> set[str]:
    """The set to which each statement that runs from now on is added, by its name."""
    used: set[str] = set()

    class Recorded(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            used.add(name)
            return super().__getitem__(name)

        def get(self, name: str, default: Any = None) -> Any:
            used.add(name)
            return super().get(name, default)

    def recorded(load: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        return functools.cache(lambda *dialect: Recorded(load(*dialect)))

    for name in ("load", "load_sets"):
        setattr(statements, name, recorded(getattr(statements, name)))
    return used


def _forked(work: Callable[[], dict[str, Any]], longest_s: float) -> dict[str, Any] | None:
    """What a fork of this process answers; None if it takes too long. Raises RuntimeError if it ends otherwise."""
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.NamedTemporaryFile("r") as answer:
        if (pid := os.fork()) == 0:
            _in_fork(work, Path(answer.name))
        deadline = time.monotonic() + longest_s
        status = None
        while status is None and time.monotonic() < deadline:
            ended, code = os.waitpid(pid, os.WNOHANG)
            status = code if ended else None
            time.sleep(0 if ended else POLL_S)
        with contextlib.suppress(ProcessLookupError):  # what its tests left running, too
            os.killpg(pid, signal.SIGKILL)
        if status is None:
            os.waitpid(pid, 0)
        _drop_databases(pid)
        if status is None:
            return None
        if status != 0:
            raise RuntimeError(f"The tests did not run to their end (status {status}).")
        found: dict[str, Any] = json.load(answer)
        return found


def _in_fork(work: Callable[[], dict[str, Any]], answer: Path) -> None:
    """Never returns: the session's own end is not the fork's."""
    from tests.conformance.jobs.store import PostgresStore

    code = 1
    try:
        os.setsid()
        PostgresStore._empty.clear()  # a fork that was killed leaves rows in them
        answer.write_text(json.dumps(work()))
        code = 0
    except BaseException:  # noqa: BLE001 - said in the log; the exit code tells the session
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _drop_databases(pid: int) -> None:
    """Those that a fork made: see tests/postgres.py."""
    import psycopg

    from tests import postgres

    if postgres.server.cache_info().currsize == 0 and "TEST_DATABASE_URL" not in os.environ:
        return
    with psycopg.connect(postgres.server().admin_url, autocommit=True) as connection:
        made = connection.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [f"aerodash_test_{pid}_"]
        ).fetchall()
        for (name,) in made:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]
