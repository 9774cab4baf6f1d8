"""The address without a path: on to the project that was open last, or a choice of projects. And the theme."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_POST

from aerodash.console.access import LAST_PROJECT_COOKIE, memberships, to_sign_in
from aerodash.console.answer import next_url
from aerodash.console.context import THEME_COOKIE, THEMES


async def home(request: HttpRequest) -> HttpResponse:
    """On to the overview of the last project, or of the only one; else a list of one's projects."""
    user = await request.auser()
    if not user.is_authenticated:
        return to_sign_in(request)
    members = await memberships(user)
    slugs = [member.project.slug for member in members]
    last = request.COOKIES.get(LAST_PROJECT_COOKIE, "")
    chosen = last if last in slugs else slugs[0] if len(slugs) == 1 else ""
    if chosen:
        return HttpResponseRedirect(f"/p/{chosen}/overview")
    return render(request, "console/projects.html", {"members": members, "person": user})


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep the theme in a cookie, which the server reads before it writes a page, so that nothing flashes."""
    chosen = request.POST.get("theme", "")
    response = HttpResponseRedirect(next_url(request, "/"))
    if chosen in THEMES:
        response.set_cookie(THEME_COOKIE, chosen, max_age=31_536_000, samesite="Lax")
    return response
