"""Every URL of the control plane, and the API's ninja lane."""

# Importing an app's api module enters its operations in the table.
from django.urls import include, path, re_path

import aerodash.operations.api
import aerodash.wire.rpc  # noqa: F401
import cache_admin.api  # noqa: F401
import jobs_admin.api  # noqa: F401
from aerodash.keys import KeyRing
from aerodash.wire import api

ring = KeyRing()

handler500 = "aerodash.console.fault.fault"

urlpatterns = [
    path("v1/", api.build(ring).urls),
    re_path("^v1/", api.unknown),
    path("", include("aerodash.console.urls")),
    path("p/<slug:slug>/", include("cache_admin.urls")),
    path("p/<slug:slug>/", include("jobs_admin.urls")),
]
