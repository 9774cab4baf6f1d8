"""/p/<slug>/settings/keys: the project's API keys; /new makes one and shows it once, /<id>/revoke ends one."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from aerodash import database, keys
from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import FORM_AGAIN
from aerodash.errors import InvalidInput
from aerodash.models import ApiKey

REVOKED_SHOWN = 50
SOON = timedelta(days=7)

LASTS = {"": None, "7": 7, "30": 30, "90": 90, "365": 365}
"""Days until a new key expires, as the form has them."""


class Right(NamedTuple):
    scope: Scope
    says: str


RIGHTS = (
    ("Cache", (Right(Scope.CACHE_READ, "read, count and list entries"), Right(Scope.CACHE_WRITE, "write, expire and delete entries"))),
    (
        "Jobs",
        (
            Right(Scope.QUEUE_ENQUEUE, "enqueue jobs"),
            Right(Scope.QUEUE_READ, "look at jobs, types, workers and schedules"),
            Right(Scope.QUEUE_WORK, "take jobs and report how they ended"),
            Right(Scope.QUEUE_MANAGE, "retry, cancel and pause; set types and schedules"),
        ),
    ),
    (
        "Flags",
        (
            Right(Scope.FLAGS_EVALUATE, "ask what a flag says"),
            Right(Scope.FLAGS_READ, "read flags as they are stored"),
            Right(Scope.FLAGS_WRITE, "switch and change flags"),
        ),
    ),
    ("Project", (Right(Scope.ADMIN, "everything, also keys and members"),)),
)  # fmt: skip

PRESETS = {
    "app": ("An application", frozenset({Scope.CACHE_READ, Scope.CACHE_WRITE, Scope.QUEUE_ENQUEUE, Scope.QUEUE_READ, Scope.FLAGS_EVALUATE})),
    "worker": ("A worker", frozenset({Scope.QUEUE_WORK, Scope.QUEUE_ENQUEUE, Scope.QUEUE_READ, Scope.CACHE_READ, Scope.CACHE_WRITE, Scope.FLAGS_EVALUATE})),
    "flags": ("Flags in a browser", frozenset({Scope.FLAGS_EVALUATE})),
    "reader": ("Reading only", frozenset({Scope.CACHE_READ, Scope.QUEUE_READ, Scope.FLAGS_READ})),
}  # fmt: skip


@require_GET
@project_page(Scope.ADMIN)
async def key_list(request: HttpRequest, access: Access) -> HttpResponse:
    """Valid keys, the newest first, then the last ones that were revoked or have expired."""
    return render(request, "console/keys.html", await database.ask(_list)(access))


@never_cache
@require_http_methods(["GET", "POST"])
@project_page(Scope.ADMIN)
async def key_new(request: HttpRequest, access: Access) -> HttpResponse:
    """The form, and, once, the key that it made."""
    form = request.POST
    if request.method == "GET":
        preset = request.GET.get("preset", "app")
        scopes = PRESETS.get(preset, PRESETS["app"])[1]
        return render(request, "console/key-new.html", _form(access, scopes=scopes, preset=preset))
    name, lasts = form.get("name", ""), form.get("lasts", "")
    scopes = frozenset(scope for scope in Scope if scope.value in form.getlist("scope"))
    try:
        if lasts not in LASTS:
            raise InvalidInput(f"{lasts!r} is none of the times to choose from.", field="lasts")
        days = LASTS[lasts]
        expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
        key, text = await keys.create(
            access.project_id, access.actor, name=name, scopes=scopes, expires_at=expires_at
        )
    except InvalidInput as exc:
        again = _form(access, scopes=scopes, name=name, lasts=lasts, error=exc.message)
        return render(request, "console/key-new.html", again, status=FORM_AGAIN)
    origin = f"{request.scheme}://{request.get_host()}"
    return render(request, "console/key-made.html", {"key": key, "text": text, "origin": origin})


@require_http_methods(["GET", "POST"])
@project_page(Scope.ADMIN)
async def key_revoke(request: HttpRequest, access: Access, id: int) -> HttpResponse:
    """Ask, then have the key refused. In production its name must be typed."""
    found = await database.ask(keys.valid(access.project_id).filter(pk=id).first)()
    if found is None:
        raise Http404("This project has no valid key of this number.")
    typed = found.name if access.project.is_production else ""
    context = {
        "question": f"Revoke the key {found.name}?",
        "figures": [
            ("Key", f"{found.hint}…"),
            ("Made", f"{found.created_at:%Y-%m-%d}"),
            ("Rights", str(len(found.scopes)), "of " + str(len(Scope))),
        ],
        "verb": "Revoke this key",
        "keep": "Keep it",
        "back_url": reverse("keys", args=[access.project.slug]),
        "typed": typed,
    }
    if request.method == "GET":
        return render(request, "console/key-revoke.html", context)
    if request.POST.get("typed", "").strip() != typed:
        context["error"] = f"Type {typed} to revoke it. Nothing was changed."
        return render(request, "console/key-revoke.html", context, status=FORM_AGAIN)
    if await keys.revoke(access.project_id, access.actor, key_id=id):
        messages.success(request, f"Revoked {found.name}. It is refused everywhere within a second.")
    return HttpResponseRedirect(reverse("keys", args=[access.project.slug]))


def _list(access: Access) -> dict[str, object]:
    now = datetime.now(UTC)
    valid = list(keys.valid(access.project_id).order_by("-pk"))
    over = ApiKey.objects.filter(project_id=access.project_id).exclude(pk__in=[key.pk for key in valid])
    return {
        "valid": [{"key": key, "is_ending": key.expires_at is not None and key.expires_at < now + SOON} for key in valid],
        "over": list(over.order_by("-pk")[:REVOKED_SHOWN]),
    }  # fmt: skip


def _form(
    access: Access,
    *,
    scopes: frozenset[Scope],
    name: str = "",
    lasts: str = "",
    preset: str = "",
    error: str = "",
) -> dict[str, object]:
    return {
        "groups": [
            (group, [(right.scope.value, right.says, right.scope in scopes) for right in rights])
            for group, rights in RIGHTS
        ],
        "presets": [(key, label, key == preset) for key, (label, _) in PRESETS.items()],
        "lasts": [("", "never", lasts == "")] + [(days, f"in {days} days", lasts == days) for days in LASTS if days],
        "name": name,
        "name_chars": keys.NAME_CHARS,
        "error": error,
    }  # fmt: skip
