"""A small closed-loop HTTP load generator: N keep-alive connections, each sends its next request when answered.

It parses just enough of a reply to know where it ends, so that one Python process can keep a Python server busy.
Loopback only.
"""

import asyncio
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """Requests answered per second, latency percentiles in milliseconds, and replies that were not the status asked for."""

    per_second: float
    p50_ms: float
    p99_ms: float
    wrong: int


class _Caller(asyncio.Protocol):
    def __init__(
        self, request: bytes, want: bytes, until: float, taken: list[float], wrong: list[int]
    ) -> None:
        self._request, self._want, self._until, self._taken, self._wrong = request, want, until, taken, wrong
        self._buffer = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        at = head.lower().find(b"content-length:") + 15
        if len(body) < int(head[at : head.find(b"\r\n", at) if head.find(b"\r\n", at) > 0 else None]):
            return
        now = time.perf_counter()
        self._taken.append(now - self._sent)
        if head[9:12] != self._want:
            self._wrong.append(1)
        self._buffer = b""
        if now < self._until:
            self._send()
        else:
            self._transport.close()
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server closed the connection"))


async def run(
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
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    request = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    loop = asyncio.get_running_loop()
    taken: list[float] = []
    wrong: list[int] = []
    start = time.perf_counter()
    callers = [
        (
            await loop.create_connection(
                lambda: _Caller(request, b"%d" % want, start + seconds, taken, wrong), "127.0.0.1", port
            )
        )[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(caller.done for caller in callers))
    elapsed = time.perf_counter() - start
    taken.sort()
    return Result(
        per_second=len(taken) / elapsed,
        p50_ms=taken[len(taken) // 2] * 1000,
        p99_ms=taken[int(len(taken) * 0.99)] * 1000,
        wrong=len(wrong),
    )
