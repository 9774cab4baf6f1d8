"""What the console asks before a change that is hard to take back: something typed again, and a reason.

A reason for a change of a flag in production is the verbs' own rule (flags/reason.py), so that no page can forget it;
typing is for people who clicked on the wrong row, and so belongs to the pages. Source: console, "Settled questions".
"""

from django.http import HttpRequest

from aerodash.console.access import Access
from cache_admin.bulk import FLAG_PREFIX
from cache_admin.templatetags.cache_ui import visible

TYPED_ABOVE = 100


def asks_first(access: Access, key: str) -> bool:
    """Whether a change of this entry needs its name typed and a reason: a flag's in production."""
    return access.project.is_production and key.startswith(FLAG_PREFIX)


def is_typed(request: HttpRequest, name: str) -> bool:
    """Whether the name was typed as the page shows it, which is how people read characters that hide."""
    return request.POST.get("typed", "").strip() == visible(name).strip()


def number_to_type(access: Access, number: int, *, is_loss: bool) -> str:
    """The count that must be typed before so many entries are changed; "" if one click will do.

    That is: of more than a hundred, and in production of any if what they hold is lost.
    """
    return str(number) if number > TYPED_ABOVE or (is_loss and access.project.is_production) else ""


def is_number_typed(request: HttpRequest, wanted: str) -> bool:
    """Whether the count was typed; with its commas, as the page shows it, will do."""
    return not wanted or request.POST.get("typed", "").replace(",", "").strip() == wanted


def reason_of(request: HttpRequest) -> str:
    return request.POST.get("reason", "").strip()
