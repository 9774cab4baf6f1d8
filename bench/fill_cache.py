"""Fill a project's cache with keys, through the engine's own verb for many writes: what the API's setMany would have left.

    python -m bench.fill_cache [--keys 10000000] [--project SLUG]     with AERODASH_DATA, or VALKEY_URL and DATABASE_URL

The keys lie in a hundred folders of equal size, `d00:` to `d99:`, with JSON of 100 bytes; every twentieth expires in ten
days, every twentieth has metadata. They come in byte order within each process's share, as a backfill would send them.
Several processes, each with several calls under way, keep the store busy: one alone packs a call while the store waits.
"""

import argparse
import asyncio
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import batched

from aerodash.ids import ProjectId
from cache_admin.engine.contract import NewEntry
from cache_admin.engine.valkey import ValkeyCache

FOLDERS = 100
VALUE_BYTES = 100
SHARE = 50_000
BATCH = 500
PROCESSES = 2
LINKS = 2
CALLS_A_LINK = 2
TTL_S = 10 * 24 * 3600
METADATA = b'{"source":"bench","version":3}'


def key(number: int, keys: int) -> str:
    """The key of this number, from 0, of a space of so many: in byte order, a hundredth of them in each folder."""
    a_folder = keys // FOLDERS
    return f"d{number // a_folder:02d}:{number % a_folder:07d}"


def fill(url: str, project: ProjectId, keys: int, *, say: Callable[[str], None] = print) -> float:
    """Write the keys; returns how many a second. keys: a multiple of 100."""
    if keys % FOLDERS:
        raise ValueError(f"{keys} keys do not fill {FOLDERS} folders evenly.")
    began, done = time.perf_counter(), 0
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        shares = [
            pool.submit(_fill, url, project, first, min(first + SHARE, keys), keys)
            for first in range(0, keys, SHARE)
        ]  # whoever is ahead takes the next one
        for number, share in enumerate(as_completed(shares), 1):
            done += share.result()
            if number % 10 == 0:
                say(f"{done:,} keys, {done / (time.perf_counter() - began):,.0f} a second")
    return done / (time.perf_counter() - began)


def _fill(url: str, project: ProjectId, first: int, beyond: int, keys: int) -> int:
    return asyncio.run(_write(url, project, first, beyond, keys))


async def _write(url: str, project: ProjectId, first: int, beyond: int, keys: int) -> int:
    """Write the keys of these numbers."""
    batches = batched(_entries(first, beyond, keys), BATCH)
    engines = [ValkeyCache(url) for _ in range(LINKS)]
    for engine in engines:
        await engine.open()

    async def caller(engine: ValkeyCache) -> None:
        for batch in batches:
            await engine.set_many(project, batch)

    try:
        await asyncio.gather(*(caller(engine) for engine in engines for _ in range(CALLS_A_LINK)))
    finally:
        for engine in engines:
            await engine.close()
    return beyond - first


def _entries(first: int, beyond: int, keys: int) -> Iterator[NewEntry]:
    for number in range(first, beyond):
        text = b'{"id":%d,"name":"' % number
        yield NewEntry(
            key(number, keys),
            text + b"x" * (VALUE_BYTES - len(text) - 2) + b'"}',
            TTL_S if number % 20 == 1 else None,
            METADATA if number % 20 == 2 else None,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keys", type=int, default=10_000_000, help="a multiple of 100")
    parser.add_argument("--project", default="main")
    args = parser.parse_args()
    from aerodash.cli import environment

    settings = environment.django()
    from aerodash.models import Project

    project = Project.objects.get(slug=args.project)
    rate = fill(settings.VALKEY_URL, ProjectId(project.pk), args.keys)
    print(f"{args.keys:,} keys at {rate:,.0f} a second")


if __name__ == "__main__":
    main()
