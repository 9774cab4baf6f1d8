"""Python client for AeroDash: the cache, the job queue, and workers that run its jobs.

    from aerodash_sdk import Client

    client = Client()                      # reads AERODASH_URL and AERODASH_API_KEY
    client.cache.set("user:123", {"name": "Jane"}, ttl=3600)
    client.queue.send("send-email", {"to": "jane@example.com"})

Errors are in `aerodash_sdk.core.errors`, workers in `aerodash_sdk.worker`.
"""

from aerodash_sdk._version import __version__
from aerodash_sdk.client import Client
from aerodash_sdk.core.records import NewJob, RetryDelay, UniqueKey

__all__ = ["Client", "NewJob", "RetryDelay", "UniqueKey", "__version__"]
