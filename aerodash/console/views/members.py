"""/p/<slug>/settings/members: who may come in and as what; a new person gets a link to sign in with, shown once."""

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from aerodash import database, members
from aerodash.auth import Role, Scope
from aerodash.console import links
from aerodash.console.access import Access, project_page
from aerodash.console.answer import FORM_AGAIN
from aerodash.errors import InvalidInput
from aerodash.models import Member

LINK_MINUTES = 7 * 24 * 60

ROLES = {
    Role.OWNER: "everything, also keys and members",
    Role.OPERATOR: "everything but keys and members",
    Role.DEVELOPER: "change cache entries, enqueue, retry and cancel jobs; look at all else",
    Role.FLAG_EDITOR: "switch and change flags; look at all else",
    Role.VIEWER: "look at everything",
}


@never_cache
@require_http_methods(["GET", "POST"])
@project_page(Scope.ADMIN)
async def member_list(request: HttpRequest, access: Access) -> HttpResponse:
    """The members; a POST adds one."""
    if request.method == "GET":
        return render(request, "console/members.html", await database.ask(_list)(access))
    username = request.POST.get("username", "")
    try:
        role = _role(request)
        added = await members.add(access.project_id, access.actor, username=username, role=role)
    except InvalidInput as exc:
        context = await database.ask(_list)(access)
        context |= {"error": exc.message, "username": username, "chosen": request.POST.get("role", "")}
        return render(request, "console/members.html", context, status=FORM_AGAIN)
    if not added.is_new:
        messages.success(request, f"{added.user.username} is a member now, as {role.value}.")
        return HttpResponseRedirect(reverse("members", args=[access.project.slug]))
    context = {"name": added.user.username, "role": role.value, "link": await _link(added.user)}
    return render(request, "console/member-added.html", context)


@never_cache
@require_POST
@project_page(Scope.ADMIN)
async def member_link(request: HttpRequest, access: Access, id: int) -> HttpResponse:
    """Another link for somebody whose first one ran out."""
    member = await _member(access, id)
    if not await database.ask(members.may_have_link)(member):
        raise InvalidInput(
            f"{member.user.username} has signed in before, or is in other projects too: no link can be made here."
        )
    context = {"name": member.user.username, "role": member.role, "link": await _link(member.user)}
    return render(request, "console/member-added.html", context)


@require_POST
@project_page(Scope.ADMIN)
async def member_role(request: HttpRequest, access: Access, id: int) -> HttpResponse:
    role = _role(request)
    if not await members.set_role(access.project_id, access.actor, member_id=id, role=role):
        raise Http404("This project has no such member.")
    messages.success(request, f"Changed to {role.value}.")
    return HttpResponseRedirect(reverse("members", args=[access.project.slug]))


@require_http_methods(["GET", "POST"])
@project_page(Scope.ADMIN)
async def member_remove(request: HttpRequest, access: Access, id: int) -> HttpResponse:
    """Ask, then shut the person out. In production the name must be typed."""
    member = await _member(access, id)
    name = member.user.username
    typed = name if access.project.is_production else ""
    context = {
        "question": f"Remove {name} from {access.project.slug}?",
        "figures": [("Person", name), ("Role", member.role)],
        "verb": f"Remove {name}",
        "keep": "Keep",
        "back_url": reverse("members", args=[access.project.slug]),
        "typed": typed,
    }
    if request.method == "GET":
        return render(request, "console/member-remove.html", context)
    if request.POST.get("typed", "").strip() != typed:
        context["error"] = f"Type {typed} to go on. Nothing was changed."
        return render(request, "console/member-remove.html", context, status=FORM_AGAIN)
    if await members.remove(access.project_id, access.actor, member_id=id):
        messages.success(request, f"Removed {name}.")
    is_self = member.user_id == access.user.pk
    return HttpResponseRedirect("/" if is_self else reverse("members", args=[access.project.slug]))


def _list(access: Access) -> dict[str, object]:
    found = members.listed(access.project_id, access.actor)
    return {
        "members": [{"member": one, "may_have_link": members.may_have_link(one)} for one in found],
        "roles": [(role.value, says) for role, says in ROLES.items()],
        "chosen": Role.VIEWER.value,
        "me": access.user.pk,
    }


def _role(request: HttpRequest) -> Role:
    said = request.POST.get("role", "")
    if said not in set(Role):
        raise InvalidInput(f"{said!r} is no role.", field="role")
    return Role(said)


async def _member(access: Access, id: int) -> Member:
    of_project = Member.objects.select_related("user").filter(project_id=access.project_id, pk=id)
    found = await database.ask(of_project.first)()
    if found is None:
        raise Http404("This project has no such member.")
    return found


async def _link(user) -> str:
    token = await database.ask(links.mint)(user, minutes=LINK_MINUTES)
    return f"{settings.AERODASH_PUBLIC_URL}/sign-in/{token}"
