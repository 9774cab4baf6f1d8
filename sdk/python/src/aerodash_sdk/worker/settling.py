"""Tells the server how runs ended: in batches, and for as long as it takes."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from aerodash_sdk.client import Client
from aerodash_sdk.core import work
from aerodash_sdk.core.errors import AeroDashError, InvalidInput, ReplyLost
from aerodash_sdk.core.records import JobError
from aerodash_sdk.core.work import Settlement
from aerodash_sdk.worker.contact import Contact, pause_s
from aerodash_sdk.worker.lane import BATCH_JOBS
from aerodash_sdk.worker.leases import Held, Leases
from aerodash_sdk.worker.part import Part
from aerodash_sdk.worker.reporting import Reporter

RETRY_CAP_S = 5.0
# How long a batch gathers while many short runs are about to end. A lone job is settled at once.
LINGER_S = 0.01
BATCH_BYTES = 8 * 1024 * 1024

log = logging.getLogger("aerodash.worker")


@dataclass(slots=True)
class Outcome:
    held: Held
    settlement: Settlement


class Settler:
    """A thread that sends what is put in. While one batch is on its way, the next one gathers.

    A result is kept until the server has answered for it, however long it is away: even after the lease has
    ended the server may not have handed the job on yet, and only it can tell.
    brisk: whether more runs are about to end, so that a batch may gather a little.
    """

    def __init__(
        self,
        client: Client,
        leases: Leases,
        reporter: Reporter,
        contact: Contact,
        *,
        brisk: Callable[[], bool],
        on_fault: Callable[[], None],
    ) -> None:
        self._client = client
        self._leases = leases
        self._reporter = reporter
        self._contact = contact
        self._brisk = brisk
        self._outcomes: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()
        self._abandon = threading.Event()
        self._thread = Part("settle", self._run, on_fault)
        self.undelivered = 0

    def start(self) -> None:
        self._thread.start()

    def put(self, held: Held, settlement: Settlement) -> None:
        self._outcomes.put(Outcome(held, settlement))

    def finish(self, timeout_s: float) -> int:
        """Send what is left, for at most timeout_s, and end. Returns how many outcomes never got an answer."""
        self._outcomes.put(None)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self.give_up()
            self._client.cut()
            self._thread.join()
        return self.undelivered

    def give_up(self) -> None:
        """Stop trying: what the server does not take at the next try is lost."""
        self._abandon.set()

    def _run(self) -> None:
        last = False
        while not last:
            batch, last = self._gather()
            if batch:
                self._deliver(batch)

    def _gather(self) -> tuple[list[Outcome], bool]:
        """Everything that waits, at least one; and whether it was the last."""
        batch: list[Outcome] = []
        size = 0
        outcome = self._outcomes.get()
        if self._outcomes.qsize() < BATCH_JOBS and self._brisk():
            self._abandon.wait(LINGER_S)
        while outcome is not None:
            batch.append(outcome)
            if isinstance(outcome.settlement.result, msgspec.Raw):
                size += memoryview(outcome.settlement.result).nbytes
            if len(batch) == BATCH_JOBS or size > BATCH_BYTES:
                return batch, False
            try:
                outcome = self._outcomes.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _deliver(self, batch: list[Outcome]) -> None:
        tried = 0
        reply_lost = False
        spoke = [outcome.held.leased for outcome in batch if outcome.held.job.spoke]
        while True:
            tried += 1
            try:
                if spoke:
                    self._reporter.flush(spoke)
                words = self._client.call(work.settle([outcome.settlement for outcome in batch]))
            except InvalidInput as error:
                self._contact.answered()
                self._divide(batch, error)
                return
            except AeroDashError as error:
                self._contact.failed(error)
                reply_lost = reply_lost or isinstance(error, ReplyLost)
                if self._abandon.is_set():
                    self._lose(batch, error)
                    return
                self._abandon.wait(pause_s(error, tried, cap_s=RETRY_CAP_S))
                continue
            self._contact.answered()
            for outcome, word in zip(batch, words, strict=True):
                self._answered(outcome, word, reply_lost=reply_lost)
            return

    def _divide(self, batch: list[Outcome], error: InvalidInput) -> None:
        """One bad outcome, or too many big ones, must not hold up the rest."""
        if len(batch) > 1:
            middle = len(batch) // 2
            self._deliver(batch[:middle])
            self._deliver(batch[middle:])
            return
        held, settlement = batch[0].held, batch[0].settlement
        if settlement.outcome == "completed":
            log.error("%s: the server refuses its result: %s", held, error)
            told = JobError("InvalidResult", f"The server refused the handler's result: {error}", "")
            failed = Settlement(settlement.job_id, settlement.lease_token, "failed", error=told)
            self._deliver([Outcome(held, failed)])
            return
        log.error("%s: the server refuses its outcome, and will run it again: %s", held, error)
        self.undelivered += 1
        self._leases.drop(held)

    def _lose(self, batch: list[Outcome], error: AeroDashError) -> None:
        self.undelivered += len(batch)
        for outcome in batch:
            self._leases.drop(outcome.held)
            log.error(
                "%s: %s, which the server could not be told (%s); it will run again",
                outcome.held,
                outcome.settlement.outcome,
                error,
            )

    def _answered(self, outcome: Outcome, word: str, *, reply_lost: bool) -> None:
        held, said = outcome.held, outcome.settlement
        self._leases.drop(held)
        if word == "accepted":
            if said.outcome == "failed" and said.error is not None:
                log.warning(
                    "%s: failed after %.2f s: %s: %s",
                    held,
                    _took_s(held),
                    said.error.type,
                    said.error.message,
                )
            elif log.isEnabledFor(logging.INFO):
                log.info("%s: %s after %.2f s", held, said.outcome, _took_s(held))
        elif word == "cancelled":
            log.info("%s: %s, and ends as cancelled, as was asked", held, said.outcome)
        elif reply_lost:
            log.warning(
                "%s: %s, answered %s; an earlier try may have been accepted", held, said.outcome, word
            )
        else:
            log.warning("%s: %s, refused by the server: %s", held, said.outcome, word)


def _took_s(held: Held) -> float:
    return time.monotonic() - held.begun_at if held.begun_at is not None else 0.0
