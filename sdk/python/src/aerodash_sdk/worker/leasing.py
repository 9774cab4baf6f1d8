"""Takes jobs from the server: one long poll after another, for as many as there is room for."""

import logging
import threading
import time
from collections.abc import Callable

from aerodash_sdk.client import Client
from aerodash_sdk.core import work
from aerodash_sdk.core.errors import AeroDashError
from aerodash_sdk.core.records import WorkerIdentity
from aerodash_sdk.core.retrying import backoff_s
from aerodash_sdk.worker.contact import Contact, pause_s
from aerodash_sdk.worker.job import Job, Listener
from aerodash_sdk.worker.lane import Lane
from aerodash_sdk.worker.leases import DEFAULT_LEASE_S, Held, Leases
from aerodash_sdk.worker.part import Part

RETRY_CAP_S = 10.0
# A server that is about to restart answers long polls at once, and empty.
TOO_SOON_S = 0.5

log = logging.getLogger("aerodash.worker")


class Leaser:
    """A thread that hands leased jobs to a lane, or to `give_back` those that come after `stop`.

    on_lease: called with the length of each batch's shortest lease.
    """

    def __init__(
        self,
        client: Client,
        identity: WorkerIdentity,
        lane: Lane,
        leases: Leases,
        contact: Contact,
        *,
        lease_s: int | None,
        wait_s: int,
        listener: Listener,
        on_lease: Callable[[float], None],
        give_back: Callable[[Held], None],
        on_fault: Callable[[], None],
    ) -> None:
        self._client = client
        self._identity = identity
        self._lane = lane
        self._leases = leases
        self._contact = contact
        self._lease_s = lease_s
        self._wait_s = wait_s
        self._listener = listener
        self._on_lease = on_lease
        self._give_back = give_back
        self._stopping = threading.Event()
        self._thread = Part("lease", self._run, on_fault)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Break off the poll. When this returns, no more jobs come."""
        self._stopping.set()
        self._lane.close()
        self._client.cut()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        failures = empty = 0
        while (room := self._lane.wait_for_room()) > 0:
            asked_at = time.monotonic()
            try:
                leased = self._client.call(
                    work.lease(
                        self._identity,
                        types=self._lane.types,
                        limit=room,
                        lease_s=self._lease_s,
                        wait_s=self._wait_s,
                    )
                )
            except AeroDashError as error:
                if self._stopping.is_set():
                    return
                failures += 1
                self._contact.failed(error)
                self._stopping.wait(pause_s(error, failures, cap_s=RETRY_CAP_S))
                continue
            failures = 0
            self._contact.answered()
            if leased:
                self._take(leased)
            empty = empty + 1 if not leased and time.monotonic() - asked_at < TOO_SOON_S else 0
            if empty:
                self._stopping.wait(backoff_s(empty, base_s=0.2, cap_s=2.0))

    def _take(self, leased: list[work.LeasedJob]) -> None:
        now = time.monotonic()
        listener = self._listener
        if self._lease_s is not None:
            lease_s = float(self._lease_s)
            some = [Held(Job.of(one, listener), one, now + lease_s, lease_s) for one in leased]
        else:
            some = []
            for one in leased:
                lease_s = one.lease_s(DEFAULT_LEASE_S)
                some.append(Held(Job.of(one, listener), one, now + lease_s, lease_s))
        self._leases.add(some)
        self._on_lease(min([held.lease_s for held in some]))
        if self._stopping.is_set():
            for held in some:
                self._give_back(held)
        else:
            self._lane.leased(some)
            self._lane.submit(some)
