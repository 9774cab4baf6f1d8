"""Handlers for the worker processes that tests stop, pause and kill, and that kill themselves."""

import asyncio
import ctypes
import os
import sys
import threading

from aerodash_sdk import Client
from aerodash_sdk.worker import Job, Worker

worker = Worker(
    lease_s=int(os.environ.get("TEST_LEASE_S", "2")),
    grace_s=120,
    wait_s=5,
    limit_grace_s=0.5,
    prefetch=int(os.environ["TEST_PREFETCH"]) if "TEST_PREFETCH" in os.environ else None,
)


def say_begun(job: Job) -> None:
    with Client() as client:
        client.cache.set(f"begun:{job.id}", job.attempts)


@worker.job("slow")
def slow(job: Job) -> dict[str, object]:
    """Say that it began, then go on until the test allows it to end."""
    with Client() as client:
        client.cache.set(f"begun:{job.id}", job.attempts)
        while not client.cache.has(f"may-end:{job.id}"):
            job.wait_cancelled(0.02)
    return {"by": "process", "pid": os.getpid()}


@worker.job("slow-async")
async def slow_async(job: Job) -> None:
    """Wait until it is cancelled, and say that it was."""
    try:
        await asyncio.to_thread(say_begun, job)
        await asyncio.sleep(600)
    except asyncio.CancelledError:
        with Client() as client:
            client.cache.set(f"cleaned-up:{job.id}", True)
        raise


@worker.job("exit-hard")
def exit_hard(job: Job) -> None:
    """End the process, once; the second run completes."""
    if job.attempts == 1:
        os._exit(3)


@worker.job("exit-softly")
def exit_softly(job: Job) -> None:
    sys.exit("no more of this")


@worker.job("segfault")
def segfault(job: Job) -> None:
    if job.attempts == 1:
        ctypes.string_at(0)


@worker.job("eat-memory")
def eat_memory(job: Job) -> None:
    eaten = []
    while job.attempts == 1:
        if len(eaten) < 64:  # twice the limit, however late the parent looks
            eaten.append(bytearray(8 * 1024 * 1024))
        job.wait_cancelled(0.01)


@worker.job("hang", timeout_s=1)
def hang(job: Job) -> None:
    """Heed nothing, once; the second run completes."""
    if job.attempts == 1:
        wait_for_ever()


def wait_for_ever() -> None:
    threading.Event().wait()


@worker.job("hang-async", timeout_s=1)
async def hang_async(job: Job) -> None:
    if job.attempts == 1:
        await sleep_for_ever()


async def sleep_for_ever() -> None:
    await asyncio.get_running_loop().create_future()


@worker.job("block-loop", timeout_s=1)
async def block_loop(job: Job) -> None:
    """Hold the event loop itself, once; the second run completes."""
    if job.attempts == 1:
        wait_for_ever()
