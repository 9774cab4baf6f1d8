"""The console's one websocket address. Importing it lets every app register its live pages (its consumers.py)."""

from django.urls import path
from django.utils.module_loading import autodiscover_modules

from aerodash.realtime.consumer import ConsoleConsumer

autodiscover_modules("consumers")

websocket_urlpatterns = [path("ws/console", ConsoleConsumer.as_asgi())]
