"""What people see of a failure that no page expected: that the database is away, or that the fault is ours."""

import sys

from django.contrib.auth.models import AnonymousUser
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.defaults import server_error

from aerodash.console.access import database_away
from aerodash.console.answer import problem


def fault(request: HttpRequest) -> HttpResponse:
    """Django's handler500, called while the exception is handled. Project pages care for themselves: see access."""
    exc = sys.exc_info()[1]
    if not isinstance(exc, OperationalError | InterfaceError):
        return server_error(request)
    request.user = AnonymousUser()  # so that the page asks the database nothing
    return problem(request, database_away(exc))
