"""Keeps an outage of Valkey out of the log after its first line: the channel layer would print a traceback a second."""

import logging

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError


class LostConnection(logging.Filter):
    """Drops records about a connection that is away; the engines and the feed report that once, with a sentence."""

    def filter(self, record: logging.LogRecord) -> bool:
        exc = record.exc_info[1] if record.exc_info else None
        return not isinstance(exc, RedisConnectionError | RedisTimeoutError)


def install() -> None:
    logging.getLogger("channels_redis.pubsub").addFilter(LostConnection())
