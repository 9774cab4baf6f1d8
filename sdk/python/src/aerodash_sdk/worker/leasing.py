"""Takes jobs from the server: one long poll after another, for as many as there is room for."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from aerodash_sdk.client import Client
from aerodash_sdk.core import work
from aerodash_sdk.core.errors import AeroDashError
from aerodash_sdk.core.records import WorkerIdentity
from aerodash_sdk.core.retrying import backoff_s
from aerodash_sdk.worker.contact import Contact, pause_s
from aerodash_sdk.worker.leases import Held, Leases
from aerodash_sdk.worker.part import Part

RETRY_CAP_S = 10.0
# A server that is about to restart answers long polls at once, and empty.
TOO_SOON_S = 0.5

log = logging.getLogger("aerodash.worker")


class Leaser:
    """A thread that hands leased jobs to `start_job`, or to `give_back` those that come after `stop`."""

    def __init__(
        self,
        client: Client,
        identity: WorkerIdentity,
        leases: Leases,
        contact: Contact,
        *,
        types: Sequence[str],
        lease_s: int,
        wait_s: int,
        start_job: Callable[[Held], None],
        give_back: Callable[[Held], None],
        on_fault: Callable[[], None],
    ) -> None:
        self._client = client
        self._identity = identity
        self._leases = leases
        self._contact = contact
        self._types = types
        self._lease_s = lease_s
        self._wait_s = wait_s
        self._start_job = start_job
        self._give_back = give_back
        self._stopping = threading.Event()
        self._thread = Part("lease", self._run, on_fault)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Break off the poll. When this returns, no more jobs come."""
        self._stopping.set()
        self._leases.close()
        self._client.cut()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        failures = empty = 0
        while (room := self._leases.wait_for_room()) > 0:
            asked_at = time.monotonic()
            try:
                leased = self._client.call(
                    work.lease(
                        self._identity,
                        types=self._types,
                        limit=min(room, work.MAX_LEASES_PER_CALL),
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
            now = time.monotonic()
            for job in leased:
                held = Held.of(job, now + self._lease_s)
                self._leases.add(held)
                (self._give_back if self._stopping.is_set() else self._start_job)(held)
            empty = empty + 1 if not leased and now - asked_at < TOO_SOON_S else 0
            if empty:
                self._stopping.wait(backoff_s(empty, base_s=0.2, cap_s=2.0))
