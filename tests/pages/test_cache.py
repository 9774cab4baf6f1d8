"""/p/<slug>/cache: folders with counts, entries page by page, and the states around them."""

import re
from html import unescape

import pytest

from aerodash import engines
from aerodash.auth import Role, system_actor
from aerodash.errors import EngineDown
from aerodash.ids import ProjectId
from aerodash.models import Project
from cache_admin import services
from cache_admin.views import cache as cache_page
from tests.pages.cache_cast import HTMX, cache_away, client_of, put, remove, stored


@pytest.fixture
def url(project):
    return f"/p/{project.slug}/cache"


def text(response) -> str:
    return response.content.decode()


def rows(response) -> list[str]:
    """The keys in the table, in order, as they are written on the page."""
    return re.findall(r'data-row="[^"]*".*?<a class="ad-key[^>]*title="([^"]*)"', text(response))


def folders(response) -> dict[str, str]:
    """Folder → count, from the tree."""
    found = re.findall(
        r'<a href="\?prefix=[^"]*"[^>]* title="([^"]*)">.*?<span class="ad-num">([\d,]+)</span>',
        text(response),
    )
    return dict(found)


def test_page_shows_folders_with_counts_and_entries_in_key_order(project, url):
    for key in ("session:us:1", "session:eu:2", "session:eu:1", "config"):
        put(project, key, b'{"a":1}')
    response = client_of(project).get(url)
    assert response.status_code == 200
    assert folders(response) == {"session:": "3"}
    assert rows(response) == ["config", "session:eu:1", "session:eu:2", "session:us:1"]
    assert "4</span> keys" in text(response)
    assert "Counts are exact" in text(response)


def test_folders_say_about_what_they_weigh(project, url):
    """Few keys are all looked at; of many some, and then it says how far off it may be."""
    for number in range(3):
        put(project, f"few:{number}", b"123")
    entries = [(f"many:{number:03}", b"[" + b" " * (number % 7) + b"]", None, None) for number in range(300)]
    engines.run(services.set_many(ProjectId(project.pk), system_actor(), entries=entries))
    page = text(client_of(project).get(url))
    sizes = re.findall(r'<span class="ad-num ad-b" title="([^"]*)">([^<]*)</span>', page)
    assert sizes[0] == ("every key looked at", "9 B")
    assert re.fullmatch(r"± [\d.,]+ B, from 40 of its 300 keys", sizes[1][0])
    assert sizes[1][1].startswith("≈ 1.")
    assert "cache/heaviest" in page


def test_chosen_prefix_opens_its_folders_and_is_muted_in_keys(project, url):
    for key in ("session:us:1", "session:eu:2", "session:eu:1", "cart:1"):
        put(project, key, b"1")
    response = client_of(project).get(url, {"prefix": "session:eu:"})
    assert folders(response) == {"cart:": "1", "session:": "3", "session:eu:": "2", "session:us:": "1"}
    assert rows(response) == ["session:eu:1", "session:eu:2"]
    assert '<span class="ad-muted">session:eu:</span>1' in text(response)
    assert re.search(r'aria-current="true" title="session:eu:"', text(response))


def test_prefix_may_end_inside_a_name(project, url):
    for key in ("user:100", "user:101", "user:200"):
        put(project, key, b"1")
    response = client_of(project).get(url, {"prefix": "user:1"})
    assert rows(response) == ["user:100", "user:101"]
    assert "2</span> keys" in text(response)


def test_later_and_earlier_walk_all_entries_by_key(project, url):
    keys = [f"k:{number:03}" for number in range(120)]
    for key in keys:
        put(project, key, b"1")
    client = client_of(project)
    seen, address = [], url + "?prefix=k:"
    pages = []
    while address:
        response = client.get(address)
        pages.append(rows(response))
        seen += rows(response)
        later = re.search(r'href="(\?[^"]*after=[^"]*)" rel="next"', text(response))
        address = url + later[1].replace("&amp;", "&") if later else ""
    assert seen == keys
    assert [len(page) for page in pages] == [50, 50, 20]
    earlier = re.search(r'href="(\?[^"]*before=[^"]*)" rel="prev"', text(response))
    back = client.get(url + earlier[1].replace("&amp;", "&"))
    assert rows(back) == pages[1]


def test_many_folders_go_on_page_by_page_and_the_chosen_one_is_always_there(project, url):
    for number in range(205):
        put(project, f"f{number:03}:x", b"1")
    client = client_of(project)
    first = client.get(url)
    assert len(folders(first)) == 200
    more = unescape(re.search(r'href="([^"]*tree=[^"]*)"', text(first))[1])
    assert list(folders(client.get(url + more))) == [f"f{number}:" for number in range(200, 205)]
    chosen = client.get(url, {"prefix": "f204:"})
    assert folders(chosen)["f204:"] == "1"
    assert rows(chosen) == ["f204:x"]


def test_deep_folders_keep_the_last_levels_and_a_way_up(project, url):
    put(project, "a:b:c:d:e:f:g:h", b"1")
    page = client_of(project).get(url, {"prefix": "a:b:c:d:e:f:g:"})
    assert list(folders(page)) == ["a:b:c:", "a:b:c:d:", "a:b:c:d:e:", "a:b:c:d:e:f:", "a:b:c:d:e:f:g:"]
    assert "all folders, above" in text(page)


def test_row_tells_value_size_expiry_and_metadata(project, url):
    put(project, "a", b'{"n":9007199254740993}', ttl_s=45, metadata=b'{"userId":"u-1","age":3}')
    page = text(client_of(project).get(url))
    assert "{&quot;n&quot;:9007199254740993}" in page
    assert "userId u-1, age 3" in page
    assert re.search(r"<time [^>]*data-until[^>]*>00:4\d</time>", page)
    assert re.search(r'<time [^>]*class="ad-warn"', page), "the last minute is amber"


def test_odd_keys_and_values_are_shown_and_cannot_break_the_page(project, url):
    put(project, 'x\x00:\u202e"><script>', b'"<script>alert(1)</script>"')
    page = text(client_of(project).get(url))
    assert "<script>alert" not in page
    assert "x\\x00:\\u202e&quot;&gt;&lt;script&gt;" in page


def test_a_large_value_shows_its_beginning(project, url):
    put(project, "a", b'"' + b"y" * 2_000_000 + b'"')
    assert "y" * 199 + "…" in text(client_of(project).get(url))


def test_empty_project_says_how_the_first_entry_comes(project, url):
    assert "No entries yet" in text(client_of(project).get(url))


def test_prefix_without_keys_says_so_and_leads_back(project, url):
    put(project, "a", b"1")
    page = text(client_of(project).get(url, {"prefix": "nope:"}))
    assert "No key begins with" in page
    assert "nope:" in page


def test_htmx_gets_the_live_parts_only(project, url):
    put(project, "a", b"1")
    response = client_of(project).get(url, headers=HTMX)
    page = text(response)
    assert "<html" not in page
    assert re.findall(r'hx-target="(#\w+)"', page) == ["#total", "#figures", "#tree", "#entries"]
    assert "HX-Request" in response["Vary"]


def test_open_page_keeps_its_rows_strikes_what_went_and_counts_what_came(project, url):
    for key in ("a", "c"):
        put(project, key, b"1")
    client = client_of(project)
    shown = re.findall(r'data-row="([^"]*)"', text(client.get(url)))
    remove(project, "a")
    put(project, "b", b"1")
    response = client.get(url, {"shown": ",".join(shown)}, headers=HTMX)
    assert rows(response) == ["a", "c"]
    assert text(response).count('class="is-gone"') == 1
    assert "1 new key on this page" in text(response)


def test_wrong_cursor_is_a_page_that_says_so(project, url):
    response = client_of(project).get(url, {"after": "%%%"})
    assert response.status_code == 400
    assert "cursor" in text(response)


def test_viewer_sees_entries_and_why_nothing_can_be_changed(project, url):
    put(project, "a", b"1")
    page = text(client_of(project, Role.VIEWER).get(url))
    assert "You may look, not change" in page
    assert 'aria-disabled="true"' in page
    assert "/cache/new" not in page


def test_stranger_does_not_learn_that_the_project_exists(project, url):
    elsewhere = Project.objects.create(slug=f"{project.slug}-other", name="Other")
    assert client_of(elsewhere).get(url).status_code == 404


def test_without_signing_in_one_is_sent_to_the_sign_in_page(project, url, client):
    response = client.get(url)
    assert response.status_code == 302
    assert response["Location"].startswith("/sign-in?next=")


def test_engine_down_keeps_the_panels_in_place(project, url):
    client = client_of(project)
    with cache_away():
        response = client.get(url, {"prefix": "a:"})
    assert response.status_code == 503
    assert response["Retry-After"] == "1"
    page = text(response)
    assert "Entries cannot be read right now" in page
    assert "Folders cannot be read right now" in page
    assert 'value="a:"' in page


def test_retry_after_is_the_engine_s_own(project, url, monkeypatch):
    async def read(*args, **kwargs):
        raise EngineDown("Busy.", retry_after_s=7)

    monkeypatch.setattr(cache_page, "read", read)
    response = client_of(project).get(url)
    assert response.status_code == 503
    assert response["Retry-After"] == "7"


def test_figures_show_what_was_done(project, url):
    put(project, "a", b'"four"')
    put(project, "b", b"1", ttl_s=60)
    assert [stored(project, key) is not None for key in ("a", "b", "c")] == [True, True, False]
    page = text(client_of(project).get(url))
    figures = dict(re.findall(r"<dt>([^<]+)</dt><dd class=\"ad-fig\">([^<]+)</dd>", page))
    assert figures == {"Hits": "2", "Misses": "1", "Writes": "2", "Written": "7 B", "Expired": "0"}
    assert "<polyline points=" in page


def test_a_fresh_project_has_no_hit_ratio(project, url):
    assert "no reads" in text(client_of(project).get(url))
