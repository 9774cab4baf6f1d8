"""Spin, as the tests run it: job.pml with some guards taken out, one scenario, and what Spin makes of it.

    python -m tests.model.spin        every scenario, also the deep ones; prints how many states each has

Spin writes a C program (pan) that visits every state; it is compiled and run in a folder of its own.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
MODEL = FOLDER / "job.pml"
TABLE: dict[str, Any] = tomllib.loads((FOLDER / "variants.toml").read_text())
DEPTH = 200_000


@dataclass(frozen=True)
class Verdict:
    """broken: the property that fell, or "" if Spin saw every state and none did."""

    broken: str
    states: int
    seconds: float


def find() -> str:
    """The path of a Spin that runs, installed first if need be and possible. Raises RuntimeError with what to do."""
    found = subprocess.run(
        [FOLDER.parents[1] / "scripts" / "spin"], capture_output=True, text=True, check=False
    )
    if found.returncode:
        raise RuntimeError(found.stderr.strip().splitlines()[-1])
    return found.stdout.strip()


def check(
    spin: str, scenario: Mapping[str, int], *, without: Sequence[str] = (), live: bool = False
) -> Verdict:
    """Visit every state of a scenario; live: check that each job ends, under weak fairness, instead of each step."""
    began = time.monotonic()
    switches = [f"-D{name}={value}" for name, value in scenario.items()]
    switches += [f"-D{guard}=0" for guard in without] + (["-DLIVENESS"] if live else [])
    with tempfile.TemporaryDirectory(prefix="aerodash-spin-") as folder:

        def run(*command: str) -> str:
            ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if ended.returncode:
                raise RuntimeError(f"{' '.join(command)}: {ended.stdout[-2000:]}{ended.stderr[-2000:]}")
            return ended.stdout

        shutil.copy(MODEL, folder)  # the trail of a counterexample is written beside its model
        run(spin, "-a", *switches, MODEL.name)
        kind = ["-DNFAIR=4"] if live else ["-DSAFETY"]
        # Optimising costs more than it saves where the first counterexample ends the search.
        run("cc", "-w", "-O2" if not without else "-O0", "-DCOLLAPSE", *kind, "-o", "pan", "pan.c")
        said = run("./pan", f"-m{DEPTH}", "-w22", *(["-a", "-f"] if live else []))
        if "max search depth too small" in said or "errors:" not in said:
            raise RuntimeError(f"the search was not complete:\n{said[-2000:]}")
        states = int(re.search(r"(\d+) states, stored", said)[1])  # type: ignore[index]
        broken = ""
        if " errors: 0" not in said:
            broken = "no_job_is_lost" if live else _assertion(run(spin, "-t", *switches, MODEL.name))
        return Verdict(broken, states, time.monotonic() - began)


def _assertion(replay: str) -> str:
    """The name of the property whose assertion ended a replayed counterexample."""
    line = int(re.search(r"job\.pml:(\d+), Error: assertion violated", replay)[1])  # type: ignore[index]
    return re.search(r"assert\(!(\w+)\)", MODEL.read_text().splitlines()[line - 1])[1]  # type: ignore[index]


def main() -> int:
    spin = find()
    wrong = 0
    for title, live in (("scenarios", False), ("deep", False), ("live", True)):
        for name, scenario in TABLE[title].items():
            verdict = check(spin, scenario, live=live)
            wrong += bool(verdict.broken)
            print(
                f"{title:9} {name:20} {verdict.states:>11,} states {verdict.seconds:6.1f} s  "
                f"{verdict.broken or 'holds'}",
                flush=True,
            )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
