"""Importing entries from a file of JSON Lines: the upload, what is in it, how it shall be imported, and how that goes."""

from dataclasses import dataclass

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from aerodash import instants, limits
from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import FORM_AGAIN, answer
from aerodash.console.views.operations import shown
from aerodash.errors import InvalidInput, TooLarge
from aerodash.realtime.pages import LiveView, live_url
from aerodash.templatetags.aerodash_ui import grouped
from cache_admin import transfer
from cache_admin.templatetags.cache_ui import visible
from cache_admin.transfer import Choice, Mode, Standing
from cache_admin.uploads import KEPT_S, Upload
from cache_admin.views.production import is_number_typed, number_to_type, reason_of

REFUSALS_SHOWN = 8
LINES_SHOWN = 4
HEAD_BYTES = 200
MODES = {
    Mode.OVERWRITE: ("Overwrite", "Keys that exist get the file's value, metadata and expiry."),
    Mode.SKIP: ("Skip", "Keys that exist stay as they are; only new ones are written."),
    Mode.ONLY: ("Only these", "Only keys that exist are written; no new ones are made."),
}
MOMENTS = {
    "moment": ("As in the file", "What has expired since it was written is left out."),
    "left": ("Counted again", "Each gets the time it had left when the file was written, from when the import starts."),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kept:
    """An upload as the list shows it."""

    upload: Upload

    @property
    def name(self) -> str:
        return visible(self.upload.facts.name)

    @property
    def at(self) -> object:
        return instants.of_ms(self.upload.facts.at_ms)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Scope.CACHE_WRITE)
async def cache_import(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/cache/import: a form for a file, and those that are kept; POST takes one and leads to its page."""
    if request.method != "POST":
        return await _form(request, access)
    file = request.FILES.get("file")
    if file is None:
        return await _form(request, access, error="Choose a file first.")
    try:
        upload = await transfer.receive(
            access.project_id, access.actor, name=file.name or "", chunks=file.chunks(), size_bytes=file.size or 0,
        )  # fmt: skip
    except (InvalidInput, TooLarge) as exc:
        return await _form(request, access, error=exc.message)
    return HttpResponseRedirect(_url(access, upload))


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Scope.CACHE_WRITE)
async def cache_import_file(request: HttpRequest, access: Access, id: str) -> HttpResponse:
    """/p/<slug>/cache/import/<id>: what is in the file, and how its import goes; POST starts one."""
    found = await _find(access, id)
    if request.method != "POST":
        return answer(request, "cache_admin/cache-import-file.html", await page(access, found))
    checked = found.upload.facts.checked
    number = checked.good if checked else 0
    try:
        if not is_number_typed(request, number_to_type(access, number, is_loss=True)):
            raise InvalidInput("The number typed is another one.")
        await transfer.start(
            access.project_id, access.actor, upload=found.upload, choice=_choice(request), run=_run(request),
            reason=reason_of(request),
        )  # fmt: skip
    except InvalidInput as exc:
        context = await page(access, found) | {
            "error": f"Nothing was imported. {exc.message}",
            "mode": request.POST.get("existing", Mode.OVERWRITE.value),
            "moment": request.POST.get("expiry", "moment"),
            "reason": reason_of(request),
            "is_open": True,
        }
        return answer(request, "cache_admin/cache-import-file.html", context, status=FORM_AGAIN)
    return HttpResponseRedirect(_url(access, found.upload))


@require_GET
@project_page(Scope.CACHE_WRITE)
async def cache_import_refused(request: HttpRequest, access: Access, id: str) -> StreamingHttpResponse:
    """/p/<slug>/cache/import/<id>/refused: the lines that are not imported, and why, as JSON Lines."""
    found = await _find(access, id)
    return StreamingHttpResponse(
        transfer.refused_lines(found.upload),
        content_type="application/jsonl; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="refused-{found.upload.id}.jsonl"'},
    )


@require_POST
@project_page(Scope.CACHE_WRITE)
async def cache_import_remove(request: HttpRequest, access: Access, id: str) -> HttpResponse:
    """Remove an uploaded file; what was imported from it stays."""
    if await transfer.remove(access.project_id, access.actor, id=id):
        messages.success(request, "The file was removed. What was imported from it stays.")
    else:
        messages.info(request, "The file had gone already.")
    return HttpResponseRedirect(reverse("cache-import", args=[access.project.slug]))


async def push(view: LiveView) -> str:
    """What the socket sends to the page of a file that is looked through or imported."""
    found = await transfer.standing(view.access.project_id, view.access.actor, id=view.params.get("id", ""))
    if found is None:
        return ""
    moved = {str(one.id) for one in (*found.runs, found.check) if one is not None}
    if view.ids is not None and not (view.ids & moved):
        return ""
    context = await page(view.access, found)
    # Whether the page was loaded before the file had been looked through.
    context["is_news"] = context["checked"] is not None and not view.params.get("seen")
    return view.render("cache_admin/cache-import-file.html#live", context)


async def page(access: Access, found: Standing) -> dict[str, object]:
    """The context of a file's page."""
    upload, checked, now = found.upload, found.upload.facts.checked, timezone.now()
    newest = found.runs[-1] if found.runs else None
    context: dict[str, object] = {
        "upload": upload,
        "name": visible(upload.facts.name),
        "at": instants.of_ms(upload.facts.at_ms),
        "checked": checked,
        "op": shown(newest, access, now) if newest else None,
        "check": shown(found.check, access, now) if found.check and not checked else None,
        "earlier": [shown(run, access, now) for run in found.runs[:-1]],
        "may_start": checked is not None and checked.good > 0 and not (newest and newest.is_open),
        "live_url": live_url(access, "cache-import", id=str(upload.id), seen="1" if checked else ""),
    }
    if checked is None:
        return context
    seen = await transfer.look(
        access.project_id, access.actor, upload=upload, lines=LINES_SHOWN, refused=REFUSALS_SHOWN
    )
    missing = checked.tail_keys is not None and checked.tail_keys != checked.good + checked.bad
    return context | {
        "refused": seen.refused,
        "lines": [(one.key, one.value[:HEAD_BYTES].decode(errors="ignore"), one) for _, one in seen.lines],
        "fresh": checked.good - checked.present,
        "is_cut": checked.tail_keys is None or not checked.is_complete or missing,
        "number": checked.good,
        "typed": number_to_type(access, checked.good, is_loss=True),
        "needs_reason": access.project.is_production and checked.flags > 0,
        "modes": [(mode.value, *words) for mode, words in MODES.items()],
        "moments": [(name, *words) for name, words in MOMENTS.items()],
        "mode": Mode.OVERWRITE.value,
        "moment": "moment",
        "run": str(len(found.runs)),
        "is_open": not found.runs,
        "verb": f"Import {grouped(checked.good)} key{'' if checked.good == 1 else 's'}",
    }  # fmt: skip


async def _form(request: HttpRequest, access: Access, *, error: str = "") -> HttpResponse:
    kept = await transfer.kept(access.project_id, access.actor)
    context = {
        "kept": [Kept(upload) for upload in kept],
        "kept_days": KEPT_S // 86400,
        "most_gib": limits.IMPORT_BYTES // 1024**3,
        "value_mib": limits.VALUE_BYTES // 1024**2,
        "error": error,
    }
    return answer(request, "cache_admin/cache-import.html", context, part="import", status=FORM_AGAIN if error else 200)  # fmt: skip


async def _find(access: Access, id: str) -> Standing:
    found = await transfer.standing(access.project_id, access.actor, id=id)
    if found is None:
        raise Http404("This project has no such file.")
    return found


def _choice(request: HttpRequest) -> Choice:
    existing, expiry = request.POST.get("existing", ""), request.POST.get("expiry", "")
    if existing not in list(Mode) or expiry not in MOMENTS:
        raise InvalidInput("Choose what happens to keys that exist, and to expiries.", field="existing")
    return Choice(Mode(existing), keeps_moment=expiry == "moment")


def _run(request: HttpRequest) -> int:
    text = request.POST.get("run", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else -1


def _url(access: Access, upload: Upload) -> str:
    return reverse("cache-import-file", args=[access.project.slug, upload.id])
