"""Removes each guard by itself, in a copy of the repository, and looks whether the conformance suite turns red.

    python -m tests.mutation.run [--dialect sqlite|postgres|python] [--match TEXT …] [--results FILE] [--report FILE]

A guard is a condition of a WHERE or a join in a statement that writes (tests/mutation/guards.py), or a line of
python.toml; those of equivalent.toml, without which nothing changes, are not tried. Exit code 0: every one of them is
missed by a test. 1: the survivors are listed; each is a fault of the suite, or a guard that nothing needs.

--results keeps each verdict as soon as it is known. A run that is given the same file again tries what was not tried
before, what survived, and what was changed since; the report tells of all.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.mutation import guards
from tests.postgres import OwnServer

ROOT = Path(__file__).resolve().parents[2]
SQL = Path("jobs_admin/engine/sql")
DIALECTS = ("sqlite", "postgres", "python")
SUITE = Path("tests/conformance/jobs")
# Not plans and sizes, which are about speed.
FILES = (
    "guards", "key_guards", "row_guards", "states", "run_now", "batches", "schedules", "types", "workers", "prune", "carried",
    "state_machine", "waiting", "group_commit", "postgres",
)  # fmt: skip
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", "var", "node_modules", "__pycache__", ".*_cache", "*.sqlite3*"
)


@dataclass(frozen=True)
class Mutant:
    """One change of one file. what: for people, and a name within its dialect, except where guards say the same twice."""

    dialect: str
    path: Path
    what: str
    text: str

    @property
    def key(self) -> str:
        """Which changes with the file: what was found out about another text is not about this one."""
        return hashlib.sha256(f"{self.dialect}\n{self.path}\n{self.text}".encode()).hexdigest()[:16]


def mutants(dialect: str) -> Iterator[Mutant]:
    if dialect == "python":
        yield from _of_python()
        return
    for path, guard in guards.of_folder(ROOT / SQL / dialect):
        text = guards.without(path.read_text(), guard)
        yield Mutant(dialect, path.relative_to(ROOT), f"{path.stem}: {guard.condition}", text)


def _of_python() -> Iterator[Mutant]:
    for line in _table("python.toml")["mutant"]:
        text = (ROOT / line["file"]).read_text()
        if text.count(line["old"]) != 1:
            raise SystemExit(f"python.toml: {line['file']} does not have {line['old']!r} once.")
        what = f"{Path(line['file']).stem}: {line['what']}"
        yield Mutant("python", Path(line["file"]), what, text.replace(line["old"], line["new"]))


def equivalents() -> dict[tuple[str, str], str]:
    """Why nothing changes without a guard, by its dialect and what it says."""
    return {
        (line["dialect"], line["guard"]): line["reason"] for line in _table("equivalent.toml")["equivalent"]
    }


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / name).read_text())


def try_all(
    chosen: Iterable[Mutant],
    files: Sequence[str],
    results: Path,
    *,
    database_url: str | None = None,
    jobs: int = 1,
) -> None:
    """Add each mutant's verdict to the results. jobs: how many dialects at once, each in a copy of its own.

    Raises RuntimeError if the suite did not run, or is red without any mutant.
    """
    by_dialect: dict[str, list[Mutant]] = {}
    for mutant in chosen:
        by_dialect.setdefault(mutant.dialect, []).append(mutant)

    def run(dialect: str) -> None:
        with tempfile.TemporaryDirectory(prefix="aerodash-mutation-") as folder:
            _run_session(Path(folder), dialect, by_dialect[dialect], files, results, database_url)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(run, by_dialect))


def _run_session(
    folder: Path,
    dialect: str,
    chosen: Sequence[Mutant],
    files: Sequence[str],
    results: Path,
    database_url: str | None,
) -> None:
    copy = folder / "copy"
    shutil.copytree(ROOT, copy, ignore=NOT_COPIED)
    listed = folder / "mutants.json"
    listed.write_text(json.dumps([{**asdict(one), "path": str(one.path), "key": one.key} for one in chosen]))
    # Nothing of a test run that this one may be part of.
    ours = ("AERODASH_", "DJANGO_", "PYTEST_", "TEST_", "DATABASE_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    # Before the installed, editable packages, which are the original's.
    environment["PYTHONPATH"] = f"{copy}{os.pathsep}{copy / 'sdk/python/src'}"
    if database_url is not None:
        environment["TEST_DATABASE_URL"] = database_url
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"]
    command += ["-p", "tests.mutation.session", "-o", "tmp_path_retention_policy=none"]
    # The usual folder is shared: another run of pytest would remove ours from it.
    command += ["--basetemp", str(folder / "tmp")]
    command += ["--mutants", str(listed), "--verdicts", str(results.resolve())]
    command += ["--store", "" if dialect == "python" else dialect]
    command += [str(SUITE / f"test_{name}.py") for name in files]
    with (folder / "log").open("w+") as log:
        ended = subprocess.run(
            command, cwd=copy, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False
        )
        if ended.returncode != 0:
            log.seek(0)
            raise RuntimeError(f"The suite did not run on {dialect}:\n{log.read()[-6000:]}")


def verdicts(results: Path) -> dict[str, dict[str, Any]]:
    """The last line about each mutant, by its key."""
    lines = results.read_text().splitlines() if results.exists() else []
    return {line["key"]: line for line in map(json.loads, lines)}


def markdown(results: Path) -> str:
    """What is known of every guard that there is, whoever tried it."""
    known, reasons = verdicts(results), equivalents()
    rows: list[tuple[str | int, ...]] = []
    survivors: list[Mutant] = []
    untried: list[Mutant] = []
    noticed_by: dict[str, dict[str, int]] = {}
    for dialect in DIALECTS:
        every = list(mutants(dialect))
        tried = [one for one in every if (dialect, one.what) not in reasons]
        found = {one: known[one.key] for one in tried if one.key in known}
        killed = [line for line in found.values() if line["verdict"] != "survived"]
        survivors += [one for one, line in found.items() if line["verdict"] == "survived"]
        untried += [one for one in tried if one not in found]
        rows.append(
            (
                dialect,
                len(every),
                len(killed),
                len(every) - len(tried),
                len(found) - len(killed),
                len(tried) - len(found),
            )
        )
        for line in killed:
            by = line["by"].partition("::")[0].rpartition("/")[2] or "did not end"
            noticed_by.setdefault(by, dict.fromkeys(DIALECTS, 0))[dialect] += 1
    lines = [
        "# Mutation check",
        "",
        "What the mutation check has found in the code as it stands; [proof.md](proof.md#the-mutation-check) says how it works.",
        *(
            ["", f"**Not whole:** {len(untried)} guards have not been tried yet, or were changed since."]
            if untried
            else []
        ),
        "",
        '    make mutation ARGS="--results FILE --report docs/mutation.md"',
        "",
        "| guards in | all | missed by a test | equivalent | survived | not tried |",
        "|---|--:|--:|--:|--:|--:|",
        *(f"| {' | '.join(map(str, row))} |" for row in rows),
    ]
    for title, ones in (("Survived", survivors), ("Not tried", untried)):
        if ones:
            lines += ["", f"{title}:", "", *(f"- {one.dialect}: `{one.what}`" for one in ones)]
    if reasons:
        lines += [
            "",
            "## Equivalent",
            "",
            "Nothing changes without these (`tests/mutation/equivalent.toml`).",
            "",
        ]
        lines += [f"- {dialect}: `{guard}`. {reason}" for (dialect, guard), reason in reasons.items()]
    lines += [
        "",
        "## Which tests noticed first",
        "",
        f"| file | {' | '.join(DIALECTS)} |",
        "|---|--:|--:|--:|",
        *(
            f"| {by} | {' | '.join(str(count) for count in counts.values())} |"
            for by, counts in sorted(noticed_by.items())
        ),
        "",
    ]
    return "\n".join(lines)


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
    parser.add_argument("--jobs", type=int, default=2, help="how many dialects at once (2)")
    parser.add_argument(
        "--results", type=Path, help="keep the verdicts in this file, and go on from those in it"
    )
    parser.add_argument("--report", type=Path, help="write the report to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aerodash-mutation-") as folder:
        results = options.results or Path(folder) / "results"
        known, reasons = verdicts(results), equivalents()
        chosen = [
            mutant
            for dialect in options.dialect or DIALECTS
            for mutant in mutants(dialect)
            if any(text in mutant.what for text in options.match or [""])
            and (dialect, mutant.what) not in reasons
            and known.get(mutant.key, {}).get("verdict") != "killed"
        ]
        print(f"{len(chosen)} guards to try; the verdicts come into {results}", flush=True)
        if chosen:
            server = OwnServer(configuration={"fsync": "off"})
            server.start()
            files = [name for name in FILES if name not in options.leave_out]
            try_all(chosen, files, results, database_url=server.admin_url, jobs=options.jobs)
        report = markdown(results)
        print(f"\n{report}")
        if options.report is not None:
            options.report.write_text(report)
        found = verdicts(results)
        return 1 if any(found[one.key]["verdict"] == "survived" for one in chosen) else 0


if __name__ == "__main__":
    sys.exit(main())
