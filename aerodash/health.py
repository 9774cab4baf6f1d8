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
    """(200 or 503, {"status", "checks": {part: "ok" or why not}}).

    Where a replica answers reads of a part, "replicas" says how it stands; one that is away costs nothing but speed,
    and so makes nothing unready.
    """
    names = engines.names()
    results = await asyncio.gather(*(_check(name) for name in names))
    checks = dict(zip(names, results, strict=True))
    ready = bool(checks) and all(result == "ok" for result in results)
    body: dict[str, object] = {"status": "ok" if ready else "degraded", "checks": checks}
    states = await asyncio.gather(*(_replica(name) for name in names))
    if replicas := {name: state for name, state in zip(names, states, strict=True) if state is not None}:
        body["replicas"] = replicas
    return (200 if ready else 503), body


async def _check(name: str) -> str:
    try:
        async with asyncio.timeout(_CHECK_S):
            await engines.get(name).check()
    except AeroDashError as exc:
        return exc.message
    except TimeoutError:
        return f"no answer within {_CHECK_S:.0f} s"
    return "ok"


async def _replica(name: str) -> dict[str, object] | None:
    """How a part's replica stands, None where it has none or that cannot be told now."""
    ask = getattr(engines.get(name), "replica_state", None) if name in engines.names() else None
    if ask is None:
        return None
    try:
        async with asyncio.timeout(_CHECK_S):
            state = await ask()
    except (AeroDashError, TimeoutError):
        return None
    if state is None:
        return None
    return {
        "answers": state.answers,
        "follows": state.follows,
        "lagBytes": state.lag_bytes,
        "silentSeconds": state.silent_s,
        "served": state.served,
        "behind": state.behind,
        "away": state.away,
    }
