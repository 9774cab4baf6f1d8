"""The files that pages load: named after their content, compressed, and served from memory.

A name carries a digest of what the file holds, and what our style sheets and modules refer to carries one as well, so
browsers keep a file for a year and never have an old one. Names are worked out when they are first asked for: nothing
is collected, and nothing written to the disk. Why not Django's way, and what it costs: docs/decisions/0015.
"""

import gzip
import hashlib
import mimetypes
import posixpath
import re
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import Storage

FOR_A_YEAR = "public, max-age=31536000, immutable"
FOR_A_WHILE = "public, max-age=60"
UNKEPT = "no-cache"

_REFERENCES = {
    # folder of ours, ending: what in it names another file, relative to it
    ("css/", ".css"): re.compile(r'(?<=url\(")\.{1,2}/[^"]+(?="\))'),
    ("js/", ".js"): re.compile(r'(?:(?<=from ")|(?<=import ")|(?<=import\("))\.{1,2}/[^"]+(?=")'),
}
_NAMED = re.compile(r"(.+)\.([0-9a-f]{12})(\.[^./]+)")
_TYPES = {".js": "text/javascript", ".svg": "image/svg+xml", ".woff2": "font/woff2", ".css": "text/css"}
_TEXTS = ("text/", "image/svg", "application/json", "application/javascript")
_MISSING = "Nothing under static/ is called {!r}."


@dataclass(frozen=True)
class StaticFile:
    """One file as it is sent. name: what templates and modules call it; digest: of its content."""

    name: str
    content: bytes

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()[:12]

    @cached_property
    def named(self) -> str:
        """js/keys.0123456789ab.js"""
        stem, ending = posixpath.splitext(self.name)
        return f"{stem}.{self.digest}{ending}"

    @cached_property
    def type(self) -> str:
        """With the charset: all texts of ours are UTF-8."""
        ending = posixpath.splitext(self.name)[1]
        kind = _TYPES.get(ending) or mimetypes.guess_type(self.name)[0] or "application/octet-stream"
        return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind

    @cached_property
    def packed(self) -> bytes | None:
        """Compressed with gzip, the same bytes in every process; None if that would save nothing."""
        if not self.type.startswith(_TEXTS):
            return None
        packed = gzip.compress(self.content, compresslevel=9, mtime=0)
        return packed if len(packed) < len(self.content) else None


def find(name: str) -> StaticFile | None:
    """The file that templates call so, with its references named after their content; None if there is none."""
    if settings.DEBUG:
        return _read(name)
    if name not in _kept:
        with _reading:
            if name not in _kept and (found := _read(name)):
                _kept[name] = (
                    found  # names that are none are not kept: anybody can ask for any number of them
                )
    return _kept.get(name)


def find_named(name: str) -> tuple[StaticFile, str] | None:
    """The file that a request asks for, by either of its names, and how long it may be kept.

    A name with another digest belongs to a page of another version: it gets what there is, but may not keep it.
    """
    if found := find(name):
        return found, UNKEPT if settings.DEBUG else FOR_A_WHILE
    match = _NAMED.fullmatch(name)
    found = find(f"{match[1]}{match[3]}") if match else None
    if found is None:
        return None
    return found, FOR_A_YEAR if match and match[2] == found.digest else UNKEPT


def prepare() -> None:
    """Read and compress the console's own files, before the server's processes part: they share the memory."""
    for finder in finders.get_finders():
        if isinstance(finder, finders.FileSystemFinder):
            for name, _ in finder.list([]):
                if found := find(name):
                    _ = found.packed


class NamedByContent(Storage):
    """What `{% static "js/keys.js" %}` asks for an address."""

    def url(self, name: str | None) -> str:
        """The address under which browsers keep the file; in debug mode its plain one, so that edits are seen.

        Raises ValueError if there is no such file.
        """
        found = find(name or "")
        if found is None:
            raise ValueError(_MISSING.format(name))
        return settings.STATIC_URL + (found.name if settings.DEBUG else found.named)


class StaticFiles:
    """ASGI: answers for STATIC_URL, and leaves everything else to the application."""

    def __init__(self, application: Any) -> None:
        self.application = application
        if not settings.DEBUG:
            prepare()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        if scope["type"] == "http" and path.startswith(settings.STATIC_URL):
            found = find_named(path.removeprefix(settings.STATIC_URL))
            if found is not None:
                await _send(*found, scope, send)
                return
        await self.application(scope, receive, send)


_kept: dict[str, StaticFile] = {}
_reading = threading.RLock()  # reading a file reads those that it names


def _read(name: str) -> StaticFile | None:
    try:
        path = finders.find(name) if name else None
    except (SuspiciousFileOperation, ValueError):  # it leads out of the folder, or holds a NUL
        return None
    if path is None or not Path(path).is_file():
        return None
    content = Path(path).read_bytes()
    for (folder, ending), pattern in _REFERENCES.items():
        if name.startswith(folder) and name.endswith(ending) and not settings.DEBUG:
            content = pattern.sub(lambda match: _renamed(name, match.group()), content.decode()).encode()
    return StaticFile(name, content)


def _renamed(name: str, reference: str) -> str:
    """A reference from one file to another, with the other's digest. Modules that import each other have none."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(name), reference))
    found = find(target)
    if found is None:
        raise ValueError(f"{name}: {_MISSING.format(target)}")
    return posixpath.join(posixpath.dirname(reference), posixpath.basename(found.named))


async def _send(file: StaticFile, keep: str, scope: Any, send: Any) -> None:
    headers = {name.lower(): value for name, value in scope["headers"]}
    etag = f'W/"{file.digest}"'  # weak: it names the content, compressed or not
    answer = {"cache-control": keep, "etag": etag, "vary": "Accept-Encoding"}
    body = b""
    if scope["method"] not in ("GET", "HEAD"):
        status, answer = 405, {"allow": "GET, HEAD", "content-length": "0"}
    elif f'"{file.digest}"' in headers.get(b"if-none-match", b"").decode("latin-1"):
        status = 304
    else:
        status, body = 200, file.content
        answer |= {"content-type": file.type, "x-content-type-options": "nosniff"}
        if _takes_gzip(headers.get(b"accept-encoding", b"").decode("latin-1")) and file.packed is not None:
            body = file.packed
            answer["content-encoding"] = "gzip"
        answer["content-length"] = str(len(body))
    fields = [(name.encode(), value.encode("latin-1")) for name, value in answer.items()]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body if scope["method"] == "GET" else b""})


def _takes_gzip(accepted: str) -> bool:
    """Whether a client said so, and not "gzip;q=0"."""
    for one in accepted.split(","):
        coding, _, quality = one.partition(";")
        if coding.strip() == "gzip":
            return re.fullmatch(r"q=0(\.0*)?", quality.strip()) is None
    return False
