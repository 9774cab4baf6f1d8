"""What a cache entry costs the store in memory, beside a plain SET of the same key and value.

    python -m bench.cache_memory [--keys 200000]

Fills an embedded Valkey through the engine's own verbs, and another with SET, and divides what used_memory grew by.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

import redis.asyncio

from aerodash import embedded
from aerodash.ids import ProjectId
from cache_admin.engine.contract import NewEntry
from cache_admin.engine.valkey import ValkeyCache

P = ProjectId(123)
AT_ONCE = 1000
TTL_S = 30 * 86_400
CASES = [(size, ttl) for size in (20, 100, 200) for ttl in (False, True)]


def key_of(number: int) -> str:
    return f"user:{100_000 + number}:profile:7"


async def used(client: redis.asyncio.Redis) -> int:
    return int((await client.info("memory"))["used_memory"])


async def plain(url: str, keys: int, value: bytes, ttl_s: int | None) -> float:
    """Bytes a key of plain SET."""
    client = redis.asyncio.from_url(url)
    before = await used(client)
    for start in range(0, keys, AT_ONCE):
        async with client.pipeline(transaction=False) as pipe:
            for number in range(start, min(start + AT_ONCE, keys)):
                pipe.set(key_of(number), value, ex=ttl_s)
            await pipe.execute()
    grown = await used(client) - before
    await client.aclose()
    return grown / keys


async def ours(url: str, keys: int, value: bytes, ttl_s: int | None) -> float:
    """Bytes a key of the engine's set_many."""
    client = redis.asyncio.from_url(url)
    engine = ValkeyCache(url)
    await engine.open()
    await engine.set(P, NewEntry("warm-up", b"1"))  # the scripts and connections are not the keys'
    before = await used(client)
    for start in range(0, keys, AT_ONCE):
        some = range(start, min(start + AT_ONCE, keys))
        await engine.set_many(P, [NewEntry(key_of(number), value, ttl_s) for number in some])
    grown = await used(client) - before
    await engine.close()
    await client.aclose()
    return grown / keys


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--keys", type=int, default=200_000)
    keys = parser.parse_args().keys
    print(f"{'value':>8}  {'ttl':5}{'SET':>8}{'entry':>8}{'ratio':>8}")
    for size, has_ttl in CASES:
        value, ttl_s = b'"' + b"x" * (size - 2) + b'"', TTL_S if has_ttl else None
        grown = []
        for fill in (plain, ours):  # a server each: what one case frees must not serve the next
            with tempfile.TemporaryDirectory(prefix="aerodash-bench-") as folder:
                server = embedded.start(Path(folder))
                try:
                    grown.append(asyncio.run(fill(server.url, keys, value, ttl_s)))
                finally:
                    server.stop()
        set_bytes, entry_bytes = grown
        ttl = "yes" if has_ttl else "no"
        print(f"{size:8}  {ttl:5}{set_bytes:8.0f}{entry_bytes:8.0f}{entry_bytes / set_bytes:8.2f}")


if __name__ == "__main__":
    main()
