"""/p/<slug>/settings/members: who administrates a project lets people in, changes what they may do, and shuts them out."""

import re
import threading

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from aerodash import engines, members
from aerodash.auth import ALL_SCOPES, Actor, Role
from aerodash.errors import InvalidInput
from aerodash.ids import ProjectId
from aerodash.models import AuditEntry, Member, Project, User
from tests.pages.cache_cast import client_of

ADMIN = Actor(kind="user", id="1", label="Ines", scopes=ALL_SCOPES)


@pytest.fixture
def url(project):
    return f"/p/{project.slug}/settings/members"


@pytest.fixture
def owner(project) -> Client:
    return client_of(project, Role.OWNER)


@pytest.fixture
def name(project) -> str:
    """Of somebody whom nobody knows yet."""
    return f"omar-{project.slug}"


@pytest.fixture
def add(project):
    """add(name, role): a member of the test's project."""

    def add(name: str, role: Role = Role.VIEWER) -> Member:
        user, _ = User.objects.get_or_create(username=name)
        return Member.objects.create(project=project, user=user, role=role.value)

    return add


def text(response) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", response.content.decode()).split())


def test_a_new_person_gets_a_link_that_leads_into_the_project(project, url, owner, name):
    response = owner.post(url, {"username": name, "role": "developer"})
    assert "no-store" in response["Cache-Control"]
    member = Member.objects.get(project=project, user__username=name)
    assert member.role == "developer"
    assert not member.user.has_usable_password()
    [token] = set(re.findall(r"/sign-in/([\w-]{20,})", response.content.decode()))
    them = Client()
    signed_in = them.post(f"/sign-in/{token}", follow=True)
    assert signed_in.status_code == 200
    assert them.get(f"/p/{project.slug}/jobs").status_code == 200
    line = AuditEntry.objects.get(project=project, verb="member.add")
    assert (line.target, line.details["after"]) == (name, "developer")
    assert token not in str(line.details)


def test_who_has_an_account_is_added_without_a_link(project, url, owner, name):
    User.objects.create(username=name)
    response = owner.post(url, {"username": name, "role": "viewer"}, follow=True)
    assert f"{name} is a member now" in text(response)
    assert "/sign-in/" not in response.content.decode()


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"username": "", "role": "viewer"}, "1 to 150"),
        ({"username": "a b", "role": "viewer"}, "1 to 150"),
        ({"username": "x" * 151, "role": "viewer"}, "1 to 150"),
        ({"username": "omar", "role": "king"}, "no role"),
        ({"username": "omar"}, "no role"),
    ],
)
def test_wrong_input_is_said_and_nothing_typed_is_lost(project, url, owner, form, says):
    response = owner.post(url, form)
    assert response.status_code == 422
    assert says in text(response)
    assert Member.objects.filter(project=project).count() == 1
    if form["username"]:
        assert f'value="{form["username"]}"' in response.content.decode()


def test_nobody_is_added_twice(url, owner, add, name):
    add(name)
    response = owner.post(url, {"username": name, "role": "viewer"})
    assert response.status_code == 422
    assert "is a member already" in text(response)


def test_a_role_is_changed_at_once_and_audited(project, url, owner, add, name):
    member = add(name)
    them = Client()
    them.force_login(member.user)
    assert them.get(url).status_code == 403
    assert owner.post(f"{url}/{member.pk}/role", {"role": "owner"}).status_code == 302
    assert them.get(url).status_code == 200
    line = AuditEntry.objects.get(project=project, verb="member.role")
    assert (line.details["before"], line.details["after"]) == ("viewer", "owner")


def test_a_removed_member_is_out_with_the_next_request(project, url, owner, add, name):
    member = add(name)
    them = Client()
    them.force_login(member.user)
    assert them.get(f"/p/{project.slug}/jobs").status_code == 200
    assert f"Remove {name} from" in text(owner.get(f"{url}/{member.pk}/remove"))
    owner.post(f"{url}/{member.pk}/remove")
    assert them.get(f"/p/{project.slug}/jobs").status_code == 404
    assert User.objects.filter(username=name).exists(), "the account stays"
    assert AuditEntry.objects.filter(project=project, verb="member.remove", target=name).exists()


def test_in_production_the_name_is_typed_first(project, url, owner, add, name):
    Project.objects.filter(pk=project.pk).update(environment=Project.Environment.PRODUCTION)
    member = add(name)
    assert owner.post(f"{url}/{member.pk}/remove", {"typed": "ines"}).status_code == 422
    assert Member.objects.filter(pk=member.pk).exists()
    assert owner.post(f"{url}/{member.pk}/remove", {"typed": name}).status_code == 302


def test_the_last_owner_neither_goes_nor_steps_down(project, url, owner):
    [me] = Member.objects.filter(project=project)
    for path, form in ((f"{url}/{me.pk}/role", {"role": "viewer"}), (f"{url}/{me.pk}/remove", {})):
        response = owner.post(path, form)
        assert response.status_code == 400
        assert "only owner" in text(response)
    me.refresh_from_db()
    assert me.role == "owner"


def test_of_two_owners_who_remove_each_other_one_stays(project, add, name):
    both = [add(f"{name}-{n}", Role.OWNER) for n in range(2)]
    refused: list[str] = []

    def remove(member: Member) -> None:
        try:
            engines.run(members.remove(ProjectId(project.pk), ADMIN, member_id=member.pk))
        except InvalidInput as exc:
            refused.append(exc.message)
        finally:
            connection.close()

    threads = [threading.Thread(target=remove, args=(member,)) for member in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert Member.objects.filter(project=project, role="owner").count() == 1


def test_a_link_is_made_only_for_who_has_nothing_else_to_lose(project, url, owner, add, name):
    new, known, elsewhere, staff = (add(f"{name}-{n}") for n in range(4))
    User.objects.filter(pk=known.user_id).update(last_login=timezone.now())
    other = Project.objects.create(slug=f"{project.slug}-2", name="Other")
    Member.objects.create(project=other, user=elsewhere.user, role="owner")
    User.objects.filter(pk=staff.user_id).update(is_staff=True)
    assert "/sign-in/" in owner.post(f"{url}/{new.pk}/link").content.decode()
    for member in (known, elsewhere, staff):
        refused = owner.post(f"{url}/{member.pk}/link")
        assert refused.status_code == 400
        assert "/sign-in/" not in refused.content.decode()
    assert owner.get(url).content.decode().count("New link") == 1


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.DEVELOPER, Role.FLAG_EDITOR, Role.VIEWER])
def test_who_does_not_administrate_is_refused_by_the_server(project, url, add, name, role):
    member = add(name)
    client = client_of(project, role)
    form = {"username": "mallory", "role": "owner"}
    for path in (url, f"{url}/{member.pk}/role", f"{url}/{member.pk}/link", f"{url}/{member.pk}/remove"):
        assert client.post(path, form).status_code == 403
    assert client.get(url).status_code == 403
    member.refresh_from_db()
    assert member.role == "viewer"


def test_a_member_of_another_project_is_not_there(project, url, owner, name, stranger_page):
    other = Project.objects.create(slug=f"{project.slug}-2", name="Other")
    theirs = Member.objects.create(project=other, user=User.objects.create(username=name), role="viewer")
    for verb, form in (("role", {"role": "owner"}), ("link", {}), ("remove", {})):
        assert owner.post(f"{url}/{theirs.pk}/{verb}", form).status_code == 404
    assert stranger_page.get(url).status_code == 404
