"""Install a lock file and this repository into .venv. Called by scripts/bootstrap, which knows when it is needed.

usage: install.py run|test LOCK < STAMP
Uses the standard library only: it runs before anything is installed.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
INSTALLING = VENV / "installing"


def main(kind: str, lock: str, stamp: bytes) -> None:
    """Bring .venv up to date; leaves the mark INSTALLING behind if it does not get to the end."""
    with open(ROOT / "scripts" / "install.py") as guard:  # two makes at once: the second waits for the first
        fcntl.flock(guard, fcntl.LOCK_EX)
        installed = VENV / f"installed-{kind}"
        if installed.exists() and installed.read_bytes() == stamp and not INSTALLING.exists() and usable():
            return
        if VENV.exists() and (INSTALLING.exists() or not usable()):
            say("The last installation did not finish; starting over.")
            shutil.rmtree(VENV)
        if not VENV.exists():
            create()
        INSTALLING.touch()
        say(f"Installing {lock} into .venv …")
        pip("install", "--require-hashes", "-r", lock)
        pip("install", "--no-deps", "--no-build-isolation", "-e", ".", "-e", "sdk/python")
        for old in VENV.glob("installed-*"):
            old.unlink()
        installed.write_bytes(stamp)
        INSTALLING.unlink()


def usable() -> bool:
    """Whether .venv has a Python that runs: it is a link to one that may have been removed or replaced."""
    try:
        check = "import sys; sys.exit(sys.version_info < (3, 12))"
        return subprocess.run([PYTHON, "-c", check], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def create() -> None:
    VENV.mkdir()
    INSTALLING.touch()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    say(f"Creating .venv with Python {version} ({sys.executable}) …")
    try:
        venv.create(VENV, with_pip=True, symlinks=True)
    except (subprocess.CalledProcessError, ImportError):
        sys.exit(
            f"Python {version} at {sys.executable} cannot create virtual environments: "
            f"install its venv and ensurepip modules (on Debian: apt install python{version}-venv)."
        )


def pip(*arguments: str) -> None:
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "-qq", *arguments]
    environment = {**os.environ, "PIP_REQUIRE_VIRTUALENV": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    if subprocess.run(command, cwd=ROOT, env=environment, stdout=sys.stderr, check=False).returncode != 0:
        sys.exit("The installation failed, see above. Once that is mended, run the same command again.")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2], sys.stdin.buffer.read())
    except KeyboardInterrupt:
        sys.exit(130)
