"""A closed-loop HTTP load generator: N keep-alive connections, each sends its next request when it was answered.

Requests are bytes made beforehand, and of a reply it parses just enough to know where it ends: about 10 us each, so
that it leaves the machine to the server that it measures. Loopback only.
"""

import json
import selectors
import socket
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """Requests answered per second, latency percentiles in milliseconds, and replies that were not the status asked for."""

    per_second: float
    p50_ms: float
    p99_ms: float
    wrong: int


class Connection:
    """One kept-alive connection to a server on 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at = 0.0
        self._buffer = b""

    def send(self, request: bytes) -> None:
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> tuple[int, bytes] | None:
        """(status, body) once the reply is whole; None while more of it is to come."""
        data = self.socket.recv(262_144)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._buffer = data = self._buffer + data if self._buffer else data
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            return None
        at = data[:end].lower().find(b"content-length:") + 15
        if len(data) < end + int(data[at : data.find(b"\r", at)]):
            return None
        self._buffer = b""
        return int(data[9:12]), data[end:]

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send and wait for the whole reply."""
        self.send(request)
        while (answer := self.receive()) is None:
            pass
        return answer

    def close(self) -> None:
        self.socket.close()


def request(port: int, path: str, body: object, headers: dict[str, str]) -> bytes:
    """A POST of JSON as it goes over the wire. body: bytes are taken as JSON text."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def run(
    port: int,
    path: str,
    body: bytes,
    headers: dict[str, str],
    *,
    connections: int,
    seconds: float,
    want: int = 200,
) -> Result:
    """Load one route of a server on 127.0.0.1 for some seconds."""
    sends = request(port, path, body, headers)
    taken: list[float] = []
    wrong = 0
    clock = time.perf_counter
    with selectors.DefaultSelector() as selector:
        callers = [Connection(port) for _ in range(connections)]
        for caller in callers:
            selector.register(caller.socket, selectors.EVENT_READ, caller)
        start = now = clock()
        for caller in callers:
            caller.send(sends)
        busy = connections
        while busy:
            ready = selector.select(60)
            if not ready:
                raise TimeoutError(f"{path}: no reply within 60 s")
            for key, _ in ready:
                caller = key.data
                answer = caller.receive()
                if answer is None:
                    continue
                now = clock()
                taken.append(now - caller.sent_at)
                wrong += answer[0] != want
                if now - start < seconds:
                    caller.send(sends)
                else:
                    busy -= 1
        for caller in callers:
            caller.close()
    taken.sort()
    return Result(
        per_second=len(taken) / (now - start),
        p50_ms=taken[len(taken) // 2] * 1000,
        p99_ms=taken[int(len(taken) * 0.99)] * 1000,
        wrong=wrong,
    )
