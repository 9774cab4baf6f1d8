"""/p/<slug>/settings/keys: keys are made, shown once, and revoked, by who administrates the project."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from aerodash import engines, keys
from aerodash.auth import ALL_SCOPES, Role, Scope
from aerodash.errors import InvalidInput
from aerodash.ids import ProjectId
from aerodash.models import ApiKey, AuditEntry, Project
from tests.pages.cache_cast import client_of

FORM = {"name": "shop-api", "scope": ["cache:read", "queue:enqueue"], "lasts": "30"}


@pytest.fixture
def url(project):
    return f"/p/{project.slug}/settings/keys"


@pytest.fixture
def owner(project) -> Client:
    return client_of(project, Role.OWNER)


def text(response) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", response.content.decode()).split())


def test_a_key_is_made_shown_once_and_works(project, url, owner, api):
    response = owner.post(f"{url}/new", FORM)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    [key] = ApiKey.objects.filter(project=project, name="shop-api")
    shown = re.search(r"ac_secret_[\w-]{43}", response.content.decode())
    assert shown is not None
    assert keys.digest(shown.group()) == key.digest
    assert key.scopes == ["cache:read", "queue:enqueue"]
    assert timedelta(days=29) < key.expires_at - timezone.now() < timedelta(days=31)
    listed = owner.get(url).content.decode()
    assert shown.group() not in listed
    assert key.hint in listed
    line = AuditEntry.objects.get(project=project, verb="key.create")
    assert shown.group() not in str(line.details)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": " "}, "1 to 120 characters"),
        ({"name": "x" * 121}, "1 to 120 characters"),
        ({"name": "a\nb"}, "1 to 120 characters"),
        ({"scope": []}, "must be allowed something"),
        ({"scope": ["root"]}, "must be allowed something"),
        ({"lasts": "12"}, "none of the times"),
    ],
)
def test_wrong_input_is_said_and_nothing_typed_is_lost(project, url, owner, change, says):
    response = owner.post(f"{url}/new", FORM | change)
    assert response.status_code == 422
    page = response.content.decode()
    assert says in text(response)
    assert f'value="{(FORM | change)["name"]}"' in page
    assert ApiKey.objects.filter(project=project, name__in=("shop-api", "x" * 121)).count() == 0


@pytest.mark.parametrize(("preset", "scope"), [("worker", "queue:work"), ("flags", "flags:evaluate")])
def test_a_preset_ticks_what_such_a_program_needs(url, owner, preset, scope):
    page = owner.get(f"{url}/new?preset={preset}").content.decode()
    assert f'value="{scope}" checked' in page
    assert 'value="admin" checked' not in page


def test_a_key_is_revoked_after_one_question(project, url, owner, actor):
    key, _ = keys.mint(project, "old", [Scope.CACHE_READ])
    asked = owner.get(f"{url}/{key.pk}/revoke")
    assert "Revoke the key old?" in text(asked)
    done = owner.post(f"{url}/{key.pk}/revoke", follow=True)
    assert "Revoked old" in text(done)
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert owner.post(f"{url}/{key.pk}/revoke").status_code == 404, "it is no valid key any more"


def test_in_production_its_name_is_typed_first(project, url, owner):
    Project.objects.filter(pk=project.pk).update(environment=Project.Environment.PRODUCTION)
    key, _ = keys.mint(project, "old", [Scope.CACHE_READ])
    refused = owner.post(f"{url}/{key.pk}/revoke", {"typed": "new"})
    assert refused.status_code == 422
    key.refresh_from_db()
    assert key.revoked_at is None
    assert owner.post(f"{url}/{key.pk}/revoke", {"typed": "old"}).status_code == 302


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.DEVELOPER, Role.FLAG_EDITOR, Role.VIEWER])
def test_who_does_not_administrate_sees_no_keys(project, url, role):
    key, _ = keys.mint(project, "old", [Scope.CACHE_READ])
    client = client_of(project, role)
    for path in (url, f"{url}/new", f"{url}/{key.pk}/revoke"):
        assert client.get(path).status_code == 403
        assert client.post(path, FORM).status_code in (403, 405)
    assert ApiKey.objects.filter(project=project, name="shop-api").count() == 0
    assert "settings" not in [
        item["url"].rpartition("/")[2]
        for item in client.get(f"/p/{project.slug}/audit").context["console"]["nav"]
    ]


def test_a_key_of_another_project_is_not_there(project, url, owner, stranger_page):
    other = Project.objects.create(slug=f"{project.slug}-2", name="Other")
    key, _ = keys.mint(other, "theirs", [Scope.CACHE_READ])
    assert owner.post(f"{url}/{key.pk}/revoke").status_code == 404
    assert "theirs" not in text(owner.get(url))
    assert stranger_page.get(url).status_code == 404


def test_over_and_ending_keys_are_told_apart(project, url, owner):
    keys.mint(project, "gone", [Scope.CACHE_READ], expires_at=timezone.now() - timedelta(days=1))
    keys.mint(project, "soon", [Scope.CACHE_READ], expires_at=timezone.now() + timedelta(days=2))
    context = owner.get(url).context
    assert [(row["key"].name, row["is_ending"]) for row in context["valid"] if row["key"].expires_at] == [
        ("soon", True)
    ]
    assert [key.name for key in context["over"]] == ["gone"]


def test_no_more_than_so_many(project, actor, monkeypatch):
    monkeypatch.setattr(keys, "VALID_MOST", keys.valid(ProjectId(project.pk)).count() + 1)
    make = lambda: engines.run(keys.create(ProjectId(project.pk), actor, name="k", scopes=ALL_SCOPES))  # noqa: E731
    make()
    with pytest.raises(InvalidInput, match="at most"):
        make()


def test_settings_lead_to_the_keys(project, owner):
    assert owner.get(f"/p/{project.slug}/settings").url == f"/p/{project.slug}/settings/keys"
