"""/p/<slug>/cache/export and /cache/import: entries out as JSON Lines, and in again as they were."""

import io
import itertools
import json
import re

import msgspec
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aerodash import engines, limits
from aerodash.auth import ALL_SCOPES, Actor, Role
from aerodash.errors import EngineDown, InvalidInput
from aerodash.ids import ProjectId
from aerodash.models import AuditEntry, Member, Operation, Project, User
from aerodash.operations.keeper import Runner
from cache_admin import jsonlines, services, transfer, uploads
from cache_admin.engine.contract import Entry
from cache_admin.jsonlines import Line, Tail
from cache_admin.views.cache_selection import pack
from tests.pages.cache_cast import cache_away, client_of, put, remove, stored

WRITER = Actor(kind="key", id="9", label="key test", scopes=ALL_SCOPES)
NOW_MS = 1_800_000_000_000


@pytest.fixture
def url(project):
    return f"/p/{project.slug}/cache/import"


@pytest.fixture
def export_url(project):
    return f"/p/{project.slug}/cache/export"


@pytest.fixture
def production(project):
    project.environment = Project.Environment.PRODUCTION
    project.save()
    return project


def text(response) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", response.content.decode()).split())


def fill(project, count: int, prefix: str = "s:") -> None:
    entries = [(f"{prefix}{n:04}", b'"%d"' % n, None, None) for n in range(count)]
    for chunk in itertools.batched(entries, 1000):
        engines.run(services.set_many(ProjectId(project.pk), WRITER, entries=chunk))


def exported(project, prefix: str = "", keys=None) -> bytes:
    """The file, as the service gives it."""

    async def whole() -> bytes:
        pieces = await transfer.export(
            ProjectId(project.pk), WRITER, slug=project.slug, prefix=prefix, keys=keys
        )
        return b"".join([piece async for piece in pieces])

    return engines.run(whole())


def upload(client, url: str, content: bytes, name: str = "backup.jsonl"):
    return client.post(url, {"file": SimpleUploadedFile(name, content)}, follow=True)


def start(client, page, **fields: str):
    """Send the form of the page that an upload led to."""
    sent = {"run": "0", "existing": "overwrite", "expiry": "moment", **fields}
    return client.post(page.redirect_chain[-1][0], sent, follow=True)


def work() -> None:
    async def run() -> None:
        await Runner().run()

    engines.run(run())


def lines(*entries: object) -> bytes:
    return b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)


# The format

KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
TEXTS = st.builds(
    lambda value, indent: json.dumps(value, indent=indent, ensure_ascii=indent is None).encode(errors="replace"),
    JSON, st.sampled_from([None, 1]),
)  # fmt: skip
ENTRIES = st.builds(
    Entry,
    key=KEYS,
    value=TEXTS,
    metadata=st.none() | st.dictionaries(st.text(min_size=1, max_size=5), JSON, min_size=1, max_size=3).map(
        lambda value: json.dumps(value, indent=1).encode()
    ),
    expires_at_ms=st.none() | st.integers(NOW_MS + 1, NOW_MS + 9 * limits.TTL_MAX_S * 100),
    revision=st.just(""),
)  # fmt: skip


SLOWLY = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@SLOWLY
@given(ENTRIES)
def test_a_line_is_read_back_as_the_entry_that_it_was(entry):
    written = jsonlines.line(entry, NOW_MS)
    assert written.count(b"\n") == 1, "one line, whatever the value has in it"
    read = jsonlines.read(written, NOW_MS)
    assert isinstance(read, Line)
    assert read.entry(0, keeps_moment=True) == entry


@pytest.mark.parametrize(
    ("value", "member"),
    [(b"12345678901234567890123", b'"value":'), (b"1.10", b'"value":'), (b"-0.0", b'"value":'), (b'"\\u00e9"', b'"value":'),
     (b"null", b'"value":'), (b"[1,\n 2]", b'"valueText":'), (b'{"a" :\r1}', b'"valueText":'), (b'"\xe2\x80\xa8"', b'"value":')],
)  # fmt: skip
def test_values_stay_as_they_were_written(value, member):
    written = jsonlines.line(Entry("k", value, None, None, "r"), NOW_MS)
    assert member in written
    assert jsonlines.read(written, NOW_MS).value == value


def test_ttl_counts_from_the_start_if_asked_for():
    at = NOW_MS + 90_500
    read = jsonlines.read(jsonlines.line(Entry("k", b"1", None, at, ""), NOW_MS), NOW_MS)
    assert (read.ttl_s, read.expires_at_ms) == (91, at)
    later = NOW_MS + 10_000_000
    assert read.entry(later, keeps_moment=True).expires_at_ms == at
    assert read.entry(later, keeps_moment=False).expires_at_ms == later + 91_000
    by_hand = jsonlines.read(b'{"key":"k","value":1,"expirationTtl":60.0}', NOW_MS)
    assert by_hand.entry(later, keeps_moment=True).expires_at_ms == later + 60_000


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"key":"k"}', "One of value and valueText is needed"),
        (b'{"key":"k","value":1,"valueText":"1"}', "One of value and valueText is needed"),
        (b'{"value":1}', "key is required"),
        (b'{"key":"","value":1}', "must not be empty"),
        (b'{"key":"' + b"k" * 1025 + b'","value":1}', "over the limit of 1024"),
        (b'{"key":1,"value":1}', "key"),
        (b'{"key":"k","value":NaN}', "not valid JSON"),
        (b'{"key":"k","value":1e999}', "not valid JSON"),
        (b'{"key":"k","value":"\\ud800"}', "not valid JSON"),
        (b'{"key":"k","valueText":"[1"}', "value is not valid JSON"),
        (b'{"key":"k","value":1,"ttl":0}', "ttl must be between 1"),
        (b'{"key":"k","value":1,"ttl":"60"}', "ttl"),
        (b'{"key":"k","value":1,"ttl":true}', "ttl"),
        (b'{"key":"k","value":1,"metadata":[1]}', "metadata must be a JSON object"),
        (b'{"key":"k","value":1,"metadata":{"m":"' + b"m" * 5000 + b'"}}', "over the limit of 4096"),
        (b'{"key":"k","value":1,"expiresAt":"2030-01-01"}', "not a time with a zone"),
        (b'{"key":"k","value":1,"expiresAt":"2999-01-01T00:00:00Z"}', "more than ten years ahead"),
        (b'{"key":"k","value":1,"expiresAt":17}', "expiresAt"),
        (b'{"format":"aerodash.cache","version":2}', "does not read"),
        (b'{"format":"other"}', "does not read"),
        (b"[1]", "must be a JSON object"),
        (b'{"key":"k","value":1', "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
    ],
)
def test_what_the_api_refuses_is_refused(line, says):
    with pytest.raises(InvalidInput) as caught:
        jsonlines.read(line, NOW_MS)
    assert says in caught.value.message


# Export


def test_page_says_what_the_file_would_hold(project, export_url):
    fill(project, 5)
    response = client_of(project, Role.VIEWER).get(export_url, {"prefix": "s:"})
    page = text(response)
    assert response.status_code == 200
    assert "Export 5 keys under s:" in page
    assert "15 B exact" in page
    assert re.search(rf"{project.slug}-cache-s-\d{{8}}T\d{{6}}Z\.jsonl", page)
    assert "once, with the value it had when its page was read" in page


def test_file_streams_to_the_browser_and_stands_in_the_audit_log(project, export_url):
    fill(project, 3)
    put(project, "s:\0\u202e", b'{"a": [1.0,\n12345678901234567890]}', ttl_s=600, metadata=b'{"m":1}')
    user = User.objects.create_user(username=f"export-{project.slug}")
    Member.objects.create(project=project, user=user, role=Role.VIEWER.value)

    async def download() -> tuple[object, bytes]:
        client = AsyncClient()
        await client.aforce_login(user)
        response = await client.post(f"{export_url}?prefix=s:")
        return response, b"".join([piece async for piece in response.streaming_content])

    response, content = engines.run(download())
    assert response["Content-Type"] == "application/jsonl; charset=utf-8"
    assert re.fullmatch(
        r'attachment; filename="[\w-]+-cache-s-\d{8}T\d{6}Z\.jsonl"', response["Content-Disposition"]
    )
    head, first, *rest, tail = content.splitlines()
    assert json.loads(head)["format"] == "aerodash.cache"
    assert json.loads(first)["key"] == "s:\0\u202e"
    assert b'"valueText":"{\\"a\\": [1.0,\\n12345678901234567890]}"' in first
    assert json.loads(first)["metadata"] == {"m": 1}
    assert json.loads(first)["ttl"] <= 600
    assert [json.loads(line) for line in rest] == [{"key": f"s:{n:04}", "value": str(n)} for n in range(3)]
    assert json.loads(tail) == {"complete": True, "keys": 4}
    line = AuditEntry.objects.get(project=project)
    assert (line.verb, line.target, line.door) == ("cache.export", "s:", "console")


def test_chosen_keys_alone_are_exported_in_order(project, export_url):
    fill(project, 5)
    page = text(
        client_of(project).get(export_url, {"prefix": "s:", "keys": pack(("s:0001", "s:0003", "gone"))})
    )
    assert "Export 2 chosen keys" in page
    found = [json.loads(line) for line in exported(project, keys=["s:0003", "gone", "s:0001"]).splitlines()]
    assert [line.get("key") for line in found[1:-1]] == ["s:0001", "s:0003"]
    assert found[-1] == {"complete": True, "keys": 2}


def test_pages_of_keys_and_of_bytes_make_one_file(project, monkeypatch):
    monkeypatch.setattr(transfer, "PAGE_KEYS", 7)
    monkeypatch.setattr(transfer, "PAGE_BYTES", 3000)
    fill(project, 30)
    put(project, "s:0004", b'"' + b"x" * 5000 + b'"')
    found = [json.loads(line) for line in exported(project, "s:").splitlines()]
    assert [line["key"] for line in found[1:-1]] == [f"s:{n:04}" for n in range(30)]
    named = [f"s:{n:04}" for n in range(20)]
    found = [json.loads(line) for line in exported(project, keys=named).splitlines()]
    assert [line["key"] for line in found[1:-1]] == named
    assert found[-1]["keys"] == 20


def test_a_cache_that_goes_away_in_the_middle_cuts_the_file_off_visibly(project, monkeypatch):
    monkeypatch.setattr(transfer, "PAGE_KEYS", 2)
    monkeypatch.setattr(transfer, "PATIENCE_S", 0.0)
    fill(project, 5)
    pieces: list[bytes] = []

    async def begin():
        pages = await transfer.export(ProjectId(project.pk), WRITER, slug=project.slug)
        return pages, [await anext(pages), await anext(pages)]

    async def go_on(pages) -> None:
        async for piece in pages:
            pieces.append(piece)

    pages, first = engines.run(begin())
    with cache_away(), pytest.raises(EngineDown):
        engines.run(go_on(pages))
    assert len(b"".join(first).splitlines()) == 3
    assert json.loads(pieces[-1]) == {"complete": False, "keys": 2, "error": "Valkey cannot be reached."}


def test_a_cache_that_is_away_for_a_moment_is_waited_for(project, monkeypatch):
    monkeypatch.setattr(transfer, "PAGE_KEYS", 2)
    monkeypatch.setattr(transfer, "LOOK_EVERY_S", 0.0)
    fill(project, 5)
    real, failures = transfer._read, iter([EngineDown("Valkey cannot be reached.")] * 3)

    async def fails_at_first(*args):
        if args[2] is not None and (failure := next(failures, None)):
            raise failure
        return await real(*args)

    monkeypatch.setattr(transfer, "_read", fails_at_first)
    assert json.loads(exported(project).splitlines()[-1]) == {"complete": True, "keys": 5}


def test_export_for_strangers_with_nothing_and_without_a_cache(project, export_url):
    put(project, "a", b"1")
    assert client_of(None).get(export_url).status_code == 404
    assert client_of(None).post(export_url).status_code == 404
    client = client_of(project)
    assert "There are no keys under none:." in text(client.get(export_url, {"prefix": "none:"}, follow=True))
    with cache_away():
        response = client.get(export_url)
        assert response.status_code == 503
        assert "Entries cannot be read right now" in text(response)
        assert client.post(export_url).status_code == 503, "no file that is none"
    assert not AuditEntry.objects.filter(project=project).exists()


# Import


def test_a_file_is_looked_through_before_anything_is_written(project, url):
    put(project, "a", b"1")
    content = lines(
        {"key": "a", "value": 2}, {"key": "b", "value": [1], "ttl": 60}, {"key": ""}, {"key": "c"}
    )
    page = upload(client_of(project), url, content + b"{not json\n\n")
    words = text(page)
    assert page.redirect_chain[-1][0].startswith(f"{url}/")
    assert "Import backup.jsonl" in words
    assert "5 lines looked at" not in words, (
        "blank lines count as lines, so that numbers agree with an editor's"
    )
    assert "6 lines looked at" in words
    assert "Keys 2 values 4 B" in words
    assert "Exist already 1 1 would be new" in words
    assert "Refused 3 lines, left out" in words
    assert "3 One of value" not in words
    assert re.search(r"3 (One of value and valueText is needed|key must not be empty)\.", words)
    assert re.search(r"5 The line is not valid JSON", words)
    assert "no closing line" in words
    assert "Import 2 keys" in words
    assert stored(project, "a").value == b"1"
    assert stored(project, "b") is None
    assert not Operation.objects.filter(project=project).exists()


def test_refused_lines_can_be_downloaded(project, url):
    page = upload(
        client_of(project),
        url,
        lines({"key": "a"}, {"key": "b", "value": 1}, {"key": "c", "value": 1, "ttl": -1}),
    )
    user = User.objects.create_user(username=f"refused-{project.slug}")
    Member.objects.create(project=project, user=user, role=Role.OPERATOR.value)

    async def download(client: AsyncClient) -> bytes:
        response = await client.get(f"{page.redirect_chain[-1][0]}/refused")
        assert "attachment" in response["Content-Disposition"]
        return b"".join([piece async for piece in response.streaming_content])

    client = AsyncClient()
    client.force_login(user)
    found = [json.loads(line) for line in engines.run(download(client)).splitlines()]
    assert [(one["line"], one["key"], one["field"]) for one in found] == [(1, "a", "value"), (3, "c", "ttl")]


def test_an_import_runs_as_an_operation_and_stands_in_the_audit_log(project, url):
    put(project, "a", b"1", metadata=b'{"old":1}')
    client = client_of(project)
    content = lines(
        {"key": "a", "value": 2}, {"key": "b", "value": [1], "metadata": {"m": 1}, "ttl": 60}, {"key": "c"}
    )
    page = start(client, upload(client, url, content), reason="restore")
    one = Operation.objects.get(project=project)
    assert (one.kind, one.total, one.state) == ("cache.import", 2, "waiting")
    assert "Importing the file" in text(page)
    assert "0 of 2 keys" in text(page)
    line = AuditEntry.objects.get(project=project)
    assert (line.verb, line.details["reason"]) == ("cache.import.start", "restore")
    assert line.details["before"] == "2 keys in the file, of which 1 existed; 1 lines refused"
    work()
    one.refresh_from_db()
    assert (one.state, one.done, one.skipped) == ("done", 2, 0)
    assert (stored(project, "a").value, stored(project, "a").metadata) == (b"2", None)
    assert stored(project, "b").metadata == b'{"m":1}'
    assert "2 keys imported" in text(client.get(page.redirect_chain[-1][0]))
    listed = client.get(f"/p/{project.slug}/operations/{one.pk}").content.decode()
    assert f'href="{page.redirect_chain[-1][0]}"' in listed, "the operation leads to the file"


@pytest.mark.parametrize(
    ("existing", "old", "new", "counts"),
    [("overwrite", b"2", b"2", (2, 0)), ("skip", b"1", b"2", (1, 1)), ("only", b"2", None, (1, 1))],
)
def test_keys_that_exist_are_treated_as_chosen(project, url, existing, old, new, counts):
    put(project, "old", b"1")
    client = client_of(project)
    page = upload(client, url, lines({"key": "old", "value": 2}, {"key": "new", "value": 2}))
    start(client, page, existing=existing)
    work()
    one = Operation.objects.get(project=project)
    assert (one.done, one.skipped) == counts
    assert stored(project, "old").value == old
    found = stored(project, "new")
    assert (found and found.value) == new


def test_expiry_as_in_the_file_or_counted_again(project, url):
    client = client_of(project)
    past, ahead = "2020-01-01T00:00:00Z", "2035-01-01T00:00:00Z"
    content = lines(
        {"key": "late", "value": 1, "ttl": 60, "expiresAt": past}, {"key": "gone", "value": 1, "expiresAt": past},
        {"key": "ahead", "value": 1, "ttl": 60, "expiresAt": ahead},
    )  # fmt: skip
    page = upload(client, url, content)
    assert "2 of the keys had expired" in text(page)
    start(client, page)
    work()
    assert [stored(project, key) is None for key in ("late", "gone", "ahead")] == [True, True, False]
    assert stored(project, "ahead").expires_at_ms == 2_051_222_400_000
    one = Operation.objects.get(project=project)
    assert (one.done, one.skipped) == (1, 2)
    again = start(client, page, expiry="left", run="1")
    work()
    assert "Earlier imports of this file" in text(client.get(again.redirect_chain[-1][0]))
    assert [stored(project, key) is None for key in ("late", "gone", "ahead")] == [False, True, False]
    assert stored(project, "ahead").expires_at_ms < 2_051_222_400_000


ODD = {
    "\0": b"null",
    "a\nb": b'{"a" :\n\t[1.10, 12345678901234567890, -0.0, "\\u00e9"]}',
    "\u202e\U0001f600": '"\u2028é"'.encode(),
    "big": b'"' + b"x" * limits.PAYLOAD_BYTES + b'"',
    "k" * limits.KEY_BYTES: b"0.1e-7",
}


def test_what_was_exported_is_imported_as_it_was(project, url):
    for number, (key, value) in enumerate(ODD.items()):
        put(project, key, value, ttl_s=600 if number % 2 else None, metadata=b'{"n":\n1}' if number else None)
    before = {key: stored(project, key) for key in ODD}
    content = exported(project)
    for key in ODD:
        remove(project, key)
    other = Project.objects.create(slug=f"{project.slug}-other", name="Other")
    client = client_of(other)
    page = upload(client, f"/p/{other.slug}/cache/import", content)
    words = text(page)
    assert "Keys 5" in words
    assert "closing line" not in words, "it is whole"
    start(client, page)
    work()
    for key, entry in before.items():
        found = stored(other, key)
        assert (found.value, found.metadata, found.expires_at_ms) == (
            entry.value,
            entry.metadata,
            entry.expires_at_ms,
        )
    assert Operation.objects.get(project=other).done == 5


@settings(SLOWLY, max_examples=15)
@given(st.lists(ENTRIES, min_size=1, max_size=8, unique_by=lambda entry: entry.key))
def test_any_entries_come_back_through_a_file(project, entries):
    """Export of a store that holds anything, read by the importer's own reader: nothing lost, nothing changed."""
    project_id, engine = ProjectId(project.pk), engines.get("cache")
    engines.run(services.flush(project_id, WRITER))
    engines.run(engine.write_step(project_id, entries))
    content = exported(project)
    file = uploads.keep(project_id, name="x", by="t", chunks=[content], size_bytes=len(content))
    batch = uploads.batch(file, at=0, line=0, lines=100, size_bytes=len(content) + 1, now_ms=NOW_MS)
    file.remove()
    found = [one.entry(0, keeps_moment=True) for _, one in batch.lines if isinstance(one, Line)]
    assert found == sorted(entries, key=lambda entry: entry.key.encode())
    assert isinstance(batch.lines[-1][1], Tail)
    assert batch.lines[-1][1].keys == len(entries)


def test_a_large_file_is_looked_through_by_the_keeper(project, url, monkeypatch):
    monkeypatch.setattr(transfer, "CHECK_AT_ONCE_BYTES", 10)
    monkeypatch.setattr(transfer, "CHECK_LINES", 3)
    client = client_of(project)
    content = lines(*({"key": f"k{n}", **({"value": n} if n % 4 else {})} for n in range(20)))
    page = upload(client, url, content)
    assert "Looking through the file" in text(page)
    one = Operation.objects.get(project=project)
    assert (one.kind, one.total) == ("cache.import_check", len(content))
    assert start(client, page).status_code == 422, "nothing is imported that was not looked through"
    work()
    one.refresh_from_db()
    assert (one.state, one.done) == ("done", len(content))
    words = text(client.get(page.redirect_chain[-1][0]))
    assert "Keys 15" in words
    assert "Refused 5" in words


def test_a_check_and_an_import_go_on_where_they_were(project, url, monkeypatch):
    """Each step is done twice, as after a keeper that was killed before it wrote down what it had done."""
    monkeypatch.setattr(transfer, "CHECK_AT_ONCE_BYTES", 10)
    monkeypatch.setattr(transfer, "CHECK_LINES", 3)
    monkeypatch.setattr(transfer, "WRITE_LINES", 4)
    client = client_of(project)
    page = upload(
        client, url, lines(*({"key": f"k{n}", **({"value": n} if n % 4 else {})} for n in range(20)))
    )
    for kind, step in (("cache.import_check", transfer.check_step), ("cache.import", transfer.import_step)):
        one = Operation.objects.get(project=project, kind=kind)
        params, cursor, done = json.loads(one.params), None, 0
        while True:
            engines.run(step(ProjectId(project.pk), params, cursor))
            taken = engines.run(step(ProjectId(project.pk), params, json.loads(json.dumps(cursor))))
            cursor, done = taken.cursor, done + taken.done
            if cursor is None:
                break
        assert done == one.total
        if kind == "cache.import_check":
            start(client, page)
    found = uploads.every(ProjectId(project.pk))[0]
    assert (found.facts.checked.good, found.facts.checked.bad) == (15, 5)
    assert [one.line for one in uploads.refusals(found, 99)] == [1, 5, 9, 13, 17]
    assert [stored(project, f"k{n}") is not None for n in range(20)] == [bool(n % 4) for n in range(20)]


def test_two_people_who_start_the_same_start_one(project, url):
    first, second = client_of(project), client_of(project)
    page = upload(first, url, lines({"key": "a", "value": 1}))
    start(first, page)
    start(second, page)
    assert Operation.objects.filter(project=project, kind="cache.import").count() == 1
    assert AuditEntry.objects.filter(project=project).count() == 1


def test_a_stopped_import_says_so_and_can_be_started_again(project, url):
    client = client_of(project)
    page = upload(client, url, lines({"key": "a", "value": 1}))
    start(client, page)
    one = Operation.objects.get(project=project)
    client.post(f"/p/{project.slug}/operations/{one.pk}/stop")
    words = text(client.get(page.redirect_chain[-1][0]))
    assert "stopped" in words
    assert "Import again" in words
    start(client, page, run="1")
    work()
    assert stored(project, "a").value == b"1"


def test_a_file_that_is_removed_meanwhile_ends_the_import_with_the_reason(project, url):
    client = client_of(project)
    page = upload(client, url, lines({"key": "a", "value": 1}))
    start(client, page)
    assert client.post(f"{page.redirect_chain[-1][0]}/remove").status_code == 400, "not while it is imported"
    uploads.every(ProjectId(project.pk))[0].remove()
    work()
    one = Operation.objects.get(project=project)
    assert one.state == "failed"
    assert "not in this keeper's data folder" in one.error


def test_removing_a_file_leaves_what_was_imported(project, url):
    client = client_of(project)
    page = upload(client, url, lines({"key": "a", "value": 1}), name="<b>\u202e.jsonl")
    start(client, page)
    work()
    listed = client.get(url).content.decode()
    assert "&lt;b&gt;.jsonl" in listed
    response = client.post(f"{page.redirect_chain[-1][0]}/remove", follow=True)
    assert "What was imported from it stays" in text(response)
    assert stored(project, "a")
    assert client.get(page.redirect_chain[-1][0]).status_code == 404
    assert "had gone already" in text(client.post(f"{page.redirect_chain[-1][0]}/remove", follow=True))
    assert not list(uploads.every(ProjectId(project.pk)))


def test_over_a_hundred_and_in_production_the_number_is_typed(production, url):
    client = client_of(production)
    page = upload(client, url, lines(*({"key": f"flag:k{n}", "value": n} for n in range(2))))
    assert "Flags are among them" in text(page)
    refused = start(client, page, typed="3", reason="restore")
    assert refused.status_code == 422
    assert "The number typed is another one." in text(refused)
    refused = start(client, page, typed="2")
    assert "with a reason" in text(refused)
    assert not Operation.objects.filter(project=production).exists()
    start(client, page, typed="2", reason="restore")
    assert Operation.objects.filter(project=production).count() == 1


def test_what_is_no_file_of_ours_is_refused(project, url, monkeypatch):
    client = client_of(project)
    assert "Choose a file first." in text(client.post(url, {}))
    assert "The file is empty." in text(upload(client, url, b""))
    nothing = upload(client, url, b"%PDF-1.7\n")
    assert "There is nothing in this file that can be imported." in text(nothing)
    assert start(client, nothing).status_code == 422
    monkeypatch.setattr(limits, "IMPORT_BYTES", 3)
    assert "larger than" in text(upload(client, url, b"abcd"))
    monkeypatch.setattr(limits, "IMPORTS_KEPT", 1)
    assert "remove one first" in text(upload(client, url, b"abc"))
    page = upload(client, url, lines({"key": "a", "value": 1}))
    monkeypatch.undo()
    page = upload(client, url, lines({"key": "a", "value": 1}))
    assert start(client, page, existing="burn").status_code == 422
    assert start(client, page, run="x").status_code == 422


def test_a_line_that_is_too_long_is_passed_without_being_held(project, monkeypatch):
    monkeypatch.setattr(limits, "IMPORT_LINE_BYTES", 100)
    content = b'{"key":"a","value":"' + b"x" * 300 + b'"}\n' + lines({"key": "b", "value": 1})
    file = uploads.keep(ProjectId(project.pk), name="x", by="t", chunks=[content], size_bytes=len(content))
    batch = uploads.batch(file, at=0, line=0, lines=9, size_bytes=10_000, now_ms=NOW_MS)
    assert [(number, type(one).__name__) for number, one in batch.lines] == [(1, "Refusal"), (2, "Line")]
    assert batch.is_end


def test_a_byte_order_mark_and_line_ends_of_windows_are_no_fault(project):
    content = b'\xef\xbb\xbf{"key":"a","value":1}\r\n\r\n{"key":"b","value":2}'
    file = uploads.keep(ProjectId(project.pk), name="x", by="t", chunks=[content], size_bytes=len(content))
    batch = uploads.batch(file, at=0, line=0, lines=9, size_bytes=10_000, now_ms=NOW_MS)
    assert [(number, one.key) for number, one in batch.lines] == [(1, "a"), (3, "b")]


def test_old_files_go_after_a_week(project):
    file = uploads.keep(ProjectId(project.pk), name="x", by="t", chunks=[b"1"], size_bytes=1)
    changed_at = file.path.stat().st_mtime
    uploads.prune(changed_at + 6 * 24 * 3600)
    assert uploads.find(file.project, str(file.id))
    assert uploads.prune(changed_at + 8 * 24 * 3600) >= 2
    assert uploads.find(file.project, str(file.id)) is None


def test_viewer_stranger_and_other_projects_see_no_file(project, url):
    page = upload(client_of(project), url, lines({"key": "a", "value": 1}))
    path = page.redirect_chain[-1][0]
    for client, status in ((client_of(project, Role.VIEWER), 403), (client_of(None), 404)):
        for one in (url, path, f"{path}/refused"):
            assert client.get(one).status_code == status
        for one in (url, path, f"{path}/remove"):
            assert client.post(one, {"run": "0"}).status_code == status
    other = Project.objects.create(slug=f"{project.slug}-other", name="Other")
    elsewhere = path.replace(project.slug, other.slug)
    client = client_of(other)
    assert client.get(elsewhere).status_code == 404
    sent = {"run": "0", "existing": "overwrite", "expiry": "moment"}
    assert client.post(elsewhere, sent).status_code == 404
    client.post(f"{elsewhere}/remove")
    assert client_of(project).get(path).status_code == 200
    assert client_of(project).get(f"{url}/../../etc/passwd").status_code == 404
    assert client_of(project).get(f"{url}/nonsense").status_code == 404


def test_the_cache_away_holds_an_import_up_and_says_so(project, url):
    client = client_of(project)
    page = upload(client, url, lines({"key": "a", "value": 1}))
    start(client, page)
    one = Operation.objects.get(project=project)
    with cache_away(), pytest.raises(EngineDown):
        engines.run(transfer.import_step(ProjectId(project.pk), json.loads(one.params), None))
    with cache_away():
        waiting = upload(client_of(project), url, lines({"key": "b", "value": 1}))
        assert "Looking through the file" in text(waiting), "the keeper does it once the cache is back"
        shown = client.get(page.redirect_chain[-1][0])
        assert shown.status_code == 200, "how an import goes can be seen without the cache"
        assert "Keys 1" in text(shown)
    work()
    assert stored(project, "a").value == b"1"
    assert "Import 1 key" in text(client.get(waiting.redirect_chain[-1][0]))


def test_open_pages_are_sent_progress_and_no_token(project, url):
    import time

    import cache_admin.consumers  # noqa: F401  (registers the pages)
    from aerodash.console.access import find_access
    from aerodash.realtime.pages import LiveView, find

    client = client_of(project, name=f"live-import-{project.slug}")
    page = upload(client, url, lines({"key": "a", "value": 1}))
    start(client, page)
    one = Operation.objects.get(project=project)
    user = User.objects.get(username=f"live-import-{project.slug}")
    access = engines.run(find_access(user, project.slug))

    def push(ids, **params: str) -> str:
        moved = None if ids is None else frozenset(ids)
        return engines.run(
            find("cache-import").render(LiveView(access, params, "nonce", moved, (), time.monotonic()))
        )

    id = page.redirect_chain[-1][0].rpartition("/")[2]
    html = push({str(one.pk)}, id=id, seen="1")
    assert "0</b> of" in html
    assert "csrfmiddlewaretoken" not in html
    assert push({"another"}, id=id) == ""
    assert push(None, id="nonsense") == ""
    assert io.StringIO(html).read().lstrip().startswith('<hx-partial hx-target="#progress"')


def test_a_request_that_is_longer_than_any_page_takes_is_not_written_to_disk(monkeypatch):
    from aerodash.asgi import Application

    monkeypatch.setattr(limits, "PAGE_BYTES", 1000)
    application, sent, received = Application(express=True), [], []

    async def ask(*headers: tuple[bytes, bytes]) -> None:
        async def receive() -> dict[str, object]:
            received.append(1)
            return {"type": "http.request", "body": b"x" * 300, "more_body": True}

        async def send(message) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": "/p/x/cache/import", "query_string": b"", "headers": headers,
        }  # fmt: skip
        await application(scope, receive, send)

    engines.run(ask((b"content-length", b"1001")))
    assert (sent[0]["status"], received) == (413, [])
    sent.clear()
    engines.run(ask())
    assert (sent, len(received)) == ([], 4), "hung up on, as soon as it was too long"
