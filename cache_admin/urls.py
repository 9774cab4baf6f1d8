"""The pages of this app, under /p/<slug>/."""

from django.urls import path

from cache_admin.flags.views import flag_new, flag_toggle, flags
from cache_admin.views.cache import cache
from cache_admin.views.cache_delete import cache_delete
from cache_admin.views.entry import entry, entry_expiry, entry_metadata, entry_raw
from cache_admin.views.entry_delete import entry_delete
from cache_admin.views.entry_new import entry_new
from cache_admin.views.entry_value import entry_value

urlpatterns = [
    path("cache", cache, name="cache"),
    path("cache/delete", cache_delete, name="cache-delete"),
    path("cache/new", entry_new, name="cache-new"),
    path("cache/entry", entry, name="cache-entry"),
    path("cache/entry/raw", entry_raw, name="cache-entry-raw"),
    path("cache/entry/value", entry_value, name="cache-entry-value"),
    path("cache/entry/expiry", entry_expiry, name="cache-entry-expiry"),
    path("cache/entry/metadata", entry_metadata, name="cache-entry-metadata"),
    path("cache/entry/delete", entry_delete, name="cache-entry-delete"),
    path("flags", flags, name="flags"),
    path("flags/new", flag_new, name="flag-new"),
    path("flags/<str:name>/toggle", flag_toggle, name="flag-toggle"),
]
