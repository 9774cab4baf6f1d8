"""Who is looking at which project, and what they may do there: the door of every project page.

A page says `@project_page(Scope.QUEUE_READ)`. People who are not signed in go to the sign-in page and back; a
project one is no member of does not exist for one (404); a member without the right gets a page that says so.
"""

import functools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Concatenate
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.crypto import constant_time_compare

from aerodash.auth import ROLE_SCOPES, Actor, Door, Role, Scope
from aerodash.console.answer import is_ours, problem
from aerodash.errors import AeroDashError, EngineDown
from aerodash.ids import ProjectId
from aerodash.models import Member, Project, User

log = logging.getLogger(__name__)

LAST_PROJECT_COOKIE = "aerodash_project"


@dataclass(frozen=True, slots=True)
class Access:
    """A member in a project, as views and templates need it. projects: all of the person's own, by name."""

    user: User
    project: Project
    role: Role
    actor: Actor
    projects: tuple[Project, ...]

    @property
    def project_id(self) -> ProjectId:
        return ProjectId(self.project.pk)

    def may(self, scope: Scope) -> bool:
        return self.actor.may(scope)


async def memberships(user: User) -> list[Member]:
    """The person's memberships with their projects, by the project's name; none for somebody who is barred."""
    members = Member.objects.filter(user_id=user.pk, user__is_active=True)
    return [m async for m in members.select_related("project").order_by("project__name")]


async def find_access(user: User, slug: str, *, request_id: str = "") -> Access | None:
    """The person's access to the project of this slug; None for a stranger or an unknown project."""
    members = await memberships(user)
    for member in members:
        if member.project.slug == slug:
            role = Role(member.role)
            actor = Actor(
                kind="user",
                id=str(user.pk),
                label=user.get_full_name() or user.get_username(),
                scopes=ROLE_SCOPES[role],
                door=Door.CONSOLE,
                request_id=request_id,
            )
            return Access(user, member.project, role, actor, tuple(m.project for m in members))
    return None


async def is_signed_in(user: User, session_key: str) -> bool:
    """Whether this session still stands and still names this person: asked again by what stays open for long."""
    session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    if await session.aget(SESSION_KEY) != str(user.pk):
        return False
    fresh = await User.objects.filter(pk=user.pk, is_active=True).afirst()
    given = await session.aget(HASH_SESSION_KEY, "")
    return fresh is not None and constant_time_compare(given, fresh.get_session_auth_hash())


type View[**P] = Callable[Concatenate[HttpRequest, Access, P], Awaitable[HttpResponse]]


def project_page[**P](*any_of: Scope) -> Callable[[View[P]], Callable[..., Awaitable[HttpResponse]]]:
    """Make `async def view(request, access, …)` a page under p/<slug>/ that needs this right, or one of these.

    Errors of ours that the view raises become pages with the layout intact (see answer.problem).
    """

    def decorate(view: View[P]) -> Callable[..., Awaitable[HttpResponse]]:
        @functools.wraps(view)
        async def page(request: HttpRequest, slug: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            try:
                user = await request.auser()
                if not user.is_authenticated:
                    return to_sign_in(request)
                access = await find_access(user, slug, request_id=getattr(request, "request_id", ""))  # type: ignore[arg-type]
            except DatabaseError as exc:
                request.user = AnonymousUser()  # so that the page of the problem asks the database nothing
                return problem(request, database_away(exc))
            if access is None:
                raise Http404(f"No project {slug} among those of {user}.")
            request.console = access  # type: ignore[attr-defined]  # read by the context processor
            if not any(map(access.may, any_of)):
                return render(request, "console/no_permission.html", {"scope": any_of[0].value}, status=403)
            try:
                response = await view(request, access, *args, **kwargs)
            except AeroDashError as exc:
                response = problem(request, exc)
            except DatabaseError as exc:
                response = problem(request, database_away(exc))
            patch_vary_headers(response, ["HX-Request"])
            response.headers.setdefault(
                "Cache-Control", "private, no-cache"
            )  # what it shows is one person's, and live
            if request.COOKIES.get(LAST_PROJECT_COOKIE) != slug:
                response.set_cookie(
                    LAST_PROJECT_COOKIE,
                    slug,
                    max_age=31_536_000,
                    httponly=True,
                    samesite="Lax",
                    secure=settings.SESSION_COOKIE_SECURE,
                )
            return response

        return page

    return decorate


def to_sign_in(request: HttpRequest) -> HttpResponse:
    """Send somebody to the sign-in page and, once signed in, back here (or, from a form, back to its page)."""
    back = request.get_full_path()
    if request.method not in {"GET", "HEAD"}:
        came_from = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
        back = came_from if is_ours(request, came_from) else "/"
    url = f"/sign-in?{urlencode({'next': back})}"
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)


def database_away(exc: DatabaseError) -> EngineDown:
    log.warning("The database does not answer: %s", exc)
    return EngineDown("The database does not answer.", reason="database_unavailable")
