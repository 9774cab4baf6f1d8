"""The flags page: every flag with its switch, switching one, and making one."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from aerodash.audit import Change
from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import FORM_AGAIN, answer, next_url
from aerodash.errors import EngineDown, InvalidInput
from aerodash.realtime.pages import live_url
from cache_admin.bounds import from_cursor, to_cursor
from cache_admin.flags import services
from cache_admin.flags.stored import PREFIX, Flag, is_name
from cache_admin.views.production import is_typed, reason_of

FLAGS_A_PAGE = 100
SHOWS = {"": "All", "on": "On", "off": "Off", "broken": "Broken"}


@dataclass(frozen=True, slots=True)
class Filters:
    """What the URL says. q: part of a name, description or tag. after: the name that the page comes behind."""

    q: str = ""
    show: str = ""
    after: str = ""

    @classmethod
    def of(cls, given: dict[str, str]) -> "Filters":
        show = given.get("show", "")
        return cls(given.get("q", "").strip(), show if show in SHOWS else "", given.get("after", ""))

    def url(self, **changes: str) -> str:
        named = {"q": self.q, "show": self.show, **changes}
        return "?" + urlencode({name: value for name, value in named.items() if value})

    def params(self) -> dict[str, str]:
        named = {"q": self.q, "show": self.show, "after": self.after}
        return {name: value for name, value in named.items() if value}

    def matches_text(self, flag: Flag) -> bool:
        needle = self.q.casefold()
        return not needle or any(
            needle in text.casefold() for text in (flag.name, flag.description, *flag.tags)
        )


@dataclass(frozen=True, slots=True)
class Line:
    """One row. flag is None and is_gone true for one that was on the page and has been removed since."""

    name: str
    flag: Flag | None
    change: Change | None = None
    is_gone: bool = False
    is_fresh: bool = False

    @property
    def row_id(self) -> str:
        """The name, or for a name that is none something that an attribute and a list with commas can hold."""
        return self.name if is_name(self.name) else f"~{to_cursor(self.name)}"

    @property
    def by_program(self) -> bool:
        """Whether something other than the console wrote it last."""
        return self.flag is not None and (self.change is None or self.change.revision != self.flag.revision)


@require_GET
@project_page(Scope.FLAGS_READ)
async def flags(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/flags: the list, for htmx the parts that change; 503 with an empty panel if the engine is down."""
    filters = Filters.of(request.GET.dict())
    context: dict[str, object] = frame(access, filters)
    shown = [name for name in request.GET.get("shown", "").split(",") if name] if request.htmx else None  # type: ignore[attr-defined]
    try:
        context |= await read(access, filters, shown=shown)
    except EngineDown as exc:
        return answer(request, "cache_admin/flags.html", context, down=exc)
    return answer(request, "cache_admin/flags.html", context)


def frame(access: Access, filters: Filters) -> dict[str, object]:
    """What the page shows whether the flags can be read or not."""
    return {
        "filters": filters,
        "may_write": access.may(Scope.FLAGS_WRITE),
        "asks_first": access.project.is_production,
        "live_url": live_url(access, "flags", **filters.params()),
    }


async def read(
    access: Access,
    filters: Filters,
    *,
    shown: Sequence[str] | None = None,
    changed: frozenset[str] = frozenset(),
) -> dict[str, object]:
    """The flags that the page shows.

    shown: the rows of a page that is open already: they stay where they are. changed: the keys that just did.
    """
    every = await services.list_flags(access.project_id, access.actor)
    found = [flag for flag in every if filters.matches_text(flag)]
    matching = [flag for flag in found if _is_shown(flag, filters.show)]
    page = [flag for flag in matching if flag.name.encode() > filters.after.encode()][: FLAGS_A_PAGE + 1]
    more = len(page) > FLAGS_A_PAGE
    page = page[:FLAGS_A_PAGE]
    names = [_name(row_id) for row_id in shown] if shown else [flag.name for flag in page]
    known = {flag.name: flag for flag in every}
    changes = await services.last_changes(access.project_id, access.actor, names=names)
    lines = [
        Line(
            name,
            known.get(name),
            changes.get(name),
            is_gone=name not in known or not _is_shown(known[name], filters.show),
            is_fresh=PREFIX + name in changed,
        )
        for name in names
    ]
    return {
        "lines": lines,
        "present": sum(not line.is_gone for line in lines),
        "unseen": sum(flag.name not in set(names) for flag in page) if shown else 0,
        "total": len(every),
        "on": sum(flag.enabled for flag in every),
        "matching": len(matching),
        "segments": [
            (
                label,
                sum(_is_shown(flag, show) for flag in found),
                filters.url(show=show),
                show == filters.show,
            )
            for show, label in SHOWS.items()
        ],
        "here": filters.url(after=filters.after),
        "first_url": filters.url() if filters.after else "",
        "later_url": filters.url(after=page[-1].name) if more else "",
    }


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Scope.FLAGS_WRITE)
async def flag_toggle(request: HttpRequest, access: Access, name: str) -> HttpResponse:
    """Switch one flag: at once, or in production after its name and a reason were typed.

    The query says what is wanted: `to` on or off, `revision` the flag as it was seen.
    """
    wanted = {"on": True, "off": False}.get(request.GET.get("to", ""))
    if wanted is None:
        raise InvalidInput("to is on or off.", field="to")
    if request.method != "POST":
        return await _ask(request, access, name, wanted)
    if access.project.is_production and not is_typed(request, name):
        error = "Nothing was changed: the name typed is another one."
        return await _ask(request, access, name, wanted, error=error)
    try:
        result = await services.toggle(
            access.project_id, access.actor, name=name, enabled=wanted, reason=reason_of(request),
            expected_revision=request.POST.get("revision") or request.GET.get("revision") or None,
        )  # fmt: skip
    except InvalidInput as exc:
        return await _ask(request, access, name, wanted, error=f"Nothing was changed. {exc.message}")
    if result.done:
        messages.success(request, f"{name} is {'on' if wanted else 'off'}.")
    else:
        messages.error(request, f"{name}: nothing was changed. {REFUSALS[result.reason]}")
    if request.htmx:  # type: ignore[attr-defined]  # the socket brings the row
        return render(request, "components/said.html")
    return HttpResponseRedirect(next_url(request, reverse("flags", args=[access.project.slug])))


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Scope.FLAGS_WRITE)
async def flag_new(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/flags/new: a form; POST makes the flag and leads to the list, 409 if its name is taken, 422 if not valid."""
    context: dict[str, object] = {"asks_first": access.project.is_production, "rollout": "100"}
    page = "cache_admin/flag-new.html"
    if request.method != "POST":
        return answer(request, page, context)
    typed = {
        name: request.POST.get(name, "").strip()
        for name in ("name", "rollout", "description", "tags", "reason")
    }
    context |= typed | {"enabled": request.POST.get("enabled") == "on"}
    try:
        done = await services.create(
            access.project_id, access.actor, name=typed["name"], enabled=bool(context["enabled"]),
            rollout=_per_cent(typed["rollout"]), description=typed["description"],
            tags=[tag for tag in (part.strip() for part in typed["tags"].split(",")) if tag], reason=typed["reason"],
        )  # fmt: skip
    except InvalidInput as exc:
        return answer(request, page, {**context, "error": exc.message}, status=FORM_AGAIN)
    if not done:
        error = "There is a flag of this name already."
        return answer(request, page, {**context, "error": error}, status=409)
    messages.success(request, f"Made {typed['name']}, switched {'on' if context['enabled'] else 'off'}.")
    return HttpResponseRedirect(reverse("flags", args=[access.project.slug]))


REFUSALS = {
    "absent": "There is no such flag any more.",
    "not_a_flag": "The entry cannot be read as a flag; mend it on its page.",
    "changed": "Somebody changed it meanwhile; look at it as it is now.",
}


async def _ask(
    request: HttpRequest, access: Access, name: str, wanted: bool, *, error: str = ""
) -> HttpResponse:
    """The confirmation as a page."""
    flag = await services.get_flag(access.project_id, access.actor, name=name) if is_name(name) else None
    back = reverse("flags", args=[access.project.slug])
    if flag is None or flag.problem:
        messages.error(request, f"{name}: {REFUSALS['absent' if flag is None else 'not_a_flag']}")
        return HttpResponseRedirect(back)
    word = "on" if wanted else "off"
    context = {
        "question": f"Switch {name} {word}?",
        "verb": f"Switch it {word}",
        "keep": f"Leave it {'on' if flag.enabled else 'off'}",
        "back_url": back,
        "hidden": {"revision": flag.revision},
        "typed": name if access.project.is_production else "",
        "flag": flag,
        "wanted": wanted,
        "error": error,
        "reason": reason_of(request),
    }
    return answer(request, "cache_admin/flag-toggle.html", context, status=FORM_AGAIN if error else 200)


def _name(row_id: str) -> str:
    if not row_id.startswith("~"):
        return row_id
    try:
        return from_cursor(row_id[1:], prefix="") or ""
    except InvalidInput:
        return ""


def _is_shown(flag: Flag, show: str) -> bool:
    match show:
        case "on":
            return not flag.problem and flag.enabled
        case "off":
            return not flag.problem and not flag.enabled
        case "broken":
            return bool(flag.problem)
    return True


def _per_cent(text: str) -> float:
    try:
        number = float(text.removesuffix("%").strip() or "100")
    except ValueError:
        raise InvalidInput("A rollout is 0 to 100 per cent, in steps of 0.01.", field="rollout") from None
    return number
