"""The job engine by itself, every answer after its fsync: enqueue one by one and in bulk, then lease and settle.

    python -m bench.engine_jobs [--database sqlite|postgres] [--seconds 3] [--folder DIR] [--finished 0]

Callers await one verb after another, as requests do; the engine groups what they ask for at the same time. Payloads
have 200 bytes. Nothing listens on Valkey: wakes are tried and given up, as when it is away.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench import installation

ENQUEUE_CALLERS = (1, 32, 128)
BATCH = 100
PAYLOAD = '{"to":"ines@example.com","text":"' + "x" * 166 + '"}'


def set_up(folder: Path, database_url: str) -> None:
    """A migrated database with one project. database_url: "" is SQLite in the folder."""
    folder.mkdir()
    os.environ["AERODASH_DATA"] = str(folder)
    os.environ["VALKEY_URL"] = f"unix://{folder}/nobody.sock"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aerodash.settings")
    os.environ.pop("DATABASE_URL", None)
    if database_url:
        os.environ["DATABASE_URL"] = database_url
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0, skip_checks=True)
    from aerodash.models import Project

    Project.objects.create(slug="bench", name="Bench")


async def main(seconds: float, finished: int) -> None:
    from aerodash import engines
    from jobs_admin.engine.contract import NewJob, RunResult, Who, WorkerInfo

    await engines.adopt()
    engine = engines.get("jobs")
    who, worker, job = (
        Who("key", "1", "bench", "api"),
        WorkerInfo("w", "bench", 1),
        NewJob("mail", PAYLOAD, len(PAYLOAD)),
    )
    project = 1

    async def per_second(callers: int, verb, amount: int = 1) -> tuple[float, float]:
        """Verbs a second times amount, and the median milliseconds of one."""
        took: list[float] = []
        done = 0
        end = time.perf_counter() + seconds

        async def caller() -> None:
            nonlocal done
            while (began := time.perf_counter()) < end:
                count = await verb()
                took.append(time.perf_counter() - began)
                done += amount if count is None else count
                if count == 0:
                    return

        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(callers)))
        return done / (time.perf_counter() - began), statistics.median(took) * 1000

    async def one() -> None:
        await engine.enqueue(project, who, [job])

    async def many() -> None:
        await engine.enqueue(project, who, [job] * 1000)

    async def work() -> int:
        leased = (await engine.lease(project, worker, types=None, limit=BATCH, lease_ms=30_000)).jobs
        results = [RunResult(j.id, j.lease_token, "completed", result="true") for j in leased]
        await engine.settle(project, who, results)
        return len(results)

    if finished:
        for _ in range(finished // 1000):
            await many()
            await work_all(engine, work, 1000)
        print(f"with {finished} finished jobs before")
    for callers in ENQUEUE_CALLERS:
        rate, ms = await per_second(callers, one)
        print(f"enqueue one by one, {callers:>3} callers: {rate:>8.0f} jobs/s, median {ms:.2f} ms")
    rate, ms = await per_second(1, many, 1000)
    print(f"enqueue 1000 a call,   1 caller : {rate:>8.0f} jobs/s, median {ms:.2f} ms")
    for callers in (1, 4):
        rate, ms = await per_second(callers, work)
        print(f"lease+settle {BATCH} a call, {callers:>2} workers: {rate:>6.0f} jobs/s, median {ms:.2f} ms")
    await engines.release()


async def work_all(engine, work, jobs: int) -> None:
    done = 0
    while done < jobs:
        done += await work()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; a temporary one by default")
    parser.add_argument("--finished", type=int, default=0, help="jobs that were completed before")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name, ExitStack() as stack:
        url = ""
        if args.database == "postgres":
            url = stack.enter_context(installation.postgres(Path(name) / "postgres"))
        set_up(Path(name) / "data", url)
        asyncio.run(main(args.seconds, args.finished))
