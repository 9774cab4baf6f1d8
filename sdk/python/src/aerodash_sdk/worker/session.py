"""One run of a worker, from its first lease to its last settlement."""

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aerodash_sdk._version import __version__
from aerodash_sdk.client import Client
from aerodash_sdk.core.records import WorkerIdentity
from aerodash_sdk.core.work import LeasedJob
from aerodash_sdk.transport import CONNECT_TIMEOUT_S
from aerodash_sdk.worker.contact import Contact
from aerodash_sdk.worker.heartbeat import Heart
from aerodash_sdk.worker.lane import Lane
from aerodash_sdk.worker.leases import Held, Leases
from aerodash_sdk.worker.leasing import Leaser
from aerodash_sdk.worker.loop import Loop
from aerodash_sdk.worker.middleware import Handler, is_async
from aerodash_sdk.worker.parent import Parent
from aerodash_sdk.worker.reporting import Reporter
from aerodash_sdk.worker.runs import Runs
from aerodash_sdk.worker.settling import Settler
from aerodash_sdk.worker.tasks import TaskLane
from aerodash_sdk.worker.threads import ThreadLane
from aerodash_sdk.worker.timers import Timers

SETTLE_AT_LEAST_S = 5.0
TICK_S = 0.25
LOOP_END_S = 2.0

log = logging.getLogger("aerodash.worker")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a session runs, and how. handlers: within their middleware. limits_s: the longest run, by type."""

    handlers: Mapping[str, Handler]
    limits_s: Mapping[str, float] = field(default_factory=dict)
    concurrency: int = 8
    async_concurrency: int = 8
    prefetch: int | None = None
    lease_s: int | None = None
    wait_s: int = 20
    limit_grace_s: float = 5.0


class Session:
    """The parts of a running worker: a lane for sync and one for async handlers, each with a thread that leases, and
    threads that beat, settle, report and watch the time.

    on_fault: called when a thread of the worker fails, which no outcome of a job and no absence of the server makes
    it do. on_stuck: called when a handler goes on although its time is over.
    """

    def __init__(
        self,
        client: Client,
        plan: Plan,
        *,
        parent: Parent | None = None,
        on_fault: Callable[[], None],
        on_stuck: Callable[[Held], None],
    ) -> None:
        self._slots = parent.slots if parent is not None else None
        self._hurry = threading.Event()
        self._calls = client.without_retries()
        self._on_stuck = on_stuck
        self._leases = Leases()
        worker_id = parent.worker_id if parent is not None else uuid.uuid4().hex
        self.identity = WorkerIdentity(worker_id, socket.gethostname(), os.getpid(), __version__)
        self.loop = Loop(on_fault)
        contact = Contact()
        self._reporter = Reporter(self._calls, contact, on_answer=self._answered_report, on_fault=on_fault)
        self._settler = Settler(
            self._calls, self._leases, self._reporter, contact, brisk=self._brisk, on_fault=on_fault
        )
        self._heart = Heart(
            self._calls,
            self.identity,
            self._leases,
            contact,
            lease_s=plan.lease_s,
            on_answer=self._answered,
            on_fault=on_fault,
        )
        self._timers = Timers(tick=self._tick, tick_s=TICK_S, on_fault=on_fault)
        self._runs = Runs(
            self._leases,
            self._settler,
            self._timers,
            limits=plan.limits_s,
            limit_grace_s=plan.limit_grace_s,
            on_stuck=self._stuck,
        )
        self._lanes = self._make_lanes(plan, on_fault)
        self._polls = [client.without_retries() for _ in self._lanes]
        self._leasers = [
            Leaser(
                polls,
                self.identity,
                lane,
                self._leases,
                contact,
                lease_s=plan.lease_s,
                wait_s=plan.wait_s,
                listener=self._reporter,
                on_lease=self._heart.leased,
                give_back=self._runs.release,
                on_fault=on_fault,
            )
            for lane, polls in zip(self._lanes, self._polls, strict=True)
        ]

    def start(self) -> None:
        for lane in self._lanes:
            lane.start()
        self._settler.start()
        self._reporter.start()
        self._heart.start()
        self._timers.start()
        for leaser in self._leasers:
            leaser.start()

    def stop(self, grace_s: float) -> int:
        """Take no more jobs, let the running ones end within grace_s, give back the rest, settle everything.

        Returns how many outcomes the server could not be told.
        """
        for leaser in self._leasers:
            leaser.stop(CONNECT_TIMEOUT_S + 1)
        for lane in self._lanes:
            self._give_back(lane)
        self._wait_for_handlers(grace_s)
        for held in self._leases.undecided():
            held.job.withdraw()
            self._runs.release(held)
            self._lane(held).cancel(held)
        undelivered = self._settler.finish(self._settle_time_s())
        self._timers.stop()
        self._heart.stop()
        self._reporter.stop()
        for lane in self._lanes:
            lane.stop()
        for client in (*self._polls, self._calls):
            client.close()
        return undelivered

    def hurry(self) -> None:
        """End the grace time, and every wait for a server that is away."""
        self._hurry.set()
        self._settler.give_up()

    def end_loop(self) -> None:
        """Cancel what still runs on the event loop, and end it."""
        self.loop.stop(LOOP_END_S)

    def _make_lanes(self, plan: Plan, on_fault: Callable[[], None]) -> list[Lane]:
        asynchronous = {type: handler for type, handler in plan.handlers.items() if is_async(handler)}
        threaded = {type: handler for type, handler in plan.handlers.items() if type not in asynchronous}
        lanes: list[Lane] = []
        if threaded:
            lanes.append(
                ThreadLane(
                    self._leases,
                    self._runs,
                    threaded,
                    concurrency=plan.concurrency,
                    prefetch=plan.prefetch,
                    slots=self._slots,
                    loop=self.loop,
                    on_fault=on_fault,
                )
            )
        if asynchronous:
            lanes.append(
                TaskLane(
                    self._leases,
                    self._runs,
                    asynchronous,
                    concurrency=plan.async_concurrency,
                    prefetch=plan.prefetch,
                    slots=self._slots,
                    first_slot=plan.concurrency,
                    loop=self.loop,
                )
            )
        return lanes

    def _lane(self, held: Held) -> Lane:
        return next(lane for lane in self._lanes if held.leased.type in lane.types)

    def _brisk(self) -> bool:
        return any(lane.brisk for lane in self._lanes)

    def _tick(self) -> None:
        if self._slots is not None:
            self._slots.beat()
        for lane in self._lanes:
            if lane.hoards():
                self._give_back(lane)
                lane.slowed()

    def _give_back(self, lane: Lane) -> None:
        """Release what was leased ahead and has not begun."""
        for held in lane.take_waiting():
            self._runs.release(held)

    def _answered(self, held: Held, word: str) -> None:
        """The server's word about a run that goes on: from a heartbeat or a report."""
        if word == "cancel_requested" and not held.job.cancelled:
            log.info("%s: cancelled while it runs; its handler is told", held)
        elif word == "lease_lost" and not held.job.cancelled and self._still_ours(held):
            log.warning("%s: lease_lost: another worker may be running it; its handler is told", held)
        else:
            return
        held.job.withdraw()
        self._lane(held).cancel(held)

    def _answered_report(self, leased: LeasedJob, word: str) -> None:
        held = self._leases.find(leased)
        if held is not None:
            self._answered(held, word)

    def _still_ours(self, held: Held) -> bool:
        """A run that ended may have been settled while the question was under way: its settlement will tell."""
        return not held.decided and self._leases.holds(held)

    def _stuck(self, held: Held) -> None:
        self._lane(held).stuck(held)
        self._on_stuck(held)

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
