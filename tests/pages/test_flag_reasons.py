"""A flag of a production project changes with its name typed and a reason, whichever page or verb it is changed by."""

import re
from html import unescape

import pytest

from aerodash.errors import InvalidInput
from aerodash.models import AuditEntry, Project
from cache_admin import edits
from cache_admin.flags import services as flags
from tests.pages.cache_cast import HTMX, client_of, put, stored

ON = b'{"enabled":true}'


@pytest.fixture
def production(project):
    project.environment = Project.Environment.PRODUCTION
    project.save()
    return project


def text(response) -> str:
    return unescape(response.content.decode())


def reason(project: Project) -> str:
    """Of the one line in the audit log."""
    return AuditEntry.objects.get(project=project).details.get("reason", "")


VERBS = {
    "create": lambda p, a, **r: edits.create(p, a, key="flag:new", value=ON, ttl_s=None, **r),
    "save_value": lambda p, a, **r: edits.save_value(p, a, key="flag:a", value=b"1", revision="0", **r),
    "save_metadata": lambda p, a, **r: edits.save_metadata(
        p, a, key="flag:a", metadata=b"{}", revision="0", **r
    ),
    "change_expiry": lambda p, a, **r: edits.change_expiry(p, a, key="flag:a", ttl_s=5, **r),
    "delete": lambda p, a, **r: edits.delete(p, a, key="flag:a", revision="0", **r),
    "toggle": lambda p, a, **r: flags.toggle(p, a, name="a", enabled=False, **r),
    "create flag": lambda p, a, **r: flags.create(
        p, a, name="new", enabled=True, rollout=100, description="", tags=[], **r
    ),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("given", [{}, {"reason": "  "}])
async def test_verb_without_a_reason_is_refused_in_production(production, project_id, actor, verb, given):
    with pytest.raises(InvalidInput) as refused:
        await VERBS[verb](project_id, actor, **given)
    assert refused.value.details == {"reason": "reason_needed", "field": "reason"}


@pytest.mark.parametrize("verb", VERBS)
async def test_verb_with_a_reason_goes_on(production, project_id, actor, verb):
    await VERBS[verb](project_id, actor, reason="broken")


@pytest.mark.parametrize("verb", VERBS)
async def test_verb_needs_no_reason_in_development(project_id, actor, verb):
    await VERBS[verb](project_id, actor)


async def test_other_entries_need_no_reason_in_production(production, project_id, actor):
    assert (await edits.create(project_id, actor, key="flagpole", value=b"1", ttl_s=None)).done
    assert await edits.change_expiry(project_id, actor, key="flagpole", ttl_s=5)


@pytest.fixture
def client(production):
    put(production, "flag:a", ON)
    return client_of(production)


@pytest.fixture
def url(production):
    return f"/p/{production.slug}/cache/entry"


def test_delete_of_a_flag_asks_for_the_reason_too(client, production, url):
    asked = client.get(f"{url}/delete", {"key": "flag:a"})
    assert 'name="typed"' in text(asked)
    assert 'name="reason"' in text(asked)
    revision = re.search(r'name="revision" value="([^"]*)"', text(asked))[1]
    send = {"revision": revision}
    for sent in ({"reason": "old"}, {"typed": "flag:a"}, {"typed": "flag:b", "reason": "old"}):
        assert client.post(f"{url}/delete?key=flag:a", send | sent).status_code == 422
    assert stored(production, "flag:a") is not None
    client.post(f"{url}/delete?key=flag:a", send | {"typed": "flag:a", "reason": "old"})
    assert stored(production, "flag:a") is None
    assert reason(production) == "old"


def test_delete_of_another_entry_asks_for_no_reason(client, production, url):
    put(production, "a", b"1")
    assert 'name="reason"' not in text(client.get(f"{url}/delete", {"key": "a"}))


@pytest.mark.parametrize("wanted", [{"seconds": "300"}, {"until": "2030-01-01T00:00:00"}])
def test_expiry_of_a_flag_opens_a_confirmation_first(client, production, url, wanted):
    page = text(client.get(url, {"key": "flag:a"}))
    assert f'hx-post="{url}/expiry' not in page, "htmx would not show the confirmation"
    asked = client.post(f"{url}/expiry?key=flag:a", wanted)
    assert asked.status_code == 200
    assert "Change when flag:a expires?" in text(asked)
    hidden = dict(
        re.findall(r'<input type="hidden" name="(seconds|until|never)" value="([^"]*)"', text(asked))
    )
    assert hidden == wanted
    for sent in ({"typed": "a", "reason": "x"}, {"typed": "flag:a", "reason": " "}):
        assert client.post(f"{url}/expiry?key=flag:a", hidden | sent).status_code == 422
    assert stored(production, "flag:a").expires_at_ms is None
    done = client.post(f"{url}/expiry?key=flag:a", hidden | {"typed": "flag:a", "reason": "trial ends"})
    assert done.status_code == 302
    assert stored(production, "flag:a").expires_at_ms
    assert reason(production) == "trial ends"


def test_expiry_from_a_page_that_does_not_know_of_the_rule_yet_changes_nothing(client, production, url):
    response = client.post(f"{url}/expiry?key=flag:a", {"seconds": "300"}, headers=HTMX)
    assert response["HX-Redirect"].startswith(url)
    assert stored(production, "flag:a").expires_at_ms is None


def test_metadata_of_a_flag_needs_its_name_and_a_reason(client, production, url):
    revision = stored(production, "flag:a").revision
    send = {"metadata": '{"owner": "web"}', "revision": revision}
    for sent in ({}, {"reason": "x"}, {"typed": "flag:a"}, {"typed": "flag:b", "reason": "x"}):
        refused = client.post(f"{url}/metadata?key=flag:a", send | sent)
        assert refused.status_code == 422
        assert '{"owner": "web"}' in text(refused)
    assert stored(production, "flag:a").metadata is None
    client.post(f"{url}/metadata?key=flag:a", send | {"typed": "flag:a", "reason": "new team"})
    assert stored(production, "flag:a").metadata == b'{"owner":"web"}'
    assert reason(production) == "new team"


def test_new_flag_written_as_an_entry_needs_a_reason(client, production):
    address = f"/p/{production.slug}/cache/new"
    refused = client.post(address, {"key": "flag:b", "value": '{"enabled": true}'})
    assert refused.status_code == 422
    assert 'name="reason"' in text(refused)
    assert '{"enabled": true}' in text(refused)
    assert stored(production, "flag:b") is None
    client.post(address, {"key": "flag:b", "value": '{"enabled": true}', "reason": "launch"})
    assert stored(production, "flag:b") is not None
    assert reason(production) == "launch"


def test_new_flag_on_the_flags_page_needs_a_reason(client, production):
    address = f"/p/{production.slug}/flags/new"
    assert client.post(address, {"name": "b"}).status_code == 422
    assert stored(production, "flag:b") is None
    client.post(address, {"name": "b", "reason": "launch"})
    assert reason(production) == "launch"
