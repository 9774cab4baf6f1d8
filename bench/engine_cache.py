"""The cache engine beside plain redis-py, in one run: what auto-batching gives concurrent callers.

    python -m bench.engine_cache [--callers 64] [--seconds 3]

Each caller awaits one operation after another, as a request does. "one call a request" is redis-py's own client with a
connection pool: GET for a read, and the same Lua script for a write. Both talk to one embedded Valkey.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import redis.asyncio
import uvloop

from aerodash import embedded
from aerodash.ids import ProjectId
from cache_admin.engine import scripts
from cache_admin.engine.contract import NewEntry
from cache_admin.engine.valkey import ValkeyCache

P = ProjectId(1)
VALUE = json.dumps({"name": "Ines", "plan": "pro", "cart": [1, 2, 3]}).encode()
KEYS = [f"user:{i}" for i in range(1000)]
ROUNDS = 3


async def rate(callers: int, seconds: float, operation: Callable[[str], Awaitable[object]]) -> float:
    """Operations a second."""
    done = 0
    end = time.perf_counter() + seconds

    async def caller(number: int) -> None:
        nonlocal done
        i = number
        while time.perf_counter() < end:
            await operation(KEYS[i % len(KEYS)])
            done += 1
            i += 7

    started = time.perf_counter()
    await asyncio.gather(*(caller(number) for number in range(callers)))
    return done / (time.perf_counter() - started)


async def measure(url: str, callers: int, seconds: float) -> dict[str, float]:
    engine = ValkeyCache(url)
    await engine.open()
    plain = redis.asyncio.from_url(url, max_connections=callers)
    await engine.set_many(P, [NewEntry(key, VALUE) for key in KEYS])
    common = [f"{{{P}}}:{name}" for name in ("idx", "exp", "rev", "epoch")]

    async def engine_get(key: str) -> object:
        return await engine.get(P, key)

    async def plain_get(key: str) -> object:
        return await plain.get(f"{{{P}}}:v:{key}")

    async def engine_set(key: str) -> object:
        return await engine.set(P, NewEntry(key, VALUE))

    async def plain_set(key: str) -> object:
        return await plain.evalsha(
            scripts.SET.sha.decode(), 5, f"{{{P}}}:v:{key}", *common, "be0c4be0", key, VALUE, "", "", "", ""
        )

    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):  # taken in turn, so that a noisy neighbour disturbs all alike
        for name, operation in [
            ("get, engine", engine_get),
            ("get, one call a request", plain_get),
            ("set, engine", engine_set),
            ("set, one call a request", plain_set),
        ]:
            found.setdefault(name, []).append(await rate(callers, seconds / ROUNDS, operation))
    await engine.close()
    await plain.aclose()
    return {name: statistics.median(rates) for name, rates in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aerodash-bench-") as folder:
        server = embedded.start(Path(folder))
        try:
            rates = uvloop.run(measure(server.url, options.callers, options.seconds))
        finally:
            server.stop()
    for name, per_second in rates.items():
        print(f"{name:28}{per_second:10,.0f} /s")
    for verb in ("get", "set"):
        print(f"{verb} ratio: {rates[f'{verb}, engine'] / rates[f'{verb}, one call a request']:.2f}")


if __name__ == "__main__":
    main()
