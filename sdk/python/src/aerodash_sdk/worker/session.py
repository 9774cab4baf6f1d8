"""One run of a worker, from its first lease to its last settlement."""

import asyncio
import inspect
import logging
import os
import queue
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from aerodash_sdk._version import __version__
from aerodash_sdk.client import Client
from aerodash_sdk.core.records import Settlement, WorkerIdentity
from aerodash_sdk.transport import CONNECT_TIMEOUT_S
from aerodash_sdk.worker import outcomes
from aerodash_sdk.worker.contact import Contact
from aerodash_sdk.worker.heartbeat import Heart
from aerodash_sdk.worker.job import Job
from aerodash_sdk.worker.leases import Held, Leases
from aerodash_sdk.worker.leasing import Leaser
from aerodash_sdk.worker.part import Part
from aerodash_sdk.worker.settling import Settler

type Handler = Callable[[Job], Any]

SETTLE_AT_LEAST_S = 5.0

log = logging.getLogger("aerodash.worker")


class Session:
    """The threads of a running worker: one leases, one beats, one settles, `concurrency` run handlers.

    on_fault: called when one of them fails, which no outcome of a job and no absence of the server makes it do.
    """

    def __init__(
        self,
        client: Client,
        handlers: Mapping[str, Handler],
        *,
        concurrency: int,
        prefetch: int,
        lease_s: int,
        wait_s: int,
        on_fault: Callable[[], None],
    ) -> None:
        self._handlers = handlers
        self._lease_s = lease_s
        self._jobs: queue.SimpleQueue[Held | None] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._leases = Leases(concurrency + prefetch)
        self._polls = client.without_retries()
        self._calls = client.without_retries()
        self.identity = WorkerIdentity(uuid.uuid4().hex, socket.gethostname(), os.getpid(), __version__)
        contact = Contact()
        self._settler = Settler(self._calls, self._leases, contact, on_fault=on_fault)
        self._heart = Heart(
            self._calls, self.identity, self._leases, contact, lease_s=lease_s, on_fault=on_fault
        )
        self._leaser = Leaser(
            self._polls,
            self.identity,
            self._leases,
            contact,
            types=sorted(handlers),
            lease_s=lease_s,
            wait_s=wait_s,
            start_job=self._jobs.put,
            give_back=self._release,
            on_fault=on_fault,
        )
        self._runners = [
            Part(f"job-{number}", self._run_jobs, on_fault) for number in range(1, concurrency + 1)
        ]
        self._loop: asyncio.AbstractEventLoop | None = None
        if any(inspect.iscoroutinefunction(handler) for handler in handlers.values()):
            self._loop = asyncio.new_event_loop()

    def start(self) -> None:
        if self._loop is not None:
            threading.Thread(target=_serve, args=(self._loop,), name="async-jobs", daemon=True).start()
        for runner in self._runners:
            runner.start()
        self._settler.start()
        self._heart.start()
        self._leaser.start()

    def stop(self, grace_s: float) -> int:
        """Take no more jobs, let the running ones end within grace_s, give back the rest, settle everything.

        Returns how many outcomes the server could not be told.
        """
        self._leaser.stop(CONNECT_TIMEOUT_S + 1)
        self._give_back_waiting()
        self._wait_for_handlers(grace_s)
        for held in self._leases.undecided():
            held.job.withdraw()
            self._release(held)
        undelivered = self._settler.finish(self._settle_time_s())
        self._heart.stop()
        for _ in self._runners:
            self._jobs.put(None)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._polls.close()
        self._calls.close()
        return undelivered

    def hurry(self) -> None:
        """End the grace time, and every wait for a server that is away."""
        self._hurry.set()
        self._settler.give_up()

    def _run_jobs(self) -> None:
        while (held := self._jobs.get()) is not None:
            held.begun_at = time.monotonic()
            log.info("%s: begins, run %d of at most %d", held, held.job.attempts, held.job.max_retries + 1)
            self._decide(held, self._outcome(held))

    def _outcome(self, held: Held) -> Settlement:
        job = held.job
        try:
            result = self._handlers[job.type](job)
            if inspect.iscoroutine(result) and self._loop is not None:
                result = asyncio.run_coroutine_threadsafe(result, self._loop).result()
        except BaseException as exc:
            log.debug("%s: raised", held, exc_info=True)
            return outcomes.failed(job.id, held.token, exc)
        return outcomes.completed(job.id, held.token, result)

    def _decide(self, held: Held, settlement: Settlement) -> None:
        if self._leases.decide(held):
            self._settler.put(held, settlement)

    def _release(self, held: Held) -> None:
        self._decide(held, outcomes.released(held.job.id, held.token))

    def _give_back_waiting(self) -> None:
        """Release what was leased ahead and has not begun."""
        while True:
            try:
                held = self._jobs.get_nowait()
            except queue.Empty:
                return
            if held is not None:
                self._release(held)

    def _wait_for_handlers(self, grace_s: float) -> None:
        deadline = time.monotonic() + grace_s
        while not self._hurry.is_set() and (left_s := deadline - time.monotonic()) > 0:
            if self._leases.wait_decided(min(left_s, 0.1)):
                return

    def _settle_time_s(self) -> float:
        """Until the last lease has surely ended: later, nobody would take the result. Less in a hurry."""
        if self._hurry.is_set():
            return SETTLE_AT_LEAST_S
        now = time.monotonic()
        return max([SETTLE_AT_LEAST_S, *(held.ends_at - now for held in self._leases.all())])


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Run the async handlers' loop until it is stopped; whatever still runs on it then is cancelled."""
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    finally:
        loop.close()
