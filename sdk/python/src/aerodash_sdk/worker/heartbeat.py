"""Keeps leases alive from a thread of its own, so that a busy handler keeps its job."""

import itertools
import logging
import threading
from collections.abc import Callable

from aerodash_sdk.client import Client
from aerodash_sdk.core import work
from aerodash_sdk.core.errors import AeroDashError
from aerodash_sdk.core.records import WorkerIdentity
from aerodash_sdk.worker.contact import Contact
from aerodash_sdk.worker.leases import DEFAULT_LEASE_S, Held, Leases
from aerodash_sdk.worker.part import Part

log = logging.getLogger("aerodash.worker")


class Heart:
    """Extends every lease each third of the shortest one's length; after a failure sooner.

    lease_s: None leaves the length to each job's type. on_answer: called for each lease with the server's word.
    """

    def __init__(
        self,
        client: Client,
        identity: WorkerIdentity,
        leases: Leases,
        contact: Contact,
        *,
        lease_s: int | None,
        on_answer: Callable[[Held, str], None],
        on_fault: Callable[[], None],
    ) -> None:
        self._client = client
        self._identity = identity
        self._leases = leases
        self._contact = contact
        self._lease_s = lease_s
        self._on_answer = on_answer
        self._shortest_s = float(lease_s or DEFAULT_LEASE_S)
        self._wake = threading.Event()
        self._stopped = False
        self._thread = Part("heartbeat", self._run, on_fault)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped = True
        self._wake.set()

    def leased(self, lease_s: float) -> None:
        """A lease of this length is held: beat in time for it."""
        if lease_s < self._shortest_s:
            self._shortest_s = lease_s
            self._wake.set()

    def _run(self) -> None:
        failed = False
        while not self._stopped:
            usual_s = self._shortest_s / 3
            if self._wake.wait(min(usual_s, 1.0) if failed else usual_s):
                self._wake.clear()
                continue
            try:
                for some in itertools.batched(self._leases.all(), work.MAX_LEASES_PER_CALL):
                    self._beat(some)
                failed = False
            except AeroDashError as error:
                self._contact.failed(error)
                failed = True
            if self._lease_s is None:
                self._shortest_s = self._leases.shortest_s()

    def _beat(self, leases: tuple[Held, ...]) -> None:
        asked = [(held.leased.id, held.token) for held in leases]
        answers = self._client.call(work.heartbeat(self._identity, asked, lease_s=self._lease_s))
        self._contact.answered()
        for held, answer in zip(leases, answers, strict=True):
            if answer != "lease_lost":
                self._leases.extend(held)
            self._on_answer(held, answer)
