"""When one entry expires: changed alone, at once; a flag's in production after its name and a reason were typed."""

import math
from datetime import UTC, datetime, timedelta

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from aerodash import limits
from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import FORM_AGAIN, answer
from aerodash.errors import InvalidInput
from aerodash.templatetags.aerodash_ui import spell
from cache_admin import bulk, edits
from cache_admin.bulk import Change, Rule
from cache_admin.templatetags.cache_ui import visible
from cache_admin.views.entry import after_change, frame, the_key, url_of
from cache_admin.views.production import asks_first, is_typed, reason_of

FIELDS = ("seconds", "until", "never", "cap")


@require_POST
@project_page(Scope.CACHE_WRITE)
async def entry_expiry(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/cache/entry/expiry: seconds from now, until an instant, never, or cap: that many seconds at most."""
    key = the_key(request)
    if asks_first(access, key) and not is_typed(request, key):
        is_first_click = "typed" not in request.POST
        error = "" if is_first_click else "Nothing was changed: the key typed is another one."
        return _ask(request, access, key, error=error)
    try:
        if "cap" in request.POST:
            await _cap(request, access, key)
        else:
            await _set(request, access, key)
    except InvalidInput as exc:
        if asks_first(access, key):
            return _ask(request, access, key, error=f"Nothing was changed. {exc.message}")
        messages.error(request, exc.message)
    return await after_change(request, access, key)


async def _set(request: HttpRequest, access: Access, key: str) -> None:
    sent = request.POST
    ttl_s = _ttl(sent.get("seconds", ""), sent.get("until", ""), never="never" in sent)
    done = await edits.change_expiry(
        access.project_id, access.actor, key=key, ttl_s=ttl_s, reason=reason_of(request)
    )
    if not done:
        messages.error(request, "The entry has gone meanwhile: there is nothing left to expire.")
    elif ttl_s is None:
        messages.success(request, "It never expires now. Value and metadata are as they were.")
    else:
        messages.success(request, f"It expires in {ttl_s:,} s. Value and metadata are as they were.")


async def _cap(request: HttpRequest, access: Access, key: str) -> None:
    """Not later than so many seconds from now; decided where the entry is, so that nobody's shorter expiry is lengthened."""
    ttl_s = whole_seconds(request.POST["cap"])
    wanted = await bulk.measure(access.project_id, access.actor, keys=[key])
    if not wanted.count.number:
        messages.error(request, "The entry has gone meanwhile: there is nothing left to expire.")
        return
    rule = Rule(Change.CAP, ttl_s)
    changed = await edits.change_expiries(
        access.project_id, access.actor, wanted=wanted, rule=rule, reason=reason_of(request)
    )
    if changed.number:
        messages.success(request, f"It expires in {ttl_s:,} s. Value and metadata are as they were.")
    else:
        messages.info(request, f"It expires within {spell(ttl_s, coarse=True)} already: nothing was changed.")


def _ask(request: HttpRequest, access: Access, key: str, *, error: str) -> HttpResponse:
    """The confirmation as a page, with what was asked for kept in it."""
    if request.htmx:  # type: ignore[attr-defined]  # a page from before the project was marked production
        return HttpResponse(headers={"HX-Redirect": url_of(access, key)})
    wanted = {name: request.POST[name] for name in FIELDS if name in request.POST}
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
    if "cap" in wanted:
        return f"in {wanted['cap']} s at most"
    return f"at {wanted['until']} UTC" if wanted.get("until") else f"in {wanted.get('seconds', '')} s"


def _ttl(seconds: str, until: str, *, never: bool) -> int | None:
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
