"""The live pages of the console itself."""

from aerodash.auth import Scope
from aerodash.console.views import audit, operations, overview
from aerodash.realtime import topics
from aerodash.realtime.pages import live_page

live_page("operations", topics=(topics.OPERATIONS,), scope=Scope.CACHE_READ, render=operations.push_list)
live_page("operation", topics=(topics.OPERATIONS,), scope=Scope.CACHE_READ, render=operations.push_one)
live_page("audit", topics=(topics.AUDIT,), scope=Scope.CACHE_READ, render=audit.push)

_CACHE = (topics.CACHE, topics.CACHE_STATS)
live_page(
    "overview",
    topics=(topics.JOBS, *_CACHE),
    scope=Scope.QUEUE_READ,
    render=overview.push,
    every_s=overview.EVERY_S,
)
# For who may see the cache's half alone.
live_page(
    "overview-cache", topics=_CACHE, scope=Scope.CACHE_READ, render=overview.push, every_s=overview.EVERY_S
)
