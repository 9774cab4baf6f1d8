"""Carries calls to the server over kept-alive connections; the only module that knows the HTTP library."""

import contextlib
import socket
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from aerodash_sdk._version import __version__
from aerodash_sdk.core.errors import NotSent, ReplyLost
from aerodash_sdk.core.request import Request
from aerodash_sdk.core.settings import Endpoint

CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class RawReply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """A pool of connections to one server. Safe to share between threads."""

    def __init__(self, endpoint: Endpoint, *, timeout_s: float, pool_size: int) -> None:
        """timeout_s: how long to wait for a reply, beyond what a long poll asks for."""
        self._base = urllib3.util.parse_url(endpoint.url).path or ""
        self._timeout_s = timeout_s
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._cut = threading.Event()
        self._pool = urllib3.connectionpool.connection_from_url(
            endpoint.url,
            maxsize=pool_size,
            headers={
                "X-Aerostack-Key": endpoint.api_key,
                "Content-Type": "application/json",
                "Accept": "application/json",
                "User-Agent": f"aerodash-sdk/{__version__}/python",
            },
        )
        self._pool.ConnectionCls = _watched(self._pool.ConnectionCls, self._connected)

    def send[T](self, call: Request[T], *, headers: Mapping[str, str] | None = None) -> RawReply:
        """One try. headers: beside the usual ones. Raises NotSent if the server was surely not reached, else ReplyLost."""
        if self._cut.is_set():
            raise NotSent("The connections of this client have been cut.")
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=self._timeout_s + call.wait_s)
        where = f"{self._pool.scheme}://{self._pool.host}:{self._pool.port}"
        try:
            reply = self._pool.urlopen(
                "POST",
                self._base + call.path,
                body=call.body,
                headers={**self._pool.headers, **headers} if headers else None,
                timeout=timeout,
                retries=False,
                redirect=False,
            )
        except (NewConnectionError, ConnectTimeoutError) as exc:
            raise NotSent(f"{where} cannot be reached: {_why(exc)}") from exc
        except HTTPError as exc:
            raise ReplyLost(f"{where}{self._base}{call.path} gave no reply: {_why(exc)}") from exc
        return RawReply(reply.status, reply.headers, reply.data)

    def cut(self) -> None:
        """Break every connection now, from any thread: calls under way fail, and later ones are refused."""
        self._cut.set()
        for connection in [*self._sockets]:
            _shut(connection)

    def close(self) -> None:
        """Close the idle connections. Calls made later open new ones."""
        self._pool.close()

    def _connected(self, connection: socket.socket) -> None:
        self._sockets.add(connection)
        if self._cut.is_set():
            _shut(connection)


def _watched[C: type](connection_class: C, connected) -> C:  # type: ignore[no-untyped-def]
    """The same class of connection, which tells when it has connected."""

    class Watched(connection_class):  # type: ignore[misc,valid-type]
        def connect(self) -> None:
            super().connect()
            connected(self.sock)

    return Watched  # type: ignore[return-value]


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # already closed, by its owner or by the other side
        # The plain socket's method, below TLS: another thread is reading, and must see the end of the stream.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _why(exc: HTTPError) -> str:
    return str(exc.__cause__ or exc)
