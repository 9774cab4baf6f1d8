"""Loopback ports for processes that tests start: a process gets a number, and binds it a second later."""

import random
import socket
from pathlib import Path

LOWEST = 15_000
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_given: set[int] = set()


def free_port() -> int:
    """A port that nothing listens on, and that this process has given to nobody else.

    From below those that the kernel takes for outgoing connections: one of these would be gone now and then by the
    time it is bound, and whoever connects to it while nothing listens may meet itself.
    """
    first_outgoing = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32_768
    ports = range(LOWEST, first_outgoing) if first_outgoing > LOWEST + 1_000 else range(LOWEST, 32_768)
    while True:
        port = random.choice(ports)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
