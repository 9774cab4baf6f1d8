"""The synchronous client: verbs in words, sent by one transport under one retry policy."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

from aerodash_sdk.core import cache as cache_calls
from aerodash_sdk.core import queue as queue_calls
from aerodash_sdk.core.errors import AeroDashError, NoSuchJob, WaitTimedOut
from aerodash_sdk.core.records import Cancellation, Entry, Job, JobRef, ListedKey, NewJob
from aerodash_sdk.core.request import Request, read
from aerodash_sdk.core.retrying import RetryPolicy, backoff_s
from aerodash_sdk.core.settings import endpoint
from aerodash_sdk.transport import Transport

LIST_PAGE = 1000
JOBS_PAGE = 200
NEVER_RETRY = RetryPolicy(tries=1)


class Client:
    """A client for one project of one server. Safe to share between threads; close it, or use `with`.

    base_url, api_key: by default AERODASH_URL (else http://127.0.0.1:8787) and AERODASH_API_KEY.
    timeout_s: how long to wait for one reply. pool_size: connections kept open.
    retry: how calls are retried when the server cannot be reached, is away (503) or limits the rate (429).
    A call that would do more when sent twice (enqueue, increment, delete_many, flush, retry_job) is retried only if
    the server surely did nothing.

    Every verb raises a subclass of AeroDashError: NotAuthenticated, NotAllowed, InvalidInput, RateLimited,
    Unavailable, NotSent, ReplyLost, BadReply.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout_s: float = 30.0,
        pool_size: int = 16,
        retry: RetryPolicy | None = None,
    ) -> None:
        self._endpoint = endpoint(base_url, api_key)
        self._timeout_s = timeout_s
        self._pool_size = pool_size
        self._retry = retry or RetryPolicy()
        self._transport = Transport(self._endpoint, timeout_s=timeout_s, pool_size=pool_size)
        self.cache = Cache(self.call)
        self.queue = Queue(self.call)

    def call[T](self, request: Request[T]) -> T:
        """Send one of core's requests, with retries, and return what its reply holds."""
        tried = 0
        while True:
            tried += 1
            try:
                reply = self._transport.send(request)
                return read(request, reply.status, reply.headers, reply.body)
            except AeroDashError as error:
                pause_s = self._retry.pause_s(error, tried=tried, repeat=request.repeat)
                if pause_s is None:
                    raise
                time.sleep(pause_s)

    def without_retries(self) -> "Client":
        """Another client for the same project, with connections of its own, that sends every call once."""
        return Client(
            self._endpoint.url,
            self._endpoint.api_key,
            timeout_s=self._timeout_s,
            pool_size=self._pool_size,
            retry=NEVER_RETRY,
        )

    def cut(self) -> None:
        """Break every connection now, from any thread: calls under way fail, and so do all later ones."""
        self._transport.cut()

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._endpoint.url!r})"


type Call = Callable[[Request[Any]], Any]
type ListedKeys = list[ListedKey]


class Cache:
    """The cache's verbs. A key is 1 to 1024 bytes of UTF-8, a value any JSON, a ttl whole seconds."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def get(self, key: str) -> Any:
        """The value, or None if there is none. A stored null also reads None: get_entry tells them apart."""
        entry = self.get_entry(key)
        return entry.value if entry is not None else None

    def get_entry(self, key: str) -> Entry | None:
        """The entry with its metadata, expiry and revision; None if absent or expired."""
        entry: Entry | None = self._call(cache_calls.get(key))
        return entry

    def set(
        self, key: str, value: object, *, ttl: int | None = None, metadata: Mapping[str, object] | None = None
    ) -> None:
        """Store a value. ttl: None means that it never expires, also if it did before.

        metadata: None keeps what is stored with the key, {} clears it.
        """
        self._call(cache_calls.set(key, value, ttl=ttl, metadata=metadata))

    def has(self, key: str) -> bool:
        """Whether there is an unexpired entry."""
        return bool(self._call(cache_calls.has(key)))

    def delete(self, key: str) -> None:
        """Remove an entry; one that is gone already is no error."""
        self._call(cache_calls.delete(key))

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Up to 1000 values in one round trip, by key; None for those that are absent."""
        values: dict[str, Any] = self._call(cache_calls.get_many(keys))
        return values

    def set_many(
        self,
        entries: Mapping[str, object],
        *,
        ttl: int | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Store up to 1000 values, all or none, with one ttl and metadata for all (as `set` takes them)."""
        self._call(cache_calls.set_many(entries, ttl=ttl, metadata=metadata))

    def delete_many(self, keys: Iterable[str]) -> int:
        """Remove up to 10 000 entries, all or none up to 1000. Returns how many there were."""
        return int(self._call(cache_calls.delete_many(keys)))

    def keys(self, prefix: str = "") -> list[str]:
        """Every key that begins with prefix, in UTF-8 byte order; asks page by page until all are here."""
        keys: list[str] = []
        cursor = None
        while True:
            page = self._call(cache_calls.keys(prefix, cursor=cursor))
            keys += page.items
            cursor = page.cursor
            if cursor is None:
                return keys

    def iterate(self, prefix: str = "", *, page_size: int = LIST_PAGE) -> Iterator[ListedKey]:
        """Keys with metadata and expiry, in UTF-8 byte order, fetched page_size (at most 1000) at a time."""
        cursor = None
        while True:
            page = self._call(cache_calls.list_page(prefix, limit=page_size, cursor=cursor))
            yield from page.items
            cursor = page.cursor
            if cursor is None:
                return

    def list(self, prefix: str = "", *, limit: int | None = None) -> ListedKeys:
        """What iterate gives, as a list: all of it, or the first `limit`."""
        if limit is None:
            return [*self.iterate(prefix)]
        found: ListedKeys = []
        if limit > 0:
            for listed in self.iterate(prefix, page_size=min(limit, LIST_PAGE)):
                found.append(listed)
                if len(found) == limit:
                    break
        return found

    def increment(
        self, key: str, amount: int = 1, *, initial_value: int | None = None, ttl: int | None = None
    ) -> int:
        """Add to a counter atomically and return its new value; amount may be negative.

        A missing key is created as initial_value (0) + amount, with the ttl; an existing one keeps its own.
        Raises InvalidInput (reason not_an_integer or counter_overflow) and then changes nothing.
        """
        return int(self._call(cache_calls.increment(key, amount, initial_value=initial_value, ttl=ttl)))

    def expire(self, key: str, ttl: int | None) -> bool:
        """Change when an entry expires and nothing else; None means never. False if there is no such entry."""
        return bool(self._call(cache_calls.expire(key, ttl)))

    def flush(self, prefix: str = "") -> int:
        """Remove every entry that begins with prefix, or all of the project's. Returns how many."""
        return int(self._call(cache_calls.flush(prefix)))


class Queue:
    """The queue's verbs for programs that enqueue jobs and look after them. Workers: aerodash_sdk.worker."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def send(
        self,
        type: str,
        payload: object = None,
        *,
        delay_seconds: float | None = None,
        max_retries: int | None = None,
    ) -> JobRef:
        """Enqueue a job. It is stored when this returns, and runs at least once.

        delay_seconds: how long it waits before it is due. max_retries: runs after the first (3 by default).

        Sent again only if the server surely did not take it: it could not be reached, limited the rate, or
        answered itself that it cannot store jobs now. On ReplyLost, and on a proxy's 503, the job may or may not
        be queued, and the caller decides (enqueueing it again may run it twice).
        """
        job = NewJob(type, payload, delay_seconds=delay_seconds, max_retries=max_retries)
        accepted: JobRef = self._call(queue_calls.enqueue(job))
        return accepted

    enqueue = send

    def send_many(self, jobs: Iterable[NewJob]) -> list[JobRef]:
        """Enqueue up to 10 000 jobs, all or none; ids in the order of the jobs. Retried as `send` is."""
        wanted = [*jobs]
        accepted: list[JobRef] = self._call(queue_calls.enqueue_many(wanted)) if wanted else []
        return accepted

    def get_job(self, job_id: str) -> Job | None:
        """The job as it is now; None if there is no such job."""
        job: Job | None = self._call(queue_calls.get_job(job_id))
        return job

    def list_jobs(self, *, type: str | None = None, status: str | None = None, limit: int = 50) -> list[Job]:
        """The newest jobs of a type, of a status (pending, processing, completed, failed, cancelled), or of all.

        limit: how many at most; asks page by page where it is more than 200.
        """
        found: list[Job] = []
        cursor = None
        while len(found) < limit:
            ask = min(limit - len(found), JOBS_PAGE)
            page = self._call(queue_calls.list_jobs(type=type, status=status, limit=ask, cursor=cursor))
            found += page.items
            cursor = page.cursor
            if cursor is None:
                break
        return found

    def cancel_job(self, job_id: str) -> Cancellation:
        """Cancel a job: a pending one never starts, a running one's worker is told to stop."""
        cancellation: Cancellation = self._call(queue_calls.cancel_job(job_id))
        return cancellation

    def retry_job(self, job_id: str) -> bool:
        """Queue an ended job again, with a new retry budget. False if it had not ended or does not exist."""
        return bool(self._call(queue_calls.retry_job(job_id)))

    def wait(self, job_id: str, *, timeout_s: float = 60.0) -> Job:
        """Wait until the job has ended and return it; asks again every 0.05 s at first, at most every second.

        Raises WaitTimedOut after timeout_s, NoSuchJob if there is no such job.
        """
        deadline = time.monotonic() + timeout_s
        asked = 0
        while True:
            job = self.get_job(job_id)
            asked += 1
            if job is None:
                raise NoSuchJob(f"There is no job {job_id}.")
            if job.ended:
                return job
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise WaitTimedOut(f"Job {job_id} is still {job.state} after {timeout_s:g} s.")
            time.sleep(min(left_s, backoff_s(asked, base_s=0.05, cap_s=1.0)))
