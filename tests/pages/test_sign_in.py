"""Signing in by password and by link, signing out, and where that leads."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from aerodash.auth import Role
from aerodash.console import links
from aerodash.models import Member, Project, SignInLink
from tests.pages.people import new_user, signed_in

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _quick_hashes(settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def sign_in(client: Client, name: str, password: str, *, address: str = "198.51.100.1", **fields: str):
    return client.post("/sign-in", {"username": name, "password": password, **fields}, REMOTE_ADDR=address)


def test_it_works() -> None:
    user, client = new_user("ines", PASSWORD), Client()

    response = sign_in(client, user.username, PASSWORD)

    assert (response.status_code, response["Location"]) == (302, "/")
    assert client.get("/").status_code == 200


def test_wrong_password_says_so_and_signs_nobody_in() -> None:
    user, client = new_user("ines", PASSWORD), Client()

    response = sign_in(client, user.username, "wrong")

    assert response.status_code == 200
    assert "do not belong together" in response.text
    assert client.get("/")["Location"].startswith("/sign-in")


def test_after_ten_failures_even_the_right_password_is_refused() -> None:
    user, client = new_user("ines", PASSWORD), Client()
    for number in range(10):
        sign_in(client, user.username, "wrong", address=f"203.0.113.{number}")

    response = sign_in(client, user.username, PASSWORD, address="203.0.113.200")

    assert response.status_code == 200
    assert "Too many failed login attempts" in response.text


def test_next_leads_back_but_never_to_another_site() -> None:
    user = new_user("ines", PASSWORD)

    home = sign_in(Client(), user.username, PASSWORD, next="/p/shop/jobs?status=failed")
    away = sign_in(Client(), user.username, PASSWORD, next="https://evil.example/")

    assert home["Location"] == "/p/shop/jobs?status=failed"
    assert away["Location"] == "/"


def test_page_of_a_project_sends_to_sign_in_and_back(project: Project) -> None:
    response = Client().get(f"/p/{project.slug}/jobs?status=failed")

    assert response["Location"] == f"/sign-in?next=%2Fp%2F{project.slug}%2Fjobs%3Fstatus%3Dfailed"


def test_link_is_used_up_by_post_and_not_by_get() -> None:
    user, client = new_user("ines"), Client()
    token = links.mint(user)

    preview = client.get(f"/sign-in/{token}")
    first = client.post(f"/sign-in/{token}")
    second = Client().post(f"/sign-in/{token}")

    assert preview.status_code == 200
    assert f"Sign in as {user.username}" in preview.text
    assert preview["Cache-Control"].startswith("max-age=0")
    assert first["Location"] == "/"
    assert client.get("/").status_code == 200
    assert second.status_code == 410


def test_link_that_a_form_without_its_token_was_sent_to_is_not_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    token = links.mint(new_user("ines"))

    assert Client(enforce_csrf_checks=True).post(f"/sign-in/{token}").status_code == 403

    assert any("/sign-in/…" in line for line in caplog.messages), "the refusal is still told"
    assert token not in caplog.text
    assert links.find(token) is not None, "it can still be used, by whoever knows it"


def test_link_that_is_gone_is_not_in_the_log_either(caplog: pytest.LogCaptureFixture) -> None:
    Client().get("/sign-in/no-such-token?next=/")

    assert "/sign-in/…" in caplog.text
    assert "no-such-token" not in caplog.text


@pytest.mark.parametrize("token", ["sIgyr-DAFLm_tMbnEYH6", "aasbb", "back-slash", "n0"])
def test_nothing_of_a_link_is_in_the_log_whatever_its_letters(
    caplog: pytest.LogCaptureFixture, token: str
) -> None:
    Client().get(f"/sign-in/{token}")

    assert [line for line in caplog.messages if "/sign-in/" in line] == ["Gone: /sign-in/…"]


def test_link_is_kept_as_a_digest_only() -> None:
    token = links.mint(new_user("ines"))

    assert token not in SignInLink.objects.latest("pk").digest
    assert len(SignInLink.objects.latest("pk").digest) == 64


@pytest.mark.parametrize("spoil", ["too_old", "barred", "unknown"])
def test_link_that_is_no_good_is_gone(spoil: str) -> None:
    user = new_user("ines")
    token = links.mint(user)
    if spoil == "too_old":
        SignInLink.objects.filter(user=user).update(expires_at=timezone.now() - timedelta(seconds=1))
    if spoil == "barred":
        user.is_active = False
        user.save()
    if spoil == "unknown":
        token = "x" + token

    assert Client().get(f"/sign-in/{token}").status_code == 410
    assert Client().post(f"/sign-in/{token}").status_code == 410


def test_sign_out_needs_a_post() -> None:
    client = signed_in(new_user("ines"))

    assert client.get("/sign-out").status_code == 405
    assert client.post("/sign-out")["Location"] == "/sign-in"
    assert client.get("/")["Location"].startswith("/sign-in")


def test_forms_carry_a_token_and_are_refused_without_it() -> None:
    user = new_user("ines", PASSWORD)
    strict = Client(enforce_csrf_checks=True)

    assert "csrfmiddlewaretoken" in strict.get("/sign-in").text
    refused = sign_in(strict, user.username, PASSWORD)
    assert refused.status_code == 403
    assert "out of date" in refused.text


def test_home_leads_to_the_only_project_and_then_to_the_last(project: Project) -> None:
    user = new_user("ines")
    Member.objects.create(project=project, user=user, role=Role.OWNER)
    client = signed_in(user)
    assert client.get("/")["Location"] == f"/p/{project.slug}/overview"

    other = Project.objects.create(slug=f"{project.slug}-b", name="B")
    Member.objects.create(project=other, user=user, role=Role.OWNER)
    choice = client.get("/")
    assert project.slug in choice.text
    assert other.slug in choice.text

    client.get(f"/p/{other.slug}/jobs")
    assert client.get("/")["Location"] == f"/p/{other.slug}/overview"


def test_project_switcher_lists_ones_own_projects_only(project: Project) -> None:
    user = new_user("ines")
    stranger_slug = Project.objects.create(slug=f"{project.slug}-hidden", name="Hidden").slug
    Member.objects.create(project=project, user=user, role=Role.OWNER)

    page = signed_in(user).get(f"/p/{project.slug}/jobs").text

    assert f'href="/p/{project.slug}/jobs"' in page
    assert stranger_slug not in page


def test_theme_is_in_the_page_before_any_script_runs() -> None:
    client = Client()

    response = client.post("/theme", {"theme": "dark", "next": "/sign-in"})

    assert response["Location"] == "/sign-in"
    assert '<html lang="en" data-bs-theme="dark">' in client.get("/sign-in").text
    assert client.post("/theme", {"theme": "dark", "next": "//evil.example"})["Location"] == "/"


def test_nothing_on_a_page_needs_inline_script_or_style(owner_page: Client, project: Project) -> None:
    for url in ("/sign-in", f"/p/{project.slug}/jobs"):
        response = owner_page.get(url, follow=True)
        assert "style=" not in response.text
        assert " onclick=" not in response.text
        assert "<script>" not in response.text
        assert "'unsafe-" not in response["Content-Security-Policy"]


def test_anonymous_page_asks_the_database_nothing(django_assert_num_queries) -> None:
    with django_assert_num_queries(0):
        Client().get("/sign-in")
