"""/static/…: named after the content, kept for a year, compressed, and small enough for a first visit."""

import gzip
import posixpath
import re
from dataclasses import dataclass

import pytest
from django.templatetags.static import static

from aerodash import static_files
from aerodash.static_files import StaticFiles

FIRST_VISIT_BYTES = 250_000
NAMED = re.compile(r"/static/.+\.[0-9a-f]{12}\.\w+")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return (gzip.decompress(self.body) if self.headers.get("content-encoding") else self.body).decode()


async def ask(path: str, method: str = "GET", **headers: str) -> Answer:
    """What the server sends to a browser; 404 for what it leaves to the pages."""
    sent = []

    async def pages(scope, receive, send):
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message):
        sent.append(message)

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": named}
    await StaticFiles(pages)(scope, None, send)
    fields = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], fields, sent[1]["body"])


def named_in(page: str) -> set[str]:
    """The files that a page loads, without those that a browser loads only later: its icon."""
    return set(re.findall(r'(?:href|src)="(/static/[^"#]+)', page)) - {static("icon.svg")}


async def with_all_they_load(urls: set[str]) -> dict[str, Answer]:
    """What these files are, and those that they name, and so on."""
    found: dict[str, Answer] = {}
    left = set(urls)
    while left:
        url = left.pop()
        found[url] = answer = await ask(url, accept_encoding="gzip, deflate, br, zstd")
        if url.endswith((".css", ".js")):
            references = re.findall(r'(?:url\(|from |import |import\()"(\.{1,2}/[^"]+)"', answer.text)
            left |= {
                posixpath.normpath(posixpath.join(posixpath.dirname(url), one)) for one in references
            } - found.keys()
    return found


@pytest.fixture
def page(owner_page, project):
    """The page with the most to load: it has charts."""
    return owner_page.get(f"/p/{project.slug}/overview", headers={"Accept-Encoding": "gzip, deflate, br"})


@pytest.fixture
def overview(page) -> str:
    return gzip.decompress(page.content).decode()


async def test_everything_that_a_page_loads_is_kept_for_a_year_and_never_asked_for_again(overview):
    loaded = await with_all_they_load(named_in(overview))

    assert any("uPlot" in url for url in loaded)
    assert any("clock" in url for url in loaded), "imported by a module that another imports"
    for url, answer in loaded.items():
        assert answer.status == 200, url
        assert NAMED.fullmatch(url), url
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable", url
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_page_itself_is_compressed_for_who_takes_it(owner_page, project, page):
    assert page["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in page["Vary"]
    assert "Content-Encoding" not in owner_page.get(f"/p/{project.slug}/overview")


def test_replies_of_the_api_are_not_compressed(client):
    assert "Content-Encoding" not in client.get("/v1/openapi.json", headers={"Accept-Encoding": "gzip"})


async def test_first_visit_transfers_little(page, overview):
    loaded = await with_all_they_load(named_in(overview))
    sizes = {url: len(answer.body) for url, answer in loaded.items()} | {"the page": len(page.content)}

    assert sum(sizes.values()) <= FIRST_VISIT_BYTES, sorted(sizes.items(), key=lambda item: -item[1])


async def test_texts_are_compressed_and_others_are_not():
    style, font = await ask(static("css/app.css"), accept_encoding="gzip"), static_files.find("css/app.css")
    woff = "vendor/inter-5.3.0/inter-latin-wght-normal.woff2"

    assert style.headers["content-encoding"] == "gzip"
    assert style.headers["vary"] == "Accept-Encoding"
    assert style.text.encode() == font.content
    assert "content-encoding" not in (await ask(static(woff), accept_encoding="gzip")).headers
    assert (
        "content-encoding" not in (await ask(static("css/app.css"), accept_encoding="gzip;q=0, br")).headers
    )
    assert "content-encoding" not in (await ask(static("css/app.css"))).headers


@pytest.mark.parametrize(
    ("name", "type"),
    [
        ("css/app.css", "text/css; charset=utf-8"),
        ("js/console.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("vendor/inter-5.3.0/inter-latin-wght-normal.woff2", "font/woff2"),
    ],
)
async def test_types(name, type):
    assert (await ask(static(name))).headers["content-type"] == type


async def test_plain_name_is_kept_for_a_minute():
    assert (await ask("/static/css/app.css")).headers["cache-control"] == "public, max-age=60"


async def test_name_of_another_version_gets_the_file_but_may_not_keep_it():
    answer = await ask("/static/css/app.0123456789ab.css")

    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-cache"


async def test_file_that_a_browser_has_is_not_sent_again():
    url = static("js/console.js")
    first = await ask(url)
    again = await ask(url, if_none_match=first.headers["etag"])

    assert (again.status, again.body) == (304, b"")
    assert again.headers["cache-control"] == first.headers["cache-control"]


async def test_head_says_how_long_the_file_is_and_post_is_refused():
    url = static("js/console.js")
    head, whole = await ask(url, "HEAD"), await ask(url)

    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"] == str(len(whole.body))
    assert (await ask(url, "POST")).status == 405


@pytest.mark.parametrize(
    "path",
    ["/static/", "/static/css", "/static/nothing.css", "/static/../pyproject.toml", "/static//etc/passwd",
     "/static/css/../../pyproject.toml", "/static/a\0b", "/staticfoo", "/p/demo/jobs"],
)  # fmt: skip
async def test_what_is_no_file_is_left_to_the_pages_and_not_remembered(path):
    before = len(static_files._kept)

    assert (await ask(path)).status == 404
    assert len(static_files._kept) == before


def test_reference_to_a_file_that_is_not_there_names_both(monkeypatch):
    from django.contrib.staticfiles import finders

    real = finders.find
    monkeypatch.setattr(finders, "find", lambda name, **_: None if name == "js/clock.js" else real(name))
    monkeypatch.setattr(static_files, "_kept", {})

    with pytest.raises(ValueError, match=r"js/times\.js: .*'js/clock\.js'"):
        static("js/times.js")


def test_address_of_a_file_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match="nothing"):
        static("js/nothing.js")


async def test_changed_file_has_another_name_and_so_has_what_names_it(tmp_path, monkeypatch):
    from django.contrib.staticfiles import finders

    real, clock = finders.find, tmp_path / "clock.js"
    before = [static("js/clock.js"), static("js/times.js"), static("js/console.js")]
    clock.write_text("export const now = () => 0;")
    monkeypatch.setattr(
        finders, "find", lambda name, **_: str(clock) if name == "js/clock.js" else real(name)
    )
    monkeypatch.setattr(static_files, "_kept", {})

    after = [static("js/clock.js"), static("js/times.js"), static("js/console.js")]
    assert set(before).isdisjoint(after)


async def test_in_debug_mode_files_have_their_plain_names_and_are_asked_for_again(settings):
    settings.DEBUG = True
    url = static("js/times.js")

    assert url == "/static/js/times.js"
    answer = await ask(url)
    assert answer.headers["cache-control"] == "no-cache"
    assert 'from "./clock.js"' in answer.text
