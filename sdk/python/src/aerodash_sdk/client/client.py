"""The synchronous client: verbs in words, sent by one transport under one retry policy."""

import time
from typing import Self

from aerodash_sdk.client.cache import Cache
from aerodash_sdk.client.queue import Queue
from aerodash_sdk.core.errors import AeroDashError
from aerodash_sdk.core.request import Request, read
from aerodash_sdk.core.retrying import RetryPolicy
from aerodash_sdk.core.revisions import HEADER, LastWrite
from aerodash_sdk.core.settings import endpoint
from aerodash_sdk.transport import Transport

NEVER_RETRY = RetryPolicy(tries=1)


class Client:
    """A client for one project of one server. Safe to share between threads; close it, or use `with`.

    base_url, api_key: by default AERODASH_URL (else http://127.0.0.1:8787) and AERODASH_API_KEY.
    timeout_s: how long to wait for one reply. pool_size: connections kept open.
    retry: how calls are retried when the server cannot be reached, is away (503) or limits the rate (429).
    A call that would do more when sent twice (increment, delete_many, flush, retry_job) is retried only if the server
    surely did nothing.

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
        self.endpoint = endpoint(base_url, api_key)
        self._timeout_s = timeout_s
        self._pool_size = pool_size
        self._retry = retry or RetryPolicy()
        self._transport = Transport(self.endpoint, timeout_s=timeout_s, pool_size=pool_size)
        self._last_write = LastWrite()
        self.cache = Cache(self.call)
        self.queue = Queue(self.call)

    def call[T](self, request: Request[T]) -> T:
        """Send one of core's requests, with retries, and return what its reply holds."""
        tried = 0
        while True:
            tried += 1
            try:
                seen = self._last_write.to_send(request.path)
                reply = self._transport.send(request, headers={HEADER: seen} if seen else None)
                self._last_write.note(request.path, reply.headers.get(HEADER))
                return read(request, reply.status, reply.headers, reply.body)
            except AeroDashError as error:
                pause_s = self._retry.pause_s(error, tried=tried, repeat=request.repeat)
                if pause_s is None:
                    raise
                time.sleep(pause_s)

    def without_retries(self) -> "Client":
        """Another client for the same project, with connections of its own, that sends every call once."""
        return Client(
            self.endpoint.url,
            self.endpoint.api_key,
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
        return f"Client({self.endpoint.url!r})"
