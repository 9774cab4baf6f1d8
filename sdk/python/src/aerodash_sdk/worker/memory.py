"""How much memory a process uses, and how a limit is written."""

import os
import re
import subprocess

_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def parse_bytes(text: str | int) -> int:
    """A number of bytes from text such as 512M, 2G or 300000. Raises ValueError."""
    found = re.fullmatch(r"(\d+)\s*([KMG]?)i?B?", str(text).strip(), re.IGNORECASE)
    if not found or not int(found[1]):
        raise ValueError(f"{text!r} is not an amount of memory: 512M and 2G are some.")
    return int(found[1]) * _UNITS[found[2].upper()]


def written(size: int) -> str:
    """For people, in MiB."""
    return f"{size / 1024**2:.0f} MiB"


def resident_bytes(pid: int) -> int | None:
    """The resident memory of a process; None if it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except FileNotFoundError:
        if os.path.isdir("/proc/self"):
            return None
    except (ProcessLookupError, IndexError):
        return None
    done = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return int(done.stdout) * 1024 if done.stdout.strip().isdigit() else None
