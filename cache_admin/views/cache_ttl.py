"""Changing when all entries under a prefix, or the chosen ones, expire: first how, then the question, then the change."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import FORM_AGAIN, answer
from aerodash.errors import InvalidInput
from aerodash.templatetags.aerodash_ui import grouped, spell
from cache_admin import bulk, edits
from cache_admin.bulk import Change, Preview, Range, Rule
from cache_admin.views.bulk_question import (
    CHANGES_A_SECOND,
    SHOWN,
    about,
    before_text,
    count_text,
    figures,
    moved,
    none_left,
)
from cache_admin.views.cache_selection import Chosen, chosen_by
from cache_admin.views.present import Line, line
from cache_admin.views.production import is_number_typed, number_to_type, reason_of

UNITS = {"s": 1, "min": 60, "h": 3600, "d": 24 * 3600}
UNIT_WORDS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}
CHANGES = {
    Change.SET: ("Set to", "Every entry expires so long from now."),
    Change.EXTEND: ("Extend by", "So much later than now planned; those that never expire stay so."),
    Change.CAP: ("Cap at", "None lives longer than this from now; those that end sooner stay as they are."),
    Change.NEVER: ("Never", "Entries stay until somebody deletes them."),
}
DIGITS_MAX = 12


@dataclass(frozen=True, slots=True)
class Asked:
    """The form as it stands: amounts as typed, which may be anything."""

    change: str = ""
    ttl: str = ""
    unit: str = "h"
    spread: str = ""
    spread_unit: str = "min"

    @classmethod
    def of(cls, request: HttpRequest) -> "Asked":
        given = {name: request.GET.get(name, "").strip() for name in cls.__slots__}
        return cls(**{name: value for name, value in given.items() if value})

    def rule(self) -> Rule:
        """What it says. Raises InvalidInput for what cannot be."""
        if self.change not in list(Change):
            raise InvalidInput("Choose how the expiries change.", field="change")
        change = Change(self.change)
        if change is Change.NEVER:
            return Rule(change)
        if not self.ttl:
            raise InvalidInput("Say how long.", field="ttl")
        rule = Rule(change, _seconds(self.ttl, self.unit, "ttl"), _seconds(self.spread or "0", self.spread_unit, "spread"))  # fmt: skip
        bulk.check_rule(rule)
        return rule


@dataclass(frozen=True, slots=True)
class Move:
    """One of the entries, and what becomes of its expiry. after: in words; "" if it stays as it is."""

    line: Line
    after: str


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Scope.CACHE_WRITE)
async def cache_ttl(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/cache/ttl?prefix=…|keys=…: a form; with change=… the question; POST changes a few at once, and has the
    keeper change many."""
    chosen, asked = chosen_by(request), Asked.of(request)
    project, actor = access.project_id, access.actor
    if request.method != "POST":
        wanted = await bulk.measure(project, actor, prefix=chosen.prefix, keys=chosen.keys)
        if not asked.change:
            return await _choose(request, access, chosen, wanted, asked)
        try:
            rule = asked.rule()
        except InvalidInput as exc:
            return await _choose(request, access, chosen, wanted, asked, error=exc.message)
        return await _ask(request, access, chosen, wanted, asked, rule)
    rule = asked.rule()
    wanted, is_as_shown = await bulk.remeasure(
        project, actor, shown=request.POST.dict(), prefix=chosen.prefix, keys=chosen.keys
    )
    if not is_as_shown:
        why = f"Nothing was changed: {moved(chosen)}"
        return await _ask(request, access, chosen, wanted, asked, rule, error=why)
    if not is_number_typed(request, number_to_type(access, wanted.count.number, is_loss=False)):
        why = "Nothing was changed: the number typed is another one."
        return await _ask(request, access, chosen, wanted, asked, rule, error=why)
    try:
        changed = await edits.change_expiries(
            project, actor, wanted=wanted, rule=rule, reason=reason_of(request), before=await before_text(access, wanted),
        )  # fmt: skip
    except InvalidInput as exc:
        why = f"Nothing was changed. {exc.message}"
        return await _ask(request, access, chosen, wanted, asked, rule, error=why)
    if changed.operation is not None:
        return HttpResponseRedirect(reverse("operation", args=[access.project.slug, changed.operation.id]))
    left = f"; {grouped(changed.left)} stay as they were" if changed.left else ""
    messages.success(request, f"Changed when {chosen.said(changed.number)} expire{left}.")
    return HttpResponseRedirect(chosen.back_url(access))


async def _choose(
    request: HttpRequest, access: Access, chosen: Chosen, wanted: Range, asked: Asked, *, error: str = ""
) -> HttpResponse:
    if not wanted.count.number:
        return none_left(request, access, chosen)
    context = {
        "chosen": chosen,
        "said": f"{'' if wanted.count.exact else '≈ '}{chosen.said(wanted.count.number)}",
        "asked": asked,
        "changes": [(change.value, *words) for change, words in CHANGES.items()],
        "units": UNIT_WORDS.items(),
        "fields": {"prefix": chosen.prefix, "keys": request.GET.get("keys", "")},
        "back_url": chosen.back_url(access),
        "error": error,
    }
    return answer(request, "cache_admin/cache-ttl.html", context, status=FORM_AGAIN if error else 200)


async def _ask(
    request: HttpRequest,
    access: Access,
    chosen: Chosen,
    wanted: Range,
    asked: Asked,
    rule: Rule,
    *,
    error: str = "",
) -> HttpResponse:
    number = wanted.count.number
    if not number:
        return none_left(request, access, chosen)
    seen = await bulk.preview(access.project_id, access.actor, prefix=chosen.prefix, keys=wanted.keys)
    now = datetime.now(UTC)
    keys, _, takes = figures(wanted, seen, keys_a_second=CHANGES_A_SECOND)
    said = f"{'' if wanted.count.exact else '≈ '}{chosen.said(number)}"
    context = {
        **about(request, access, chosen, wanted, seen),
        "question": f"Change when {said} expire{'s' if number == 1 else ''}?",
        "verb": f"Change {count_text(wanted)} expir{'y' if number == 1 else 'ies'}",
        "keep": "Leave them" if number > 1 else "Leave it",
        "figures": [keys, _concerned(rule, seen, now), takes],
        "typed": number_to_type(access, number, is_loss=False),
        "becomes": becomes(rule),
        "moves": [_move(rule, line(row, chosen.prefix), now) for row in seen.rows[:SHOWN]],
        "again_url": chosen.url(access, "cache-ttl"),
        "ends_entries": rule.change in {Change.SET, Change.CAP},
        "asked_at": now,
        "error": error,
    }
    return answer(request, "cache_admin/cache-ttl-ask.html", context, status=FORM_AGAIN if error else 200)


def becomes(rule: Rule) -> str:
    """The change as a sentence."""
    ttl, spread, most = map(_plain, (rule.ttl_s, rule.spread_s, rule.ttl_s + rule.spread_s))
    if rule.change is Change.NEVER:
        return "They will not expire any more, and stay until somebody deletes them."
    if rule.change is Change.EXTEND:
        later = (
            f"{ttl} to {most} later than now planned, evenly spread"
            if rule.spread_s
            else f"{ttl} later than now planned"
        )
        return f"They expire {later}, at most ten years from now. Those that never expire stay so."
    if rule.change is Change.CAP:
        some = f", evenly spread over the {spread} before that" if rule.spread_s else ""
        return f"Those that would live longer than {ttl} from now, or for ever, end by then{some}. The others stay as they are."
    when = (
        f"{ttl} to {most} after you confirm, evenly spread" if rule.spread_s else f"{ttl} after you confirm"
    )
    return f"They expire {when}, whatever was planned before."


def _concerned(rule: Rule, seen: Preview, now: datetime) -> tuple[str, str, str]:
    """How many of the weighed entries the rule changes."""
    total = len(seen.rows)
    if rule.change is Change.SET:
        return ("Change", "all", "whatever was planned")
    changed = sum(bool(_move(rule, line(row, ""), now).after) for row in seen.rows)
    if seen.is_all:
        return ("Change", grouped(changed), "exact")
    return ("Change", f"≈ {round(100 * changed / total)} %", f"of the first {grouped(total)}")


def _move(rule: Rule, shown: Line, now: datetime) -> Move:
    at, ttl = shown.expires_at, timedelta(seconds=rule.ttl_s)
    match rule.change:
        case Change.NEVER:
            return Move(shown, "never" if at else "")
        case Change.SET:
            most = f" – {_plain(rule.ttl_s + rule.spread_s)}" if rule.spread_s else ""
            return Move(shown, f"{_plain(rule.ttl_s)}{most}")
        case Change.EXTEND:
            later = ((at - now).total_seconds() if at else 0) + rule.ttl_s
            most = f" – {spell(later + rule.spread_s)}" if rule.spread_s else ""
            return Move(shown, f"{spell(later)}{most}" if at else "")
        case Change.CAP:
            earliest = f"{_plain(rule.ttl_s - rule.spread_s)} – " if rule.spread_s else ""
            return Move(shown, f"{earliest}{_plain(rule.ttl_s)}" if at is None or at > now + ttl else "")


def _seconds(amount: str, unit: str, field: str) -> int:
    digits = amount.replace(",", "").replace(" ", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= DIGITS_MAX) or unit not in UNITS:
        raise InvalidInput(
            f"{amount!r} is no whole number of {UNIT_WORDS.get(unit, 'seconds')}.", field=field
        )
    return int(digits) * UNITS[unit]


def _plain(seconds: int) -> str:
    """2 h, 1 h 30 min, 16 min 40 s: exactly, without parts that are none."""
    parts = []
    for unit, length in reversed(UNITS.items()):
        number, seconds = divmod(seconds, length)
        if number:
            parts.append(f"{grouped(number)} {unit}")
    return " ".join(parts) or "0 s"
