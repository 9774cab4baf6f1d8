"""/p/<slug>/flags: the list, its switches, and what production asks for."""

import re
from html import unescape

import pytest

from aerodash.auth import Role
from aerodash.models import AuditEntry, Project
from tests.pages.cache_cast import HTMX, cache_away, client_of, put, remove, stored

FULL = (
    b'{"enabled": true, "rollout": 12.50, "x": 9007199254740993, "tags": ["web"], "description": "One page"}'
)


@pytest.fixture
def url(project):
    return f"/p/{project.slug}/flags"


@pytest.fixture
def production(project):
    project.environment = Project.Environment.PRODUCTION
    project.save()
    return project


def text(response) -> str:
    return response.content.decode()


def rows(response) -> list[str]:
    return re.findall(r'<tr role="row" id="row-[^"]*" data-row="([^"]*)"', text(response))


def switch(response, name: str) -> dict[str, str]:
    """What the switch of a flag is: its state, where it leads, and whether it may be pressed."""
    tag = re.search(
        rf'<(?:a|button)[^>]*class="ad-toggle"[^>]*aria-label="{re.escape(name)}[^>]*>', text(response)
    )[0]
    return {key: unescape(value) for key, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}


def test_page_lists_flags_by_name_with_what_is_known_of_them(project, url):
    put(project, "flag:b", b'{"enabled":false}')
    put(project, "flag:a", FULL)
    put(project, "flagpole", b"1")
    response = client_of(project).get(url)
    assert rows(response) == ["a", "b"]
    assert switch(response, "a")["aria-checked"] == "true"
    assert switch(response, "b")["aria-checked"] == "false"
    page = text(response)
    assert "12.5 %" in page
    assert "One page" in page
    assert '<span class="ad-tag">web</span>' in page
    assert "a program" in page


def test_switch_acts_at_once_in_development_and_keeps_every_other_byte(project, url):
    put(project, "flag:a", FULL, ttl_s=600, metadata=b'{"team":"x"}')
    before = stored(project, "flag:a")
    client = client_of(project, name="Mei")
    response = client.post(switch(client.get(url), "a")["formaction"], {"next": url + "?show=on"})
    assert response.status_code == 302
    assert response["Location"] == url + "?show=on"
    after = stored(project, "flag:a")
    assert after.value == FULL.replace(b"true", b"false")
    assert (after.expires_at_ms, after.metadata) == (before.expires_at_ms, before.metadata)
    page = client.get(url)
    assert switch(page, "a")["aria-checked"] == "false"
    assert "Mei" in text(page)
    line = AuditEntry.objects.get(project=project)
    assert (line.verb, line.target, line.door) == ("flag.toggle", "flag:a", "console")


def test_last_change_says_when_a_program_wrote_since(project, url):
    put(project, "flag:a", FULL)
    client = client_of(project, name="Jonas")
    client.post(switch(client.get(url), "a")["formaction"])
    put(project, "flag:a", FULL)
    assert re.search(r"a program</span><span[^>]*>after Jonas", text(client.get(url)))


def test_switch_of_a_flag_that_changed_meanwhile_does_nothing(project, url):
    put(project, "flag:a", FULL)
    client = client_of(project)
    action = switch(client.get(url), "a")["formaction"]
    put(project, "flag:a", b'{"enabled":true,"rollout":1}')
    assert "Somebody changed it meanwhile" in text(client.post(action, follow=True))
    assert stored(project, "flag:a").value == b'{"enabled":true,"rollout":1}'


def test_next_never_leads_to_another_site(project, url):
    put(project, "flag:a", FULL)
    client = client_of(project)
    response = client.post(f"{url}/a/toggle?to=off", {"next": "https://evil.example/"})
    assert response["Location"] == url


def test_htmx_is_told_what_was_done(project, url):
    put(project, "flag:a", FULL)
    response = client_of(project).post(f"{url}/a/toggle?to=off", headers=HTMX)
    assert 'hx-target="#messages"' in text(response)
    assert "a is off." in text(response)


def test_production_asks_for_the_name_and_a_reason(production, url):
    put(production, "flag:a", FULL)
    client = client_of(production)
    link = switch(client.get(url), "a")
    assert "formaction" not in link
    ask = client.get(link["href"])
    assert "Switch a off?" in text(ask)
    assert stored(production, "flag:a").value == FULL
    revision = re.search(r'name="revision" value="([^"]*)"', text(ask))[1]
    for sent in ({}, {"typed": "A", "reason": "r"}, {"typed": "a"}, {"typed": "a", "reason": "  "}):
        assert client.post(link["href"], {"revision": revision, **sent}).status_code == 422
    assert stored(production, "flag:a").value == FULL
    client.post(link["href"], {"revision": revision, "typed": "a", "reason": "SMTP is down"})
    assert stored(production, "flag:a").value == FULL.replace(b"true", b"false")
    assert AuditEntry.objects.get(project=production).details["reason"] == "SMTP is down"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b'"on"', "not a JSON object"),
        (b"{}", "no enabled"),
        (b'{"enabled":1}', "neither true nor false"),
        (b'{"enabled":true,"rollout":101}', "not a number from 0 to 100"),
        (b'{"enabled":true,"rollout":true}', "not a number from 0 to 100"),
        (b'{"enabled":true,"rules":3}', "rules is not a list"),
    ],
)
def test_what_is_not_a_flag_is_shown_as_such_and_cannot_be_switched(project, url, value, problem):
    put(project, "flag:bad", value)
    client = client_of(project)
    response = client.get(url)
    assert "parse error" in text(response)
    assert problem in text(response)
    assert switch(response, "bad")["aria-disabled"] == "true"
    assert "cannot be read as a flag" in text(client.post(f"{url}/bad/toggle?to=on", follow=True))
    assert stored(project, "flag:bad").value == value


def test_entry_with_a_name_that_is_none_is_shown_as_broken(project, url):
    put(project, "flag:a/b<i>", FULL)
    response = client_of(project).get(url)
    assert "the name is not one" in text(response)
    assert "a/b&lt;i&gt;" in text(response)


def test_filter_by_text_and_kind_stands_in_the_url(project, url):
    put(project, "flag:checkout", b'{"enabled":true}')
    put(project, "flag:other", b'{"enabled":false,"description":"for the Checkout"}')
    put(project, "flag:tagged", b'{"enabled":false,"tags":["checkout"]}')
    put(project, "flag:none", b'{"enabled":true}')
    put(project, "flag:bad", b"1")
    client = client_of(project)
    assert rows(client.get(url, {"q": "CHECKOUT"})) == ["checkout", "other", "tagged"]
    assert rows(client.get(url, {"q": "checkout", "show": "off"})) == ["other", "tagged"]
    assert rows(client.get(url, {"show": "broken"})) == ["bad"]
    assert rows(client.get(url, {"show": "on"})) == ["checkout", "none"]
    page = text(client.get(url, {"q": "nothing-like-it"}))
    assert "No flag matches" in page


def test_more_than_a_page_of_flags_goes_on_by_name(project, url):
    for number in range(105):
        put(project, f"flag:f{number:03}", b'{"enabled":true}')
    client = client_of(project)
    first = client.get(url)
    assert len(rows(first)) == 100
    later = unescape(re.search(r'href="([^"]*)" rel="next"', text(first))[1])
    assert rows(client.get(url + later)) == [f"f{number}" for number in range(100, 105)]


def test_new_flag_is_made_and_an_old_one_is_never_replaced(project, url):
    client = client_of(project)
    fields = {
        "name": "new-one",
        "enabled": "on",
        "rollout": "2.5",
        "description": "Größe",
        "tags": "web, ops,",
    }
    assert client.post(f"{url}/new", fields)["Location"] == url
    assert stored(project, "flag:new-one").value == (
        '{"enabled":true,"rollout":2.5,"description":"Größe","tags":["web","ops"]}'.encode()
    )
    again = client.post(f"{url}/new", {"name": "new-one"})
    assert again.status_code == 409
    assert "There is a flag of this name already" in text(again)


@pytest.mark.parametrize("fields", [{"name": "-x"}, {"name": ""}, {"name": "a b"}, {"name": "x", "rollout": "101"}, {"name": "x", "rollout": "nan"}, {"name": "x", "rollout": "0.005"}])  # fmt: skip
def test_new_flag_out_of_bounds_is_refused(project, url, fields):
    assert client_of(project).post(f"{url}/new", fields).status_code == 422


def test_open_page_keeps_its_rows(project, url):
    put(project, "flag:a", b'{"enabled":true}')
    put(project, "flag:b,\x00", b"1")
    put(project, "flag:c", b'{"enabled":true}')
    client = client_of(project)
    shown = ",".join(rows(client.get(url)))
    remove(project, "flag:a")
    put(project, "flag:b", b'{"enabled":true}')
    response = client.get(url, {"shown": shown}, headers=HTMX)
    assert rows(response) == shown.split(",")
    assert re.findall(r'class="(is-gone)?"', text(response)) == ["is-gone", "", ""]
    assert "1 new flag" in text(response)
    assert "<html" not in text(response)


def test_empty_page_says_how_the_first_flag_comes(project, url):
    assert "No flags yet" in text(client_of(project).get(url))


def test_flag_editor_switches_without_the_right_to_the_cache(project, url):
    put(project, "flag:a", FULL)
    client = client_of(project, Role.FLAG_EDITOR)
    client.post(f"{url}/a/toggle?to=off")
    assert stored(project, "flag:a").value == FULL.replace(b"true", b"false")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER])
def test_who_may_not_change_flags_is_refused_by_the_server(project, url, role):
    put(project, "flag:a", FULL)
    client = client_of(project, role)
    page = client.get(url)
    assert switch(page, "a")["aria-disabled"] == "true"
    assert "You may look, not change" in text(page)
    assert client.post(f"{url}/a/toggle?to=off").status_code == 403
    assert client.post(f"{url}/new", {"name": "b"}).status_code == 403
    assert stored(project, "flag:a").value == FULL


def test_stranger_does_not_learn_that_the_project_exists(project, url):
    assert client_of(None).get(url).status_code == 404


def test_engine_down_keeps_the_panel_in_place(project, url):
    client = client_of(project)
    with cache_away():
        response = client.get(url)
    assert response.status_code == 503
    assert "Flags cannot be read right now" in text(response)
