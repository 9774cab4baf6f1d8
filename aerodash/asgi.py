"""The one ASGI application: express lane, console sockets, and Django with its ninja lane and pages.

It also owns the lifespan protocol, which Django and Channels do not: engines open on the server's loop before the
first request, and answer what they hold before the process exits.
"""

import asyncio
import logging
import os
import re
import signal
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aerodash.settings")
django.setup(set_prefix=False)

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import URLRouter  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.handlers.asgi import ASGIHandler, ASGIRequest  # noqa: E402

from aerodash import engines, health, limits  # noqa: E402
from aerodash.errors import AeroDashError  # noqa: E402
from aerodash.middleware import new_request_id  # noqa: E402
from aerodash.realtime.consumer import say_restarting  # noqa: E402
from aerodash.realtime.routing import websocket_urlpatterns  # noqa: E402
from aerodash.static_files import StaticFiles  # noqa: E402
from aerodash.urls import ring  # noqa: E402
from aerodash.wire import execute as wire  # noqa: E402
from aerodash.wire import express  # noqa: E402
from aerodash.wire.express import Receive, Scope, Send  # noqa: E402
from aerodash.wire.rpc import PATH as RPC_PATH  # noqa: E402

log = logging.getLogger(__name__)

FINISH_S = 8.0
_DOCUMENTS = {"/v1/docs", "/v1/openapi.json"}
_SLASHES = re.compile("//+")
_PREFIXES = ("/v1/", "/internal/", "//")


class Application:
    """Routes by the shape of the scope. express: serve wire operations on the express lane (else through ninja)."""

    def __init__(self, *, express: bool) -> None:
        self.express = express
        self._ninja_lane = _ApiHandler()
        self._pages = StaticFiles(ASGIHandler())
        self._sockets = AuthMiddlewareStack(URLRouter(websocket_urlpatterns))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            path = scope["path"]
            if path.startswith(_PREFIXES):  # clients whose base URL ends in a slash ask for /v1//cache/get
                path = scope["path"] = _SLASHES.sub("/", path)
                if path == RPC_PATH:  # which clients know without a version
                    path = scope["path"] = wire.PREFIX + path
                scope["raw_path"] = path.encode()
            if not path.startswith("/v1/") and path != "/v1":
                if path in health.PATHS:
                    await health.serve(scope, send)
                elif _content_length(scope) > limits.PAGE_BYTES:
                    await _refuse_length(send)
                else:
                    await self._pages(scope, _bounded(receive), send)
            elif scope["method"] == "OPTIONS":
                await _preflight(scope, send)
            elif path in _DOCUMENTS:
                await self._pages(scope, receive, send)
            elif self.express:
                await express.serve(ring, scope, receive, send)
            else:
                await self._ninja(scope, receive, send)
        elif kind == "websocket":
            if _is_own_page(express.headers_of(scope)):
                await self._sockets(scope, receive, send)
            else:
                await send({"type": "websocket.close"})
        elif kind == "lifespan":
            await _lifespan(receive, send)

    async def _ninja(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand an API request to Django, which would spool a body of any length: so read it here, within bounds."""
        headers = express.headers_of(scope)
        principal = None
        try:
            wire.find(scope["path"], scope["method"])
            principal = await wire.identify(ring, headers)
            wire.check_length(headers)
            body = await express.read_body(receive)
        except Exception as exc:  # noqa: BLE001 - the lane's one translator before Django
            await express.reply(send, wire.refuse(exc, _request_id(headers), headers, principal))
            return
        await self._ninja_lane(scope, _replay(body, receive), send)


class _ApiRequest(ASGIRequest):
    """An API request. Its key says whom it is for, so the Host, which pages check, is of no account."""

    def get_host(self) -> str:
        return self.META.get("HTTP_HOST", "")


class _ApiHandler(ASGIHandler):
    request_class = _ApiRequest


def _is_own_page(headers: dict[str, str]) -> bool:
    """Whether a socket is opened by a page of this console: browsers send cookies along whoever asks.

    The same host as the request's, as for forms, or the public URL's where a proxy changes the Host header.
    """
    origin = headers.get("origin", "")
    host = urlsplit(origin).netloc
    return bool(host) and (origin in settings.CSRF_TRUSTED_ORIGINS or host == headers.get("host"))


def _replay(body: bytes, receive: Receive) -> Receive:
    """A receive that gives a body once and then whatever the server says next (that the caller hung up)."""
    first: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> MutableMapping[str, Any]:
        return first.pop() if first else await receive()

    return replayed


def _content_length(scope: Scope) -> int:
    length = express.headers_of(scope).get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0


async def _refuse_length(send: Send) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    said = f"The request is larger than {limits.PAGE_BYTES} bytes.\n".encode()
    await send({"type": "http.response.body", "body": said})


def _bounded(receive: Receive) -> Receive:
    """A receive that hangs up on a body longer than any page takes: Django would write all of it to disk, whoever asks."""
    size_bytes = 0

    async def bounded() -> MutableMapping[str, Any]:
        nonlocal size_bytes
        message = await receive()
        size_bytes += len(message.get("body", b""))
        return {"type": "http.disconnect"} if size_bytes > limits.PAGE_BYTES else message

    return bounded


async def _preflight(scope: Scope, send: Send) -> None:
    headers = express.headers_of(scope)
    origin = headers.get("origin", "")
    request_id = _request_id(headers)
    try:
        answer = wire.preflight(request_id, origin, bool(origin) and await ring.knows_origin(origin))
    except AeroDashError as exc:
        answer = wire.refuse(exc, request_id)
    await express.reply(send, answer)


def _request_id(headers: dict[str, str]) -> str:
    return new_request_id(headers.get("x-request-id", ""))


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                await engines.adopt()
            except Exception as exc:
                log.exception("the engines did not open")
                await send({"type": "lifespan.startup.failed", "message": str(exc)})
                raise
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _about_to_end)
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            for task in _ending:
                task.cancel()
            await engines.release()
            await send({"type": "lifespan.shutdown.complete"})
            return


_ending: list[asyncio.Task[None]] = []


def _about_to_end() -> None:
    """`aerodash web` says so shortly before SIGTERM: the server would wait for long polls, and cut sockets off."""
    loop = asyncio.get_running_loop()
    _ending.extend([loop.create_task(_end_waits()), loop.create_task(_cut_off())])


async def _end_waits() -> None:
    await engines.drain()
    await say_restarting()


async def _cut_off() -> None:
    """The server waits for every request, even one whose caller never sends the rest: end without those."""
    await asyncio.sleep(FINISH_S)
    log.warning("requests that were not over after %g s are cut off", FINISH_S)
    await engines.release()
    os._exit(0)


application = Application(express=settings.AERODASH_EXPRESS)
