"""Files and folders that nobody but the user who runs AeroDash may read: keys, sessions, password hashes.

Uses the standard library only: the settings and the supervisor's start stand on it.
"""

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path


def folder(path: Path) -> None:
    """Make the folder and its parents if they are missing, and close it to other users. Raises OSError.

    A folder of another owner (a mounted volume) or one that is everybody's by design (/tmp) stays as open as it is.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = path.stat()
    if facts.st_uid == os.geteuid() and not facts.st_mode & stat.S_ISVTX and facts.st_mode & 0o077:
        path.chmod(0o700)


def write(path: Path, text: str) -> None:
    """Put the text into the file, in place of what was there; whoever reads meanwhile sees the one or the other."""
    with _beside(path, text) as fresh:
        fresh.replace(path)


def write_once(path: Path, text: str) -> None:
    """Like `write`, but a file that is there already, or that another process makes meanwhile, is left as it is."""
    with _beside(path, text) as fresh, contextlib.suppress(FileExistsError):
        os.link(fresh, path)


@contextlib.contextmanager
def _beside(path: Path, text: str) -> Iterator[Path]:
    """A file of mode 0600 with this text in the same folder, gone afterwards unless it was moved."""
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    fresh = Path(name)
    try:
        with open(number, "w", encoding="utf-8") as file:
            file.write(text)
        yield fresh
    finally:
        fresh.unlink(missing_ok=True)
