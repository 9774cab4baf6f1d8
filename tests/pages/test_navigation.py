"""How one gets about: the order of the pages, another project's same page, and the address of a project alone."""

import re

from aerodash.auth import Role
from aerodash.models import Member, Project, User
from tests.pages.people import member_client, signed_in

ORDER = [
    "Overview",
    "Cache",
    "Flags",
    "Jobs",
    "Types",
    "Workers",
    "Schedules",
    "Batches",
    "Operations",
    "Engine",
    "Audit",
]


def places(page: str) -> list[tuple[str, str]]:
    """Key and word of each entry."""
    return re.findall(r'class="ad-nav"[^>]* data-go="(\w)"[^>]*><svg.*?</svg>([^<]+)</a>', page)


def test_pages_stand_in_their_order_each_with_a_key_of_its_own(project) -> None:
    found = places(member_client(project, Role.OPERATOR).get(f"/p/{project.slug}/jobs").text)

    assert [word for _, word in found] == ORDER
    assert len({key for key, _ in found}) == len(found)


def test_every_entry_leads_to_a_page(owner_page, project) -> None:
    page = owner_page.get(f"/p/{project.slug}/jobs").text
    for url in re.findall(r'href="([^"]+)" data-go=', page):
        assert owner_page.get(url, follow=True).status_code == 200, url


def test_project_alone_leads_to_its_overview(owner_page, project) -> None:
    for url in (f"/p/{project.slug}", f"/p/{project.slug}/"):
        assert owner_page.get(url)["Location"] == f"/p/{project.slug}/overview"


def test_switcher_keeps_the_page_but_not_what_only_this_project_has(project) -> None:
    other = Project.objects.create(slug=f"{project.slug}-b", name="B", environment="staging")
    user = User.objects.create_user(f"two-{project.slug}")
    for one in (project, other):
        Member.objects.create(project=one, user=user, role="viewer")
    client = signed_in(user)

    assert f'href="/p/{other.slug}/flags"' in client.get(f"/p/{project.slug}/flags?q=mail").text
    assert f'href="/p/{other.slug}/operations"' in client.get(f"/p/{project.slug}/operations").text
    assert f'href="/p/{other.slug}/"' in client.get(f"/p/{project.slug}/search?q=x").text
    assert "Find a project" not in client.get(f"/p/{project.slug}/flags").text, "two need no search"


def test_many_projects_can_be_searched_and_few_queries_find_them(project) -> None:
    user = User.objects.create_user(f"many-{project.slug}")
    others = Project.objects.bulk_create(Project(slug=f"{project.slug}-{n}", name=f"P {n}") for n in range(9))
    Member.objects.bulk_create(Member(project=one, user=user, role="viewer") for one in (project, *others))

    assert 'data-shortens="projects"' in signed_in(user).get(f"/p/{project.slug}/flags").text
