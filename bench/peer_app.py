"""One peer of bench.peers: both its client and the app that its worker loads. Runs in the peers' environment only.

    PEER=celery python -c "from bench import peer_app; peer_app.main()" setup | one N | bulk N | pickup N | worker

PEER_STAMPS: the file that the handler appends its start to. PEER_REDIS_PORT, PGHOST, PGUSER, PGDATABASE: its store.
"""

import asyncio
import inspect
import json
import os
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAYLOAD = {"user": 42, "note": "x" * 176}  # 200 bytes of JSON
MANY = 1000
REDIS = f"redis://127.0.0.1:{os.environ.get('PEER_REDIS_PORT', '')}/0"

_stamps = os.open(os.environ["PEER_STAMPS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def noop(argument: object) -> None:
    """The handler: about 2 us."""
    os.write(_stamps, struct.pack("<d", time.monotonic()))


async def anoop(argument: object) -> None:
    noop(argument)


@dataclass
class Peer:
    """How one product enqueues and works. What may be awaited is; what a product lacks is None.

    work: runs the worker in this process. command: or the product's own program does, which loads `app` from here.
    """

    one: Callable[[object], Any]
    bulk: Callable[[list[object]], Any] | None = None
    open: Callable[[], Any] | None = None
    setup: Callable[[], Any] | None = None
    work: Callable[[], Any] | None = None
    command: tuple[str, ...] = ()
    app: Any = None


def celery() -> Peer:
    from celery import Celery

    made = Celery("bench.peer_app", broker=REDIS)
    made.conf.task_ignore_result = True
    task = made.task(noop, name="noop")
    return Peer(
        task.delay,
        command=("celery", "-A", "bench.peer_app", "worker", "-P", "prefork", "-c", "2", "-l", "ERROR"),
        app=made,
    )


def rq() -> Peer:
    """Its worker without a fork a job, which is its faster one."""
    import redis
    import rq

    queue = rq.Queue("peers", connection=redis.Redis.from_url(REDIS))

    def bulk(arguments: list[object]) -> None:
        queue.enqueue_many([rq.Queue.prepare_data(noop, (argument,)) for argument in arguments])

    command = ("rq", "worker", "-q", "-u", REDIS, "-w", "rq.SimpleWorker", "peers")
    return Peer(lambda argument: queue.enqueue(noop, argument), bulk, command=command)


def dramatiq() -> Peer:
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    dramatiq.set_broker(RedisBroker(url=REDIS))
    actor = dramatiq.actor(noop, actor_name="noop")
    return Peer(actor.send, command=("dramatiq", "bench.peer_app", "--processes", "1", "--threads", "8"))


def huey() -> Peer:
    from huey import RedisHuey

    made = RedisHuey("peers", url=REDIS, results=False)
    task = made.task(name="noop")(noop)
    return Peer(
        task, command=("huey_consumer", "bench.peer_app.app", "-k", "thread", "-w", "4", "-q"), app=made
    )


def saq() -> Peer:
    import saq

    queue = saq.Queue.from_url(REDIS)

    async def handler(context: object, *, argument: object) -> None:
        noop(argument)

    return Peer(
        lambda argument: queue.enqueue("noop", argument=argument),
        open=queue.connect,
        work=lambda: saq.Worker(queue, [("noop", handler)], concurrency=20).start(),
    )


def procrastinate() -> Peer:
    import procrastinate

    made = procrastinate.App(connector=procrastinate.PsycopgConnector())
    task = made.task(name="noop")(anoop)
    return Peer(
        lambda argument: task.defer_async(argument=argument),
        lambda arguments: task.batch_defer_async(*({"argument": argument} for argument in arguments)),
        open=made.open_async,
        setup=made.schema_manager.apply_schema_async,
        work=lambda: made.run_worker_async(concurrency=10),
    )


def pgqueuer() -> Peer:
    import asyncpg
    import pgqueuer
    from pgqueuer.db import AsyncpgDriver

    opened: dict[str, Any] = {}

    async def connect() -> None:
        opened["driver"] = AsyncpgDriver(await asyncpg.connect())
        opened["queries"] = pgqueuer.Queries(opened["driver"])

    async def work() -> None:
        worker = pgqueuer.PgQueuer(opened["driver"])

        @worker.entrypoint("noop")
        async def handler(job: Any) -> None:
            noop(json.loads(job.payload))

        await worker.run(batch_size=100)

    def bulk(arguments: list[object]) -> Any:
        payloads = [json.dumps(argument).encode() for argument in arguments]
        return opened["queries"].enqueue(["noop"] * len(payloads), payloads, [0] * len(payloads))

    return Peer(
        lambda argument: opened["queries"].enqueue("noop", json.dumps(argument).encode()),
        bulk,
        open=connect,
        setup=lambda: opened["queries"].install(),
        work=work,
    )


PEERS: dict[str, Callable[[], Peer]] = {
    made.__name__: made for made in (celery, rq, dramatiq, huey, saq, procrastinate, pgqueuer)
}

peer = PEERS[os.environ["PEER"]]()
app = peer.app


async def client(mode: str, amount: int) -> dict[str, float]:
    """What the mode measures of this peer's client; nothing for a mode that it lacks."""
    await _call(peer.open)
    if mode == "setup":
        await _call(peer.setup)
    elif mode == "worker":
        await _call(peer.work)
    elif mode == "pickup":
        return await _pickup(amount)
    elif mode == "one":
        await _call(peer.one, PAYLOAD)  # connects
        began = time.monotonic()
        for _ in range(amount):
            await _call(peer.one, PAYLOAD)
        return {"per_second": amount / (time.monotonic() - began)}
    elif mode == "bulk" and peer.bulk:
        began = time.monotonic()
        for _ in range(amount // MANY):
            await _call(peer.bulk, [PAYLOAD] * MANY)
        return {"per_second": amount / (time.monotonic() - began)}
    return {}


async def _pickup(samples: int) -> dict[str, float]:
    took = []
    for _ in range(samples):
        before, began = os.fstat(_stamps).st_size, time.monotonic()
        await _call(peer.one, PAYLOAD)
        while os.fstat(_stamps).st_size == before:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.001)
        took.append((_stamp(before) - began) * 1000)
        await asyncio.sleep(0.015)
    took.sort()
    return {"p50": took[samples // 2], "p99": took[int(samples * 0.99)]}


def _stamp(offset: int) -> float:
    with open(os.environ["PEER_STAMPS"], "rb") as file:
        file.seek(offset)
        (at,) = struct.unpack("<d", file.read(8))
    return float(at)


async def _call(function: Callable[..., Any] | None, *arguments: object) -> None:
    if function is not None:
        answer = function(*arguments)
        if inspect.isawaitable(answer):
            await answer


def main() -> None:
    mode, *amount = sys.argv[1:]
    if mode == "worker" and peer.command:
        program, *arguments = peer.command
        os.execv(Path(sys.executable).with_name(program), [program, *arguments])
    found = asyncio.run(client(mode, *map(int, amount or ["0"])))
    print(json.dumps(found), flush=True)
    os._exit(0)  # some clients leave threads behind
