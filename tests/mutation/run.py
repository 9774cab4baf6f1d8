"""Removes each guard by itself, in a copy of the repository, and looks whether the conformance suite turns red.

    python -m tests.mutation.run [--dialect sqlite|postgres|python] [--match TEXT …] [--jobs N] [--report FILE]

A guard is a condition of a WHERE in a statement that writes (tests/mutation/guards.py), or a line of python.toml. Exit
code 0: every one of them is missed by a test. 1: the survivors are listed; each is a fault of the suite, or a guard that
nothing needs.
"""

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.mutation import guards
from tests.postgres import OwnServer

ROOT = Path(__file__).resolve().parents[2]
SQL = Path("jobs_admin/engine/sql")
DIALECTS = ("sqlite", "postgres", "python")
SUITE = Path("tests/conformance/jobs")
# The quickest to find a missing guard first; plans and sizes are about speed.
FILES = ("guards", "states", "batches", "schedules", "state_machine", "waiting", "group_commit")
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", "var", "node_modules", "__pycache__", ".*_cache", "*.sqlite3*"
)
LONGEST_S = 300
TESTS_FAILED = 1
"""pytest's exit code; any other than this and 0 says that the tests did not run."""


@dataclass(frozen=True)
class Mutant:
    """One change of one file. what: for people. store: which database's tests must see it; "" for all."""

    path: Path
    what: str
    text: str
    store: str


def mutants(dialect: str) -> Iterator[Mutant]:
    if dialect == "python":
        yield from _of_python()
        return
    for path, guard in guards.of_folder(ROOT / SQL / dialect):
        text = guards.without(path.read_text(), guard)
        yield Mutant(path.relative_to(ROOT), f"{path.stem}: {guard.condition}", text, dialect)


def _of_python() -> Iterator[Mutant]:
    table: dict[str, Any] = tomllib.loads((Path(__file__).parent / "python.toml").read_text())
    for line in table["mutant"]:
        text = (ROOT / line["file"]).read_text()
        if text.count(line["old"]) != 1:
            raise SystemExit(f"python.toml: {line['file']} does not have {line['old']!r} once.")
        what = f"{Path(line['file']).stem}: {line['what']}"
        yield Mutant(Path(line["file"]), what, text.replace(line["old"], line["new"]), "")


class Copy:
    """The repository in a folder of its own, where one mutant at a time lives."""

    def __init__(self, folder: Path, database_url: str | None) -> None:
        self.folder = folder
        shutil.copytree(ROOT, folder, ignore=NOT_COPIED, dirs_exist_ok=True)
        self._environment = {
            # Nothing of a test run that this one may be part of.
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("AERODASH_", "DJANGO_", "PYTEST_"))
            },
            # Before the installed, editable packages, which are the original's.
            "PYTHONPATH": f"{folder}{os.pathsep}{folder / 'sdk/python/src'}",
        }
        if database_url is not None:
            self._environment["TEST_DATABASE_URL"] = database_url

    def verdict(self, mutant: Mutant, files: Sequence[str]) -> str:
        """One of killed, survived and hung. Raises RuntimeError if the suite did not run."""
        path = self.folder / mutant.path
        original = path.read_text()
        path.write_text(mutant.text)
        try:
            code, said = self._test(mutant.store, files)
        except subprocess.TimeoutExpired:
            return "hung"
        finally:
            path.write_text(original)
        if code not in (0, TESTS_FAILED):
            raise RuntimeError(f"The suite did not run on {mutant.what}:\n{said}")
        return "survived" if code == 0 else "killed"

    def check(self, store: str, files: Sequence[str]) -> None:
        """Raises RuntimeError if the suite is red without any mutant."""
        code, said = self._test(store, files)
        if code != 0:
            raise RuntimeError(f"The suite is red without any mutant:\n{said}")

    def _test(self, store: str, files: Sequence[str]) -> tuple[int, str]:
        """Returns pytest's exit code and the end of what it said."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header"]
        command += [str(SUITE / f"test_{name}.py") for name in files] + (["-k", store] if store else [])
        ended = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
        return ended.returncode, (ended.stdout + ended.stderr)[-4000:]


def try_all(
    chosen: Sequence[Mutant], files: Sequence[str], jobs: int, database_url: str | None
) -> dict[Mutant, str]:
    """Each mutant's verdict. jobs: how many at once, each in a copy of its own."""
    free: queue.SimpleQueue[Copy] = queue.SimpleQueue()
    verdicts: dict[Mutant, str] = {}
    with tempfile.TemporaryDirectory(prefix="aerodash-mutation-") as folder:
        for number in range(jobs):
            free.put(Copy(Path(folder) / str(number), database_url))

        def judge(mutant: Mutant) -> None:
            copy = free.get()
            began = time.monotonic()
            try:
                verdicts[mutant] = copy.verdict(mutant, files)
            finally:
                free.put(copy)
            where = mutant.store or "python"
            print(
                f"{verdicts[mutant]:9} {where:8} {mutant.what}  ({time.monotonic() - began:.0f} s)",
                flush=True,
            )

        copy = free.get()
        stores = {mutant.store for mutant in chosen}
        copy.check(stores.pop() if len(stores) == 1 else "", files)
        free.put(copy)
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(judge, chosen))
    return verdicts


def markdown(verdicts: dict[Mutant, str]) -> str:
    survivors = [mutant for mutant, verdict in verdicts.items() if verdict == "survived"]
    lines = [
        "# Mutation check",
        "",
        f"{len(verdicts)} guards were taken out one at a time; {len(verdicts) - len(survivors)} turned the suite red.",
        "",
        "| where | guards | missed by a test | survived |",
        "|---|--:|--:|--:|",
    ]
    for where in DIALECTS:
        of = [verdict for mutant, verdict in verdicts.items() if (mutant.store or "python") == where]
        alive = of.count("survived")
        lines += [f"| {where} | {len(of)} | {len(of) - alive} | {alive} |"] if of else []
    if survivors:
        lines += ["", "Survivors:", ""]
        lines += [f"- {mutant.store or 'python'} `{mutant.what}`" for mutant in survivors]
    return "\n".join([*lines, ""])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.run")
    parser.add_argument("--dialect", choices=DIALECTS, action="append", help="repeatable; all if left out")
    parser.add_argument(
        "--match",
        action="append",
        help="only guards with this text in `statement: condition`; repeatable",
    )
    parser.add_argument(
        "--leave-out", choices=FILES, action="append", default=[], help="a file of the suite; repeatable"
    )
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (2)")
    parser.add_argument("--report", type=Path, help="write the report to this file")
    options = parser.parse_args()
    chosen = [
        mutant
        for dialect in options.dialect or DIALECTS
        for mutant in mutants(dialect)
        if any(text in mutant.what for text in options.match or [""])
    ]
    server = OwnServer(configuration={"fsync": "off"})
    server.start()
    files = [name for name in FILES if name not in options.leave_out]
    verdicts = try_all(chosen, files, options.jobs, server.admin_url)
    report = markdown(verdicts)
    print(f"\n{report}")
    if options.report is not None:
        options.report.write_text(report)
    return 1 if "survived" in verdicts.values() else 0


if __name__ == "__main__":
    sys.exit(main())
