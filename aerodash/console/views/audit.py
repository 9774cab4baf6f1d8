"""/p/<slug>/audit: who changed what, from what to what, by which way; /p/<slug>/audit/<id>: one change in full."""

import csv
import io
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils.text import slugify
from django.views.decorators.http import require_GET

from aerodash import audit, audit_log, database, instants, jsontext
from aerodash.audit_log import Filters, Line
from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import answer
from aerodash.errors import InvalidInput
from aerodash.operations import kinds
from aerodash.realtime.pages import LiveView, live_url
from cache_admin import merge

PAGE = 50
NEWER_MOST = 100
SHORT_CHARS = 160
KINDS = {
    "entry": "Cache entries",
    "cache": "Many entries",
    "flag": "Flags",
    "job": "Jobs",
    "jobs": "Many jobs",
    "type": "Job types",
    "schedule": "Schedules",
    "batch": "Batches",
}
ADMIN_KINDS = {"key": "API keys", "member": "Members", "settings": "Settings", "audit": "This log"}
DOORS = {"console": "console", "api": "API", "command": "command line", "keeper": "AeroDash itself"}

_SAYS = {
    "entry.set": "wrote", "entry.create": "created", "entry.delete": "deleted", "entry.expire": "changed the expiry of",
    "entry.metadata": "changed the metadata of",
    "flag.create": "created flag", "flag.toggle": "switched flag", "flag.set": "changed flag",
    "job.retry": "retried job", "job.cancel": "cancelled job", "job.run_now": "ran job at once", "job.enqueue": "enqueued job",
    "type.pause": "paused type", "type.resume": "resumed type", "type.configure": "changed the settings of type",
    "schedule.set": "set schedule", "schedule.run": "ran schedule", "schedule.delete": "deleted schedule",
    "schedule.pause": "paused schedule", "schedule.resume": "resumed schedule",
    "batch.cancel": "cancelled batch", "batch.retry": "retried batch", "batch.seal": "sealed batch",
    "key.create": "created", "key.revoke": "revoked", "key.compat": "changed",
    "member.add": "let in", "member.role": "changed the role of", "member.remove": "removed",
    "demo.seed": "made the sample data of", "audit.export": "exported the audit log of",
}  # fmt: skip

_SEEN = (Scope.CACHE_READ, Scope.QUEUE_READ, Scope.FLAGS_READ)


@require_GET
@project_page(*_SEEN)
async def audit_page(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/audit?kind=…&by=…&target=…&door=…&until=…&before=…: newest first; for htmx the list alone."""
    params = {name: request.GET.get(name, "").strip() for name in (*_PARAMS, "before")}
    context = await database.ask(_list)(access, params)
    return answer(request, "console/audit.html", context)


@require_GET
@project_page(*_SEEN)
async def audit_line(request: HttpRequest, access: Access, id: int) -> HttpResponse:
    """/p/<slug>/audit/<id>: both sides of one change, line by line."""
    line = await database.ask(audit_log.get)(access.project_id, access.actor, id=id)
    if line is None:
        raise Http404("This project has no such change, or you may not see it.")
    return answer(request, "console/audit-line.html", _line(access, line))


@require_GET
@project_page(*_SEEN)
async def audit_export(request: HttpRequest, access: Access) -> StreamingHttpResponse:
    """/p/<slug>/audit/export?as=csv|jsonl&…: all that matches, as it is read. That somebody took it stands in the log."""
    params = {name: request.GET.get(name, "").strip() for name in _PARAMS}
    form = request.GET.get("as", "csv")
    if form not in _FORMS:
        raise InvalidInput(f"{form!r} is none of {', '.join(_FORMS)}.", field="as")
    filters = _filters(params)
    pieces = audit_log.pieces(access.project_id, access.actor, filters=filters)
    first = await database.ask(_next)(pieces)  # refuses what is wrong before an answer begins
    said = {"as": form, **{name: value for name, value in params.items() if value}}
    await audit.record(
        access.project_id,
        access.actor,
        verb="audit.export",
        target=access.project.slug,
        after=json.dumps(said),
    )
    type, write = _FORMS[form]

    async def body() -> AsyncIterator[bytes]:
        lines, is_first = first, True
        while lines is not None:
            yield write(lines, is_first).encode()
            lines, is_first = await database.ask(_next)(pieces), False

    name = f"audit-{slugify(access.project.slug)}-{datetime.now(UTC):%Y%m%d-%H%M}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(body(), content_type=type, headers=headers)


def push(view: LiveView) -> str:
    """What the socket sends to an open log: how many lines have come, not the lines: they would move the others."""
    params = {name: view.params.get(name, "") for name in _PARAMS}
    context = _newer(view.access, params, int(view.params.get("newest") or 0))
    return view.render("console/audit.html#live", context)


_PARAMS = ("kind", "by", "target", "door", "until")


def _list(access: Access, params: dict[str, str]) -> dict[str, object]:
    filters = _filters(params)
    found = audit_log.page(
        access.project_id, access.actor, filters=filters, before=params["before"], limit=PAGE
    )
    asked = {name: params[name] for name in _PARAMS}
    newest = found.lines[0].id if found.lines and not params["before"] else 0
    is_first = not params["before"] and filters.until is None
    return {
        "lines": [_row(access, line) for line in found.lines],
        "filters": params,
        "is_filtered": filters.is_narrow or filters.until is not None,
        "kinds": KINDS | (ADMIN_KINDS if access.may(Scope.ADMIN) else {}),
        "doors": DOORS,
        "newest_url": _url(asked) if params["before"] else "",
        "older_url": _url({**asked, "before": found.older}) if found.older else "",
        "looked_back_to": found.looked_back_to,
        "exports": [
            (form, f"{reverse('audit-export', args=[access.project.slug])}{_url({**asked, 'as': form})}")
            for form in _FORMS
        ],
        "live_url": live_url(access, "audit", newest=str(newest), **asked) if is_first else "",
        **_newer(access, asked, newest if is_first and newest else None),
    }


def _newer(access: Access, params: dict[str, str], newest: int | None) -> dict[str, object]:
    count = (
        0
        if newest is None
        else audit_log.newer(
            access.project_id, access.actor, filters=_filters(params), than=newest, most=NEWER_MOST
        )
    )
    return {"newer": count, "newer_most": NEWER_MOST, "show_url": _url(params) or "?"}


def _row(access: Access, line: Line) -> dict[str, object]:
    return {
        "line": line,
        "says": _says(line),
        "door": DOORS.get(line.door, line.door),
        "name": _name(line),
        "url": _target_url(access, line),
        "change": _short(line),
    }


def _line(access: Access, line: Line) -> dict[str, object]:
    before, after = _pretty(line.before), _pretty(line.after)
    return {
        **_row(access, line),
        "lines": merge.diff(before, after) if line.before is not None and line.after is not None else [],
        "before": before,
        "after": after,
        "same_target_url": f"{reverse('audit', args=[access.project.slug])}{_url({'target': line.target})}",
        "same_person_url": f"{reverse('audit', args=[access.project.slug])}{_url({'by': line.by})}",
    }


def _says(line: Line) -> str:
    """What was done, as a verb that the name of what was changed follows."""
    kind, _, what = line.verb.rpartition(".")
    if what in ("start", "cancel") and kinds.knows(kind):
        words = kinds.find(kind).words(_object(line.after))
        doing = f"{words.doing[:1].lower()}{words.doing[1:]} {words.what}"
        return f"began {doing}" if what == "start" else "stopped operation"
    return _SAYS.get(line.verb, line.verb)


def _name(line: Line) -> str:
    kind, _, what = line.verb.rpartition(".")
    if what == "start" and kinds.knows(kind):
        return kinds.find(kind).words(_object(line.after)).target
    return line.target.removeprefix("flag:") if line.verb.startswith("flag.") else line.target


def _short(line: Line) -> str:
    """The change in a few words, where a few say it: of an object only what changed."""
    if line.after is None:
        return line.reason
    before, after = _object(line.before), _object(line.after)
    if after:
        changed = [
            name for name in (*after, *(before.keys() - after.keys())) if before.get(name) != after.get(name)
        ]
        words = [
            _side(name, before, after) for name in changed if after.get(name) is not None or name in before
        ]
        return ", ".join(words)[:SHORT_CHARS]
    old, new = (" ".join((side or "").split()) for side in (line.before, line.after))
    return (
        f"{old[: SHORT_CHARS // 2]} → {new[: SHORT_CHARS // 2]}" if old and old != new else new[:SHORT_CHARS]
    )


def _side(name: str, before: dict[str, Any], after: dict[str, Any]) -> str:
    old, new = (_word(side.get(name)) for side in (before, after))
    return f"{name} {old} → {new}" if before.get(name) is not None else f"{name} {new}"


def _word(value: object) -> str:
    if isinstance(value, str):
        return value[:40]
    return "none" if value is None else json.dumps(value, ensure_ascii=False)[:40]


def _target_url(access: Access, line: Line) -> str:
    """The page of what was changed, as far as the line tells where that is."""
    slug, family = access.project.slug, line.verb.partition(".")[0]
    kind, _, what = line.verb.rpartition(".")
    if what in ("start", "cancel") and kinds.knows(kind):
        return reverse("operation", args=[slug, line.target])
    if family in ("entry", "flag"):
        return f"{reverse('cache-entry', args=[slug])}?{urlencode({'key': line.target})}"
    pages: dict[str, Callable[[], str]] = {
        "job": lambda: reverse("job", args=[slug, line.target]),
        "type": lambda: reverse("type", args=[slug, line.target]),
        "schedule": lambda: reverse("schedule", args=[slug, line.target]),
        "batch": lambda: reverse("batch", args=[slug, line.target]),
    }
    return pages[family]() if family in pages and line.target and "/" not in line.target else ""


def _object(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _pretty(text: str | None) -> str:
    """JSON laid out; what is none, or was cut, as it is."""
    if text is None:
        return ""
    try:
        json.loads(text)
    except ValueError:
        return text
    return jsontext.pretty(text)


def _filters(params: dict[str, str]) -> Filters:
    filters = Filters(kind=params["kind"], by=params["by"], target=params["target"], door=params["door"])
    if not params["until"]:
        return filters
    try:
        until = datetime.fromisoformat(params["until"])
    except ValueError:
        raise InvalidInput(f"{params['until']!r} is no date and time.", field="until") from None
    return replace(filters, until=until if until.tzinfo else until.replace(tzinfo=UTC))


def _url(params: dict[str, str]) -> str:
    query = urlencode({name: value for name, value in params.items() if value})
    return f"?{query}" if query else ""


def _next(pieces) -> list[Line] | None:
    return next(pieces, None)


_COLUMNS = (
    "id", "at", "by", "by_kind", "by_id", "door", "verb", "target", "before", "after", "before_bytes", "after_bytes",
    "reason", "revision", "request_id",
)  # fmt: skip


def _cells(line: Line) -> dict[str, object]:
    return {**asdict(line), "at": instants.text_of(line.at)}


def _as_csv(lines: list[Line], is_first: bool) -> str:
    text = io.StringIO()
    rows = csv.DictWriter(text, _COLUMNS)
    if is_first:
        rows.writeheader()
    rows.writerows({name: _no_formula(value) for name, value in _cells(line).items()} for line in lines)
    return text.getvalue()


def _no_formula(value: object) -> object:
    """A spreadsheet would run a text that begins like a formula, and keys are anybody's text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _as_jsonl(lines: list[Line], _: bool) -> str:
    return "".join(json.dumps(_cells(line), ensure_ascii=False) + "\n" for line in lines)


_FORMS: dict[str, tuple[str, Callable[[list[Line], bool], str]]] = {
    "csv": ("text/csv; charset=utf-8", _as_csv),
    "jsonl": ("application/jsonl; charset=utf-8", _as_jsonl),
}
