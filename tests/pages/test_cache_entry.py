"""/p/<slug>/cache/entry: reading and changing one entry without losing a byte or somebody else's write."""

import asyncio
import base64
import gzip
import re
from html import unescape

import pytest

from aerodash import engines
from aerodash.auth import Role
from aerodash.errors import EngineDown
from aerodash.models import AuditEntry, Project
from cache_admin import edits, queries, services
from cache_admin.engine.valkey import ValkeyCache
from tests.pages.cache_cast import HTMX, cache_away, client_of, put, remove, stored

EXACT = rb'{"big":9007199254740993,"price":0.10,"name":"Ren\u00e9e","tiny":1e-7,"l":[1,2]}'


@pytest.fixture
def url(project):
    return f"/p/{project.slug}/cache/entry"


@pytest.fixture
def production(project):
    project.environment = Project.Environment.PRODUCTION
    project.save()
    return project


def text(response) -> str:
    return response.content.decode()


def form_of(response, field: str = "value") -> dict[str, str]:
    """The fields of the form that holds this field, as a browser would send them."""
    for form in re.findall(r"(?s)<form.*?</form>", text(response)):
        if f'name="{field}"' in form:
            fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
            fields |= dict(re.findall(r'(?s)<textarea[^>]*name="(\w+)"[^>]*>\n(.*?)</textarea>', form))
            fields.pop("csrfmiddlewaretoken", None)
            return {name: unescape(value).replace("\n", "\r\n") for name, value in fields.items()}
    raise AssertionError(f"no form with {field}")


def step(client, url, fields, name, **changes):
    return client.post(f"{url}/value?key=a", {**fields, **changes, "step": name})


def test_page_shows_the_value_digit_for_digit(project, url):
    put(project, "a", EXACT, ttl_s=600, metadata=b'{"device":"mobile"}')
    page = unescape(text(client_of(project).get(url, {"key": "a"})))
    for part in (
        '"big": 9007199254740993',
        '"price": 0.10',
        r'"name": "Ren\u00e9e"',
        '"tiny": 1e-7',
        '"l": [1, 2]',
    ):
        assert part in page
    assert '"mobile"' in page
    assert "JSON object" in page
    assert 'value = client.cache.get(\n    "a")' in page


def test_raw_shows_the_stored_text_itself(project, url):
    put(project, "a", EXACT)
    fields = form_of(client_of(project).get(url, {"key": "a", "form": "raw"}))
    assert fields["value"] == EXACT.decode()


def test_download_is_the_stored_bytes(project, url):
    put(project, "a", EXACT)
    response = client_of(project).get(f"{url}/raw", {"key": "a"})
    assert response.content == EXACT
    assert response["Content-Type"] == "application/json"
    assert response["Content-Disposition"].startswith("attachment")


def test_edit_is_reviewed_then_saved_and_keeps_expiry_metadata_and_other_text(project, url):
    put(project, "a", EXACT, ttl_s=600, metadata=b'{"m":1}')
    client = client_of(project, name="Ines")
    fields = form_of(client.get(url, {"key": "a"}))
    review = step(client, url, fields, "review", value=fields["value"].replace("0.10", "0.15"))
    assert "1 line changes" in text(review)
    assert 'class="ad-del"' in text(review)
    assert stored(project, "a").value == EXACT, "a review changes nothing"
    before = stored(project, "a")
    saved = step(client, url, form_of(review), "save")
    assert saved.status_code == 302
    after = stored(project, "a")
    assert after.value == EXACT.replace(b"0.10", b"0.15")
    assert (after.expires_at_ms, after.metadata) == (before.expires_at_ms, before.metadata)
    line = AuditEntry.objects.get(project=project, target="a")
    assert (line.verb, line.actor_label, line.door) == ("entry.set", "Ines", "console")
    assert line.details["before"] == EXACT.decode()


def test_raw_edit_stores_the_text_as_typed(project, url):
    put(project, "a", b"[1,2]")
    client = client_of(project)
    fields = form_of(client.get(url, {"key": "a", "form": "raw"}))
    review = step(client, url, fields, "review", value="[ 1,\r\n 2 ]")
    assert "Only the spacing changes" in text(review)
    step(client, url, form_of(review), "save")
    assert stored(project, "a").value == b"[ 1,\n 2 ]"


def test_changing_the_layout_keeps_unsaved_edits(project, url):
    put(project, "a", b'{"n":1}')
    client = client_of(project)
    fields = form_of(client.get(url, {"key": "a"}))
    raw = form_of(step(client, url, fields, "as-raw", value='{\r\n  "n": 2\r\n}'))
    assert (raw["form"], raw["value"]) == ("raw", '{"n":2}')
    assert raw["revision"] == fields["revision"]
    assert form_of(step(client, url, raw, "as-pretty"))["value"] == '{\r\n  "n": 2\r\n}'


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ('{"n": }', "line 1, column 7"),
        ("", "A value is needed"),
        ("NaN", "not JSON"),
        ('"\\ud800"', "not JSON"),
        ("1e999", "not JSON"),
    ],
)
def test_what_is_not_json_is_refused_with_the_place_and_kept_in_the_editor(project, url, typed, said):
    put(project, "a", b'{"n":1}')
    client = client_of(project)
    response = step(client, url, form_of(client.get(url, {"key": "a"})), "review", value=typed)
    assert response.status_code == 422
    assert said in text(response)
    assert form_of(response)["value"] == typed
    assert stored(project, "a").value == b'{"n":1}'


def test_text_over_the_bytes_that_can_be_edited_is_refused(project, url):
    put(project, "a", b"1")
    client = client_of(project)
    fields = form_of(client.get(url, {"key": "a"}))
    response = step(client, url, fields, "save", value='"' + "é" * 150_000 + '"')
    assert response.status_code == 422
    assert "over the 256 KiB" in text(response)
    assert stored(project, "a").value == b"1"


def test_unchanged_text_saves_nothing(project, url):
    revision = put(project, "a", EXACT)
    client = client_of(project)
    response = step(client, url, form_of(client.get(url, {"key": "a"})), "save")
    assert "Nothing to save" in text(response)
    assert stored(project, "a").revision == revision


def conflict(client, project, url):
    """An edit of "disc" and "cart", while a program changes "last" and "cart"."""
    put(project, "a", b'{"last":1,"cart":["x"],"disc":0.10}')
    fields = form_of(client.get(url, {"key": "a"}))
    review = step(
        client, url, fields, "review", value=fields["value"].replace("0.10", "0.15").replace('["x"]', "[]")
    )
    put(project, "a", b'{"last":2,"cart":["x","y"],"disc":0.10}')
    return step(client, url, form_of(review), "save")


def test_concurrent_write_is_a_conflict_and_nothing_is_lost(project, url):
    response = conflict(client_of(project), project, url)
    assert response.status_code == 409
    page = unescape(text(response))
    assert "Nothing was saved" in page
    assert '"cart": ["x", "y"],' in page
    assert '"cart": [],' in page
    assert page.count('class="ad-clash"') == 2
    assert stored(project, "a").value == b'{"last":2,"cart":["x","y"],"disc":0.10}'


@pytest.mark.parametrize(("pick", "cart"), [("theirs", b'["x","y"]'), ("yours", b"[]")])
def test_merge_keeps_both_sides_and_the_choice(project, url, pick, cart):
    client = client_of(project)
    response = conflict(client, project, url)
    (number,) = set(re.findall(r'name="pick-(\d+)"', text(response)))
    merged = step(client, url, form_of(response), "merge", **{f"pick-{number}": pick})
    assert merged.status_code == 302
    assert stored(project, "a").value == b'{"last":2,"cart":' + cart + b',"disc":0.15}'


def test_second_write_during_the_merge_is_a_conflict_again(project, url):
    client = client_of(project)
    response = conflict(client, project, url)
    put(project, "a", b'{"last":3}')
    again = step(client, url, form_of(response), "merge")
    assert again.status_code == 409
    assert stored(project, "a").value == b'{"last":3}'


def test_overwriting_theirs_is_reviewed_against_theirs(project, url):
    client = client_of(project)
    response = conflict(client, project, url)
    fields = re.search(r'(?s)<form id="overwrite".*?</form>', text(response))[0]
    hidden = {name: unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', fields)}
    hidden["value"] = unescape(re.search(r"(?s)<textarea[^>]*>\n(.*?)</textarea>", fields)[1])
    review = client.post(f"{url}/value?key=a", {**hidden, "step": "review"})
    assert "3 lines change" in text(review)
    assert step(client, url, form_of(review), "save").status_code == 302
    assert stored(project, "a").value == b'{"last":1,"cart":[],"disc":0.15}'


def test_change_of_expiry_alone_is_no_conflict(project, url):
    put(project, "a", b"1", ttl_s=50)
    client = client_of(project)
    fields = form_of(client.get(url, {"key": "a"}))
    client.post(f"{url}/expiry?key=a", {"seconds": "3600"})
    expires_at_ms = stored(project, "a").expires_at_ms
    assert step(client, url, fields, "save", value="2").status_code == 302
    assert (stored(project, "a").value, stored(project, "a").expires_at_ms) == (b"2", expires_at_ms)


def test_text_of_an_entry_that_went_can_be_written_anew(project, url):
    put(project, "a", b"1")
    client = client_of(project)
    fields = form_of(client.get(url, {"key": "a"}))
    remove(project, "a")
    response = step(client, url, fields, "save", value='"precious"')
    assert response.status_code == 409
    assert form_of(response)["value"] == '"precious"'
    assert client.post(f"/p/{project.slug}/cache/new?key=a", form_of(response)).status_code == 302
    assert stored(project, "a").value == b'"precious"'


def test_text_is_kept_when_the_entry_became_too_large_to_edit(project, url):
    put(project, "a", b"1")
    client = client_of(project)
    fields = form_of(client.get(url, {"key": "a"}))
    put(project, "a", b'"' + b"y" * 300_000 + b'"')
    response = step(client, url, fields, "save", value='"precious"')
    assert response.status_code == 409
    assert form_of(response)["value"] == '"precious"'
    assert "too large to edit here" in text(response)
    assert "Write it as a new entry" not in text(response)


def test_expiry_acts_at_once_and_on_nothing_else(project, url):
    put(project, "a", EXACT, metadata=b'{"m":1}')
    client = client_of(project)
    assert client.post(f"{url}/expiry?key=a", {"seconds": "300"}).status_code == 302
    entry = stored(project, "a")
    assert (entry.value, entry.metadata) == (EXACT, b'{"m":1}')
    page = text(client.get(url, {"key": "a"}))
    assert re.search(r"<time [^>]*data-until[^>]*>0[45]:\d\d</time>", page)
    client.post(f"{url}/expiry?key=a", {"never": "1"})
    assert stored(project, "a").expires_at_ms is None
    client.post(f"{url}/expiry?key=a", {"until": "2090-01-01T00:00:00"})
    assert "between 1 and" in text(client.get(url, {"key": "a"})), "ten years is the limit"
    assert [line.verb for line in AuditEntry.objects.filter(project=project)] == ["entry.expire"] * 2


@pytest.mark.parametrize(
    "sent",
    [{"seconds": "0"}, {"seconds": "x"}, {"seconds": ""}, {"until": "2001-01-01T00:00"}, {"until": "?"}],
)
def test_expiry_out_of_bounds_changes_nothing(project, url, sent):
    put(project, "a", b"1")
    client = client_of(project)
    response = client.post(f"{url}/expiry?key=a", sent, follow=True)
    assert stored(project, "a").expires_at_ms is None
    assert "circle-x" in text(response)


def test_expiry_by_htmx_answers_the_parts_that_moved(project, url):
    put(project, "a", b"1")
    response = client_of(project).post(f"{url}/expiry?key=a", {"seconds": "300"}, headers=HTMX)
    assert re.findall(r'hx-target="(#[\w-]+)"', text(response)) == ["#messages", "#facts", "#expiry-now"]
    assert "It expires in 300 s" in text(response)


def test_metadata_is_edited_alone(project, url):
    put(project, "a", EXACT, ttl_s=600, metadata=b'{"m":1}')
    client = client_of(project)
    fields = form_of(client.get(url, {"key": "a"}), "metadata")
    before = stored(project, "a")
    assert client.post(f"{url}/metadata?key=a", {**fields, "metadata": '{"m": 2.50}'}).status_code == 302
    after = stored(project, "a")
    assert (after.metadata, after.value, after.expires_at_ms) == (b'{"m":2.50}', EXACT, before.expires_at_ms)
    again = client.post(f"{url}/metadata?key=a", {**fields, "metadata": '{"m": 3}'})
    assert again.status_code == 422
    assert "entry changed meanwhile" in text(again)
    assert form_of(again, "metadata")["metadata"] == '{"m": 3}'


def test_delete_asks_first_and_leads_to_the_folder(project, url):
    put(project, "s:a", b"1")
    client = client_of(project)
    page = client.get(f"{url}/delete", {"key": "s:a"})
    assert "Delete s:a?" in text(page)
    assert 'name="typed"' not in text(page)
    revision = re.search(r'name="revision" value="([^"]*)"', text(page))[1]
    response = client.post(f"{url}/delete?key=s%3Aa", {"revision": revision})
    assert response["Location"] == f"/p/{project.slug}/cache?prefix=s%3A"
    assert stored(project, "s:a") is None
    assert AuditEntry.objects.get(project=project, target="s:a").verb == "entry.delete"


def test_delete_of_what_changed_meanwhile_asks_again(project, url):
    revision = put(project, "a", b"1")
    client = client_of(project)
    put(project, "a", b"2")
    response = client.post(f"{url}/delete?key=a", {"revision": revision})
    assert response.status_code == 422
    assert "changed while you read" in text(response)
    assert stored(project, "a").value == b"2"


def test_delete_in_production_needs_the_key_typed(production, url):
    revision = put(production, "a:b", b"1")
    client = client_of(production)
    assert 'name="typed"' in text(client.get(f"{url}/delete", {"key": "a:b"}))
    wrong = client.post(f"{url}/delete?key=a:b", {"revision": revision, "typed": "a:c"})
    assert wrong.status_code == 422
    assert stored(production, "a:b") is not None
    client.post(f"{url}/delete?key=a:b", {"revision": revision, "typed": "a:b"})
    assert stored(production, "a:b") is None


def test_key_with_blanks_around_it_can_be_typed_too(production, url):
    revision = put(production, " a ", b"1")
    client_of(production).post(f"{url}/delete?key=%20a%20", {"revision": revision, "typed": " a "})
    assert stored(production, " a ") is None


def test_flag_value_in_production_needs_its_name_and_a_reason(production, url):
    put(production, "flag:x", b'{"enabled":true}')
    client = client_of(production)
    fields = form_of(client.get(url, {"key": "flag:x"}))
    send = {**fields, "value": '{"enabled": false}', "step": "save"}
    for extra in ({}, {"typed": "flag:x"}, {"typed": "x", "reason": "why"}):
        assert client.post(f"{url}/value?key=flag:x", {**send, **extra}).status_code == 422
    assert stored(production, "flag:x").value == b'{"enabled":true}'
    done = client.post(f"{url}/value?key=flag:x", {**send, "typed": "flag:x", "reason": "broken"})
    assert done.status_code == 302
    assert AuditEntry.objects.get(project=production, target="flag:x").details["reason"] == "broken"


def test_new_entry_is_written_and_an_old_one_is_never_replaced(project):
    client, address = client_of(project), f"/p/{project.slug}/cache/new"
    response = client.post(address, {"key": "n", "value": '{"p": 0.10}', "seconds": "60"})
    assert response["Location"] == f"/p/{project.slug}/cache/entry?key=n"
    assert stored(project, "n").value == b'{"p": 0.10}'
    assert stored(project, "n").expires_at_ms
    again = client.post(address, {"key": "n", "value": "2"})
    assert again.status_code == 409
    assert "has an entry already" in text(again)
    assert stored(project, "n").value == b'{"p": 0.10}'
    bad = client.post(address, {"key": "", "value": "2"})
    assert bad.status_code == 422


def test_absent_entry_has_a_page(project, url):
    response = client_of(project).get(url, {"key": "s:never"})
    assert response.status_code == 404
    assert "There is no such entry now" in text(response)


def test_keys_of_any_character_can_be_opened_and_changed(project, url):
    key = 'a/b\x00\n"<é>&?#%'
    put(project, key, b"1")
    client = client_of(project)
    page = client.get(url, {"key": key})
    assert page.status_code == 200
    assert "a/b\\x00\\x0a&quot;&lt;é&gt;" in text(page)
    action = unescape(re.search(r'id="value-form" method="post" action="([^"]*)"', text(page))[1])
    client.post(action, {**form_of(page), "value": "2", "step": "save"})
    assert stored(project, key).value == b"2"


def test_value_too_large_to_edit_is_shown_in_part(project, url):
    put(project, "a", b'"' + b"y" * 300_000 + b'"')
    page = text(client_of(project).get(url, {"key": "a"}))
    assert "more than can be edited in a browser" in page
    assert len(page) < 60_000


def packed(data: bytes) -> bytes:
    return b'"' + base64.b64encode(data) + b'"'


def test_compressed_value_is_shown_decoded_and_edited_as_it_is_stored(project, url):
    stored_text = packed(gzip.compress(EXACT))
    put(project, "a", stored_text)
    client = client_of(project)
    page = unescape(text(client.get(url, {"key": "a"})))
    assert "base64 · gzip · JSON" in page
    assert f"which gzip unpacks to {len(EXACT)} B: JSON." in page
    assert '"big": 9007199254740993' in page
    assert 'id="value-form"' not in page
    fields = form_of(client.get(url, {"key": "a", "form": "pretty"}))
    assert fields["value"] == stored_text.decode()
    assert "Nothing to save" in text(step(client, url, fields, "save"))


def test_every_view_has_an_address(project, url):
    put(project, "a", packed(gzip.compress(EXACT)))
    page = text(client_of(project).get(url, {"key": "a", "form": "hex", "of": "gzip"}))
    assert "7b 22 62 69 67 22 3a 39  30 30 37 31" in page
    views = re.search(r'(?s)<div class="ad-seg" role="group" aria-label="Show it as">(.*?)</div>', page)[1]
    assert re.findall(r'key=a&amp;form=(\w+)"( aria-current="true")?', views) == [
        ("pretty", ""), ("raw", ""), ("decoded", ""), ("hex", ' aria-current="true"'),
    ]  # fmt: skip
    layers = re.search(r'(?s)aria-label="Bytes of">(.*?)</div>', page)[1]
    assert re.findall(r">(\w+)</a>", layers) == ["stored", "text", "base64", "gzip"]


def test_hex_goes_page_by_page(project, url):
    put(project, "a", b'"' + b"0123456789abcdef" * 200 + b'"')
    client = client_of(project)
    first = text(client.get(url, {"key": "a", "form": "hex"}))
    later = unescape(re.search(r'href="([^"]*)" rel="next"', first)[1])
    second = text(client.get(later))
    assert re.findall(r'<th scope="row">(\w+)', first)[-1] == "0007f0"
    assert re.findall(r'<th scope="row">(\w+)', second)[0] == "000800"
    assert 'rel="next"' not in second
    assert 'rel="prev"' in second
    for odd in ("x", "-1", "99999999", "7"):
        assert client.get(url, {"key": "a", "form": "hex", "at": odd, "of": "no"}).status_code == 200


def test_another_view_of_an_unedited_value_is_an_address_and_edits_are_never_lost(project, url):
    put(project, "a", EXACT)
    client = client_of(project)
    fields = form_of(client.get(url, {"key": "a"}))
    for name in ("raw", "hex", "pretty"):
        moved = step(client, url, fields, f"as-{name}")
        assert (moved.status_code, moved["Location"]) == (302, f"{url}?key=a&form={name}")
    kept = step(client, url, fields, "as-hex", value='{"n": 2}')
    assert kept.status_code == 422
    assert "Save your edits first, or undo them." in text(kept)
    assert form_of(kept)["value"] == '{"n": 2}'


def test_a_large_value_is_not_read_whole(project, url, monkeypatch):
    put(project, "a", b'"' + b"y" * 2_000_000 + b'"')

    async def refuse(*args, **options):
        raise AssertionError("read whole")

    monkeypatch.setattr(queries, "get", refuse)
    client = client_of(project)
    for form in ("raw", "hex"):
        page = text(client.get(url, {"key": "a", "form": form}))
        assert "1.9 MiB is more than can be edited" in page
        assert "download the whole" in page
        assert len(page) < 60_000


def test_sizes_are_told_apart(project, url):
    put(project, "a", b'"' + b"y" * 1000 + b'"', metadata=b'{"m":1}')
    page = text(client_of(project).get(url, {"key": "a"}))
    assert re.search(r"<dt>Size</dt><dd[^>]*>1,002 B <span[^>]*>and 7 B of metadata</span>", page)
    assert int(
        re.search(r"<dt>Takes in the engine</dt><dd[^>]*>([\d,.]+) (?:B|KiB)</dd>", page)[1]
        .replace(",", "")
        .partition(".")[0]
    )


def test_a_right_that_the_engine_s_user_lacks_is_said_in_its_place(project, url, monkeypatch):
    async def refuse(self, project, key):
        raise EngineDown("Valkey's user may not run what AeroDash needs.", reason="no_permission")

    monkeypatch.setattr(ValkeyCache, "memory_bytes", refuse)
    put(project, "a", b"1")
    response = client_of(project).get(url, {"key": "a"})
    assert response.status_code == 200
    assert "AeroDash may not ask" in text(response)


def test_cap_brings_the_expiry_forward_and_never_later(project, url):
    put(project, "a", EXACT, ttl_s=7200)
    put(project, "forever", b"1")
    client = client_of(project)
    later = client.post(f"{url}/expiry?key=a", {"cap": "86400"}, follow=True)
    assert "nothing was changed" in text(later)
    assert stored(project, "a").expires_at_ms > now_ms() + 7_000_000
    for key in ("a", "forever"):
        client.post(f"{url}/expiry?key={key}", {"cap": "300"})
        assert stored(project, key).expires_at_ms <= now_ms() + 300_000
    assert stored(project, "a").value == EXACT
    assert AuditEntry.objects.filter(project=project, verb="cache.expire").count() == 3
    gone = client.post(f"{url}/expiry?key=none", {"cap": "300"}, follow=True)
    assert "has gone meanwhile" in text(gone)
    bad = client.post(f"{url}/expiry?key=a", {"cap": "0"}, follow=True)
    assert "whole number of seconds" in text(bad)


def now_ms() -> int:
    return engines.run(queries.now_ms())


def test_cap_of_a_flag_in_production_is_asked_first(production, url):
    put(production, "flag:x", b'{"enabled":true}')
    client = client_of(production)
    page = client.post(f"{url}/expiry?key=flag:x", {"cap": "300"})
    assert "in 300 s at most" in text(page)
    assert stored(production, "flag:x").expires_at_ms is None
    client.post(f"{url}/expiry?key=flag:x", {"cap": "300", "typed": "flag:x", "reason": "over"})
    assert stored(production, "flag:x").expires_at_ms


def test_viewer_reads_and_is_refused_by_the_server(project, url):
    revision = put(project, "a", b"1")
    client = client_of(project, Role.VIEWER)
    page = text(client.get(url, {"key": "a"}))
    assert "You may look, not change" in page
    assert "Review the change" not in page
    for path, fields in (
        ("value", {"value": "2", "step": "save", "revision": revision, "base": "1"}),
        ("expiry", {"seconds": "5"}),
        ("metadata", {"metadata": "{}", "revision": revision}),
        ("delete", {"revision": revision}),
    ):
        assert client.post(f"{url}/{path}?key=a", fields).status_code == 403, path
    assert client.post(f"/p/{project.slug}/cache/new", {"key": "b", "value": "1"}).status_code == 403
    assert stored(project, "a").revision == revision


def test_stranger_does_not_learn_that_the_project_exists(project, url):
    put(project, "a", b"1")
    client = client_of(None)
    assert client.get(url, {"key": "a"}).status_code == 404
    assert client.post(f"{url}/delete?key=a", {}).status_code == 404


def test_a_post_without_the_forms_token_is_refused(project, url):
    from django.test import Client

    put(project, "a", b"1")
    signed_in = client_of(project)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = signed_in.cookies
    assert strict.post(f"{url}/expiry?key=a", {"seconds": "5"}).status_code == 403
    assert stored(project, "a").expires_at_ms is None


def test_engine_down_is_said_in_the_panel(project, url):
    client = client_of(project)
    with cache_away():
        response = client.get(url, {"key": "a"})
    assert response.status_code == 503
    assert "This entry cannot be read right now" in text(response)


async def test_of_saves_from_one_revision_at_once_exactly_one_is_done(project, project_id, actor):
    revision = (await services.set_entry(project_id, actor, key="a", value=b"0")).revision
    saves = await asyncio.gather(
        *(
            edits.save_value(project_id, actor, key="a", value=b"%d" % n, revision=revision)
            for n in range(1, 9)
        )
    )
    done = [number for number, save in enumerate(saves, 1) if save.done]
    entry = await queries.get(project_id, actor, key="a")
    assert [entry.value] == [b"%d" % number for number in done]
    assert all(save.current.value == entry.value for save in saves if not save.done)
    assert await AuditEntry.objects.filter(project=project).acount() == 1
