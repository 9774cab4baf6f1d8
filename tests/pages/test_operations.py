"""/p/<slug>/operations: the list of long work, one piece of it with its progress, and the button that stops it."""

import re
import time
from datetime import timedelta

import pytest
from django.utils import timezone

import aerodash.consumers  # noqa: F401  (registers the pages)
from aerodash import engines, operations
from aerodash.auth import ALL_SCOPES, Actor, Role
from aerodash.console.access import find_access
from aerodash.ids import ProjectId
from aerodash.models import Member, Operation, User
from aerodash.realtime.pages import LiveView, find
from cache_admin import flushes
from tests.pages.cache_cast import HTMX, client_of, put

INES = Actor(kind="user", id="1", label="Ines", scopes=ALL_SCOPES)


@pytest.fixture
def url(project):
    return f"/p/{project.slug}/operations"


@pytest.fixture
def make(project):
    """make(prefix, state=…, done=…): one flush of 40 212 keys, as it stands."""

    def make(prefix: str = "session:eu:", **fields: object) -> Operation:
        started = engines.run(
            operations.start(
                ProjectId(project.pk), INES, kind=flushes.KIND, params={"prefix": prefix, "upTo": 9},
                total=40_212, is_exact=True,
            )
        )  # fmt: skip
        Operation.objects.filter(pk=started.id).update(**fields)
        return Operation.objects.get(pk=started.id)

    return make


def text(response) -> str:
    """What the page says, without its tags."""
    return " ".join(re.sub(r"<[^>]*>", " ", response.content.decode()).split())


def test_list_shows_what_runs_and_what_ended_newest_first(project, url, make):
    now = timezone.now()
    make("a:", state="done", done=40_212, started_at=now - timedelta(seconds=21), ended_at=now)
    make("b\0:", state="running", done=18_304, started_at=now - timedelta(seconds=10), written_at=now)
    make("", state="failed", done=3, error="Valkey lost its data.", started_at=now, ended_at=now)
    response = client_of(project).get(url)
    page = text(response)
    assert response.status_code == 200
    assert re.search("Deleting every key.*Deleting the keys under b.x00:.*Deleted the keys under a:", page)
    assert "18,304 of 40,212" in page
    assert "Valkey lost its data." in page
    assert "Ines" in page
    assert response.content.count(b'formaction="') == 1, "one button: only one can be stopped"


def test_list_is_filtered_by_state_and_says_when_none_is_left(project, url, make):
    make("a:", state="done", ended_at=timezone.now())
    client = client_of(project)
    assert "under a:" in text(client.get(url, {"show": "done"}))
    assert "None of these" in text(client.get(url, {"show": "failed"}))
    assert client.get(url, {"show": "lost"}).status_code == 400


def test_list_that_is_empty_says_what_would_be_here(project, url):
    assert f"No operations yet in {project.slug}" in text(client_of(project).get(url))


def test_list_of_more_than_a_page_leads_on(project, url, make, monkeypatch):
    from aerodash.console.views import operations as pages

    monkeypatch.setattr(pages, "PAGE", 2)
    made = [make(f"{n}:") for n in range(3)]
    client = client_of(project)
    first = client.get(url).content.decode()
    older = re.search(r'href="(\?before=[^"]+)"', first)
    assert older
    rest = client.get(url + older[1]).content.decode()
    assert [f'data-row="{one.pk}"' in first for one in made] == [False, True, True]
    assert [f'data-row="{one.pk}"' in rest for one in made] == [True, False, False]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "waiting"),
        ({"state": "running", "done": 20_106, "started_at": 12}, "20,106 of 40,212 keys 1,"),
        ({"state": "running", "done": 20_106, "started_at": 10}, "about 1"),
        ({"state": "running", "done": 5, "started_at": 1, "error": "Valkey cannot be reached."}, "It goes on by itself"),
        ({"state": "running", "done": 5, "started_at": 60, "written_at": 30}, "No keeper works on it"),
        ({"state": "running", "cancel_requested_at": 1, "cancel_requested_by": "Ada"}, "Asked to stop"),
        ({"state": "done", "done": 40_212, "started_at": 21, "ended_at": 0}, "40,212 keys deleted"),
        ({"state": "done", "done": 40_200, "skipped": 12, "ended_at": 0}, "12 left as they are: written since"),
        ({"state": "done", "done": 40_100, "done_is_exact": False, "ended_at": 0}, "≈ 40,100 keys deleted"),
        ({"state": "cancelled", "done": 9, "cancel_requested_by": "Ada", "ended_at": 0}, "9 of 40,212 keys"),
        ({"state": "failed", "error": "It broke.", "ended_at": 0}, "It broke. What was done before stays done."),
    ],
)  # fmt: skip
def test_page_of_one_says_how_it_stands(project, url, make, fields, says):
    """Times are seconds ago."""
    now = timezone.now()
    if fields.get("state") == "running":
        fields = {"written_at": 0, **fields}
    given = {k: now - timedelta(seconds=v) if k.endswith("_at") else v for k, v in fields.items()}
    response = client_of(project).get(f"{url}/{make(**given).pk}")
    assert response.status_code == 200
    assert says in text(response)
    is_open = fields.get("state") in (None, "running") and "cancel_requested_at" not in fields
    assert (b'formaction="' in response.content) is is_open


def test_stop_asks_the_keeper_and_leads_back(project, url, make):
    one = make(state="running", written_at=timezone.now())
    client = client_of(project)
    response = client.post(f"{url}/{one.pk}/stop", {"next": url}, follow=True)
    assert response.redirect_chain == [(url, 302)]
    assert "Asked to stop. What is done stays done." in text(response)
    one.refresh_from_db()
    assert one.cancel_requested_at
    assert one.state == "running"


def test_stop_of_what_waits_ends_it_and_of_what_ended_changes_nothing(project, url, make):
    waiting, done = make(), make(state="done", ended_at=timezone.now())
    client = client_of(project)
    assert "Stopped. What is done" in text(client.post(f"{url}/{waiting.pk}/stop", follow=True))
    assert "It had ended already." in text(client.post(f"{url}/{done.pk}/stop", follow=True))
    waiting.refresh_from_db()
    done.refresh_from_db()
    assert (waiting.state, done.state) == ("cancelled", "done")


def test_stop_takes_a_form(project, url, make):
    assert client_of(project).get(f"{url}/{make().pk}/stop").status_code == 405


def test_member_who_may_only_look_sees_why_and_is_refused(project, url, make):
    one = make()
    client = client_of(project, Role.VIEWER)
    for page in (url, f"{url}/{one.pk}"):
        response = client.get(page)
        assert response.status_code == 200
        assert "You may look, not change" in text(response)
        assert b'formaction="' not in response.content
    assert client.post(f"{url}/{one.pk}/stop").status_code == 403
    one.refresh_from_db()
    assert one.state == "waiting"


def test_stranger_and_another_project_find_nothing(project, url, make):
    from aerodash.models import Project

    one = make()
    assert client_of(None).get(url).status_code == 404
    assert client_of(None).post(f"{url}/{one.pk}/stop").status_code == 404
    other = Project.objects.create(slug=f"{project.slug}-other", name="Other")
    client = client_of(other)
    elsewhere = f"/p/{other.slug}/operations"
    assert str(one.pk) not in client.get(elsewhere).content.decode()
    assert client.get(f"{elsewhere}/{one.pk}").status_code == 404
    assert client.post(f"{elsewhere}/{one.pk}/stop").status_code == 404
    assert client_of(project).get(f"{url}/nonsense").status_code == 404
    one.refresh_from_db()
    assert one.state == "waiting"


def test_htmx_gets_the_part_that_moves(project, url, make):
    one = make(state="running", done=7, written_at=timezone.now())
    client = client_of(project)
    for page, part in ((url, "#list"), (f"{url}/{one.pk}", "#op-head")):
        body = client.get(page, headers=HTMX).content.decode()
        assert body.lstrip().startswith(f'<hx-partial hx-target="{part}"')
        assert "<html" not in body


def test_open_pages_are_sent_what_moved_and_no_token(project, make):
    user = User.objects.create_user(username=f"live-{project.slug}")
    Member.objects.create(project=project, user=user, role=Role.OPERATOR.value)
    one = make(state="running", done=123, written_at=timezone.now())

    def push(page: str, ids: set[str] | None, **params: str) -> str:
        access = engines.run(find_access(user, project.slug))
        view = LiveView(
            access, params, "nonce", None if ids is None else frozenset(ids), (), time.monotonic()
        )
        return engines.run(find(page).render(view))

    for html in (push("operations", {"x"}), push("operation", {str(one.pk)}, id=str(one.pk))):
        assert "123" in html
        assert 'hx-nonce="nonce"' in html
        assert "csrfmiddlewaretoken" not in html, "a form in a push would have no token"
    assert push("operation", {"another"}, id=str(one.pk)) == ""
    assert push("operation", None, id="nonsense") == ""


def test_cache_page_leads_to_the_question(project):
    put(project, "session:eu:1", b"1")
    page = client_of(project).get(f"/p/{project.slug}/cache", {"prefix": "session:"}).content.decode()
    assert f'href="/p/{project.slug}/cache/delete?prefix=session%3A"' in page
    assert "Delete…" in page
    assert "Delete all…" in client_of(project).get(f"/p/{project.slug}/cache").content.decode()
    looks = client_of(project, Role.VIEWER).get(f"/p/{project.slug}/cache").content.decode()
    assert "cache/delete" not in looks
