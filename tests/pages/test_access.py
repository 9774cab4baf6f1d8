"""The door of project pages: the right that a page asks for, and what it never lets a browser keep."""

from django.http import HttpResponse
from django.test import AsyncRequestFactory, Client

from aerodash.auth import Role, Scope
from aerodash.console.access import Access, project_page
from aerodash.models import Member, Project
from tests.pages.people import new_user


@project_page(Scope.ADMIN)
async def keys(request, access: Access) -> HttpResponse:
    return HttpResponse(f"keys of {access.project.slug} for {access.actor.label}")


async def ask(project: Project, role: Role) -> HttpResponse:
    from asgiref.sync import sync_to_async

    user = await sync_to_async(new_user)("ines")
    await Member.objects.acreate(project=project, user=user, role=role.value)
    request = AsyncRequestFactory().get(f"/p/{project.slug}/keys")

    async def auser():
        return user

    request.auser, request._messages, request.user = auser, [], user
    return await keys(request, slug=project.slug)


async def test_member_with_the_right_gets_the_page(project: Project) -> None:
    response = await ask(project, Role.OWNER)

    assert response.status_code == 200
    assert response.text.startswith(f"keys of {project.slug} for ines-")


async def test_member_without_the_right_is_told_which_one_is_missing(project: Project) -> None:
    response = await ask(project, Role.DEVELOPER)

    assert response.status_code == 403
    assert f"You cannot see this in {project.slug}" in response.text
    assert "Your role there is developer" in response.text
    assert 'aria-label="Console"' in response.text


def test_pages_are_asked_for_again_and_kept_by_no_proxy(owner_page: Client, project: Project) -> None:
    response = owner_page.get(f"/p/{project.slug}/jobs")

    assert response["Cache-Control"] == "private, no-cache"
    assert "Cookie" in response["Vary"]
