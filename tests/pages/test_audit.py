"""/p/<slug>/audit: who changed what; one change in full; and the file that takes it all away."""

import csv
import io
import json
import re
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.utils import timezone

import aerodash.consumers  # noqa: F401  (registers the pages)
from aerodash import audit, audit_log, engines
from aerodash.auth import ALL_SCOPES, Actor, Door, Role, Scope
from aerodash.console.access import find_access
from aerodash.errors import NotAllowed
from aerodash.ids import ProjectId
from aerodash.models import AuditEntry, Member, Project, User
from aerodash.realtime.pages import LiveView, find
from tests.pages.cache_cast import HTMX, client_of

INES = Actor(kind="user", id="1", label="Ines", scopes=ALL_SCOPES, door=Door.CONSOLE, request_id="req-1")
SHOP = Actor(kind="key", id="2", label="key shop-api", scopes=ALL_SCOPES)


@pytest.fixture
def url(project):
    return f"/p/{project.slug}/audit"


@pytest.fixture
def record(project):
    """record(verb, target, …): one line of the test's project; its id."""

    def record(verb: str, target: str, *, actor: Actor = INES, **sides: str) -> int:
        engines.run(audit.record(ProjectId(project.pk), actor, verb=verb, target=target, **sides))
        return AuditEntry.objects.filter(project=project).order_by("-pk").values_list("pk", flat=True)[0]

    return record


def text(response) -> str:
    """What the page says, without its tags."""
    return " ".join(re.sub(r"<[^>]*>", " ", response.content.decode()).split())


def body(response) -> str:
    async def read() -> bytes:
        return b"".join([piece async for piece in response.streaming_content])

    return engines.run(read()).decode()


def test_the_log_shows_who_did_what_newest_first(project, url, record):
    record("entry.set", "user:1", before='{"a":1}', after='{"a":2}')
    record("type.pause", "send-email", actor=SHOP, reason="mail server is down")
    page = text(client_of(project).get(url))
    assert re.search(r"key shop-api paused type send-email.*mail server is down.*Ines wrote user:1", page)
    assert "a 1 → 2" in page


@pytest.mark.parametrize(
    ("sides", "short"),
    [
        ({"before": "1", "after": "2"}, "1 → 2"),
        ({"before": '{"a":1,"b":2,"c":3}', "after": '{"a":1,"b":"x","d":null}'}, "b 2 → x, c 3 → none"),
        ({"after": '{"cron":"0 8 * * 1","every":null}'}, "cron 0 8 * * 1"),
        ({"after": "cache:read, cache:write"}, "cache:read, cache:write"),
        ({"before": '"gone"', "reason": "stale"}, "stale"),
        ({}, ""),
    ],
)
def test_a_line_says_in_short_what_changed(project, url, record, sides, short):
    record("entry.set", "k", **sides)
    [row] = client_of(project).get(url).context["lines"]
    assert row["change"] == short


def test_a_new_project_says_what_would_be_here(project, url):
    assert f"No changes yet in {project.slug}" in text(client_of(project).get(url))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("kind=flag", {"flag:dark"}),
        ("by=shop", {"user:2"}),
        ("target=ser:", {"user:1", "user:2"}),
        ("door=api", {"user:2"}),
        ("by=ines&target=dark", {"flag:dark"}),
        ("target=nobody", set()),
    ],
)
def test_filters_leave_what_matches(project, url, record, query, found):
    record("entry.set", "user:1")
    record("entry.delete", "user:2", actor=SHOP)
    record("flag.toggle", "flag:dark", after='{"enabled":true}')
    response = client_of(project).get(f"{url}?{query}")
    assert {row["line"].target for row in response.context["lines"]} == found
    if not found:
        assert "No change matches" in text(response)


def test_up_to_a_moment_shows_what_was_known_then(project, url, record):
    old = record("entry.set", "user:1")
    record("entry.set", "user:2")
    moment = timezone.now() - timedelta(hours=2)
    AuditEntry.objects.filter(pk=old).update(at=moment - timedelta(minutes=1))
    response = client_of(project).get(url, {"until": f"{moment:%Y-%m-%dT%H:%M:%S}"})
    assert [row["line"].target for row in response.context["lines"]] == ["user:1"]


@pytest.mark.parametrize(
    "query", ["until=noon", "door=window", "before=x", "before=1-²", "before=" + "9" * 39 + "-1"]
)
def test_what_makes_no_sense_is_refused_in_a_sentence(project, url, query):
    response = client_of(project).get(f"{url}?{query}")
    assert response.status_code == 400
    assert query.partition("=")[2] in text(response) or "no place in the audit log" in text(response)


def test_pages_follow_each_other_without_gap_or_repetition(project, url, record, monkeypatch):
    monkeypatch.setattr("aerodash.console.views.audit.PAGE", 2)
    for n in range(5):
        record("entry.set", f"k{n}")
    same = timezone.now()
    AuditEntry.objects.filter(project=project).update(at=same)
    client, seen, where = client_of(project), [], url
    while where:
        context = client.get(where).context
        seen += [row["line"].target for row in context["lines"]]
        where = f"{url}{context['older_url']}" if context["older_url"] else ""
    assert seen == ["k4", "k3", "k2", "k1", "k0"]


def test_a_long_search_stops_says_where_and_goes_on(project, url, record, monkeypatch):
    monkeypatch.setattr(audit_log, "LOOK_AT", 3)
    record("flag.toggle", "flag:old")
    for n in range(4):
        record("entry.set", f"k{n}")
    client = client_of(project)
    first = client.get(url, {"kind": "flag"})
    assert "Nothing found so far" in text(first)
    assert "Look further" in text(first)
    then = client.get(url + first.context["older_url"])
    assert [row["line"].target for row in then.context["lines"]] == ["flag:old"]


def test_one_change_shows_both_sides_line_by_line(project, url, record):
    id = record(
        "entry.set",
        "user:1",
        before='{"plan":"free","n":1}',
        after='{"plan":"pro","n":1}',
        reason="asked for",
    )
    response = client_of(project).get(f"{url}/{id}")
    page = text(response)
    assert "Ines wrote user:1" in page
    assert "“asked for”" in page
    assert "req-1" in page
    signs = [(line.sign, line.text.strip()) for line in response.context["lines"]]
    assert ("-", '"plan": "free",') in signs
    assert ("+", '"plan": "pro",') in signs
    assert f"/p/{project.slug}/cache/entry?key={quote('user:1', safe='')}" in response.content.decode()


def test_a_change_with_one_side_or_none_shows_what_there_is(project, url, record):
    client = client_of(project)
    created = client.get(f"{url}/{record('flag.create', 'flag:x', after=json.dumps({'enabled': True}))}")
    assert "What it said" in text(created)
    asked = client.get(f"{url}/{record('job.cancel', '0190b1a2-0000-7000-8000-000000000001')}")
    assert "The log keeps no text" in text(asked)


def test_a_long_value_says_that_it_was_cut(project, url, record):
    id = record("entry.set", "big", before="1", after='"' + "x" * 9000 + '"')
    assert "the first 4 KiB of 8.8 KiB after" in text(client_of(project).get(f"{url}/{id}"))


def test_text_of_others_is_never_markup(project, url, record):
    id = record("entry.set", "<script>k", before="<b>1", after="<i>2", reason="<u>r")
    client = client_of(project)
    for page in (client.get(url), client.get(f"{url}/{id}")):
        for evil in (b"<script>k", b"<b>1", b"<i>2", b"<u>r"):
            assert evil not in page.content


def test_keys_are_for_administrators_only(project, url, record):
    id = record("key.create", "deploy")
    record("entry.set", "user:1")
    viewer, owner = client_of(project, Role.VIEWER), client_of(project, Role.OWNER)
    assert "deploy" in text(owner.get(url))
    assert "deploy" not in text(viewer.get(url))
    assert viewer.get(f"{url}/{id}").status_code == 404
    assert viewer.get(url, {"kind": "key"}).status_code == 400
    nobody = Actor(kind="key", id="3", label="key x", scopes=frozenset({Scope.QUEUE_WORK}))
    with pytest.raises(NotAllowed):
        audit_log.page(ProjectId(project.pk), nobody, filters=audit_log.Filters())


def test_strangers_and_other_projects_see_nothing(project, url, record, stranger_page):
    id = record("entry.set", "user:1")
    assert stranger_page.get(url).status_code == 404
    other = Project.objects.create(slug=f"{project.slug}-2", name="Other")
    assert client_of(other).get(f"/p/{other.slug}/audit/{id}").status_code == 404


def test_export_gives_all_that_matches_and_is_itself_in_the_log(project, url, record, monkeypatch):
    monkeypatch.setattr(audit_log, "PIECE", 2)
    for n in range(5):
        record("entry.set", f"k{n}", after=f'"{n}"')
    record("flag.toggle", "flag:dark")
    client = client_of(project)
    response = client.get(f"{url}/export", {"as": "jsonl", "kind": "entry"})
    lines = [json.loads(line) for line in body(response).splitlines()]
    assert [line["target"] for line in lines] == ["k4", "k3", "k2", "k1", "k0"]
    assert (lines[0]["after"], lines[0]["by"], lines[0]["door"]) == ('"4"', "Ines", "console")
    assert "attachment" in response["Content-Disposition"]
    taken = AuditEntry.objects.filter(project=project, verb="audit.export").get()
    assert json.loads(taken.details["after"]) == {"as": "jsonl", "kind": "entry"}


def test_a_spreadsheet_runs_nothing_that_a_key_says(project, url, record):
    record("entry.set", "=HYPERLINK(1)", after="+1")
    [row] = csv.DictReader(io.StringIO(body(client_of(project).get(f"{url}/export"))))
    assert (row["target"], row["after"]) == ("'=HYPERLINK(1)", "'+1")
    assert client_of(project).get(f"{url}/export", {"as": "xml"}).status_code == 400


def test_an_open_log_is_told_how_many_changes_came(project, url, record):
    newest = record("entry.set", "user:1")
    record("entry.set", "user:2")
    record("flag.toggle", "flag:dark")
    user = User.objects.create(username=f"audit-{project.slug}")
    Member.objects.create(project=project, user=user, role=Role.VIEWER.value)
    access = engines.run(find_access(user, project.slug))
    page = find("audit")
    assert page is not None
    params = {"newest": str(newest), "kind": "entry"}
    view = LiveView(access=access, params=params, nonce="n", ids=None, shown=(), since=0.0)
    assert "1 newer change: show" in " ".join(re.sub(r"<[^>]*>", " ", str(page.render(view))).split())


def test_htmx_gets_the_part_alone(project, url, record):
    record("entry.set", "user:1")
    response = client_of(project).get(url, headers=HTMX)
    assert b"<html" not in response.content
