"""/p/<slug>/cache/delete: what would go under a prefix or of what was chosen, the question, and the deleting."""

import itertools
import re

import pytest

from aerodash import engines
from aerodash.auth import ALL_SCOPES, Actor, Role
from aerodash.ids import ProjectId
from aerodash.models import AuditEntry, Operation, Project
from aerodash.operations.keeper import Runner
from cache_admin import bulk, services
from cache_admin.views.cache_selection import pack
from tests.pages.cache_cast import cache_away, client_of, put, remove, stored

WRITER = Actor(kind="key", id="9", label="key test", scopes=ALL_SCOPES)


@pytest.fixture
def url(project):
    return f"/p/{project.slug}/cache/delete"


@pytest.fixture
def production(project):
    project.environment = Project.Environment.PRODUCTION
    project.save()
    return project


def fill(project, count: int, prefix: str = "s:") -> None:
    entries = [(f"{prefix}{n:04}", b'"%d"' % n, None, None) for n in range(count)]
    for chunk in itertools.batched(entries, 1000):
        engines.run(services.set_many(ProjectId(project.pk), WRITER, entries=chunk))


def text(response) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", response.content.decode()).split())


def question(client, url: str, prefix: str = "s:", **about: str) -> dict[str, str]:
    """The hidden fields of the question, as its form sends them."""
    page = client.get(url, {"prefix": prefix, **about}).content.decode()
    return dict(re.findall(r'<input type="hidden" name="(up_to|count|digest)" value="([^"]*)"', page))


def send(client, url: str, fields: dict[str, str], prefix: str = "s:", **more: str):
    return client.post(f"{url}?prefix={prefix}", {**fields, **more}, follow=True)


def test_question_shows_how_many_some_of_them_and_what_stays(project, url):
    fill(project, 9)
    put(project, "t", b"1")
    response = client_of(project).get(url, {"prefix": "s:"})
    page = text(response)
    assert response.status_code == 200
    assert "Delete 9 keys under s:?" in page
    assert "Keys 9 exact" in page
    assert "Values 27 B exact" in page
    assert "4 of 9" in page
    assert "s: 0000" in page
    assert "stay" in page
    assert 'name="typed"' not in response.content.decode(), "few keys, no production: one click"
    assert "This cannot be taken back" in page
    assert "Flags are among them" not in page


def test_a_few_go_at_once_and_what_was_written_since_stays(project, url):
    fill(project, 9)
    client = client_of(project)
    asked = question(client, url)
    put(project, "s:0003", b'"again"')
    put(project, "s:new", b"1")
    response = send(client, url, asked)
    assert response.redirect_chain[-1][0] == f"/p/{project.slug}/cache?prefix=s%3A"
    assert "Deleted 8 keys under s:." in text(response)
    assert [bool(stored(project, key)) for key in ("s:0001", "s:0003", "s:new")] == [False, True, True]
    line = AuditEntry.objects.get(project=project)
    assert (line.verb, line.target, line.details["after"]) == ("cache.flush", "s:", "8 removed")
    assert line.details["before"] == "9 keys, 32 B"


def test_more_than_a_hundred_need_their_number_typed(project, url):
    fill(project, 101)
    client = client_of(project)
    asked = question(client, url)
    for typed in ("", "100", "s:"):
        response = send(client, url, asked, typed=typed)
        assert response.status_code == 422
        assert "Nothing was deleted: the number typed is another one." in text(response)
    assert stored(project, "s:0000")
    assert "Deleted 101 keys" in text(send(client, url, asked, typed="101"))


def test_production_asks_for_the_number_of_any_and_keeps_the_reason(production, url):
    fill(production, 3)
    client = client_of(production)
    asked = question(client, url)
    assert send(client, url, asked).status_code == 422
    assert "Deleted 3 keys" in text(send(client, url, asked, typed="3", reason="poisoned"))
    assert AuditEntry.objects.get(project=production).details["reason"] == "poisoned"


def test_flags_of_production_go_only_with_a_reason(production, url):
    put(production, "flag:a", b'{"enabled":true}')
    client = client_of(production)
    asked = question(client, url, "")
    page = text(client.get(url))
    assert "all flags too" in page
    refused = send(client, url, asked, prefix="", typed="1")
    assert refused.status_code == 422
    assert "with a reason" in text(refused)
    assert stored(production, "flag:a")
    assert "Deleted 1 key." in text(send(client, url, asked, prefix="", typed="1", reason="new start"))
    assert stored(production, "flag:a") is None


def test_many_become_an_operation_whose_page_shows_it(project, url, monkeypatch):
    monkeypatch.setattr(bulk, "AT_ONCE_KEYS", 20)
    fill(project, 1200)
    client = client_of(project)
    asked = question(client, url)
    response = send(client, url, asked, typed="1,200")
    one = Operation.objects.get(project=project)
    assert response.redirect_chain == [(f"/p/{project.slug}/operations/{one.pk}", 302)]
    assert "Deleting the keys under s:" in text(response)
    assert (one.total, one.door, one.state) == (1200, "console", "waiting")
    put(project, "s:0003", b'"again"')
    engines.run(_work())
    page = text(client.get(f"/p/{project.slug}/operations/{one.pk}"))
    assert "1,199 keys deleted" in page
    assert "1 left as it is: written since" in page
    assert stored(project, "s:0003")


async def _work() -> None:
    await Runner().run()


def test_nothing_under_the_prefix_leads_back_and_says_so(project, url):
    response = client_of(project).get(url, {"prefix": "none:"}, follow=True)
    assert response.redirect_chain[-1][0] == f"/p/{project.slug}/cache?prefix=none%3A"
    assert "There are no keys under none:." in text(response)


@pytest.mark.parametrize(
    "fields",
    [{}, {"up_to": "x", "count": "1"}, {"up_to": "99999", "count": "1"}, {"up_to": "3", "count": "1"}],
)
def test_a_form_that_never_was_asked_is_asked(project, url, fields):
    fill(project, 3)
    response = send(client_of(project), url, fields)
    assert response.status_code == 422
    assert "look again" in text(response)
    assert stored(project, "s:0000")


def test_a_count_or_a_prefix_that_was_not_shown_is_asked_again(project, url):
    fill(project, 3)
    put(project, "t", b"1")
    client = client_of(project)
    asked = question(client, url)
    for changed, prefix in (({"count": "1"}, "s:"), ({}, ""), ({"digest": "0" * 16}, "s:")):
        response = send(client, url, {**asked, **changed}, prefix=prefix)
        assert response.status_code == 422
        assert "look again" in text(response)
    assert stored(project, "s:0000")
    assert stored(project, "t")


def test_chosen_entries_go_and_no_others(project, url):
    fill(project, 5)
    odd = "s:\0\u202e&?"
    put(project, odd, b"1")
    client = client_of(project)
    keys = pack(("s:0001", "s:0003", odd))
    response = client.get(url, {"prefix": "s:", "keys": keys})
    page = text(response)
    assert "Delete 3 chosen keys?" in page
    assert "Values 7 B exact" in page
    assert "\\x00\\u202e" in page
    fields = question(client, url, keys=keys)
    response = client.post(f"{url}?prefix=s:&keys={keys}", fields, follow=True)
    assert response.redirect_chain[-1][0] == f"/p/{project.slug}/cache?prefix=s%3A"
    assert "Deleted 3 chosen keys." in text(response)
    assert [bool(stored(project, key)) for key in ("s:0000", "s:0001", "s:0003", odd)] == [
        True,
        False,
        False,
        False,
    ]
    line = AuditEntry.objects.get(project=project)
    assert (line.verb, line.details["after"]) == ("cache.flush", "3 removed")
    assert line.details["before"].startswith("3 keys, 7 B\n")
    assert "s:0003" in line.details["before"]


def test_chosen_entries_that_moved_are_asked_about_again(project, url):
    fill(project, 3)
    client = client_of(project)
    keys = pack(("s:0000", "s:0001"))
    fields = question(client, url, keys=keys)
    put(project, "s:0001", b'"again"')
    response = client.post(f"{url}?keys={keys}", fields)
    assert response.status_code == 422
    assert "written or went away meanwhile" in text(response)
    assert stored(project, "s:0000")
    remove(project, "s:0000")
    page = client.post(f"{url}?keys={keys}", fields)
    assert "Delete 1 chosen key?" in text(page), "what is gone is no longer counted"
    remove(project, "s:0001")
    response = client.get(url, {"keys": keys}, follow=True)
    assert "The chosen entries are all gone already." in text(response)


def test_a_chosen_key_that_is_gone_is_not_taken_for_a_longer_one(project, url):
    for key in ("a", "ab", "abc"):
        put(project, key, b"1")
    client = client_of(project)
    keys = pack(("a", "ab"))
    remove(project, "a")
    fields = question(client, url, prefix="", keys=keys)
    assert fields["count"] == "1"
    assert "Deleted 1 chosen key." in text(client.post(f"{url}?keys={keys}", fields, follow=True))
    assert stored(project, "abc")


def test_chosen_flags_of_production_go_with_a_reason_and_the_number(production, url):
    put(production, "flag:a", b'{"enabled":true}')
    put(production, "b", b"1")
    client = client_of(production)
    keys = pack(("b", "flag:a"))
    fields = question(client, url, keys=keys)
    assert "Flags are among them" in text(client.get(url, {"keys": keys}))
    address = f"{url}?keys={keys}"
    assert client.post(address, {**fields, "reason": "new start"}).status_code == 422
    assert "with a reason" in text(client.post(address, {**fields, "typed": "2"}))
    done = client.post(address, {**fields, "typed": "2", "reason": "new start"}, follow=True)
    assert "Deleted 2 chosen keys." in text(done)


@pytest.mark.parametrize("keys", ["nonsense", "eJw", "\u2603", pack(("",))])
def test_an_address_that_names_no_keys_is_refused(project, url, keys):
    assert client_of(project).get(url, {"keys": keys}).status_code == 400


def test_keys_that_hide_characters_are_shown(project, url):
    put(project, "a\0\u202eb", b"1")
    page = client_of(project).get(url, {"prefix": "a\0"}).content.decode()
    assert r"under a\x00?" in page
    assert r"\u202eb" in page
    assert "\u202e" not in page


def test_member_who_may_only_look_and_stranger_are_refused(project, url):
    fill(project, 3)
    for client, status in ((client_of(project, Role.VIEWER), 403), (client_of(None), 404)):
        assert client.get(url, {"prefix": "s:"}).status_code == status
        assert client.post(f"{url}?prefix=s:", {"up_to": "1", "count": "3"}).status_code == status
    assert stored(project, "s:0000")


def test_the_cache_away_is_said(project, url):
    with cache_away():
        response = client_of(project).get(url, {"prefix": "s:"})
    assert response.status_code == 503
    assert "Valkey cannot be reached." in text(response)
