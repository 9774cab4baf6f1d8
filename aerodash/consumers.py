"""The live pages of the console itself."""

from aerodash.auth import Scope
from aerodash.console.views import operations
from aerodash.realtime import topics
from aerodash.realtime.pages import live_page

live_page("operations", topics=(topics.OPERATIONS,), scope=Scope.CACHE_READ, render=operations.push_list)
live_page("operation", topics=(topics.OPERATIONS,), scope=Scope.CACHE_READ, render=operations.push_one)
