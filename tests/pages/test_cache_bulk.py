"""/p/<slug>/cache/selection and /cache/ttl: choosing entries, and changing when many of them expire."""

import itertools
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from aerodash import engines
from aerodash.auth import ALL_SCOPES, Actor, Role
from aerodash.ids import ProjectId
from aerodash.models import AuditEntry, Operation, Project
from aerodash.operations.keeper import Runner
from cache_admin import bulk, services
from cache_admin.bounds import to_cursor
from cache_admin.views.cache_selection import pack, unpack
from tests.pages.cache_cast import cache_away, client_of, put, remove, stored

WRITER = Actor(kind="key", id="9", label="key test", scopes=ALL_SCOPES)
HOUR_S = 3600
ODD = "s:\0\u202e&?%\U0001f600"


@pytest.fixture
def url(project):
    return f"/p/{project.slug}/cache/ttl"


@pytest.fixture
def selection(project):
    return f"/p/{project.slug}/cache/selection"


@pytest.fixture
def production(project):
    project.environment = Project.Environment.PRODUCTION
    project.save()
    return project


def fill(project, count: int, ttl_s: int | None = None, prefix: str = "s:") -> None:
    entries = [(f"{prefix}{n:04}", b'"%d"' % n, ttl_s, None) for n in range(count)]
    for chunk in itertools.batched(entries, 1000):
        engines.run(services.set_many(ProjectId(project.pk), WRITER, entries=chunk))


def text(response) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", response.content.decode()).split())


def hidden(response) -> dict[str, str]:
    """The fields of the question, as its form sends them."""
    page = response.content.decode()
    return dict(re.findall(r'<input type="hidden" name="(up_to|count|digest)" value="([^"]*)"', page))


def left_s(project, key: str) -> float | None:
    """Seconds until the entry expires; None for never."""
    entry = stored(project, key)
    assert entry is not None
    if entry.expires_at_ms is None:
        return None
    return (entry.expires_at_ms - engines.run(engines.get("cache").now_ms())) / 1000


async def _work() -> None:
    await Runner().run()


# Choosing


def choose(client, selection: str, keys, verb: str, **fields: str):
    rows = [to_cursor(key) for key in keys]
    return client.post(selection, {"prefix": "s:", "verb": verb, "key": rows, **fields})


@pytest.mark.parametrize(("verb", "page"), [("delete", "delete"), ("ttl", "ttl"), ("export", "export")])
def test_chosen_rows_lead_to_a_page_whose_address_names_them(project, selection, verb, page):
    fill(project, 3)
    put(project, ODD, b"1")
    client = client_of(project)
    response = choose(client, selection, [ODD, "s:0002"], verb)
    assert response.status_code == 302
    parts = urlsplit(response["Location"])
    assert parts.path == f"/p/{project.slug}/cache/{page}"
    query = parse_qs(parts.query)
    assert query["prefix"] == ["s:"]
    assert unpack(query["keys"][0]) == (ODD, "s:0002")
    assert "2 chosen keys" in text(client.get(response["Location"]))


def test_the_box_for_all_leads_to_the_prefix(project, selection):
    response = choose(client_of(project), selection, ["s:0002"], "delete", all="1")
    assert response["Location"] == f"/p/{project.slug}/cache/delete?prefix=s%3A"


def test_nothing_chosen_leads_back_and_says_so(project, selection):
    response = client_of(project).post(selection, {"prefix": "s:", "verb": "delete"}, follow=True)
    assert response.redirect_chain[-1][0] == f"/p/{project.slug}/cache?prefix=s%3A"
    assert "No key was chosen" in text(response)


def test_what_no_page_of_ours_sends_is_refused(project, selection):
    client = client_of(project)
    assert choose(client, selection, ["s:1"], "burn").status_code == 400
    assert choose(client, selection, ["t:1"], "delete").status_code == 400, "not under the prefix"
    assert client.post(selection, {"verb": "delete", "key": "?"}).status_code == 400
    many = [f"s:{n}" for n in range(1001)]
    assert choose(client, selection, many, "delete").status_code == 400
    import random

    noise = random.Random(1)
    long = ["s:" + "".join(chr(noise.randrange(0x4E00, 0x9FFF)) for _ in range(300)) for _ in range(30)]
    response = choose(client, selection, long, "delete")
    assert response.status_code == 400
    assert "choose fewer at once" in text(response)


def test_a_page_of_ordinary_keys_fits_an_address(project):
    import uuid

    keys = tuple(f"session:eu-central-1:{uuid.uuid4()}:cart" for _ in range(50))
    assert len(pack(keys)) < 2500
    assert unpack(pack(keys)) == keys


def test_cache_page_has_boxes_and_a_bar(project):
    fill(project, 3)
    page = client_of(project).get(f"/p/{project.slug}/cache", {"prefix": "s:"}).content.decode()
    assert page.count("data-select ") == 3
    assert f'name="key" value="{to_cursor("s:0001")}" form="selection"' in page
    assert f'action="/p/{project.slug}/cache/selection"' in page
    assert [f'name="verb" value="{verb}"' in page for verb in ("delete", "ttl", "export")] == [True] * 3
    assert f'href="/p/{project.slug}/cache/ttl?prefix=s%3A"' in page
    looks = client_of(project, Role.VIEWER).get(f"/p/{project.slug}/cache", {"prefix": "s:"}).content.decode()
    assert [f'name="verb" value="{verb}"' in looks for verb in ("delete", "ttl", "export")] == [
        False,
        False,
        True,
    ]


def test_viewer_and_stranger_may_not(project, selection, url):
    fill(project, 3)
    viewer, stranger = client_of(project, Role.VIEWER), client_of(None)
    assert choose(viewer, selection, ["s:0001"], "export").status_code == 302, "reading is for all members"
    assert choose(stranger, selection, ["s:0001"], "delete").status_code == 404
    for client, status in ((viewer, 403), (stranger, 404)):
        assert client.get(url, {"prefix": "s:"}).status_code == status
        sent = client.post(f"{url}?prefix=s:&change=never", {"up_to": "9", "count": "3"})
        assert sent.status_code == status
    other = Project.objects.create(slug=f"{project.slug}-other", name="Other")
    page = text(client_of(other).get(f"/p/{other.slug}/cache/ttl", {"prefix": "s:"}, follow=True))
    assert "There are no keys under s:." in page


# Expiry


def test_the_form_says_how_many_and_offers_the_four_changes(project, url):
    fill(project, 9)
    response = client_of(project).get(url, {"prefix": "s:"})
    page = text(response)
    assert response.status_code == 200
    assert "Change when 9 keys under s: expire" in page
    for word in ("Set to", "Extend by", "Cap at", "Never", "Spread over"):
        assert word in page
    assert not hidden(response), "nothing can be confirmed before a change was chosen"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"change": "set"}, "Say how long."),
        ({"change": "set", "ttl": "x"}, "no whole number of hours"),
        ({"change": "set", "ttl": "-1"}, "no whole number"),
        ({"change": "set", "ttl": "0"}, "must be between 1 and"),
        ({"change": "set", "ttl": "3651", "unit": "d"}, "must be between 1 and"),
        ({"change": "set", "ttl": "1", "unit": "weeks"}, "no whole number"),
        ({"change": "cap", "ttl": "1", "unit": "min", "spread": "1"}, "must be shorter than the cap"),
        ({"change": "set", "ttl": "1", "spread": "9999", "spread_unit": "d"}, "The spread must be between"),
        ({"change": "burn"}, "Choose how the expiries change."),
    ],
)
def test_a_change_that_cannot_be_comes_back_with_the_reason(project, url, given, says):
    fill(project, 1)
    client = client_of(project)
    response = client.get(url, {"prefix": "s:", **given})
    assert response.status_code == 422
    assert says in text(response)
    assert client.post(f"{url}?prefix=s:", {"change": "burn"}).status_code == 400
    assert left_s(project, "s:0000") is None


def test_question_says_what_becomes_of_some_of_them(project, url):
    fill(project, 3)
    put(project, "s:0001", b"1", ttl_s=60)
    client = client_of(project)
    page = text(client.get(url, {"prefix": "s:", "change": "cap", "ttl": "1,000", "unit": "s"}))
    assert "Change when 3 keys under s: expire?" in page
    assert "Change 2 exact" in page
    assert "live longer than 16 min 40 s from now" in page
    assert re.search(r"0001 0\d:\d\d stays", page)
    assert "0000 never 16 min 40 s" in page
    page = text(
        client.get(url, {"prefix": "s:", "change": "set", "ttl": "90", "unit": "min", "spread": "30"})
    )
    assert "They expire 1 h 30 min to 2 h after you confirm, evenly spread" in page
    assert "0002 never 1 h 30 min – 2 h" in page
    page = text(client.get(url, {"prefix": "s:", "change": "extend", "ttl": "1"}))
    assert "1 h later than now planned" in page
    assert "Change 1 exact" in page
    page = text(client.get(url, {"prefix": "s:", "change": "never"}))
    assert "until somebody deletes them" in page


@pytest.mark.parametrize(
    ("change", "before_s", "after_s"),
    [("set", None, 7200), ("set", 60, 7200), ("extend", 60, 7260), ("extend", None, None), ("cap", None, 7200),
     ("cap", 60, 60), ("never", 60, None)],
)  # fmt: skip
def test_a_few_are_changed_at_once(project, url, change, before_s, after_s):
    fill(project, 3, before_s)
    client = client_of(project)
    address = f"{url}?prefix=s:&change={change}&ttl=2&unit=h"
    fields = hidden(client.get(address))
    put(project, "s:0002", b'"since"', ttl_s=500)
    response = client.post(address, fields, follow=True)
    assert response.redirect_chain[-1][0] == f"/p/{project.slug}/cache?prefix=s%3A"
    left = left_s(project, "s:0000")
    assert left is None if after_s is None else after_s - 60 < left <= after_s
    assert 400 < left_s(project, "s:0002") <= 500, "what was written since stays"
    assert stored(project, "s:0000").value == b'"0"'
    line = AuditEntry.objects.get(project=project)
    assert (line.verb, line.target) == ("cache.expire", "s:")
    assert line.details["before"] == "3 keys, 13 B"
    changed = 0 if after_s == before_s else 2
    assert f"{changed} changed, {3 - changed} left" in line.details["after"]
    assert f"Changed when {changed} key" in text(response)


def test_chosen_entries_are_changed_and_those_that_moved_asked_about_again(project, url):
    fill(project, 4)
    put(project, ODD, b"1")
    client = client_of(project)
    address = f"{url}?prefix=s:&keys={pack((ODD, 's:0001'))}&change=set&ttl=1"
    fields = hidden(client.get(address))
    put(project, ODD, b"2")
    again = client.post(address, fields)
    assert again.status_code == 422
    assert "written or went away meanwhile" in text(again)
    assert left_s(project, "s:0001") is None
    response = client.post(address, hidden(again), follow=True)
    assert "Changed when 2 chosen keys expire." in text(response)
    assert [left_s(project, key) is None for key in ("s:0000", "s:0001", ODD)] == [True, False, False]


def test_more_than_a_hundred_need_their_number_typed_but_production_needs_it_for_deletes_only(
    production, url
):
    fill(production, 101)
    client = client_of(production)
    address = f"{url}?prefix=s:&change=set&ttl=1"
    fields = hidden(client.get(address))
    refused = client.post(address, {**fields, "typed": "100"})
    assert refused.status_code == 422
    assert "the number typed is another one" in text(refused)
    remove(production, "s:0100")
    assert "Changed when 100 keys" in text(client.post(address, {**fields, "typed": "101"}, follow=True))
    fields = hidden(client.get(address))
    assert 'name="typed"' not in client.get(address).content.decode()
    assert "Changed when 100 keys" in text(client.post(address, fields, follow=True))


def test_flags_of_production_need_a_reason(production, url):
    put(production, "flag:a", b'{"enabled":true}')
    client = client_of(production)
    address = f"{url}?change=set&ttl=1"
    page = client.get(address)
    assert "a flag that expires is gone" in text(page)
    refused = client.post(address, hidden(page))
    assert refused.status_code == 422
    assert "with a reason" in text(refused)
    assert left_s(production, "flag:a") is None
    client.post(address, {**hidden(page), "reason": "ends with the sale"})
    assert left_s(production, "flag:a") > 3000
    assert AuditEntry.objects.get(project=production).details["reason"] == "ends with the sale"


def test_many_become_an_operation_that_can_be_stopped(project, url, monkeypatch):
    monkeypatch.setattr(bulk, "AT_ONCE_KEYS", 20)
    fill(project, 700)
    client = client_of(project)
    address = f"{url}?prefix=s:&change=set&ttl=1&spread=10"
    fields = hidden(client.get(address))
    response = client.post(address, {**fields, "typed": "700", "reason": "too many"}, follow=True)
    one = Operation.objects.get(project=project)
    assert response.redirect_chain == [(f"/p/{project.slug}/operations/{one.pk}", 302)]
    assert "Changing when the keys expire under s:" in text(response)
    assert (one.kind, one.total, one.state) == ("cache.expire", 700, "waiting")
    line = AuditEntry.objects.get(project=project)
    assert (line.verb, line.details["reason"], line.details["before"][:9]) == (
        "cache.expire.start",
        "too many",
        "700 keys,",
    )
    put(project, "s:0003", b'"again"')
    engines.run(_work())
    page = text(client.get(f"/p/{project.slug}/operations/{one.pk}"))
    assert "699 keys changed" in page
    assert "1 left as it is: written since, or not concerned" in page
    assert left_s(project, "s:0003") is None
    lengths = [left_s(project, f"s:{n:04}") for n in range(10, 60)]
    assert min(lengths) > 3500
    assert max(lengths) - min(lengths) > 300, "spread over ten minutes"
    client.post(address, {**hidden(client.get(address)), "typed": "700"})
    second = Operation.objects.filter(project=project).order_by("-id").first()
    client.post(f"/p/{project.slug}/operations/{second.pk}/stop")
    engines.run(_work())
    second.refresh_from_db()
    assert (second.state, second.done) == ("cancelled", 0)


def test_keys_that_expire_while_it_runs_are_passed(project, url, monkeypatch):
    monkeypatch.setattr(bulk, "AT_ONCE_KEYS", 2)
    fill(project, 5)
    client = client_of(project)
    address = f"{url}?prefix=s:&change=extend&ttl=1"
    fields = hidden(client.get(address))
    client.post(address, fields)
    remove(project, "s:0001")
    engines.run(_work())
    one = Operation.objects.get(project=project)
    assert (one.state, one.done, one.skipped) == ("done", 0, 4)


def test_the_cache_away_is_said(project, url):
    fill(project, 1)
    client = client_of(project)
    address = f"{url}?prefix=s:&change=set&ttl=1"
    fields = hidden(client.get(address))
    with cache_away():
        assert client.get(address).status_code == 503
        response = client.post(address, fields)
    assert response.status_code == 503
    assert "Valkey cannot be reached." in text(response)
    assert left_s(project, "s:0000") is None


def test_nothing_under_the_prefix_leads_back(project, url):
    response = client_of(project).get(url, {"prefix": "none:"}, follow=True)
    assert "There are no keys under none:." in text(response)
