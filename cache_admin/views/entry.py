"""The page of one cache entry: its value, expiry, metadata, and how a program reads it.

Keys travel as the query parameter `key`, also on POST: a form field would not carry NUL or a line end unchanged.
"""

import hashlib
import json
import math
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET, require_POST

from aerodash import limits
from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import FORM_AGAIN, answer
from aerodash.errors import EngineDown, InvalidInput
from aerodash.realtime.pages import live_url
from cache_admin import edits, jsontext, queries
from cache_admin.bounds import check_key
from cache_admin.queries import Entry
from cache_admin.templatetags.cache_ui import visible
from cache_admin.views.present import fields, instant, size_bytes
from cache_admin.views.production import asks_first, is_typed, reason_of

EDIT_BYTES = 256 * 1024
HEAD_BYTES = 16 * 1024
PRETTY, RAW = "pretty", "raw"


@require_GET
@project_page(Scope.CACHE_READ)
async def entry(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/cache/entry?key=…: one entry, for htmx its live facts; 404 if there is none, 503 if the engine is down."""
    key = the_key(request)
    form = RAW if request.GET.get("form") == RAW else PRETTY
    try:
        found = await queries.get(access.project_id, access.actor, key=key)
    except EngineDown as exc:
        return answer(request, "cache_admin/entry.html", frame(access, key), down=exc)
    if found is None:
        return answer(request, "cache_admin/entry.html", {**frame(access, key), "absent": True}, status=404)
    return answer(request, "cache_admin/entry.html", await page(access, found, form=form))


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


@require_POST
@project_page(Scope.CACHE_WRITE)
async def entry_expiry(request: HttpRequest, access: Access) -> HttpResponse:
    """Change the expiry alone: at once, or a flag's in production after its name and a reason were typed."""
    key = the_key(request)
    if asks_first(access, key) and not is_typed(request, key):
        is_first_click = "typed" not in request.POST
        error = "" if is_first_click else "Nothing was changed: the key typed is another one."
        return _ask_expiry(request, access, key, error=error)
    try:
        ttl_s = _ttl(request.POST.get("seconds", ""), request.POST.get("until", ""), "never" in request.POST)
        done = await edits.change_expiry(
            access.project_id, access.actor, key=key, ttl_s=ttl_s, reason=reason_of(request)
        )
    except InvalidInput as exc:
        if asks_first(access, key):
            return _ask_expiry(request, access, key, error=f"Nothing was changed. {exc.message}")
        messages.error(request, exc.message)
    else:
        if not done:
            messages.error(request, "The entry has gone meanwhile: there is nothing left to expire.")
        elif ttl_s is None:
            messages.success(request, "It never expires now. Value and metadata are as they were.")
        else:
            messages.success(request, f"It expires in {ttl_s:,} s. Value and metadata are as they were.")
    return await after_change(request, access, key)


@require_POST
@project_page(Scope.CACHE_WRITE)
async def entry_metadata(request: HttpRequest, access: Access) -> HttpResponse:
    """Change the metadata alone; of a flag in production with its name and a reason typed beside it."""
    key, text = the_key(request), typed_text(request, "metadata")
    try:
        if asks_first(access, key) and not is_typed(request, key):
            raise InvalidInput("The key typed is another one.", field="typed")
        result = await edits.save_metadata(
            access.project_id, access.actor, key=key,
            metadata=jsontext.compact(jsontext.check(text).decode()).encode(),
            revision=request.POST.get("revision", ""), reason=reason_of(request),
        )  # fmt: skip
    except InvalidInput as exc:
        error, current = exc.message, await queries.get(access.project_id, access.actor, key=key)
    else:
        if result.done:
            messages.success(request, "Saved the metadata. Value and expiry are as they were.")
            return HttpResponseRedirect(url_of(access, key))
        error, current = (
            "Nothing was saved: the entry changed meanwhile. Look at it, then save again.",
            result.current,
        )
    if current is None:
        return answer(request, "cache_admin/entry.html", {**frame(access, key), "absent": True}, status=404)
    context = await page(access, current)
    context |= {"metadata_text": text, "metadata_error": error, "reason": reason_of(request)}
    return answer(request, "cache_admin/entry.html", context, status=FORM_AGAIN)


def _ask_expiry(request: HttpRequest, access: Access, key: str, *, error: str) -> HttpResponse:
    """The confirmation as a page, with what was asked for kept in it."""
    if request.htmx:  # type: ignore[attr-defined]  # a page from before the project was marked production
        return HttpResponse(headers={"HX-Redirect": url_of(access, key)})
    wanted = {name: request.POST[name] for name in ("seconds", "until", "never") if name in request.POST}
    context = {
        **frame(access, key),
        "question": f"Change when {visible(key)} expires?",
        "verb": "Change the expiry",
        "keep": "Leave it",
        "back_url": url_of(access, key),
        "figures": [("Expires", _said(wanted))],
        "hidden": wanted,
        "typed": visible(key),
        "reason": reason_of(request),
        "error": error,
    }
    return answer(request, "cache_admin/entry-expiry.html", context, status=FORM_AGAIN if error else 200)


def _said(wanted: dict[str, str]) -> str:
    """An expiry in words, as it was asked for."""
    if "never" in wanted:
        return "never"
    return f"at {wanted['until']} UTC" if wanted.get("until") else f"in {wanted.get('seconds', '')} s"


async def after_change(request: HttpRequest, access: Access, key: str) -> HttpResponse:
    """Back to the entry's page, or for htmx the parts of it that a change moves."""
    if not request.htmx:  # type: ignore[attr-defined]
        return HttpResponseRedirect(url_of(access, key))
    found = await queries.get(access.project_id, access.actor, key=key)
    if found is None:
        gone = {**frame(access, key), "changed": "gone"}
        return answer(request, "cache_admin/entry.html", gone, part="changed-now")
    return answer(request, "cache_admin/entry.html", await page(access, found), part="after-change")


async def page(
    access: Access,
    found: Entry,
    *,
    form: str = PRETTY,
    text: str | None = None,
    opened: tuple[str, str] | None = None,
    error: str = "",
) -> dict[str, object]:
    """The context of an entry's page.

    text: what stands in the editor instead of the stored value. opened: the revision and the pretty text that the edit
    began with, if it did not begin just now.
    """
    stored = found.value.decode()
    is_large = len(found.value) > EDIT_BYTES
    pretty = stored if is_large else jsontext.pretty(stored)
    revision, base = opened or (found.revision, pretty)
    shown = text if text is not None else pretty if form == PRETTY else stored
    expires_at = instant(found.expires_at_ms)
    return {
        **frame(access, found.key),
        "entry": found,
        "kind": jsontext.kind(stored),
        "size_bytes": size_bytes(found),
        "expires_at": expires_at,
        "metadata": fields(found.metadata),
        "metadata_text": jsontext.pretty(found.metadata.decode()) if found.metadata else "{}",
        "last_edit": await edits.last_edit(access.project_id, access.actor, key=found.key),
        "is_large": is_large,
        "edit_bytes": EDIT_BYTES,
        "head": found.value[:HEAD_BYTES].decode(errors="ignore") if is_large else "",
        "form": form,
        "text": shown,
        "rows": min(max(shown.count("\n") + 2, 6), 28),
        "revision": revision,
        "base": base,
        "error": error,
        "live_url": live_url(access, "cache-entry", key=found.key, seen=digest(found)),
    }


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


def digest(found: Entry) -> str:
    """A short name for the value, by which an open page knows whether it still shows what is stored."""
    return hashlib.blake2b(found.value, digest_size=12).hexdigest()


def the_key(request: HttpRequest) -> str:
    """The key in the URL. Raises InvalidInput for none, or one that no entry can have."""
    key = request.GET.get("key", "")
    check_key(key)
    return key


def typed_text(request: HttpRequest, name: str) -> str:
    """A text field as it was typed: browsers send its line ends as CR LF."""
    return request.POST.get(name, "").replace("\r\n", "\n")


def url_of(access: Access, key: str) -> str:
    return f"{reverse('cache-entry', args=[access.project.slug])}?{urlencode({'key': key})}"


def folder_url(access: Access, key: str) -> str:
    """The cache page at the folder that the key lies in."""
    folder = key[: key.rfind(":") + 1]
    return reverse("cache", args=[access.project.slug]) + (
        f"?{urlencode({'prefix': folder})}" if folder else ""
    )


def _ttl(seconds: str, until: str, never: bool) -> int | None:
    if never:
        return None
    if until:
        try:
            at = datetime.fromisoformat(until).replace(tzinfo=UTC)
        except ValueError:
            raise InvalidInput(f"{until!r} is not a time such as 2026-03-18T12:27.", field="until") from None
        return check_left(at - datetime.now(UTC))
    return whole_seconds(seconds)


def check_left(left: timedelta) -> int:
    """Whole seconds until an instant, rounded up. Raises InvalidInput for one that has passed."""
    if left.total_seconds() <= 0:
        raise InvalidInput("That time has passed. To remove the entry now, delete it.", field="until")
    return math.ceil(left.total_seconds())


def whole_seconds(text: str) -> int:
    """A ttl that somebody typed. Raises InvalidInput with its bounds."""
    digits = text.strip().replace(",", "").replace(" ", "")
    if not (digits.isascii() and digits.isdigit() and 1 <= int(digits[:12]) <= limits.TTL_MAX_S):
        raise InvalidInput(
            f"An expiry is a whole number of seconds from 1 to {limits.TTL_MAX_S:,}.", field="seconds"
        )
    return int(digits)


def _calls(key: str) -> list[tuple[str, str]]:
    """How a program reads this key: (language, text to copy)."""
    name = json.dumps(key, ensure_ascii=False)
    body = '{"key":' + name + "}"
    quoted = "'" + body.replace("'", "'\\''") + "'"
    return [
        (
            "curl",
            f"curl {settings.AERODASH_PUBLIC_URL}/v1/cache/get \\\n"
            f'  -H "X-Aerostack-Key: $AERODASH_API_KEY" \\\n'
            f"  -H 'Content-Type: application/json' \\\n"
            f"  -d {quoted}",
        ),
        ("Python", f"value = client.cache.get(\n    {name})"),
    ]
