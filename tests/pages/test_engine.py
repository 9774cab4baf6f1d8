"""/p/<slug>/engine and /p/<slug>/cache/heaviest: how the engine is, and what takes the room."""

import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape

import pytest
from django.conf import settings

import cache_admin.consumers  # noqa: F401  (registers the pages)
from aerodash import engines
from aerodash.auth import ALL_SCOPES, Actor, Role
from aerodash.console.access import find_access
from aerodash.errors import EngineDown
from aerodash.ids import ProjectId
from aerodash.models import Member, User
from aerodash.realtime.pages import LiveView, find
from cache_admin import health, services, weights
from cache_admin.concerns import concerns
from cache_admin.engine.valkey import ValkeyCache
from cache_admin.engine.vitals import LostNode, Memory, Node, NodeReplica, Persistence, SlowCommand, Vitals
from cache_admin.health import Health, Slow
from tests.pages.cache_cast import HTMX, cache_away, client_of, put

GIB = 1024**3
ACTOR = Actor(kind="key", id="9", label="key test", scopes=ALL_SCOPES)
WELL = Node(
    address="10.0.0.1:6379", product="Valkey", version="9.1.2", run_id="a", uptime_s=90_000, slots=0, is_primary=True,
    follows=True, ops_per_s=100, memory=Memory(GIB, GIB, GIB, 4 * GIB, 16 * GIB, 1.0, "noeviction"),
    persistence=Persistence(True, False, 5, False, 1_773_831_871, 0, False),
    evicted=0, expired=7, clients=5, clients_max=10_000, rejected=0,
)  # fmt: skip


@pytest.fixture
def url(project):
    return f"/p/{project.slug}/engine"


@pytest.fixture(autouse=True)
def _fresh_look(monkeypatch):
    """No look of another test, and the engine that a test puts in place is asked at once."""
    monkeypatch.setattr(health, "_shared", None)


def text(response) -> str:
    return unescape(response.content.decode())


def looked(*nodes: Node, slow: Slow | None = None, replica=None, **vitals) -> Health:
    return Health(datetime.now(UTC), Vitals(nodes, **vitals), slow or Slow(), replica)


def said(*nodes: Node, **more) -> list[str]:
    return [
        f"{'bad' if one.is_bad else 'warn'} {one.about}: {one.what}"
        for one in concerns(looked(*nodes, **more))
    ]


def memory(**changes) -> Node:
    return replace(WELL, memory=replace(WELL.memory, **changes))


def disk(**changes) -> Node:
    return replace(WELL, persistence=replace(WELL.persistence, **changes))


@pytest.fixture
def shows(monkeypatch):
    """shows(look): what every page is shown from now on."""

    def show(now: Health) -> None:
        async def look() -> Health:
            return now

        monkeypatch.setattr(health, "_look_shared", look)

    return show


def test_page_tells_the_signs_of_the_real_engine(project, url):
    put(project, "a", b"1")
    response = client_of(project).get(url)
    page = text(response)
    assert response.status_code == 200
    tiles = dict(re.findall(r"<dt>([^<]+)</dt><dd class=\"ad-v\">(?:<span[^>]*>)?([^<]+)", page))
    assert tiles["Evicted"] == "0"
    assert tiles["On disk"] == "append-only"
    assert re.fullmatch(r"[\d.,]+ [KMG]iB", tiles["Memory"])
    assert int(tiles["Connections"]) > 0
    assert "noeviction" in page
    assert re.search(r"<h1>Engine</h1><span[^>]*>Valkey \d+\.\d+\.\d+, up ", page)
    assert "local socket" in page or "127.0.0.1" in page
    assert settings.VALKEY_URL not in page


def test_htmx_gets_the_live_parts_only(project, url):
    response = client_of(project).get(url, headers=HTMX)
    page = text(response)
    assert "<html" not in page
    assert re.findall(r'hx-target="(#\w+)"', page) == ["#what", "#concerns", "#signs", "#slow"]


def test_viewer_may_look_and_a_stranger_may_not(project, url):
    assert client_of(project, Role.VIEWER).get(url).status_code == 200
    assert client_of(None).get(url).status_code == 404


def test_time_shown_is_in_the_address(project, url):
    page = text(client_of(project).get(url, {"range": "24h"}))
    assert re.search(r'<a href="[^"]*range=24h" aria-current="true">', page)
    assert "range=24h" in re.search(r"/ws/console\?[^\"]*", page)[0]
    assert client_of(project).get(url, {"range": "no"}).status_code == 400


def test_engine_down_is_said_first_and_the_past_stays(project, url):
    client = client_of(project)
    with cache_away():
        response = client.get(url)
    assert response.status_code == 503
    page = text(response)
    assert "The cache engine does not answer." in page
    assert "Entries a second" in page
    assert "They cannot be read right now" in page


def test_a_right_that_is_missing_is_a_sentence_in_its_panel(project, url, monkeypatch):
    async def refuse(self, *, limit):
        raise EngineDown("Valkey's user may not run what AeroDash needs.", reason="no_permission")

    monkeypatch.setattr(ValkeyCache, "slow_commands", refuse)
    response = client_of(project).get(url)
    assert response.status_code == 200
    assert "AeroDash’s user may not ask for them" in text(response)
    assert "+slowlog|get" in text(response)


def test_slow_commands_show_our_names_and_the_keys_of_this_project_only(project, url, shows):
    ours, other = ProjectId(project.pk), ProjectId(project.pk + 1_000_000)
    at_s = int(time.time()) - 5
    commands = (
        SlowCommand(at_s, 84_000, "script list", ours, None),
        SlowCommand(at_s, 12_000, "mget", ours, "session:eu:1"),
        SlowCommand(at_s, 11_000, "mget", other, "private:thing"),
        SlowCommand(at_s, 10_500, "", None, None),
    )
    shows(looked(WELL, slow=Slow(commands)))
    page = text(client_of(project).get(url))
    assert "<b>script list</b>" in page
    assert f"keys of {project.slug}" in page
    assert re.search(r'href="[^"]*cache/entry\?key=session%3Aeu%3A1"', page)
    assert "private:thing" not in page
    assert "keys of another project" in page
    assert "a script that is not AeroDash’s" in page
    assert "84 ms" in page
    assert "1 command took 50 ms or longer" in page


def test_cluster_has_a_row_a_node_and_its_replicas(project, url, shows):
    nodes = [
        replace(WELL, address=f"10.0.0.{n}:6379", slots=5461, evicted=n == 2, replicas=(NodeReplica(f"10.0.1.{n}:6379", True, 2048, 1),))
        for n in (1, 2)
    ]  # fmt: skip
    shows(
        looked(*nodes, lost=(LostNode("10.0.0.3:6379", 5462, "Valkey cannot be reached."),), is_cluster=True)
    )
    page = text(client_of(project).get(url))
    assert "a cluster of 2 primaries" in page
    for address in ("10.0.0.1:6379", "10.0.0.2:6379", "10.0.1.2:6379", "10.0.0.3:6379"):
        assert address in page
    assert "2.0 KiB behind" in page
    assert page.index("10.0.0.3:6379 does not answer") < page.index("keys were evicted") or "1 keys" in page
    assert 'class="ad-tile is-bad"><dt>' in page


def test_quiet_engine_says_so(project, url, shows):
    shows(looked(WELL))
    assert "All quiet." in text(client_of(project).get(url))


# The rules


@pytest.mark.parametrize(
    ("node", "concern"),
    [
        (memory(policy="allkeys-lru"), "bad evicted: maxmemory-policy is allkeys-lru."),
        (replace(WELL, evicted=1200), "bad evicted: 1,200 keys were evicted since the server started."),
        (memory(used_bytes=int(3.3 * GIB)), "warn memory: Memory is at 82 % of its limit (maxmemory)."),
        (memory(used_bytes=int(3.7 * GIB)), "bad memory: Memory is at 92 % of its limit (maxmemory)."),
        (memory(limit_bytes=0, held_bytes=13 * GIB, used_bytes=13 * GIB), "warn memory: Memory is at 81 % of the machine's memory, and it has no limit of its own."),
        (memory(fragmentation=1.9, held_bytes=2 * GIB), "warn memory: The server holds 1.9 times the memory that it uses."),
        (disk(aof_failed=True), "bad persistence: The append-only file could not be written."),
        (disk(aof=False), "warn persistence: The append-only file is off."),
        (disk(aof=False, snapshot_failed=True, unsaved=9), "bad persistence: The last snapshot failed; 9 changes are in memory only."),
        (replace(WELL, rejected=3), "warn clients: 3 connections were refused since the server started."),
        (replace(WELL, clients=8500), "warn clients: 8,500 of 10,000 connections are taken."),
        (replace(WELL, is_primary=False, follows=False), "bad replicas: It is a replica and has lost its primary."),
        (replace(WELL, replicas=(NodeReplica("r:1", False, 0, 0),)), "warn replicas: Replica r:1 does not follow."),
        (replace(WELL, replicas=(NodeReplica("r:1", True, 64 * 1024**2, 0),)), "warn replicas: Replica r:1 is up to 64 MiB behind."),
    ],
)  # fmt: skip
def test_rule(node, concern):
    assert said(node) == [concern]


def test_what_is_well_needs_nobody():
    assert said(WELL) == []
    assert said(memory(limit_bytes=0, machine_bytes=0)) == []


def test_the_worst_comes_first_and_servers_are_named_where_there_are_several():
    second = replace(WELL, address="10.0.0.2:6379", evicted=5)
    full = replace(memory(used_bytes=int(3.3 * GIB)), address="10.0.0.3:6379")
    assert said(WELL, second, full) == [
        "bad evicted: 5 keys were evicted since the server started (10.0.0.2:6379).",
        "warn memory: Memory is at 82 % of its limit (maxmemory) (10.0.0.3:6379).",
    ]
    assert said(WELL, slots_missing=100)[0].startswith("bad servers: 100 of 16,384 slots")


# Live


@pytest.fixture
def push(project):
    """push(ids): what an open page is sent."""
    user = User.objects.create_user(username=f"engine-{project.slug}")
    Member.objects.create(project=project, user=user, role=Role.VIEWER.value)

    def render(ids: tuple[str, ...] | None) -> str:
        access = engines.run(find_access(user, project.slug))
        view = LiveView(access, {}, "nonce", None if ids is None else frozenset(ids), (), time.monotonic())
        return engines.run(find("engine").render(view))

    return render


def test_open_page_is_sent_this_process_s_looks_and_not_those_of_others(project, push):
    html = push((health.TICK,))
    assert 'hx-target="#signs"' in html
    assert "Connections" in html
    assert push(("another process",)) == ""


def test_open_page_that_looks_at_everything_is_sent_the_charts_too(project, push):
    assert 'hx-target="#charts"' in push(None)


def test_open_page_is_told_that_the_engine_is_down(project, push):
    with cache_away():
        assert "The cache engine does not answer." in push(None)


def test_pages_of_all_projects_share_one_look_for_two_seconds(project, monkeypatch):
    asked = []
    vitals = ValkeyCache.vitals

    async def counted(self):
        asked.append(1)
        return await vitals(self)

    monkeypatch.setattr(ValkeyCache, "vitals", counted)
    for other in (0, 1, 2):
        engines.run(health.health(ProjectId(project.pk + other), ACTOR))
    assert len(asked) == 1


def test_an_open_page_hears_of_looks_and_is_forgotten_when_it_is_closed(project, monkeypatch):
    told = []
    monkeypatch.setattr(health, "REST_S", 0.01)
    monkeypatch.setattr(health, "FORGET_S", 0.2)
    monkeypatch.setattr(health, "_watching", {})
    monkeypatch.setattr(health, "_timer", None)
    monkeypatch.setattr(health, "publish", lambda project, topic, ids: told.append((project, topic, ids)))
    engines.run(health.watch(ProjectId(project.pk)))
    deadline = time.monotonic() + 30
    while health._timer is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (ProjectId(project.pk), "engine", (health.TICK,)) in told
    assert ProjectId(project.pk) not in health._watching


def test_expiries_a_second_are_told_from_the_second_look_on(project, monkeypatch):
    monkeypatch.setattr(health, "REST_S", 0.0)
    first, second = (engines.run(health.health(ProjectId(project.pk), ACTOR)) for _ in range(2))
    assert first.expired_per_s is None
    assert second.expired_per_s >= 0


# The heaviest prefixes


def fill(project, **folders: tuple[int, int]) -> None:
    """folders: name → (keys, bytes of each)."""
    for name, (number, size) in folders.items():
        entries = [(f"{name}:{n:05}", b'"' + b"x" * (size - 2) + b'"', None, None) for n in range(number)]
        for start in range(0, number, 1000):
            engines.run(
                services.set_many(ProjectId(project.pk), ACTOR, entries=entries[start : start + 1000])
            )


def heavy_rows(page: str) -> list[tuple[str, ...]]:
    rows = re.findall(r'<tr role="row"><td role="cell" class="ad-clip ad-o1">.*?</tr>', page)
    return [
        tuple(
            re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", cell)).strip()
            for cell in re.findall(r"<td.*?</td>", row)
        )
        for row in rows
    ]


def test_heaviest_lists_folders_by_bytes_exactly_where_there_are_few_keys(project):
    fill(project, small=(30, 2), large=(3, 900), odd=(1, 5))
    put(project, "loose", b"12")
    client = client_of(project)
    page = text(client.get(f"/p/{project.slug}/cache/heaviest"))
    assert heavy_rows(page) == [
        ("large:", "2.6 KiB", "3 keys", "900 B each", "all"),
        ("small:", "60 B", "30 keys", "2 B each", "all"),
        ("odd:", "5 B", "1 key", "5 B each", "all"),
        ("keys without a further colon", "2 B", "1 key", "2 B each", "all"),
    ]
    assert "≈" not in page.split("<footer>")[0].split("ad-heavy")[0]
    assert re.search(r'href="[^"]*key=large%3A00000"', page)
    by_keys = text(client.get(f"/p/{project.slug}/cache/heaviest?sort=keys"))
    assert heavy_rows(by_keys)[0][0] == "small:"
    assert 'href="?prefix=large%3A&sort=keys"' in by_keys
    deeper = text(client.get(f"/p/{project.slug}/cache/heaviest?prefix=large:"))
    assert [row[0] for row in heavy_rows(deeper)] == ["keys without a further colon"]


def test_heaviest_samples_many_keys_and_says_how_far_off_it_may_be(project):
    fill(project, many=(3000, 40), few=(20, 9000))
    level = engines.run(weights.heaviest(ProjectId(project.pk), ACTOR))
    few, many = level.folders
    assert (few.prefix, few.size_bytes, few.is_exact) == ("few:", 180_000, True)
    assert (many.count, many.sampled, many.size_bytes, many.error_bytes) == (3000, 200, 120_000, 0)
    page = text(client_of(project).get(f"/p/{project.slug}/cache/heaviest"))
    assert heavy_rows(page)[1][:3] == ("many:", "≈ 117.2 KiB ± 0 B", "3,000 keys")


def test_the_true_weight_lies_within_the_error(project):
    """Sizes that take turns, a hundred in a row: the estimate is off by less than it says."""
    entries = [(f"mixed:{n:05}", b"[" + b" " * (n * 37 % 100) + b"]", None, None) for n in range(5000)]
    for start in range(0, 5000, 1000):
        engines.run(services.set_many(ProjectId(project.pk), ACTOR, entries=entries[start : start + 1000]))
    true = sum(len(value) for _, value, _, _ in entries)
    [mixed] = engines.run(weights.heaviest(ProjectId(project.pk), ACTOR)).folders
    assert 0 < abs(mixed.size_bytes - true) <= mixed.error_bytes < true / 5


def test_heaviest_of_more_folders_than_can_be_listed_finds_the_heavy_ones(project):
    entries = [(f"u{n:05}:x", b"1", None, None) for n in range(400)]
    entries += [(f"u00200:{n}", b'"' + b"x" * 498 + b'"', None, None) for n in range(400)]
    engines.run(services.set_many(ProjectId(project.pk), ACTOR, entries=entries))
    level = engines.run(weights.heaviest(ProjectId(project.pk), ACTOR))
    assert (level.folders[0].prefix, level.folders[0].count) == ("u00200:", 401)
    assert level.total.size_bytes == 200_400
    assert len(level.folders) == weights.HEAVIEST
    assert level.unseen == 400 - weights.HEAVIEST
    page = text(client_of(project).get(f"/p/{project.slug}/cache/heaviest"))
    assert "There are more folders than can be weighed one by one" in page


def test_nothing_to_weigh_is_said(project):
    client = client_of(project)
    assert "There is nothing to weigh" in text(client.get(f"/p/{project.slug}/cache/heaviest"))
    assert "No key begins with" in text(client.get(f"/p/{project.slug}/cache/heaviest?prefix=no:"))
    with cache_away():
        response = client.get(f"/p/{project.slug}/cache/heaviest")
    assert response.status_code == 503
    assert "Nothing can be weighed right now" in text(response)


def test_a_glance_is_kept_for_whoever_asks_next(project):
    fill(project, a=(10, 7))
    first, second = (
        engines.run(weights.glance(ProjectId(project.pk), ACTOR, prefix="", folders=["a:"])) for _ in range(2)
    )
    assert first is second
    assert first["a:"].size_bytes == 70
