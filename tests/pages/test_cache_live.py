"""What the socket pushes to open cache and flags pages: the same parts as the pages, with rows that stay in place."""

import asyncio
import re
import time

import pytest
import redis.asyncio
from django.conf import settings

import cache_admin.consumers  # noqa: F401  (registers the pages)
from aerodash import engines
from aerodash.auth import ALL_SCOPES, Actor, Role
from aerodash.console.access import find_access
from aerodash.models import Member, User
from aerodash.realtime.pages import LiveView, find
from cache_admin.bounds import to_cursor
from cache_admin.engine.valkey import ValkeyCache
from cache_admin.figures import STATS_ID, figures
from cache_admin.views import entry as entry_page
from tests.pages.cache_cast import put, remove, stored

NONCE = "nonce-of-the-page"


@pytest.fixture
def push(project):
    """push("cache", params, ids=…, shown=…): what a page of this name is sent."""
    user = User.objects.create_user(username=f"live-{project.slug}")
    Member.objects.create(project=project, user=user, role=Role.OPERATOR.value)

    def render(page: str, *, ids: tuple[str, ...] | None, shown: tuple[str, ...] = (), **params: str) -> str:
        access = engines.run(find_access(user, project.slug))
        view = LiveView(
            access, params, NONCE, None if ids is None else frozenset(ids), shown, time.monotonic()
        )
        return engines.run(find(page).render(view))

    return render


def states(html: str) -> list[tuple[str, str]]:
    """(row id, class) of each row."""
    return re.findall(r'data-row="([^"]*)" class="([^"]*)"', html)


def test_cache_page_is_sent_changed_rows_struck_rows_and_a_count_of_new_ones(project, push):
    for key in ("s:a", "s:c", "s:d"):
        put(project, key, b"1")
    shown = tuple(to_cursor(key) for key in ("s:a", "s:c", "s:d"))
    put(project, "s:c", b'"new value"')
    put(project, "s:b", b"1")
    remove(project, "s:a")
    html = push("cache", ids=("s:a", "s:b", "s:c"), shown=shown, prefix="s:")
    assert states(html) == list(zip(shown, ("is-gone", "is-fresh", ""), strict=True))
    assert "new value" in html
    assert "1 new key on this page" in html
    assert f'hx-nonce="{NONCE}"' in html
    assert "csrfmiddlewaretoken" not in html, "a form in a push would have no token"


def test_cache_page_that_was_empty_is_sent_its_first_rows(project, push):
    put(project, "a", b"1")
    assert [row for row, _ in states(push("cache", ids=("a",)))] == [to_cursor("a")]


def test_row_ids_that_no_key_has_are_left_out(project, push):
    put(project, "s:a", b"1")
    html = push("cache", ids=None, shown=("%%%", to_cursor("other"), to_cursor("s:a")), prefix="s:")
    assert [row for row, _ in states(html)] == [to_cursor("s:a")]


def test_entry_page_is_told_of_another_value_but_not_of_another_expiry(project, push):
    put(project, "a", b"1", ttl_s=100)
    seen = entry_page.digest(entry_page.whole(stored(project, "a")))
    assert "Somebody wrote" not in push("cache-entry", ids=("a",), key="a", seen=seen)
    put(project, "a", b"1", ttl_s=900)
    html = push("cache-entry", ids=("a",), key="a", seen=seen)
    assert "Somebody wrote" not in html
    assert re.search(r">1[45]:\d\d</time>", html)
    put(project, "a", b"2")
    html = push("cache-entry", ids=("a",), key="a", seen=seen)
    assert "Somebody wrote this entry" in html
    assert "<textarea" not in html, "what is being edited is never replaced"


def test_entry_page_is_told_when_the_entry_went(project, push):
    assert "This entry has gone" in push("cache-entry", ids=("a",), key="a", seen="")


def test_entry_page_is_sent_nothing_about_other_keys(project, push):
    put(project, "a", b"1")
    assert push("cache-entry", ids=("b",), key="a", seen="") == ""


def test_flags_page_is_sent_the_switch_as_it_is(project, push):
    put(project, "flag:a", b'{"enabled":false}')
    put(project, "flag:b", b'{"enabled":true}')
    html = push("flags", ids=("flag:a",), shown=("a", "b", "c"))
    assert states(html) == [("a", "is-fresh"), ("b", ""), ("c", "is-gone")]
    assert re.findall(r'aria-checked="(\w+)"', html) == ["false", "true"]
    assert "csrfmiddlewaretoken" not in html


def test_flag_that_no_longer_matches_stays_struck_through(project, push):
    put(project, "flag:a", b'{"enabled":false}')
    html = push("flags", ids=("flag:a",), shown=("a",), show="on")
    assert states(html) == [("a", "is-gone")]
    assert "no longer on" in html


def test_when_only_counters_moved_only_the_figures_are_sent(project, push):
    put(project, "a", b"1")
    stored(project, "a")
    html = push("cache", ids=(STATS_ID,))
    assert re.findall(r'hx-target="(#\w+)"', html) == ["#total", "#figures"]
    assert re.search(r"<dt>Hits</dt><dd[^>]*>1</dd>", html)
    assert f'hx-nonce="{NONCE}"' in html


def test_tabs_share_one_look_at_the_figures(project):
    """A look that began after the change that a tab wants to show will do for it."""
    actor = Actor(kind="key", id="9", label="key test", scopes=ALL_SCOPES)
    since = time.monotonic()
    first, second = (engines.run(figures(project.pk, actor, since=since)) for _ in range(2))
    assert first is second
    put(project, "a", b"1")
    third = engines.run(figures(project.pk, actor, since=time.monotonic()))
    assert (third.keys.number, third.stats.writes) == (1, 1)


def test_counters_are_told_once_a_second_without_being_asked(project):
    """What is counted reaches the store and the open pages by itself."""
    told: list[int] = []

    async def count_up() -> dict[bytes, bytes]:
        engine = ValkeyCache(settings.VALKEY_URL, counted=told.append)
        await engine.open()
        client = redis.asyncio.from_url(settings.VALKEY_URL)
        await asyncio.gather(*(engine.get(project.pk, "a") for _ in range(50)))
        async with asyncio.timeout(10):
            while not told:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        fields = await client.hgetall(f"{{{project.pk}}}:stat")
        await client.aclose()
        await engine.close()
        return fields

    assert engines.run(count_up())[b"misses"] == b"50"
    assert told == [project.pk]
