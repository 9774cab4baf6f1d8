"""/healthz says that this process answers; /readyz says whether all that it needs answers too.

Neither asks for a key, because load balancers call them, so neither tells more than the names of parts and, of one that
does not answer, the message that callers of the API get: never an address or a driver's words.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from aerodash import engines
from aerodash.errors import AeroDashError

PATHS = {"/healthz", "/readyz"}
_CHECK_S = 2.0

type Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def serve(scope: MutableMapping[str, Any], send: Send) -> None:
    """Answer a request for one of PATHS, whatever its method; a HEAD without the body."""
    status, body = (200, {"status": "ok"}) if scope["path"] == "/healthz" else await readiness()
    content = msgspec.json.encode(body)
    headers = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"content-length", b"%d" % len(content)),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})


async def readiness() -> tuple[int, dict[str, object]]:
    """(200 or 503, {"status", "checks": {part: "ok" or why not}})."""
    names = engines.names()
    results = await asyncio.gather(*(_check(name) for name in names))
    checks = dict(zip(names, results, strict=True))
    ready = bool(checks) and all(result == "ok" for result in results)
    return (200 if ready else 503), {"status": "ok" if ready else "degraded", "checks": checks}


async def _check(name: str) -> str:
    try:
        async with asyncio.timeout(_CHECK_S):
            await engines.get(name).check()
    except AeroDashError as exc:
        return exc.message
    except TimeoutError:
        return f"no answer within {_CHECK_S:.0f} s"
    return "ok"
