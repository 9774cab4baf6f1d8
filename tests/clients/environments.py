"""Virtual environments of published clients, apart from our own: made once for each lock file and Python version."""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def locked(name: str) -> Path:
    """The interpreter of an environment with exactly what NAME.lock says."""
    lock = HERE / f"{name}.lock"
    home = ROOT / ".venv-clients" / name
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = home / "lock-digest"
    wanted = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    if not (stamp.is_file() and stamp.read_text() == wanted):
        venv.create(home, clear=True, with_pip=True)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([python, *install, "--requirement", lock], check=True)
        stamp.write_text(wanted)
    return python
