"""A batch of jobs, as a client offers it."""

import dataclasses
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from aerodash_sdk.client.call import Call
from aerodash_sdk.core import batches as batch_calls
from aerodash_sdk.core import queue as queue_calls
from aerodash_sdk.core.batches import BatchProgress
from aerodash_sdk.core.ids import new_key
from aerodash_sdk.core.records import JobRef, NewJob


class Batch:
    """Jobs that belong together. Left without an exception, a `with` block seals it; with one, it stays open."""

    def __init__(self, call: Call, batch_id: str) -> None:
        self._call = call
        self.id = batch_id

    def send(self, type: str, payload: object = None, **options: Any) -> JobRef:
        """Enqueue a job of this batch. options: as NewJob has them."""
        [ref] = self.send_many([NewJob(type, payload, **options)])
        return ref

    def send_many(self, jobs: Iterable[NewJob]) -> list[JobRef]:
        """Enqueue up to 10 000 jobs of this batch, all or none."""
        wanted = [
            dataclasses.replace(job, batch=self.id, idempotency_key=job.idempotency_key or new_key())
            for job in jobs
        ]
        accepted: list[JobRef] = self._call(queue_calls.enqueue_many(wanted)) if wanted else []
        return accepted

    def seal(self) -> None:
        """Say that no more jobs join: the completion job is enqueued when the last of them has ended."""
        self._call(batch_calls.seal(self.id))

    def progress(self) -> BatchProgress | None:
        """How far it is; None if there is no such batch."""
        found: BatchProgress | None = self._call(batch_calls.get(self.id))
        return found

    def cancel(self) -> int:
        """Cancel every job that has not ended. Returns how many."""
        return int(self._call(batch_calls.cancel(self.id)))

    def retry(self) -> int:
        """Queue its failed and cancelled jobs again. Returns how many."""
        return int(self._call(batch_calls.retry(self.id)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.seal()

    def __repr__(self) -> str:
        return f"Batch({self.id!r})"
