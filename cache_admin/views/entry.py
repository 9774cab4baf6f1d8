"""The page of one cache entry: its value, expiry, metadata, and how a program reads it.

Keys travel as the query parameter `key`, also on POST: a form field would not carry NUL or a line end unchanged.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET

from aerodash import jsontext
from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import answer
from aerodash.errors import EngineDown
from aerodash.realtime.pages import live_url
from cache_admin import edits, health, queries, values
from cache_admin.bounds import check_key
from cache_admin.queries import Entry
from cache_admin.values import Value
from cache_admin.views.present import Shown, fields, instant
from cache_admin.views.production import asks_first

EDIT_BYTES = 256 * 1024
"""So much of a value is read for its page, and may be edited there."""
HEAD_BYTES = 16 * 1024
AT_ONCE_BYTES = 8 * 1024
"""Larger values are looked into in a thread: it takes milliseconds, in which the API would wait."""
PRETTY, RAW, HEX, DECODED = "pretty", "raw", "hex", "decoded"
FORMS = {PRETTY: "Pretty", RAW: "Raw", DECODED: "Decoded", HEX: "Hex"}
HEX_PAGE = values.HEX_ROW * values.HEX_ROWS


@dataclass(frozen=True, slots=True)
class View:
    """How the value is shown, as the URL says it. form: "" for what suits it. of: the layer whose bytes Hex shows, from
    the place `at` on."""

    form: str = ""
    of: str = ""
    at: int = 0

    @classmethod
    def of_query(cls, query: Mapping[str, str]) -> Self:
        form, at = query.get("form", ""), query.get("at", "")
        place = (
            int(at) // values.HEX_ROW * values.HEX_ROW
            if at.isascii() and at.isdigit() and len(at) < 10
            else 0
        )
        return cls(form if form in FORMS else "", query.get("of", ""), place)


@require_GET
@project_page(Scope.CACHE_READ)
async def entry(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/cache/entry?key=…: one entry, for htmx its live facts; 404 if there is none, 503 if the engine is down."""
    key = the_key(request)
    try:
        found = await look(access, key)
        if found is None:
            return answer(
                request, "cache_admin/entry.html", {**frame(access, key), "absent": True}, status=404
            )
        context = await page(access, found, view=View.of_query(request.GET.dict()))
    except EngineDown as exc:
        return answer(request, "cache_admin/entry.html", frame(access, key), down=exc)
    return answer(request, "cache_admin/entry.html", context)


@require_GET
@project_page(Scope.CACHE_READ)
async def entry_raw(request: HttpRequest, access: Access) -> HttpResponse:
    """The value's own bytes, as a download."""
    found = await queries.get(access.project_id, access.actor, key=the_key(request))
    if found is None:
        return HttpResponse(
            status=404, content_type="text/plain", content="There is no such entry any more.\n"
        )
    response = HttpResponse(found.value, content_type="application/json")
    response["Content-Disposition"] = content_disposition_header(True, "value.json")
    return response


async def look(access: Access, key: str) -> Shown | None:
    """The entry as far as pages show it: of a large value the beginning. Raises EngineDown."""
    row = await queries.peek(access.project_id, access.actor, key=key, limit_bytes=EDIT_BYTES)
    return None if row is None else Shown.of(row)


async def after_change(request: HttpRequest, access: Access, key: str) -> HttpResponse:
    """Back to the entry's page, or for htmx the parts of it that a change moves."""
    if not request.htmx:  # type: ignore[attr-defined]
        return HttpResponseRedirect(url_of(access, key))
    found = await look(access, key)
    if found is None:
        gone = {**frame(access, key), "changed": "gone"}
        return answer(request, "cache_admin/entry.html", gone, part="changed-now")
    context = {**frame(access, key), **await facts(access, found)}
    return answer(request, "cache_admin/entry.html", context, part="after-change")


async def facts(access: Access, found: Shown) -> dict[str, object]:
    """What moves while the page is open: expiry, size, revision, and who changed it here last."""
    memory, last_edit = await asyncio.gather(
        _memory(access, found.entry.key),
        edits.last_edit(access.project_id, access.actor, key=found.entry.key),
    )
    return {
        "entry": found.entry,
        "size_bytes": found.size_bytes,
        "value_bytes": found.value_bytes,
        "memory": memory,
        "expires_at": instant(found.entry.expires_at_ms),
        "last_edit": last_edit,
    }


async def page(
    access: Access,
    found: Shown,
    *,
    view: View = View(),
    text: str | None = None,
    opened: tuple[str, str] | None = None,
    error: str = "",
) -> dict[str, object]:
    """The context of an entry's page.

    text: what stands in the editor instead of the stored value. opened: the revision and the pretty text that the edit
    began with, if it did not begin just now.
    """
    if found.size_bytes > AT_ONCE_BYTES:
        looked = await asyncio.to_thread(_value, access, found, view, text, opened)
    else:
        looked = _value(access, found, view, text, opened)
    return {
        **frame(access, found.entry.key),
        **await facts(access, found),
        **looked,
        "metadata": fields(found.entry.metadata),
        "metadata_text": jsontext.pretty(found.entry.metadata.decode()) if found.entry.metadata else "{}",
        "edit_bytes": EDIT_BYTES,
        "error": error,
        "live_url": live_url(access, "cache-entry", key=found.entry.key, seen=digest(found)),
    }


def _value(
    access: Access, found: Shown, view: View, text: str | None, opened: tuple[str, str] | None
) -> dict[str, object]:
    """The value in the form asked for."""
    stored, is_large = found.entry.value, not found.is_whole
    value = values.recognise(stored, found.value_bytes)
    forms = [RAW] if is_large else [PRETTY, RAW]
    forms += [DECODED, HEX] if value.is_packed or value.decoded is not None else [HEX]
    usual = DECODED if value.is_packed and text is None else forms[0]
    form = view.form if view.form in forms else usual
    revision, base = opened or (found.entry.revision, "")
    context = {
        "value": value,
        "form": form,
        "forms": [(name, FORMS[name], url_of(access, found.entry.key, form=name)) for name in forms],
        "is_large": is_large,
        "is_edited": form in (PRETTY, RAW) and not is_large,
        "revision": revision,
    }
    if form == DECODED:
        return {**context, **_decoded(value)}
    if form == HEX:
        return {**context, **_hex(access, found.entry.key, value, view)}
    if is_large:
        return {**context, "head": stored[:HEAD_BYTES].decode(errors="ignore")}
    pretty = jsontext.pretty(stored.decode())
    shown = text if text is not None else pretty if form == PRETTY else stored.decode()
    return {
        **context,
        "text": shown,
        "rows": min(max(shown.count("\n") + 2, 6), 28),
        "base": base if opened else pretty,
    }


def _decoded(value: Value) -> dict[str, object]:
    """The innermost as text, or where it is no text the beginning of its bytes."""
    if value.decoded is not None:
        return {"decoded": value.decoded}
    innermost = value.layers[-1]
    return {"hex_lines": values.hex_lines(innermost.data), "hex_of": innermost}


def _hex(access: Access, key: str, value: Value, view: View) -> dict[str, object]:
    """A page of the bytes of one layer, and the ways to the other pages and layers."""
    layer = value.layer(view.of)

    def address(of: str, at: int) -> str:
        return url_of(
            access, key, form=HEX, **({"of": of} if of != "stored" else {}), **({"at": str(at)} if at else {})
        )

    end = view.at + HEX_PAGE
    return {
        "hex_lines": values.hex_lines(layer.data, view.at),
        "hex_of": layer,
        "hex_layers": [(one, address(one.name, 0), one is layer) for one in value.layers],
        "hex_earlier": address(layer.name, max(view.at - HEX_PAGE, 0)) if view.at else "",
        "hex_later": address(layer.name, end) if end < len(layer.data) else "",
        "hex_from": view.at,
        "hex_to": min(end, len(layer.data)),
    }


async def _memory(access: Access, key: str) -> dict[str, object]:
    """What the engine takes for the entry, or why that is not known."""
    try:
        return {"bytes": await health.entry_bytes(access.project_id, access.actor, key=key)}
    except EngineDown as exc:
        if exc.reason != "no_permission":
            raise
        return {"refused": True}


def frame(access: Access, key: str) -> dict[str, object]:
    """What every page about this key shows, whether there is an entry or not."""
    parts = key.split(":")[:-1]
    prefixes = ["".join(f"{part}:" for part in parts[: number + 1]) for number in range(len(parts))]
    return {
        "key": key,
        "query": urlencode({"key": key}),
        "crumbs": [(prefix, f"{part}:") for prefix, part in zip(prefixes, parts, strict=True)],
        "may_write": access.may(Scope.CACHE_WRITE),
        "asks_first": asks_first(access, key),
        "calls": _calls(key),
        "expiry_url": f"{reverse('cache-entry-expiry', args=[access.project.slug])}?{urlencode({'key': key})}",
    }


def digest(found: Shown) -> str:
    """A short name for what the page shows of the value, by which it knows whether that is still so."""
    return hashlib.blake2b(b"%d:" % found.value_bytes + found.entry.value, digest_size=12).hexdigest()


def the_key(request: HttpRequest) -> str:
    """The key in the URL. Raises InvalidInput for none, or one that no entry can have."""
    key = request.GET.get("key", "")
    check_key(key)
    return key


def typed_text(request: HttpRequest, name: str) -> str:
    """A text field as it was typed: browsers send its line ends as CR LF."""
    return request.POST.get(name, "").replace("\r\n", "\n")


def url_of(access: Access, key: str, **view: str) -> str:
    return f"{reverse('cache-entry', args=[access.project.slug])}?{urlencode({'key': key, **view})}"


def folder_url(access: Access, key: str) -> str:
    """The cache page at the folder that the key lies in."""
    folder = key[: key.rfind(":") + 1]
    return reverse("cache", args=[access.project.slug]) + (
        f"?{urlencode({'prefix': folder})}" if folder else ""
    )


def _calls(key: str) -> list[tuple[str, str]]:
    """How a program reads this key: (language, text to copy)."""
    name = json.dumps(key, ensure_ascii=False)
    body = '{"key":' + name + "}"
    quoted = "'" + body.replace("'", "'\\''") + "'"
    return [
        ("Python", f"value = client.cache.get(\n    {name})"),
        (
            "curl",
            f"curl {settings.AERODASH_PUBLIC_URL}/v1/cache/get \\\n"
            f'  -H "X-Aerostack-Key: $AERODASH_API_KEY" \\\n'
            f"  -H 'Content-Type: application/json' \\\n"
            f"  -d {quoted}",
        ),
    ]


def whole(entry: Entry) -> Shown:
    """An entry that was read whole."""
    return Shown(entry, len(entry.value))
