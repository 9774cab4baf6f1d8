"""The pages of this app, under /p/<slug>/."""

from django.urls import path

from cache_admin.flags.views import flag_new, flag_toggle, flags
from cache_admin.views.cache import cache
from cache_admin.views.cache_delete import cache_delete
from cache_admin.views.cache_export import cache_export
from cache_admin.views.cache_import import (
    cache_import,
    cache_import_file,
    cache_import_refused,
    cache_import_remove,
)
from cache_admin.views.cache_selection import cache_selection
from cache_admin.views.cache_ttl import cache_ttl
from cache_admin.views.engine import engine
from cache_admin.views.entry import entry, entry_raw
from cache_admin.views.entry_delete import entry_delete
from cache_admin.views.entry_expiry import entry_expiry
from cache_admin.views.entry_metadata import entry_metadata
from cache_admin.views.entry_new import entry_new
from cache_admin.views.entry_value import entry_value
from cache_admin.views.heaviest import heaviest

urlpatterns = [
    path("cache", cache, name="cache"),
    path("cache/delete", cache_delete, name="cache-delete"),
    path("cache/ttl", cache_ttl, name="cache-ttl"),
    path("cache/selection", cache_selection, name="cache-selection"),
    path("cache/export", cache_export, name="cache-export"),
    path("cache/import", cache_import, name="cache-import"),
    path("cache/import/<str:id>", cache_import_file, name="cache-import-file"),
    path("cache/import/<str:id>/refused", cache_import_refused, name="cache-import-refused"),
    path("cache/import/<str:id>/remove", cache_import_remove, name="cache-import-remove"),
    path("cache/heaviest", heaviest, name="cache-heaviest"),
    path("engine", engine, name="engine"),
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
