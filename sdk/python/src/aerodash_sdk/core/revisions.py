"""What a client has seen of its project, so that no replica shows it anything older than its own writes."""

import threading

HEADER = "X-Aerodash-Revision"
_READS = frozenset({"/cache/get", "/cache/getMany"})


class LastWrite:
    """The newest revision that this client's writes were answered with. Safe to share between threads."""

    def __init__(self) -> None:
        self._revision = ""
        self._lock = threading.Lock()

    def note(self, path: str, revision: str | None) -> None:
        """Take a reply's revision. A read's is the entry's own, and may be older."""
        if not revision or path in _READS:
            return
        with self._lock:
            if _is_newer(revision, self._revision):
                self._revision = revision

    def to_send(self, path: str) -> str:
        """What a call at this path should carry; "" for none."""
        return self._revision if path in _READS else ""


def _is_newer(one: str, other: str) -> bool:
    """<epoch>.<n>: within an epoch n tells; of two epochs the one heard of later is the newer."""
    epoch, _, n = one.partition(".")
    other_epoch, _, other_n = other.partition(".")
    if epoch != other_epoch or not (n.isdigit() and other_n.isdigit()):
        return True
    return int(n) > int(other_n)
